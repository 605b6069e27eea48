//! Looking after idle values: trimming those that nobody needs, checking those that stay.

use alloc::vec::Vec;
use core::time::Duration;

use super::lend::Asked;
use super::shared::{Phase, Queue, Shared, Watch};
use super::slot::{Lifetime, Slot, Standing};
use crate::Instant;
use crate::cleanup::Why;
use crate::event::EventKind;
use crate::random::Random;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::work::{LEAST_PERIOD, Wakes};

/// A sweep comes at least this many times in the shortest of the times it looks after, since only a
/// sweep sees that a value has come back: what is timed is never early and at most a quarter late.
const SWEEPS: u32 = 4;

/// The same where values are checked after they have lain idle: what is unclear after two sweeps is settled by the
/// clock, and by a check too many at worst.
const SWEEPS_BEFORE_LOANS: u32 = 2;

/// A Runner that is late by less is not worth a word.
const MUCH_LATE: Duration = Duration::from_secs(1);

/// Checks come up to a tenth early, so that values that were opened together drift apart.
const JITTER_PARTS: u64 = 10;

impl<R: LocalResource, C: Clock> Shared<R, C> {
    pub(crate) fn sweep_period(&self) -> Option<Duration> {
        let config = &self.config;
        let times = [
            config.idle_timeout,
            config.max_lifetime,
            config.check_every,
            config.leak_after,
        ];
        let shortest = times.into_iter().flatten().min();
        let period = shortest.map(|shortest| shortest / SWEEPS);
        let before_loans = self.rest_limit().map(|limit| limit / SWEEPS_BEFORE_LOANS);
        let period = period.into_iter().chain(before_loans).min()?;
        Some(period.max(LEAST_PERIOD))
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
        let mut asked = Asked::take(self, Why::Broken, |slot| slot.standing != Standing::USED);
        while let Some(slot) = asked.next() {
            let broken = self.is_broken(slot);
            asked.settle(!broken);
            if broken {
                self.doubt_others();
            }
        }
    }

