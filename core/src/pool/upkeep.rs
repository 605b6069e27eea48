//! Looking after idle values: trimming those that nobody needs, checking those that stay.

use alloc::vec::Vec;
use core::time::Duration;

use super::shared::{Phase, Shared};
use super::slot::Slot;
use crate::Instant;
use crate::cleanup::{Corpse, Why};
use crate::random::Random;
use crate::resource::LocalResource;
use crate::runtime::Clock;

/// A sweep comes at least this many times in the shortest of the times it looks after, since only a
/// sweep sees that a value has come back: what is timed is never early and at most a quarter late.
const SWEEPS: u32 = 4;

/// Sweeps come no more often than this, however short the times.
const SHORTEST_PERIOD: Duration = Duration::from_millis(1);

/// Checks come up to a tenth early, so that values that were opened together drift apart.
const JITTER_PARTS: u64 = 10;

impl<R: LocalResource, C: Clock> Shared<R, C> {
    fn sweep_period(&self) -> Option<Duration> {
        let times = [self.config.idle_timeout, self.config.check_every];
        let shortest = times.into_iter().flatten().min()?;
        Some((shortest / SWEEPS).max(SHORTEST_PERIOD))
    }

    pub(crate) fn first_sweep(&self) -> Option<Instant> {
        let period = self.sweep_period()?;
        self.now().map(|now| now + period)
    }

    /// When a value that is idle from `now` on is to be checked.
    pub(crate) fn next_check(&self, now: Instant) -> Instant {
        let Some(every) = self.config.check_every else {
            return Instant::MAX;
        };
        let most = crate::time::nanos(every) / JITTER_PARTS;
        let early = self
            .random
            .with(|random: &mut Random| random.below_or_equal(most));
        now + every.saturating_sub(Duration::from_nanos(early))
    }

    /// Looks at every idle value: gives those that came back since the last sweep their time, buries
    /// those idle for too long, and hands out those whose check is due, counted as under check.
    pub(crate) fn sweep(&self, now: Instant) -> Swept<R::Value> {
        let idle_timeout = self.config.idle_timeout;
        let mut next_at = self.sweep_period().map(|period| now + period);
        let mut look_at = |at: Instant| next_at = next_at.map(|next| next.min(at));
        self.queue
            .with(|queue| {
                let mut swept = Swept {
                    to_check: Vec::new(),
                    next_at: None,
                    overdue: false,
                };
                if queue.phase != Phase::Open {
                    return swept;
                }
                let mut spare = queue.in_service().saturating_sub(self.config.min_size);
                let stale = self.stacks.extract(|slot| {
                    if slot.idle_since == Slot::<R::Value>::FRESH {
                        slot.idle_since = now;
                        slot.check_at = self.next_check(now);
                    }
                    let Some(stale_at) = idle_timeout.map(|limit| slot.idle_since + limit) else {
                        return false;
                    };
                    if spare == 0 {
                        return false;
                    }
                    if now < stale_at {
                        look_at(stale_at);
                        return false;
                    }
                    spare -= 1;
                    true
                });
                let why = Why::IdleTooLong;
                queue.graveyard.extend(stale.into_iter().map(|slot| Corpse {
                    value: slot.value,
                    why,
                }));
                let mut checks = self.most_checks().saturating_sub(queue.checking);
                swept.to_check = self.stacks.extract(|slot| {
                    if now < slot.check_at {
                        look_at(slot.check_at);
                        return false;
                    }
                    swept.overdue |= checks == 0;
                    let leaves = checks > 0;
                    checks -= usize::from(leaves);
                    leaves
                });
                queue.checking += swept.to_check.len();
                swept
            })
            .until(next_at, now)
    }

    /// How many values may be under check at once: some, so that one that hangs holds up no other,
    /// but never so many that callers find nothing idle.
    fn most_checks(&self) -> usize {
        (self.config.max_size / 4).max(1)
    }
}

/// What a sweep found.
pub(crate) struct Swept<V> {
    /// Values whose check is due.
    pub(crate) to_check: Vec<Slot<V>>,
    /// When to sweep again.
    pub(crate) next_at: Option<Instant>,
    /// Whether a check is due that has to wait until another one ends.
    pub(crate) overdue: bool,
}

impl<V> Swept<V> {
    fn until(self, next_at: Option<Instant>, now: Instant) -> Self {
        let earliest = now + SHORTEST_PERIOD;
        let next_at = next_at.map(|next| next.max(earliest));
        Self { next_at, ..self }
    }
}
