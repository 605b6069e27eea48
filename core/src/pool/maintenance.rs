//! Looking after idle values: trimming those that nobody needs, checking those that stay.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use super::shared::PoolShared;
use super::slot::Slot;
use super::state::{IdleFate, Transaction};
use super::validation::Asked;
use crate::drive::LEAST_PERIOD;
use crate::ending::Why;
use crate::event::EventKind;
use crate::kernel::IdleWatch;
use crate::kernel::Standing;
use crate::random::Random;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::time::Instant;

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

impl<R: LocalResource, C: Clock> PoolShared<R, C> {
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
    pub(crate) fn ask_idle(&self) {
        let mut asked = Asked::take(self, Why::Broken, |slot| {
            slot.life.standing != Standing::USED
        });
        while let Some(slot) = asked.next() {
            let broken = self.is_broken(slot);
            asked.settle(!broken);
            if broken {
                self.suspect_others();
            }
        }
    }

    /// Looks at every idle value: gives those that came back since the last sweep their time, retires
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
        let serves = self.adjust(|transaction| {
            let kernel = transaction.kernel();
            if !kernel.is_open() {
                return false;
            }
            let mut look_at = |at: Instant| next_at = next_at.min(at);
            let mut spare = kernel.spare();
            let mut checks =
                most_checks(kernel.max_size()).saturating_sub(kernel.counts().checking());
            if kernel.limits().lifetime.is_some() {
                transaction.set_time(now);
            }
            let lifetime = transaction.kernel().limits().lifetime;
            // Before any stack is looked at: what comes back to one that was is told of.
            transaction.set_watch(IdleWatch::WakesRunner);
            swept.to_check = transaction.sort_out_idle(|slot| {
                let life = &mut slot.life;
                let since = if notes_returns {
                    life.idle_since
                } else {
                    unseen_since
                };
                if life.seen_idle(since, standing) {
                    life.check_at = self.next_check(now);
                    is_used = true;
                }
                let ends_at = lifetime.map_or(Instant::MAX, |lifetime| lifetime.ends_at(life));
                if now >= ends_at {
                    // It leaves whether it can be spared or not: another takes its place.
                    spare = spare.saturating_sub(1);
                    return Some(IdleFate::Ends(Why::TooOld));
                }
                look_at(ends_at);
                if let (Some(limit), true) = (idle_timeout, spare > 0) {
                    let stale_at = life.idle_since + limit;
                    if now >= stale_at {
                        spare -= 1;
                        return Some(IdleFate::Ends(Why::IdleTooLong));
                    }
                    look_at(stale_at);
                }
                if now < life.check_at {
                    look_at(life.check_at);
                    return None;
                }
                swept.overdue |= checks == 0;
                let leaves = checks > 0;
                checks -= usize::from(leaves);
                leaves.then_some(IdleFate::IsChecked)
            });
            swept.rests = !is_used && !swept.overdue;
            if swept.rests {
                transaction.kernel().runner_rests(next_at);
            } else {
                transaction.set_watch(IdleWatch::Nothing);
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

    /// There is no Runner, or none any more: where it counts for how long values lie idle, the time is noted as they
    /// come back.
    pub(super) fn watch_without_runner(
        &self,
        transaction: &mut Transaction<'_, R::Value>,
        now: Option<Instant>,
    ) {
        let Some(now) = now.filter(|_| self.rest_limit().is_some()) else {
            transaction.set_watch(IdleWatch::Nothing);
            return;
        };
        transaction.set_watch(IdleWatch::NotesTime);
        transaction.for_each_idle(|life| {
            life.seen_idle(now, Standing::RESTED);
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

/// What a sweep found.
pub(crate) struct Swept<V> {
    /// Values whose check is due.
    pub(crate) to_check: Vec<Box<Slot<V>>>,
    /// When to sweep again.
    pub(crate) next_at: Option<Instant>,
    /// Whether a check is due that has to wait until another one ends.
    pub(crate) overdue: bool,
    /// Whether no sweep is planned but for what lies idle now.
    pub(crate) rests: bool,
}
