//! The values of a pool without a heap and those who wait for them, under one lock with the
//! [kernel](crate::kernel) that decides on them.
//!
//! Two doors lead in. [`transact`](FixedPool::transact) is for any change: on the way out, all that follows from it is done,
//! so that those without hope are told, and the Runner or a waiter is called for new work. [`adjust`](FixedPool::adjust) is for
//! those who drive that work themselves, and would call themselves on and on, and for what brings no work. Wakers and errors
//! are user code: who is to be called is marked under the lock, and called one by one after it; what is to be dropped
//! comes out of it.

use core::task::Waker;

use super::error::FixedError;
use super::{FixedPool, Slot};
use crate::ending::Why;
use crate::kernel::{
    Admission, Drawn, Driver, FailureFacts, Fate, Generation, InPlace, Kernel, Left, Life, Noted,
    OpeningTicket, Place, QueueRequest, Since, WaiterId, Work,
};
use crate::local_resource::LocalResource;
use crate::retry::ErrorClass;
use crate::runtime::Clock;
use crate::sync;
use crate::time::Instant;

/// All that the pool's lock guards.
pub(super) struct FixedState<V, E, const VALUES: usize, const WAITERS: usize> {
    pub(super) kernel: Kernel<InPlace<VALUES, WAITERS>>,
    /// The values that nobody has.
    kept: [Option<Kept<V>>; VALUES],
    /// By [`WaiterId`].
    cells: [WaiterCell<E>; WAITERS],
    /// How the latest opening failed that counts.
    failed_with: ErrorClass,
    /// Its error, until somebody was told it.
    error: Option<E>,
    runner: Caller,
    /// Those who await the end of a shutdown.
    closers: [Option<Caller>; WAITERS],
    /// Wakes the driver of an opening, by its number, if it is called off.
    openers: [(u64, Caller); VALUES],
    /// How many values were laid down so far: the order in which they lie.
    laid: u32,
    are_called: bool,
}

/// A value that nobody has.
struct Kept<V> {
    slot: Slot<V>,
    waits_for: WaitsFor,
    /// As the so many-eth.
    laid: u32,
}

/// What a value that nobody has waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WaitsFor {
    /// Somebody who asks for one.
    Use,
    /// The waiter to which it was handed.
    Waiter(WaiterId),
    /// A check, since its last operation was cut off.
    Check,
    /// Its close.
    Close(Why),
}

/// A task that may have to be called.
struct Caller {
    /// Absent between a call and the next poll.
    waker: Option<Waker>,
    is_called: bool,
}

struct WaiterCell<E> {
    task: Caller,
    answer: Option<FixedAnswer<E>>,
}

enum FixedAnswer<E> {
    /// The value that is kept for it.
    Value,
    Refused(FixedError<E>),
}

/// What a caller finds that asks for a value.
pub(super) enum FixedEntry<V> {
    Taken(Slot<V>),
    Waits { waiter: WaiterId, since: Since },
}

/// A piece of work, with the value that it is done to.
pub(super) enum FixedWork<V> {
    Check(Slot<V>),
    Open(OpeningTicket, Generation),
    Close { value: V, why: Why, era: u64 },
}

/// What a driver finds to do.
pub(super) struct FixedClaim<V, E> {
    pub(super) work: Option<FixedWork<V>>,
    /// To be dropped outside the lock.
    pub(super) forgotten: Option<E>,
    /// When there may be more, if time decides.
    pub(super) resumes_at: Option<Instant>,
}

impl Caller {
    const NOBODY: Self = Self {
        waker: None,
        is_called: false,
    };

    /// Has this task called from now on. Returns the waker that it had before.
    fn register(&mut self, waker: Waker) -> Option<Waker> {
        self.waker.replace(waker)
    }

    fn call(&mut self) -> bool {
        self.is_called = self.waker.is_some();
        self.is_called
    }

    fn take_called(&mut self) -> Option<Waker> {
        if core::mem::take(&mut self.is_called) {
            self.waker.take()
        } else {
            None
        }
    }

    fn leave(&mut self) -> Option<Waker> {
        self.is_called = false;
        self.waker.take()
    }
}

