//! Who wakes a waiter whose time is over.
//!
//! A timer of its own for each waiter costs more than its place in the queue. Those who came for the pool's own timeout
//! reach their deadlines in the order in which they came, so an alarm for the first of them serves all. Two have one:
//!
//! - the **Runner**, which has promised to look by a certain time, and looks then for when to look next;
//! - at least one of the waiters, a **timekeeper**. Whoever comes a while after the last of them is one, so that there are
//!   some from most tasks; and when none is left, another is called.
//!
//! A waiter [relies](Timekeeping::ByOthers) on both, so its timeout holds while the task of either is polled: of a runtime
//! that is alive and idle none is. It relies on nobody where there is no Runner, where the Runner has promised nothing that
//! is early enough or has broken its promise, where it waits for another time than the pool's, and where it was polled
//! again with nothing there: it was woken because it is to look after itself, or may have been.

use core::time::Duration;

use super::Kernel;
use super::queue::{End, WaiterId};
use super::requests::QueueRequest;
use crate::time::Instant;

/// Whose alarm tells a waiter that its time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pool) enum Timekeeping {
    /// Its own, on which nobody relies.
    Own,
    /// Its own, which it sets for those who rely on others as well.
    ForAll,
    /// Those of the Runner and of a timekeeper.
    ByOthers,
}

/// What the Runner has promised to those who wait.
#[derive(Debug)]
pub(super) struct Deadlines {
    /// The pool's own timeout, if it has one.
    timeout: Option<Duration>,
    /// When the Runner looks at the latest. Later than anything while it has promised nothing.
    runner_looks_at: Instant,
    /// When the last one came that is a timekeeper from the beginning.
    keeper_came_at: Instant,
    /// When the last one came who relied on others.
    newest_at: Instant,
    /// Whether anybody came since the Runner gave its promise.
    anybody_came: bool,
}

/// From so long after the last timekeeper on, who comes is one as well.
const KEEPERS_APART: Duration = Duration::from_millis(100);

impl Deadlines {
    pub(super) const fn new(timeout: Option<Duration>) -> Self {
        Self {
            timeout,
            runner_looks_at: Instant::MAX,
            keeper_came_at: Instant::EPOCH,
            newest_at: Instant::EPOCH,
            anybody_came: false,
        }
    }
}

impl Kernel {
    /// Decides whose alarm tells somebody who joins the queue that its time is over.
    #[inline]
    pub(super) fn timekeeping_of(&mut self, request: &QueueRequest) -> Timekeeping {
        let waits_as_all_do = request.has_common_timeout && request.end == End::Back;
        match (request.at, self.deadlines.timeout) {
            (Some(at), Some(timeout)) if waits_as_all_do && self.has_runner() => {
                self.timekeeping_by_runner(at, at + timeout)
            }
            _ => Timekeeping::Own,
        }
    }

    fn timekeeping_by_runner(&mut self, at: Instant, deadline: Instant) -> Timekeeping {
        let deadlines = &mut self.deadlines;
        deadlines.anybody_came = true;
        let promised_at = deadlines.runner_looks_at;
        let is_promised = at < promised_at && promised_at <= deadline;
        // Threads read the clock before they take their turn, so one may come behind another that read it later.
        let is_in_order = deadlines.newest_at <= at;
        let has_keeper = self.queue.keepers() > 0 && at < deadlines.keeper_came_at + KEEPERS_APART;
        if is_promised && is_in_order && has_keeper {
            deadlines.newest_at = at;
            return Timekeeping::ByOthers;
        }
        deadlines.keeper_came_at = deadlines.keeper_came_at.max(at);
        if promised_at == Instant::MAX {
            self.notices.tell_runner();
        }
        Timekeeping::ForAll
    }

    /// A waiter that was polled with nothing there looks after itself from now on, and after those who rely on others.
    pub(in crate::pool) fn keeps_time(&mut self, waiter: WaiterId) {
        self.queue.keep_time(waiter);
    }

    /// Calls somebody who waits to look after the time of all, if nobody does.
    pub(in crate::pool) fn call_keeper(&mut self) -> Option<WaiterId> {
        self.queue.call_keeper()
    }

    /// The Runner has a turn at `now`: if it has promised nothing, or the time has come, it has those woken whose own is over,
    /// and promises to look again. Returns when.
    pub(super) fn runner_looks_at_deadlines(&mut self, now: Option<Instant>) -> Option<Instant> {
        let (now, timeout) = now.zip(self.deadlines.timeout)?;
        let promised_at = self.deadlines.runner_looks_at;
        if now < promised_at && promised_at != Instant::MAX {
            // Nobody relies on it for a deadline before that.
            return Some(promised_at);
        }
        let came = core::mem::take(&mut self.deadlines.anybody_came);
        let looks_at = match self.look_at_deadlines(now) {
            // Of those who are not here yet none has a deadline before that. To promise it only while somebody waits would
            // wake the Runner for each who waits alone.
            None if came || self.queue.waiting() > 0 => Some(now + timeout),
            next => next,
        };
        self.deadlines.runner_looks_at = looks_at.unwrap_or(Instant::MAX);
        looks_at
    }

    /// The same for a timekeeper, which has an alarm for its own deadline as well. Returns the next deadline of others.
    pub(in crate::pool) fn look_at_deadlines(&mut self, now: Instant) -> Option<Instant> {
        let timeout = self.deadlines.timeout?;
        let (overdue, next) = self.queue.first_relying(|since| since.at + timeout > now);
        if overdue {
            self.notices.tell_overdue(now);
        }
        next.map(|since| since.at + timeout)
    }

    /// The Runner has ended: those who rely on it look after themselves.
    pub(super) const fn runner_breaks_promise(&mut self) {
        self.deadlines.runner_looks_at = Instant::MAX;
        self.notices.tell_overdue(Instant::MAX);
    }

    /// Names those who rely on others, as far as their time is over.
    pub(in crate::pool) fn name_overdue(&self, now: Instant, mut name: impl FnMut(WaiterId)) {
        if let Some(timeout) = self.deadlines.timeout {
            self.queue
                .name_relying(|since| since.at + timeout <= now, &mut name);
        }
    }
}
