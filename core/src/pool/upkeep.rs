//! Looking after idle values: trimming those that nobody needs, checking those that stay.

use alloc::vec::Vec;
use core::time::Duration;

use super::lend::Asked;
use super::shared::{Phase, Queue, Shared};
use super::slot::{Lifetime, Slot};
use crate::Instant;
use crate::cleanup::Why;
use crate::event::EventKind;
use crate::random::Random;
use crate::resource::LocalResource;
use crate::runtime::Clock;

/// A sweep comes at least this many times in the shortest of the times it looks after, since only a
/// sweep sees that a value has come back: what is timed is never early and at most a quarter late.
const SWEEPS: u32 = 4;

/// Sweeps come no more often than this, however short the times.
const SHORTEST_PERIOD: Duration = Duration::from_millis(1);

/// A Runner that is late by less is not worth a word.
const MUCH_LATE: Duration = Duration::from_secs(1);

/// Checks come up to a tenth early, so that values that were opened together drift apart.
const JITTER_PARTS: u64 = 10;

impl<R: LocalResource, C: Clock> Shared<R, C> {
    fn sweep_period(&self) -> Option<Duration> {
        let config = &self.config;
        let times = [
            config.idle_timeout,
            config.max_lifetime,
            config.check_every,
            config.leak_after,
        ];
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

    /// Asks about every value that has lain idle since the last sweep, and retires those that are broken. One
    /// that was used since was asked about as it came back.
    pub(crate) fn retire_broken(&self) {
        let mut asked = Asked::take(self, Why::Broken, |slot| slot.seen_idle != 0);
        while let Some(slot) = asked.next() {
            let broken = self.is_broken(slot);
            asked.settle(!broken);
        }
    }

    /// Looks at every idle value: gives those that came back since the last sweep their time, buries
    /// those whose life is over or that were idle for too long, and hands out those whose check is due,
    /// counted as under check.
    pub(crate) fn sweep(&self, now: Instant) -> Swept<R::Value> {
        let idle_timeout = self.config.idle_timeout;
        let mut next_at = self.sweep_period().map(|period| now + period);
        let mut look_at = |at: Instant| next_at = next_at.map(|next| next.min(at));
        let mut swept = Swept {
            to_check: Vec::new(),
            next_at: None,
            overdue: false,
        };
        self.queue.with(|queue| {
            if queue.phase != Phase::Open {
                return;
            }
            let lifetime = self.tell_the_time(queue, now);
            let mut spare = queue.in_service().saturating_sub(self.config.min_size);
            let mut checks = most_checks(queue.max_size).saturating_sub(queue.checking);
            let sorted_out = self.stacks.sort_out(|slot| {
                if slot.seen_idle == 0 {
                    slot.seen_idle = 1;
                    slot.idle_since = now;
                    slot.check_at = self.next_check(now);
                }
                let ends_at = lifetime.map_or(Instant::MAX, |lifetime| lifetime.ends_at(slot));
                if now >= ends_at {
                    // It leaves whether it can be spared or not: another takes its place.
                    spare = spare.saturating_sub(1);
                    return Some(Fate::Ends(Why::TooOld));
                }
                look_at(ends_at);
                if let (Some(limit), true) = (idle_timeout, spare > 0) {
                    let stale_at = slot.idle_since + limit;
                    if now >= stale_at {
                        spare -= 1;
                        return Some(Fate::Ends(Why::IdleTooLong));
                    }
                    look_at(stale_at);
                }
                if now < slot.check_at {
                    look_at(slot.check_at);
                    return None;
                }
                swept.overdue |= checks == 0;
                let leaves = checks > 0;
                checks -= usize::from(leaves);
                leaves.then_some(Fate::IsChecked)
            });
            for (fate, slot) in sorted_out {
                match fate {
                    Fate::Ends(why) => self.bury_slot(queue, slot, why),
                    Fate::IsChecked => {
                        queue.checking += 1;
                        swept.to_check.push(slot);
                    }
                }
            }
        });
        let earliest = now + SHORTEST_PERIOD;
        swept.next_at = next_at.map(|next| next.max(earliest));
        swept
    }

    /// Lets every stack know how late it is, where lives are limited.
    fn tell_the_time(&self, queue: &mut Queue<R::Value>, now: Instant) -> Option<Lifetime> {
        let lifetime = queue.limits.lifetime?;
        queue.limits.set_time(now);
        self.stacks.set_limits(queue.limits);
        Some(lifetime)
    }

    /// Tells of a Runner that was woken much later than it asked for.
    pub(crate) fn tell_if_late(&self, by: Duration) {
        let much = self.sweep_period().unwrap_or_default().max(MUCH_LATE);
        if by > much {
            self.reporter.send(&self.clock, EventKind::Late { by });
        }
    }
}

/// How many values may be under check at once: some, so that one that hangs holds up no other, but never
/// so many that callers find nothing idle.
fn most_checks(max_size: usize) -> usize {
    (max_size / 4).max(1)
}

/// What becomes of an idle value.
enum Fate {
    Ends(Why),
    IsChecked,
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
