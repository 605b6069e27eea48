//! The work there is: openings, closings, and what is done to values that came back; and who may begin it.

use super::life::Generation;
use super::openings::{Drawn, Noted, OpeningTicket};
use super::{CanDo, Kernel, Membership, Place, PoolPhase, Storage, WaiterId};
use crate::ending::Why;
use crate::retry::ErrorClass;
use crate::time::Instant;

/// Who asks for work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driver {
    Runner,
    /// One who waits.
    Waiter {
        waiter: WaiterId,
        /// The number of the newest opening that it drives, if it does.
        newest: Option<u64>,
        /// Whether it may spawn a Runner that was lost.
        may_respawn: bool,
    },
    /// One who awaits a start.
    Starter,
}

/// What a driver finds to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClaimedWork {
    pub(crate) work: Option<Work>,
    /// The driver is to spawn the Runner anew.
    pub(crate) respawns: bool,
    /// The opening that was called off, whose driver is to be woken.
    pub(crate) called_off: Option<u64>,
    /// When there may be more to do, if time decides.
    pub(crate) resumes_at: Option<Instant>,
}

/// A piece of work. It counts as under way from here on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Work {
    /// What is done to the value that came back first.
    Check,
    Open(OpeningTicket, Generation),
    /// The end of the value that has waited longest for it.
    Close,
}

impl<S: Storage> Kernel<S> {
    /// Takes note that a driver has a turn, which has set an alarm for what time decides. Returns `true` if an opening
    /// is newly overdue, or a failure forgotten, after which there is something to dispatch.
    pub(crate) fn driver_has_turn(&mut self, driver: Driver, now: Option<Instant>) -> bool {
        if !self.is_driven_by(driver) {
            return false;
        }
        self.settle_family_in_turn(now);
        self.openings.note_time(now)
    }

    /// Where there is a Runner, nobody else drives anything.
    fn is_driven_by(&self, driver: Driver) -> bool {
        match driver {
            Driver::Runner => true,
            Driver::Waiter { may_respawn, .. } => {
                !(self.has_runner() || (may_respawn && self.has_lost_runner()))
            }
            Driver::Starter => !self.has_runner(),
        }
    }

    /// Gives a driver a piece of work, if there is one for it.
    pub(crate) fn claim(&mut self, driver: Driver, now: Option<Instant>) -> ClaimedWork {
        let mut claim = ClaimedWork {
            work: None,
            respawns: false,
            called_off: None,
            resumes_at: None,
        };
        if !self.is_driven_by(driver) {
            claim.respawns = !self.has_runner() && self.claim_respawn();
            return claim;
        }
        if matches!(driver, Driver::Waiter { waiter, .. } if !self.queue.is_waiting(waiter)) {
            // It was answered since it looked, and was woken for that: it would only drop what it claims.
            return claim;
        }
        let (checks, newest) = match driver {
            Driver::Runner => (true, None),
            Driver::Waiter { newest, .. } => (newest.is_none(), newest),
            Driver::Starter => (false, None),
        };
        // Had a waiter two that are not overdue, it would drop one for the other on and on.
        let opens = newest.is_none_or(|newest| !self.openings.is_fresh(newest));
        let wanted = opens && self.openings_wanted() > 0;
        let wants_place = opens && self.wants_place();
        let is_paused = (wanted || wants_place) && !self.may_open(now);
        let due = wanted && !is_paused && self.openings_due() > 0;
        if checks && self.counts.returned() > 0 {
            self.counts.shift(Place::Returned, Place::Checking);
            claim.work = Some(Work::Check);
        }
        // A value that came back may be all that a waiter needs.
        let gives_way = driver == Driver::Runner || claim.work.is_none();
        if wants_place && !is_paused && gives_way {
            // Seen when its driver polls it, and its place is free then.
            claim.called_off = self.openings.give_way();
        }
        if claim.work.is_none() && due {
            // Unless another pool was faster to take the last place that they share.
            claim.work = self.begin_opening(now);
        }
        if claim.work.is_none() && self.counts.retired() > 0 && self.closes(driver, is_paused) {
            self.counts.shift(Place::Retired, Place::Closing);
            claim.work = Some(Work::Close);
        }
        if let Driver::Waiter { waiter, newest, .. } = driver {
            let can_do = match (&claim.work, newest) {
                (Some(_), _) => CanDo::Nothing,
                (None, None) => CanDo::Anything,
                (None, Some(_)) if opens => CanDo::Open,
                (None, Some(_)) => CanDo::Nothing,
            };
            self.queue.set_can_do(waiter, can_do);
        }
        claim.resumes_at = self.opens_at(is_paused);
        if driver == Driver::Runner {
            let deadline = self.runner_looks_at_deadlines(now);
            claim.resumes_at = claim.resumes_at.into_iter().chain(deadline).min();
        }
        claim
    }