impl<E> WaiterCell<E> {
    const VACANT: Self = Self {
        task: Caller::NOBODY,
        answer: None,
    };
}

impl<R: LocalResource, C: Clock, const VALUES: usize, const WAITERS: usize>
    FixedPool<R, C, VALUES, WAITERS>
{
    /// Changes the pool, and does all that follows from that.
    pub(super) fn transact<T>(
        &self,
        change: impl FnOnce(&mut FixedState<R::Value, R::Error, VALUES, WAITERS>) -> T,
    ) -> T {
        let (output, forgotten) = self.adjust(|state| {
            let output = change(state);
            (output, state.dispatch())
        });
        drop(forgotten);
        output
    }

    /// Changes the pool for somebody who finds out by itself what there is to do next.
    pub(super) fn adjust<T>(
        &self,
        change: impl FnOnce(&mut FixedState<R::Value, R::Error, VALUES, WAITERS>) -> T,
    ) -> T {
        let (output, are_called) = self.state.with(|state| {
            let output = change(state);
            state.tell();
            (output, state.are_called)
        });
        if are_called {
            self.call_all();
        }
        output
    }

    /// Calls all that are marked, each outside the lock.
    fn call_all(&self) {
        while let Some(waker) = self.state.with(FixedState::next_called) {
            sync::wake_contained(waker);
        }
    }
}

impl<V, E, const VALUES: usize, const WAITERS: usize> FixedState<V, E, VALUES, WAITERS> {
    pub(super) const fn new(kernel: Kernel<InPlace<VALUES, WAITERS>>) -> Self {
        Self {
            kernel,
            kept: [const { None }; VALUES],
            cells: [const { WaiterCell::VACANT }; WAITERS],
            failed_with: ErrorClass::Retry,
            error: None,
            runner: Caller::NOBODY,
            closers: [const { None }; WAITERS],
            openers: [const { (0, Caller::NOBODY) }; VALUES],
            laid: 0,
            are_called: false,
        }
    }

    /// Returns an error that nobody will be told, to be dropped outside the lock.
    fn dispatch(&mut self) -> Option<E> {
        let forgotten = if self.kernel.openings().remember_failure() {
            None
        } else {
            self.error.take()
        };
        if self.kernel.has_hopeless() {
            let Self {
                kernel,
                cells,
                failed_with,
                error,
                are_called,
                ..
            } = self;
            kernel.refuse_hopeless(|waiter, facts| {
                let error = told(*failed_with, error, facts);
                *are_called |= cells[waiter.index()].answer(FixedAnswer::Refused(error));
            });
        }
        self.kernel.dispatch();
        forgotten
    }

    /// Marks whom the change concerns.
    fn tell(&mut self) {
        let Some(notices) = self.kernel.take_notices() else {
            return;
        };
        let Self {
            kernel,
            cells,
            are_called,
            ..
        } = self;
        if notices.runner && kernel.has_runner() {
            *are_called |= self.runner.call();
        }
        if notices.changed {
            for closer in self.closers.iter_mut().flatten() {
                *are_called |= closer.call();
            }
        }
        kernel
            .queue()
            .name_helpers(notices.openings, notices.others, |waiter| {
                *are_called |= cells[waiter.index()].task.call();
            });
    }

    fn next_called(&mut self) -> Option<Waker> {
        let waiters = self.cells.iter_mut().map(|cell| &mut cell.task);
        let openers = self.openers.iter_mut().map(|opener| &mut opener.1);
        let called = core::iter::once(&mut self.runner)
            .chain(self.closers.iter_mut().flatten())
            .chain(waiters)
            .chain(openers)
            .find_map(Caller::take_called);
        self.are_called = called.is_some();
        called
    }

    // Those who ask for values.

