//! What becomes of a value: who gets it, whether it is fit for that, and what its end does to the counts.

use core::time::Duration;

use super::life::{Generation, Life, Limits, Standing};
use super::queue::WaiterId;
use super::{IdleWatch, Kernel, OpeningTicket, Place, PoolPhase, Storage};
use crate::ending::Why;
use crate::time::Instant;

/// For how long an operation that was cut off makes the pool quick to give up others, and how often all idle values
/// can come under suspicion.
const SUSPICION: Duration = Duration::from_secs(1);

/// What becomes of a value that nobody holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is the answer to this waiter, alone.
    Answers(WaiterId),
    /// With what was gathered it is the answer to this waiter.
    Completes(WaiterId),
    /// It is kept for the first waiter, which wants more.
    IsGathered,
    LiesIdle,
    /// It is out of service.
    Retires(Why),
}

/// Until when which values are mistrusted, since others like them were found dead.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Suspicion {
    /// Until then, values that are checked before a loan get no more time for it than suspect ones.
    ends: Instant,
    /// When all idle values may come under suspicion again.
    again_from: Instant,
    /// Values that have passed no check since then are checked before they are handed on: one was found broken.
    suspected_before: Instant,
    /// When all values may come under suspicion again.
    widens_again_from: Instant,
}

impl Suspicion {
    pub(super) const NONE: Self = Self {
        ends: Instant::EPOCH,
        again_from: Instant::EPOCH,
        suspected_before: Instant::EPOCH,
        widens_again_from: Instant::EPOCH,
    };

    pub(crate) const fn ends(&self) -> Instant {
        self.ends
    }

    /// Returns `true` if a value that was idle since then is suspected.
    #[inline]
    pub(crate) fn covers(&self, idle_since: Instant) -> bool {
        idle_since < self.suspected_before
    }
}

impl<S: Storage> Kernel<S> {
    /// Decides on a value that nobody holds, and moves it there.
    #[inline(always)]
    pub(crate) fn place(&mut self, life: &Life, from: Place) -> Fate {
        if let Some(why) = self.unfit(life) {
            self.retire(from, why);
            return Fate::Retires(why);
        }
        if self.gives_way(life) {
            self.retire(from, Why::Surplus);
            return Fate::Retires(Why::Surplus);
        }
        let missing = if self.suspended {
            None
        } else {
            self.queue.first_missing()
        };
        match missing {
            None => {
                self.counts.shift(from, Place::Idle);
                self.note_laid_idle();
                Fate::LiesIdle
            }
            Some(1) => {
                self.counts.shift(from, Place::Lent);
                let gathered = self.counts.gathered();
                if gathered > 0 {
                    self.counts
                        .shift_all(gathered, Place::Gathered, Place::Lent);
                }
                self.note_served();
                match self.queue.answer_first() {
                    Some(waiter) if gathered > 0 => Fate::Completes(waiter),
                    Some(waiter) => Fate::Answers(waiter),
                    None => unreachable!("somebody waits"),
                }
            }
            Some(_) => {
                self.counts.shift(from, Place::Gathered);
                self.queue.first_got_one();
                Fate::IsGathered
            }
        }
    }

    /// Why a value is not to be used again, if it is not.
    #[inline(always)]
    pub(crate) fn unfit(&self, life: &Life) -> Option<Why> {
        // One comparison of ages stands for two: what was called in by its age counts as no longer young.
        let is_fit =
            self.phase == PoolPhase::Open && self.limits.allow(life) && self.surplus() == 0;
        if is_fit { None } else { self.why_unfit(life) }
    }

    #[cold]
    fn why_unfit(&self, life: &Life) -> Option<Why> {
        let limits = &self.limits;
        if self.phase != PoolPhase::Open {
            Some(Why::Shutdown)
        } else if limits.has_evicted(life) {
            Some(Why::Evicted)
        } else if life.uses >= limits.max_uses {
            Some(Why::UsedUp)
        } else if !limits.allow(life) {
            Some(Why::TooOld)
        } else if self.surplus() > 0 {
            Some(Why::Surplus)
        } else {
            None
        }
    }

    /// A value is laid idle while somebody wants to know.
    #[cold]
    pub(crate) fn see_laid_idle(&mut self, life: &mut Life) {
        match self.watch {
            IdleWatch::Nothing => {}
            IdleWatch::WakesRunner if life.standing == Standing::USED => self.wake_sweeper(),
            IdleWatch::WakesRunner => {
                // It was taken out while it lay idle, and the sweep did not see it.
                let due = self.next_look(life);
                if due < self.next_due {
                    self.next_due = due;
                    self.notices.tell_runner();
                }
            }
            IdleWatch::NotesTime => {
                // A new one, unless it is known since when it is idle.
                life.seen_idle(life.opened_at, Standing::RESTED);
            }
        }
    }

    /// When a sweep has to look at an idle value.
    fn next_look(&self, life: &Life) -> Instant {
        let ends_at = { self.limits.lifetime }.map(|lifetime| lifetime.ends_at(life));
        let idle_timeout = self.bounds.idle_timeout.filter(|_| self.spare() > 0);
        let stale_at = idle_timeout.map(|limit| life.idle_since + limit);
        [ends_at, stale_at]
            .into_iter()
            .flatten()
            .fold(life.check_at, Instant::min)
    }