    /// Returns `true` if it is for this driver to close a value.
    fn closes(&self, driver: Driver, is_paused: bool) -> bool {
        match driver {
            Driver::Runner => true,
            // One that is needed: its slot is, for another.
            Driver::Waiter { newest, .. } => {
                newest.is_none() && !is_paused && self.queue.wanted() > self.openings.fresh()
            }
            Driver::Starter => {
                let counts = &self.counts;
                let is_missing = counts.in_service() + counts.openings() < self.least();
                self.phase == PoolPhase::Open
                    && is_missing
                    && !is_paused
                    && counts.size() >= self.bounds.max_size
            }
        }
    }

    /// Whoever awaits a shutdown closes a value, if no Runner does that. Returns `true` if there is one.
    pub(crate) fn claim_close(&mut self) -> bool {
        let claims = !self.has_runner() && self.counts.retired() > 0;
        if claims {
            self.counts.shift(Place::Retired, Place::Closing);
        }
        claims
    }

    fn begin_opening(&mut self, now: Option<Instant>) -> Option<Work> {
        if !self.take_place(now) {
            return None;
        }
        self.counts.shift(Place::Outside, Place::Opening);
        let ticket = self.openings.begin(now);
        Some(Work::Open(ticket, self.limits.generation))
    }

    /// An opening has ended well. What it opened is to be placed, or retired, from where this says it is.
    pub(crate) fn opened(
        &mut self,
        ticket: OpeningTicket,
        was_finishing: bool,
        now: Instant,
    ) -> Place {
        self.tell_time(Some(now));
        self.openings.ended(ticket);
        self.openings.succeeded(ticket);
        if was_finishing {
            Place::Finishing
        } else {
            Place::Opening
        }
    }

    /// An opening that has no value has ended: its slot is free.
    pub(crate) fn gave_up_opening(&mut self, ticket: OpeningTicket, from: Place) {
        self.openings.ended(ticket);
        self.counts.shift(from, Place::Outside);
        self.give_places_back(1);
    }

    /// The same for one whose value was not ready yet, and is retired.
    pub(crate) fn gave_up_finishing(&mut self, ticket: OpeningTicket, why: Why) {
        self.openings.ended(ticket);
        self.retire(Place::Finishing, why);
    }

    /// An opening has failed, which was given up before.
    pub(crate) fn failed(
        &mut self,
        ticket: OpeningTicket,
        class: ErrorClass,
        now: Option<Instant>,
        drawn: Drawn,
    ) -> Noted {
        self.openings.failed(ticket, class, now, drawn)
    }

    /// How many openings should begin, apart from any pause after a failure.
    ///
    /// Derived, not counted: serving a waiter or losing one lowers it by itself, so that a spike of
    /// waiters opens no more than it needs.
    pub(super) fn openings_due(&self) -> usize {
        self.within_quota(self.openings_wanted())
    }

    /// The same, apart from what other pools of its family leave.
    pub(crate) fn openings_wanted(&self) -> usize {
        if self.phase != PoolPhase::Open {
            return 0;
        }
        let room = self.bounds.max_size.saturating_sub(self.counts.size());
        self.openings_missing().min(room)
    }

    /// The same, apart from the places there are.
    fn openings_missing(&self) -> usize {
        let fresh = self.openings_on_their_way();
        let for_waiters = self.openings_wanted_by_waiters();
        let keeps_warm = self.warm && (self.has_runner() || self.starters > 0);
        let for_minimum = if keeps_warm {
            let least = self.least();
            least.saturating_sub(self.counts.in_service() + fresh)
        } else {
            0
        };
        let missing = for_waiters.max(for_minimum);
        // While the server does not answer, one opening at a time probes it.
        if missing > 0 && self.openings.are_in_trouble() {
            missing.min(1_usize.saturating_sub(fresh))
        } else {
            missing
        }
    }

