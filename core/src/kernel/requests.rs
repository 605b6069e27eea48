//! Those who ask for values: who is let in, who waits, and who is told that none will come.

use super::deadlines::Timekeeping;
use super::openings::{FailureFacts, Since};
use super::queue::{CanDo, End, Left, WaiterId};
use super::{Kernel, PoolPhase, Storage};
use crate::retry::StopReason;
use crate::time::Instant;

/// What a caller asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueRequest {
    pub(crate) wanted: u32,
    pub(crate) end: End,
    /// When it came, unless it has not looked.
    pub(crate) at: Option<Instant>,
    /// How many attempts had failed then, if it has waited before.
    pub(crate) failed: Option<u32>,
    /// Whether it may spawn a Runner that was lost.
    pub(crate) may_respawn: bool,
    pub(crate) can_do: CanDo,
    /// The thread that polls it, if its timer may be that of another: it waits for as long as the pool says, and is a task.
    pub(crate) shares_time: Option<usize>,
}

/// What becomes of a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Nobody waits: it may have what lies idle, and joins the queue if that is not enough.
    Served,
    /// It joins the queue.
    Queued,
    /// It spawns the Runner anew, and then asks again.
    RunnerLost,
    /// It looks at the clock, for the time counts since openings are under way or fail, and then asks again.
    TimeWanted,
    Closed,
    TooMany,
    QueueFull,
}

impl<S: Storage> Kernel<S> {
    pub(crate) fn admit(&mut self, request: &QueueRequest) -> Admission {
        if self.phase != PoolPhase::Open {
            return Admission::Closed;
        }
        if request.wanted as usize > self.bounds.max_size {
            return Admission::TooMany;
        }
        if request.may_respawn && self.claim_respawn() {
            return Admission::RunnerLost;
        }
        // Else none that began before it came can fail while it waits.
        if request.at.is_none() && !self.openings.are_at_rest() {
            return Admission::TimeWanted;
        }
        if !self.warm {
            self.warm = true;
        }
        let waiting = self.queue.waiting();
        if waiting == 0 && !self.suspended {
            return Admission::Served;
        }
        let is_full = { self.bounds.max_waiters }.is_some_and(|most| waiting >= most);
        if request.end == End::Back && is_full {
            return Admission::QueueFull;
        }
        Admission::Queued
    }

    /// Puts a caller into the queue who still misses so many values. At the front, what was gathered for the one who was
    /// the first has to be placed anew after this: it is for the one who comes before.
    #[inline]
    pub(crate) fn join(
        &mut self,
        request: &QueueRequest,
        missing: u32,
    ) -> (WaiterId, Since, Timekeeping) {
        let failed = request.failed.unwrap_or(self.openings.failed_attempts());
        let at = request.at.unwrap_or_default();
        let since = Since { at, failed };
        let timekeeping = self.timekeeping_of(request);
        let QueueRequest { end, can_do, .. } = *request;
        let waiter = self.queue.join(missing, end, can_do, timekeeping, since);
        self.openings.retry_without_clock();
        (waiter, since, timekeeping)
    }

    /// Returns `true` if another can join.
    pub(crate) fn has_room(&mut self) -> bool {
        self.queue.has_room()
    }

    /// Returns `true` if values may have been gathered for somebody behind whom nobody would come before.
    #[inline]
    pub(crate) fn would_overtake(&self, request: &QueueRequest) -> bool {
        request.end == End::Front && self.queue.waiting() > 0
    }

    /// The first waiter does not get so many values that were gathered for it.
    pub(crate) fn first_lost(&mut self, values: usize) {
        self.queue.first_lost(values);
    }

    /// A waiter has taken its answer.
    #[inline(always)]
    pub(crate) fn looked(&mut self, waiter: WaiterId) {
        self.queue.release(waiter);
    }

    /// A waiter goes without having looked.
    pub(crate) fn leave(&mut self, waiter: WaiterId) -> Left {
        self.queue.leave(waiter)
    }

    /// The work that a waiter drove has ended.
    pub(crate) fn has_hands_free(&mut self, waiter: WaiterId) {
        self.queue.set_can_do(waiter, CanDo::Anything);
    }

    /// Names everybody who waits, as answered.
    pub(crate) fn refuse_all(&mut self, mut refused: impl FnMut(WaiterId)) {
        while let Some(waiter) = self.queue.answer_first() {
            refused(waiter);
        }
    }

    /// Names those who wait for more values than there may be, as answered, and how many they miss.
    pub(crate) fn refuse_who_want_too_many(&mut self, refused: impl FnMut(WaiterId, u32)) {
        let max_size = self.bounds.max_size;
        let asked = |missing: u32, _| (missing as usize > max_size).then_some(missing);
        self.queue.answer_each(asked, refused);
    }

    /// Returns `true` if somebody waits for which openings have failed for long enough, or for good, and nothing else
    /// could serve them: no value is in service, and, unless their time is over, none is on its way.
    pub(crate) fn has_hopeless(&self) -> bool {
        let may_tell = self.phase == PoolPhase::Open
            && !self.suspended
            && self.queue.waiting() > 0
            && !self.openings.are_well()
            && self.counts.in_service() == self.counts.gathered();
        may_tell && {
            let none_on_its_way = self.openings.fresh() == 0;
            let openings = &self.openings;
            self.queue
                .any_since(|since| openings.hope_ends(since, none_on_its_way).is_some())
        }
    }

    /// Names them, as answered, and how openings failed while they waited.
    pub(crate) fn refuse_hopeless(&mut self, refused: impl FnMut(WaiterId, FailureFacts)) {
        let none_on_its_way = self.openings.fresh() == 0;
        let openings = &self.openings;
        let failure = |_, since| {
            let reason = openings.hope_ends(since, none_on_its_way)?;
            openings.failure_since(since, Some(reason), None)
        };
        self.queue.answer_each(failure, refused);
    }

    /// Why somebody who awaits a start is to be told that openings fail, if so.
    pub(crate) fn start_fails(&self, since: Since) -> Option<StopReason> {
        let none_on_its_way = self.openings.fresh() == 0;
        self.openings.hope_ends(since, none_on_its_way)
    }
}