    /// Takes a value that lies idle, or joins the queue. `waker` is left where it is not needed.
    pub(super) fn enter(
        &mut self,
        request: &QueueRequest,
        waker: &mut Option<Waker>,
    ) -> Result<FixedEntry<V>, FixedError<E>> {
        match self.kernel.admit(request) {
            Admission::Served => {
                if let Some(slot) = self.take_idle() {
                    self.kernel.shift(Place::Idle, Place::Lent);
                    return Ok(FixedEntry::Taken(slot));
                }
            }
            Admission::Queued => {}
            Admission::QueueFull => return Err(FixedError::QueueFull),
            Admission::Closed => return Err(FixedError::Closed),
            Admission::RunnerLost | Admission::TimeWanted | Admission::TooMany => {
                unreachable!("one is asked for, at a time that is told, and no Runner is spawned")
            }
        }
        // Those that were answered, and have not looked, have their places still.
        if !self.kernel.has_room() {
            return Err(FixedError::QueueFull);
        }
        let (waiter, since, _) = self.kernel.join(request, 1);
        self.cells[waiter.index()].task.waker = waker.take();
        Ok(FixedEntry::Waits { waiter, since })
    }

    /// What the waiter was answered, if it was. Else its task is called for it, and for work; the waker that it had before is
    /// left in `waker`.
    pub(super) fn look(
        &mut self,
        waiter: WaiterId,
        waker: &mut Option<Waker>,
    ) -> Option<Result<Slot<V>, FixedError<E>>> {
        let cell = &mut self.cells[waiter.index()];
        let Some(answer) = cell.answer.take() else {
            if let Some(new) = waker.take() {
                *waker = cell.task.register(new);
            }
            return None;
        };
        *waker = cell.task.leave();
        Some(match answer {
            FixedAnswer::Value => Ok(self.take_handed(waiter)),
            FixedAnswer::Refused(error) => Err(error),
        })
    }

    /// A waiter has its value, and needs its place no more.
    pub(super) fn looked(&mut self, waiter: WaiterId) {
        self.kernel.looked(waiter);
    }

    /// A waiter leaves, and what it was handed goes to the next. Returns what is to be dropped outside the lock.
    pub(super) fn leave(&mut self, waiter: WaiterId) -> (Option<Waker>, Option<FixedError<E>>) {
        let cell = &mut self.cells[waiter.index()];
        let (waker, answer) = (cell.task.leave(), cell.answer.take());
        let left = self.kernel.leave(waiter);
        debug_assert!((left == Left::Answered) == answer.is_some());
        match answer {
            Some(FixedAnswer::Value) => {
                let slot = self.take_handed(waiter);
                self.place(slot, Place::Lent);
                (waker, None)
            }
            Some(FixedAnswer::Refused(error)) => (waker, Some(error)),
            None => (waker, None),
        }
    }

    /// Answers everybody who waits that the pool is closed.
    pub(super) fn refuse_all(&mut self) {
        let Self {
            kernel,
            cells,
            are_called,
            ..
        } = self;
        kernel.refuse_all(|waiter| {
            let closed = FixedAnswer::Refused(FixedError::Closed);
            *are_called |= cells[waiter.index()].answer(closed);
        });
    }

    // Values.

    /// What becomes of a value that nobody holds any more.
    pub(super) fn place(&mut self, mut slot: Slot<V>, from: Place) {
        let waits_for = match self.kernel.place(&slot.life, from) {
            Fate::Answers(waiter) => {
                self.are_called |= self.cells[waiter.index()].answer(FixedAnswer::Value);
                WaitsFor::Waiter(waiter)
            }
            Fate::LiesIdle => {
                self.kernel.see_laid_idle(&mut slot.life);
                WaitsFor::Use
            }
            Fate::Retires(why) => WaitsFor::Close(why),
            Fate::Completes(_) | Fate::IsGathered => unreachable!("one is asked for at a time"),
        };
        self.keep(slot, waits_for);
    }

    /// Takes a value out of service.
    pub(super) fn retire(&mut self, slot: Slot<V>, from: Place, why: Why) {
        self.kernel.retire(from, why);
        self.keep(slot, WaitsFor::Close(why));
    }

    /// Takes all values out of service that nobody has.
    pub(super) fn retire_all(&mut self, why: Why) {
        for kept in self.kept.iter_mut().flatten() {
            let from = match kept.waits_for {
                WaitsFor::Use => Place::Idle,
                WaitsFor::Check => Place::Returned,
                // It is told what came of it when it comes back.
                WaitsFor::Waiter(_) | WaitsFor::Close(_) => continue,
            };
            self.kernel.retire(from, why);
            kept.waits_for = WaitsFor::Close(why);
        }
    }