    /// Looks at every idle value: gives those that came back since the last sweep their time, buries
    /// those whose life is over or that were idle for too long, and hands out those whose check is due,
    /// counted as under check. The sweep comes `late` after it was planned.
    ///
    /// Once a sweep finds nothing that came back since the one before, the next is at the next time that one of
    /// these values has to be looked at: until then the Runner is woken by the first that comes back.
    ///
    /// A sweep that comes much too late, as after the process was frozen, counts what came back since the last one as
    /// idle since it was planned: rather a value that is closed early than one lent past its limit.
    pub(crate) fn sweep(&self, now: Instant, late: Duration) -> Swept<R::Value> {
        let idle_timeout = self.config.idle_timeout;
        let period = self.sweep_period();
        let standing = self.standing_of_idle(period.unwrap_or_default() + late);
        let is_much_late = period.is_some_and(|period| late > period);
        let unseen_since = if is_much_late {
            Instant::EPOCH + (now - Instant::EPOCH).saturating_sub(late)
        } else {
            now
        };
        let notes_returns = self.config.notes_returns();
        let mut next_at = Instant::MAX;
        let mut is_used = false;
        let mut swept = Swept {
            to_check: Vec::new(),
            next_at: None,
            overdue: false,
            rests: false,
        };
        let serves = self.queue.with(|queue| {
            if queue.phase != Phase::Open {
                return false;
            }
            let mut look_at = |at: Instant| next_at = next_at.min(at);
            let lifetime = self.tell_the_time(queue, now);
            let mut spare = queue.in_service().saturating_sub(self.config.min_size);
            let mut checks = most_checks(queue.max_size).saturating_sub(queue.checking);
            let sorted_out = self.stacks.sort_out(|slot| {
                let since = if notes_returns {
                    slot.idle_since
                } else {
                    unseen_since
                };
                if slot.seen_idle(since, standing) {
                    slot.check_at = self.next_check(now);
                    is_used = true;
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
            swept.rests = !is_used && !swept.overdue;
            if swept.rests {
                queue.next_due = next_at;
                self.set_watch(queue, Watch::WakesRunner);
            }
            true
        });
        // Nothing lies idle any more in a pool that is being shut down.
        if serves && !swept.rests {
            next_at = period.map_or(next_at, |period| next_at.min(now + period));
        }
        swept.next_at = (next_at != Instant::MAX).then(|| next_at.max(now + LEAST_PERIOD));
        swept
    }

    /// How a value stands that a sweep sees idle, and that may have been so for that long.
    fn standing_of_idle(&self, unseen: Duration) -> Standing {
        match self.rest_limit() {
            None => Standing::IDLE,
            Some(limit) if unseen < limit => Standing::RESTED,
            // The Runner was held up, or the whole process.
            Some(_) => Standing::STALE,
        }
    }

    fn set_watch(&self, queue: &mut Queue<R::Value>, watch: Watch) {
        if queue.watch != watch {
            queue.watch = watch;
            self.stacks.set_watch(watch != Watch::Nothing);
        }
    }

    /// The Runner begins a sweep, or begins its work: it sees by itself what is laid idle.
    pub(crate) fn watch_by_sweeps(&self, queue: &mut Queue<R::Value>) {
        self.set_watch(queue, Watch::Nothing);
    }

    /// There is no Runner, or none any more: where it counts for how long values lie idle, the time is noted as they
    /// come back.
    pub(crate) fn watch_without_runner(&self, queue: &mut Queue<R::Value>, now: Option<Instant>) {
        let Some(now) = now.filter(|_| self.rest_limit().is_some()) else {
            self.set_watch(queue, Watch::Nothing);
            return;
        };
        self.set_watch(queue, Watch::NotesTime);
        self.stacks.for_each(|slot| {
            slot.seen_idle(now, Standing::RESTED);
        });
    }

    /// The time, if it is to be noted that a value comes back: a reading costs as much as all the rest.
    #[inline(always)]
    pub(crate) fn time_of_return(&self) -> Option<Instant> {
        if self.stacks.is_watched() {
            self.now()
        } else {
            None
        }
    }

    /// Notes when a value comes back, and how late it is by then. Under the queue's lock.
    #[inline(always)]
    pub(crate) fn note_return(
        &self,
        queue: &mut Queue<R::Value>,
        slot: &mut Slot<R::Value>,
        now: Option<Instant>,
    ) {
        match (now, queue.watch) {
            // No sweep has told the time since the Runner rests.
            (Some(now), Watch::WakesRunner) => queue.limits.set_time(now),
            (Some(now), Watch::NotesTime) => {
                slot.seen_idle(now, Standing::RESTED);
            }
            _ => {}
        }
    }

    /// A value is laid idle while somebody wants to know.
    #[cold]
    pub(crate) fn see_laid_idle(
        &self,
        queue: &mut Queue<R::Value>,
        slot: &mut Slot<R::Value>,
        wakes: &mut Wakes,
    ) {
        match queue.watch {
            Watch::Nothing => {}
            Watch::WakesRunner if slot.standing == Standing::USED => {
                self.wake_sweeper(queue, wakes)
            }
            Watch::WakesRunner => {
                // It was taken out while it lay idle, and the sweep did not see it.
                let due = self.next_look(queue, slot);
                if due < queue.next_due {
                    queue.next_due = due;
                    wakes.push(queue.runner.take_waker());
                }
            }
            Watch::NotesTime => {
                // A new one, unless it is known since when it is idle.
                slot.seen_idle(slot.opened_at, Standing::RESTED);
            }
        }
    }

    /// When a sweep has to look at an idle value.
    fn next_look(&self, queue: &Queue<R::Value>, slot: &Slot<R::Value>) -> Instant {
        let ends_at = queue.limits.lifetime.map(|lifetime| lifetime.ends_at(slot));
        let is_spare = queue.in_service() > self.config.min_size;
        let idle_timeout = self.config.idle_timeout.filter(|_| is_spare);
        let stale_at = idle_timeout.map(|limit| slot.idle_since + limit);
        [ends_at, stale_at]
            .into_iter()
            .flatten()
            .fold(slot.check_at, Instant::min)
    }

    /// Has the Runner plan a sweep, if it plans none.
    pub(crate) fn wake_sweeper(&self, queue: &mut Queue<R::Value>, wakes: &mut Wakes) {
        if queue.watch == Watch::WakesRunner {
            self.set_watch(queue, Watch::Nothing);
            wakes.push(queue.runner.take_waker());
        }
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
    /// Whether no sweep is planned but for what lies idle now.
    pub(crate) rests: bool,
}