    /// Notes when a value comes back, and how late it is by then, if that was looked at.
    #[inline(always)]
    pub(crate) fn note_return(&mut self, life: &mut Life, now: Option<Instant>) {
        match (now, self.watch) {
            // No sweep has told the time since the Runner rests.
            (Some(now), IdleWatch::WakesRunner) => self.limits.set_time(now),
            (Some(now), IdleWatch::NotesTime) => {
                life.seen_idle(now, Standing::RESTED);
            }
            _ => {}
        }
    }

    /// Moves a value that is not to be placed anew.
    #[inline(always)]
    pub(crate) fn shift(&mut self, from: Place, to: Place) {
        self.counts.shift(from, to);
    }

    /// Moves several of them at once.
    pub(crate) fn shift_all(&mut self, values: usize, from: Place, to: Place) {
        self.counts.shift_all(values, from, to);
    }

    /// Takes a value out of service, to be closed.
    pub(crate) fn retire(&mut self, from: Place, why: Why) {
        self.counts.shift(from, Place::Retired);
        if why.is_of_broken_value() {
            self.counts.note_broken();
            if self.family_lends_allowance() {
                self.counts.set_allowance(self.counts.allowance() + 1);
            }
        }
    }

    /// A value that was being closed has ended.
    pub(crate) fn closed(&mut self, why: Why) {
        let before = self.counts.beside();
        self.counts.shift(Place::Closing, Place::Outside);
        if why.is_of_broken_value() {
            self.counts.forget_broken();
        }
        let held_none = before - self.counts.beside();
        self.give_family_allowance_back(held_none);
        self.give_places_back(1 - held_none);
    }

    /// All values on their way out count as ended. Returns how many of them were being closed.
    pub(crate) fn all_closed(&mut self) -> usize {
        let held_none = self.counts.beside();
        let (retired, closing) = (self.counts.retired(), self.counts.closing());
        self.counts
            .shift_all(retired, Place::Retired, Place::Outside);
        self.counts
            .shift_all(closing, Place::Closing, Place::Outside);
        self.counts.forget_all_broken();
        self.give_family_allowance_back(held_none);
        self.give_places_back(retired + closing - held_none);
        self.begin_era();
        closing
    }

    /// A lent value leaves the pool for good.
    pub(crate) fn detached(&mut self) {
        self.counts.shift(Place::Lent, Place::Outside);
        self.give_places_back(1);
        self.openings.retry_without_clock();
    }

    /// A lent value was taken out of service by its user.
    pub(crate) fn retry_without_clock(&mut self) {
        self.openings.retry_without_clock();
    }

    /// A new value was no good in its first use: the next is not opened at once.
    pub(crate) fn rest_after(&mut self, life: &Life) {
        self.openings.rest_after(life.opened_at);
    }

    /// Sets the maximum, and how many broken values may be closed beside their successors then.
    pub(crate) fn resize(&mut self, max_size: usize, allowance: usize) {
        self.bounds.was_lowered |= max_size < self.bounds.max_size;
        self.bounds.max_size = max_size;
        match &mut self.family {
            Some(family) => family.most_beside = allowance,
            None => self.counts.set_allowance(allowance),
        }
    }

    /// It is as late as that: values that were opened long ago are not to be lent again.
    pub(crate) fn set_time(&mut self, now: Instant) {
        self.limits.set_time(now);
    }

    /// Forbids values from now on. Those that are forbidden already are for the caller to retire.
    pub(crate) fn forbid(&mut self, forbid: impl FnOnce(&mut Limits)) -> Limits {
        forbid(&mut self.limits);
        // Those on loan are revoked.
        self.notices.tell_of_change();
        self.limits
    }

    /// Returns `true` if a value of that kind is not wanted any more.
    pub(crate) fn has_revoked(&self, generation: Generation, opened_at: Instant) -> bool {
        self.phase != PoolPhase::Open || self.limits.have_evicted(generation, opened_at)
    }

    /// An operation was cut off: for a while the pool is quick to give up values.
    pub(crate) fn suspect_until_soon(&mut self, now: Instant) {
        self.suspicion.ends = now + SUSPICION;
    }

    /// Returns `true` if all idle values are to be checked before they are lent, since one like them was found dead.
    /// Once in a while: what was checked or opened since is not to be suspected again for each that follows.
    pub(crate) fn suspects_idle(&mut self, now: Instant) -> bool {
        let suspects = now >= self.suspicion.again_from;
        if suspects {
            self.suspicion.again_from = now + SUSPICION;
        }
        suspects
    }

    /// Returns `true` if all others are to be suspected, since a value was found broken. Once in a while, so that values
    /// that break often do not have the others checked all the time.
    pub(crate) fn suspects_others(&mut self, now: Instant) -> bool {
        let suspects = now >= self.suspicion.widens_again_from;
        if suspects {
            self.suspicion.widens_again_from = now + SUSPICION;
            self.suspicion.suspected_before = now;
        }
        suspects
    }

    /// A value came back: it is checked before its next loan if it is suspected.
    #[inline]
    pub(crate) fn judge(&self, life: &mut Life) {
        if self.suspicion.covers(life.idle_since) {
            life.worsen(Standing::STALE);
        }
    }

    /// The opening's value is open, and is being made ready.
    pub(crate) fn finishes(&mut self, ticket: OpeningTicket) {
        self.counts.shift(Place::Opening, Place::Finishing);
        self.openings.has_value(ticket);
    }

    /// How many values are in service beyond the minimum.
    pub(crate) fn spare(&self) -> usize {
        self.counts
            .in_service()
            .saturating_sub(self.bounds.min_size)
    }
}
