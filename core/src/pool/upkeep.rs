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

/// A sweep comes this many times in the shortest of the times it looks after, so that a value is
/// closed or checked at most a quarter late. It is never early.
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
        self.now().and_then(|now| self.next_sweep(now))
    }

    pub(crate) fn next_sweep(&self, now: Instant) -> Option<Instant> {
        self.sweep_period().map(|period| now + period)
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
    pub(crate) fn sweep(&self, now: Instant) -> Vec<Slot<R::Value>> {
        let idle_timeout = self.config.idle_timeout;
        self.queue.with(|queue| {
            if queue.phase != Phase::Open {
                return Vec::new();
            }
            let mut spare = queue.in_service().saturating_sub(self.config.min_size);
            let stale = self.stacks.extract(|slot| {
                if slot.idle_since == Slot::<R::Value>::FRESH {
                    slot.idle_since = now;
                    slot.check_at = self.next_check(now);
                }
                let is_stale = idle_timeout.is_some_and(|limit| now - slot.idle_since >= limit);
                let leaves = is_stale && spare > 0;
                spare -= usize::from(leaves);
                leaves
            });
            let why = Why::IdleTooLong;
            queue.graveyard.extend(stale.into_iter().map(|slot| Corpse {
                value: slot.value,
                why,
            }));
            let mut checks = self.most_checks().saturating_sub(queue.checking);
            let to_check = self.stacks.extract(|slot| {
                let leaves = checks > 0 && now >= slot.check_at;
                checks -= usize::from(leaves);
                leaves
            });
            queue.checking += to_check.len();
            to_check
        })
    }

    /// How many values may be under check at once: some, so that one that hangs holds up no other,
    /// but never so many that callers find nothing idle.
    fn most_checks(&self) -> usize {
        (self.config.max_size / 4).max(1)
    }
}
