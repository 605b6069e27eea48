//! Who wakes a waiter whose time is over.
//!
//! A timer of its own for each waiter costs more than its place in the queue. Those who came for the pool's own timeout
//! reach their deadlines in the order in which they came, so an alarm for the first of them serves all. Two have one:
//!
//! - the **Runner**, which has promised to look by a certain time, and looks then for when to look next;
//! - one of the waiters, a **timekeeper**. A waiter that comes a while after the last of them is one as well, and when the last
//!   one leaves, another is called.
//!
//! A waiter [relies](Timekeeping::ByOthers) on both, so its timeout holds while the task of either is polled. A runtime may be
//! alive and idle, and the Runner in it: so the timekeeper has to be a task that the waiter's own thread polled, and the waiter
//! a task itself, for what a thread blocks on may be of another runtime than the tasks that it ran before. What is left is a
//! thread that drives two runtimes in turn, and leaves the one with the Runner and the timekeeper to itself.
//!
//! A waiter relies on no other where there is no Runner, where the Runner has promised nothing that is early enough or has
//! broken its promise, where it waits for another time than the pool's, and once it was woken and found nothing: it may have
//! been woken to look after itself.

use core::time::Duration;

use super::queue::{End, WaiterId};
use super::requests::QueueRequest;
use super::{Kernel, Storage};
use crate::time::Instant;

/// Whose alarm tells a waiter that its time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timekeeping {
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
    /// The thread of all timekeepers there are, and of the waiters that rely on them.
    keepers_thread: usize,
    /// When the last waiter came that relies on others.
    newest_at: Instant,
    /// Whether a waiter came beside others since the Runner gave its promise.
    any_came: bool,
}

/// From so long after the last timekeeper on, who comes is one as well.
const KEEPERS_APART: Duration = Duration::from_millis(100);

impl Deadlines {
    pub(super) const fn new(timeout: Option<Duration>) -> Self {
        Self {
            timeout,
            runner_looks_at: Instant::MAX,
            keeper_came_at: Instant::EPOCH,
            keepers_thread: 0,
            newest_at: Instant::EPOCH,
            any_came: false,
        }
    }
}

impl<S: Storage> Kernel<S> {
    /// Decides whose alarm tells somebody who joins the queue that its time is over.
    #[inline]
    pub(super) fn timekeeping_of(&mut self, request: &QueueRequest) -> Timekeeping {
        match (request.at, self.deadlines.timeout, request.shares_time) {
            (Some(at), Some(timeout), Some(thread))
                if request.end == End::Back && self.has_runner() =>
            {
                self.timekeeping_on(thread, at, at + timeout)
            }
            _ => Timekeeping::Own,
        }
    }

    fn timekeeping_on(&mut self, thread: usize, at: Instant, deadline: Instant) -> Timekeeping {
        let deadlines = &mut self.deadlines;
        let is_alone = !self.queue.shares_time();
        if !is_alone && deadlines.keepers_thread != thread {
            return Timekeeping::Own;
        }
        // Nothing is asked of the Runner for one that waits alone.
        deadlines.any_came |= !is_alone;
        let promised_at = deadlines.runner_looks_at;
        let is_promised = at < promised_at && promised_at <= deadline;
        // Threads read the clock before they take their turn, so one may come behind another that read it later.
        let is_in_order = deadlines.newest_at <= at && deadlines.keeper_came_at <= at;
        let has_keeper = self.queue.keepers() > 0 && at < deadlines.keeper_came_at + KEEPERS_APART;
        if is_promised && is_in_order && has_keeper {
            deadlines.newest_at = at;
            return Timekeeping::ByOthers;
        }
        deadlines.keeper_came_at = at;
        deadlines.keepers_thread = thread;
        if promised_at == Instant::MAX && !is_alone {
            self.notices.tell_runner();
        }
        Timekeeping::ForAll
    }

    /// A waiter that was polled with nothing there looks after itself from now on, and after those who rely on others.
    pub(crate) fn keeps_time(&mut self, waiter: WaiterId) {
        self.queue.keep_time(waiter);
    }

    /// Calls somebody who waits to look after the time of all, if nobody does.
    pub(crate) fn call_keeper(&mut self) -> Option<WaiterId> {
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
        let came = core::mem::take(&mut self.deadlines.any_came);
        let looks_at = match self.look_at_deadlines(now) {
            // Of the waiters that are not here yet none has a deadline before that. A promise that ended with the last one
            // would have the Runner woken for each pair of them.
            None if came => Some(now + timeout),
            next => next,
        };
        self.deadlines.runner_looks_at = looks_at.unwrap_or(Instant::MAX);
        looks_at
    }

    /// The same for a timekeeper, which has an alarm for its own deadline as well. Returns the next deadline of others.
    pub(crate) fn look_at_deadlines(&mut self, now: Instant) -> Option<Instant> {
        let timeout = self.deadlines.timeout?;
        let (overdue, next) = self.queue.first_relying(|since| since.at + timeout > now);
        if overdue {
            self.notices.tell_overdue(now);
        }
        next.map(|since| since.at + timeout)
    }

    /// The Runner has ended: those who rely on it look after themselves.
    pub(super) const fn runner_breaks_promise(&mut self) {
        self.deadlines = Deadlines::new(self.deadlines.timeout);
        self.notices.tell_overdue(Instant::MAX);
    }

    /// Names the waiters that rely on others, as far as their time is over by then. After the end of all time none does any
    /// more.
    pub(crate) fn name_overdue(&mut self, now: Instant, name: impl FnMut(WaiterId)) {
        if now == Instant::MAX {
            self.queue.release_relying(name);
        } else if let Some(timeout) = self.deadlines.timeout {
            self.queue
                .name_relying(|since| since.at + timeout <= now, name);
        }
    }
}