    /// Returns how many openings waiters would make use of, whether there is room for them or not.
    pub(super) fn openings_wanted_by_waiters(&self) -> usize {
        if self.suspended {
            0
        } else {
            let on_their_way = self.openings_on_their_way();
            self.queue.wanted().saturating_sub(on_their_way)
        }
    }

    /// How many openings count as on their way: those that are not overdue. In a family whose places others want, an
    /// overdue one counts too, or a key whose server hangs would take several of them.
    fn openings_on_their_way(&self) -> usize {
        let fresh = self.openings.fresh();
        let is_contended = || { self.family.as_ref() }.is_some_and(Membership::others_want);
        if fresh < self.counts.openings() && is_contended() {
            self.counts.openings()
        } else {
            fresh
        }
    }

    /// How many values are to be open: a start verifies that one can be opened, whatever the minimum.
    pub(crate) fn least(&self) -> usize {
        self.bounds.min_size.max(usize::from(self.starters > 0))
    }

    /// Returns `true` if an opening is due and no place is free, but one would be if an overdue opening gave way.
    pub(super) fn wants_place(&self) -> bool {
        self.phase == PoolPhase::Open
            && self.openings.can_give_way()
            && self.openings_due() == 0
            && self.openings_missing() > 0
    }

    /// Returns `true` if the pace lets an opening begin by now.
    pub(super) fn may_open(&self, now: Option<Instant>) -> bool {
        self.openings.may_begin(now, self.counts.in_service() > 0)
    }

    /// When a driver of openings has something to do, if time decides: once the pace lets the next begin, if one is
    /// due, once an opening is overdue, or once more can be had in its family.
    fn opens_at(&self, is_paused: bool) -> Option<Instant> {
        let next = if is_paused {
            self.openings.resumes_at(self.counts.in_service() > 0)
        } else {
            self.next_family_look()
        };
        next.into_iter()
            .chain(self.openings.next_overdue_at())
            .min()
    }
}

#[cfg(test)]
mod tests {
    use super::super::life::{Birth, Life, Limits};
    use super::super::{
        Bounds, End, FixedList, IdleWatch, InPlace, OpeningUnderWay, PoolOpenings, QueueEntry,
        QueueRequest,
    };
    use super::*;
    use crate::backoff::Backoff;
    use crate::retry::Retry;

    fn kernel() -> Kernel<InPlace<2, 2>> {
        let under_way = FixedList::new(OpeningUnderWay::NONE);
        let openings = PoolOpenings::new(under_way, Retry::new(Backoff::OPENING), None, false, 7);
        let bounds = Bounds {
            min_size: 0,
            max_size: 2,
            max_waiters: None,
            idle_timeout: None,
            acquire_timeout: None,
            was_lowered: false,
        };
        Kernel::new(
            FixedList::new(QueueEntry::NONE),
            openings,
            true,
            bounds,
            Limits::new(u32::MAX, None, None),
            None,
        )
    }

    fn joins(kernel: &mut Kernel<InPlace<2, 2>>) -> WaiterId {
        let request = QueueRequest {
            wanted: 1,
            end: End::Back,
            at: None,
            failed: None,
            may_respawn: false,
            can_do: CanDo::Anything,
            shares_time: None,
        };
        kernel.join(&request, 1).0
    }

    /// Between its look and its claim another thread may have answered it.
    #[test]
    fn a_waiter_that_was_answered_claims_nothing() {
        let mut kernel = kernel();
        kernel.set_watch(IdleWatch::Nothing);
        kernel.shift_all(2, Place::Outside, Place::Lent);
        let waiters = [joins(&mut kernel), joins(&mut kernel)];
        kernel.retire(Place::Lent, Why::Broken);
        let life = Life::new(Birth {
            at: Instant::EPOCH,
            generation: kernel.limits().generation,
            lifetime_jitter: 0,
        });
        kernel.place(&life, Place::Lent);
        let mut claims = |waiter| {
            let driver = Driver::Waiter {
                waiter,
                newest: None,
                may_respawn: false,
            };
            kernel.claim(driver, None).work.is_some()
        };
        assert!(!claims(waiters[0]), "it has its answer");
        assert!(claims(waiters[1]));
    }
}