    /// A value comes back whose last operation was cut off: it is checked before it is lent again.
    pub(super) fn return_for_check(&mut self, slot: Slot<V>) {
        if !self.kernel.is_open() {
            // Nobody will ask for it.
            return self.retire(slot, Place::Lent, Why::Shutdown);
        }
        self.kernel.shift(Place::Lent, Place::Returned);
        self.keep(slot, WaitsFor::Check);
    }

    /// One of those that are retired, which nobody will close.
    pub(super) fn take_retired(&mut self) -> Option<(V, Why)> {
        let (slot, waits_for) = self.take_first(|kept| matches!(kept, WaitsFor::Close(_)))?;
        match waits_for {
            WaitsFor::Close(why) => Some((slot.value, why)),
            _ => None,
        }
    }

    /// Names the idle values, for one after another to be looked at.
    pub(super) fn idle_lives(&mut self) -> impl Iterator<Item = &mut Life> {
        let idle = self.kept.iter_mut().flatten();
        idle.filter(|kept| kept.waits_for == WaitsFor::Use)
            .map(|kept| &mut kept.slot.life)
    }

    /// Takes an idle value whose check is due.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Slot<V>> {
        let index = self.kept.iter().position(|kept| {
            kept.as_ref().is_some_and(|kept| {
                kept.waits_for == WaitsFor::Use && kept.slot.life.check_at <= now
            })
        })?;
        self.kernel.shift(Place::Idle, Place::Checking);
        self.kept[index].take().map(|kept| kept.slot)
    }

    /// The idle value that was laid down last.
    fn take_idle(&mut self) -> Option<Slot<V>> {
        let idle = self.kept.iter().enumerate().filter_map(|(index, kept)| {
            let kept = kept.as_ref()?;
            (kept.waits_for == WaitsFor::Use).then_some((kept.laid, index))
        });
        let (_, index) = idle.max()?;
        self.kept[index].take().map(|kept| kept.slot)
    }

    fn take_handed(&mut self, waiter: WaiterId) -> Slot<V> {
        match self.take_first(|kept| kept == WaitsFor::Waiter(waiter)) {
            Some((slot, _)) => slot,
            None => unreachable!("it was kept for this waiter"),
        }
    }

    /// The value that has waited longest for that.
    fn take_first(&mut self, is_meant: impl Fn(WaitsFor) -> bool) -> Option<(Slot<V>, WaitsFor)> {
        let meant = self.kept.iter().enumerate().filter_map(|(index, kept)| {
            let kept = kept.as_ref()?;
            is_meant(kept.waits_for).then_some((kept.laid, index))
        });
        let (_, index) = meant.min()?;
        self.kept[index]
            .take()
            .map(|kept| (kept.slot, kept.waits_for))
    }

    fn keep(&mut self, slot: Slot<V>, waits_for: WaitsFor) {
        let laid = self.laid;
        self.laid = self.laid.wrapping_add(1);
        let Some(free) = self.kept.iter_mut().find(|kept| kept.is_none()) else {
            unreachable!("there are never more values than places")
        };
        *free = Some(Kept {
            slot,
            waits_for,
            laid,
        });
    }

    // Work.

    pub(super) fn claim(&mut self, driver: Driver, now: Option<Instant>) -> FixedClaim<V, E> {
        let forgotten = if self.kernel.driver_has_turn(driver, now) {
            // Somebody may have lost hope, or more may be due.
            self.dispatch()
        } else {
            None
        };
        let claim = self.kernel.claim(driver, now);
        if let Some(number) = claim.called_off {
            let mut openers = self.openers.iter_mut();
            if let Some(opener) = openers.find(|opener| opener.0 == number) {
                self.are_called |= opener.1.call();
            }
        }
        FixedClaim {
            forgotten,
            work: claim.work.map(|work| self.hand_out(work)),
            resumes_at: claim.resumes_at,
        }
    }

    /// For who awaits a shutdown, where there is no Runner.
    pub(super) fn claim_close(&mut self) -> Option<FixedWork<V>> {
        let claims = self.kernel.claim_close();
        claims.then(|| self.hand_out(Work::Close))
    }

    fn hand_out(&mut self, work: Work) -> FixedWork<V> {
        match work {
            Work::Check => match self.take_first(|kept| kept == WaitsFor::Check) {
                Some((slot, _)) => FixedWork::Check(slot),
                None => unreachable!("the kernel counts what came back"),
            },
            Work::Open(ticket, generation) => FixedWork::Open(ticket, generation),
            Work::Close => match self.take_retired() {
                Some((value, why)) => FixedWork::Close {
                    value,
                    why,
                    era: self.kernel.era(),
                },
                None => unreachable!("the kernel counts what is retired"),
            },
        }
    }

    /// Has the task called for its work: what other drivers leave, and what time makes due.
    pub(super) fn register_runner(&mut self, waker: Waker) -> Option<Waker> {
        self.runner.register(waker)
    }

    pub(super) fn drop_runner(&mut self) -> Option<Waker> {
        self.runner.leave()
    }

    /// A place among those who are called when something changes for a shutdown, if there is one left.
    pub(super) fn join_closers(&mut self) -> Option<usize> {
        let free = self.closers.iter().position(Option::is_none)?;
        self.closers[free] = Some(Caller::NOBODY);
        Some(free)
    }

    pub(super) fn register_closer(&mut self, place: usize, waker: Waker) -> Option<Waker> {
        self.closers[place].as_mut()?.register(waker)
    }

    pub(super) fn leave_closers(&mut self, place: usize) -> Option<Waker> {
        self.closers[place].take()?.leave()
    }

    // Openings.

    /// Returns `true` if the opening was called off. Else its task is called when it is.
    pub(super) fn is_called_off(
        &mut self,
        ticket: OpeningTicket,
        waker: &mut Option<Waker>,
    ) -> bool {
        if self.kernel.openings().has_called_off(ticket) {
            return true;
        }
        let mut openers = self.openers.iter_mut();
        let known =
            openers.position(|opener| opener.0 == ticket.number && opener.1.waker.is_some());
        let free = || {
            self.openers
                .iter()
                .position(|opener| opener.1.waker.is_none())
        };
        if let (Some(index), Some(new)) = (known.or_else(free), waker.take()) {
            self.openers[index].0 = ticket.number;
            *waker = self.openers[index].1.register(new);
        }
        false
    }

    /// An opening is over.
    pub(super) fn forget_opener(&mut self, ticket: OpeningTicket) -> Option<Waker> {
        let mut openers = self.openers.iter_mut();
        let opener = openers.find(|opener| opener.0 == ticket.number)?;
        opener.1.leave()
    }

    /// An opening has failed.
    pub(super) fn note_failure(
        &mut self,
        ticket: OpeningTicket,
        class: ErrorClass,
        now: Option<Instant>,
        drawn: Drawn,
    ) -> Noted {
        let noted = self.kernel.failed(ticket, class, now, drawn);
        if noted.is_told {
            self.failed_with = class;
        }
        noted
    }

    /// Keeps the error of the latest failure for the first who is to be told of it. Returns the one before.
    pub(super) fn keep_error(&mut self, error: Option<E>) -> Option<E> {
        core::mem::replace(&mut self.error, error)
    }

    /// What a caller is told whose time is over.
    pub(super) fn time_is_over(
        &mut self,
        since: Option<Since>,
        now: Option<Instant>,
    ) -> FixedError<E> {
        let openings = self.kernel.openings();
        let facts = since.and_then(|since| {
            let reason = openings.verdict(since);
            openings.failure_since(since, reason, now)
        });
        match facts {
            Some(facts) => told(self.failed_with, &mut self.error, facts),
            None => FixedError::TimedOut,
        }
    }
}

impl<E> WaiterCell<E> {
    /// Returns `true` if its task is to be called.
    fn answer(&mut self, answer: FixedAnswer<E>) -> bool {
        self.answer = Some(answer);
        self.task.call()
    }
}

/// What is told of a failure: its error to the first who hears of it.
const fn told<E>(class: ErrorClass, error: &mut Option<E>, facts: FailureFacts) -> FixedError<E> {
    FixedError::OpenFailed {
        error: error.take(),
        class,
        attempts: facts.attempts,
        stopped: facts.stopped,
    }
}
