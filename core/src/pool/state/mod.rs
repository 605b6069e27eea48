//! The values of a pool and those who wait for them, under one lock with the [kernel](super::kernel) that decides on
//! them.
//!
//! Nothing outside this folder reaches a field of [`PoolState`]. Whoever wants to change something passes a door:
//!
//! - [`transact`](PoolShared::transact): any change from outside. On the way out all that follows from it is done: those
//!   without hope are told, the Runner or a waiter is woken for new work, the gates are set.
//! - [`transact_and_tell`](PoolShared::transact_and_tell): the same, with an event before anybody is woken.
//! - [`transact_as_driver`](PoolShared::transact_as_driver): for those who drive the work themselves and look for more of it
//!   next. Nobody is woken for that, or they would wake themselves on and on. What time has made due is dispatched before.
//! - [`adjust`](PoolShared::adjust): a change that brings no work, answers nobody and takes no waiter away, or whose caller goes on
//!   to claim what there is. [`enter`](PoolShared::enter) is one, but dispatches where the caller has joined.
//! - [`look`](PoolShared::look): no change.
//!
//! Without a Runner this holds whenever the lock is free: of the waiters that [can do](crate::kernel::CanDo) what is due,
//! as many have been woken, or are being polled, as there is work. One that is answered may have been woken for work, and so may
//! one that leaves, and the work of a dropped job is nobody's: each of these is a transaction, whose dispatch has others woken
//! among those who still wait. So whoever finds its answer owes nothing.
//!
//! Wakers and errors are user code, and values may be: a [`Transaction`] collects what is to be woken or dropped, and
//! that is done once the lock is released.

mod values;
mod waiters;

pub(super) use values::{IdleFate, WorkInHand};
pub(super) use waiters::{Answer, Entered, Handed, WaiterLook};

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::task::Waker;

use super::error::AcquireError;
use super::shared::PoolShared;
use super::slot::Slot;
use super::stack::Stacks;
use super::status::Status;
use super::storage::PoolKernel;
use crate::cause::Cause;
use crate::cleanup::{Audit, Ledger, RetiredValue};
use crate::drive::Wakes;
use crate::ending::{Ending, Why};
use crate::failure::OpenFailure;
use crate::kernel::{
    Drawn, Driver, FailureFacts, IdleWatch, Noted, Notices, OpeningTicket, Since, WaiterId,
};
use crate::name::Name;
use crate::resource::LocalResource;
use crate::retry::{ErrorClass, StopReason};
use crate::runtime::Clock;
use crate::sync::{CachePadded, Lock};
use crate::time::Instant;
use waiters::WaiterCell;

/// The state of a pool, which is changed by transactions alone.
pub(super) struct Guarded<V>(CachePadded<Lock<PoolState<V>>>);

/// All that the pool's lock guards.
///
/// A value is always in exactly one place: idle in a stack, handed over in a cell, gathered, in a lease, under a check
/// or a hook, retired, or being closed. The kernel counts each place.
///
/// In this order: what a hand-over writes comes first, beside the lock.
#[repr(C)]
struct PoolState<V> {
    /// By [`WaiterId`](crate::kernel::WaiterId).
    cells: Vec<WaiterCell<V>>,
    /// What the first who waits has got so far, if it wants several.
    gathered: Vec<Box<Slot<V>>>,
    /// What the stacks were told last.
    gates_are_up: bool,
    is_watched: bool,
    kernel: PoolKernel,
    /// Absent between a wake and the Runner's next poll.
    runner_waker: Option<Waker>,
    /// Values that came back and wait for what is done after a release.
    returned: VecDeque<Box<Slot<V>>>,
    retired: VecDeque<RetiredValue<V>>,
    /// Wakes the driver of an opening, by its number, if it is called off.
    opening_wakers: Vec<(u64, Waker)>,
    /// The error of the latest failed opening that counts, while the kernel remembers one.
    failure: Option<Cause>,
    ledger: Ledger,
}

/// A change of the pool's state, under its lock. It collects what is to be woken and dropped after that.
pub(super) struct Transaction<'a, V> {
    state: &'a mut PoolState<V>,
    stacks: &'a Stacks<V>,
    name: &'a Name,
    wakes: &'a mut Wakes,
}

impl<V> Guarded<V> {
    pub(super) fn new(kernel: PoolKernel) -> Self {
        Self(CachePadded(Lock::new(PoolState {
            kernel,
            cells: Vec::new(),
            gathered: Vec::new(),
            gates_are_up: false,
            is_watched: false,
            runner_waker: None,
            returned: VecDeque::new(),
            retired: VecDeque::new(),
            opening_wakers: Vec::new(),
            failure: None,
            ledger: Ledger::default(),
        })))
    }
}

impl<R: LocalResource, C: Clock> PoolShared<R, C> {
    /// Changes the pool, and does all that follows from that.
    #[inline(always)]
    pub(super) fn transact<T>(
        &self,
        change: impl FnOnce(&mut Transaction<'_, R::Value>) -> T,
    ) -> T {
        self.transact_and_tell(change, |output| output)
    }

    /// The same, and tells of it before anybody is woken, so that what follows is told after it.
    #[inline(always)]
    pub(super) fn transact_and_tell<T, U>(
        &self,
        change: impl FnOnce(&mut Transaction<'_, R::Value>) -> T,
        tell: impl FnOnce(T) -> U,
    ) -> U {
        let mut wakes = Wakes::default();
        let now = self.family_time();
        let output = self.with_state(&mut wakes, |transaction| {
            transaction.state.kernel.tell_time(now);
            let output = change(transaction);
            transaction.dispatch();
            output
        });
        let told = tell(output);
        self.wake(wakes);
        told
    }

    /// The same as an errand of the family: whoever runs it runs those that follow from it.
    pub(super) fn transact_in_errand(&self, change: impl FnOnce(&mut Transaction<'_, R::Value>)) {
        let mut wakes = Wakes::default();
        self.with_state(&mut wakes, |transaction| {
            change(transaction);
            transaction.dispatch();
        });
        self.wake_without_errands(wakes);
    }

    /// Changes the pool for somebody who drives its work, and has a turn at `now`.
    pub(super) fn transact_as_driver<T>(
        &self,
        driver: Driver,
        now: Option<Instant>,
        change: impl FnOnce(&mut Transaction<'_, R::Value>) -> T,
    ) -> T {
        let mut wakes = Wakes::default();
        let output = self.with_state(&mut wakes, |transaction| {
            if transaction.state.kernel.driver_has_turn(driver, now) {
                transaction.dispatch();
            }
            // By now it may be too old.
            transaction.forget_failure();
            change(transaction)
        });
        self.wake(wakes);
        output
    }

    /// Changes the pool for somebody who goes on with it, and finds out by itself what there is to do.
    pub(super) fn adjust<T>(&self, change: impl FnOnce(&mut Transaction<'_, R::Value>) -> T) -> T {
        let mut wakes = Wakes::default();
        let output = self.with_state(&mut wakes, change);
        self.wake(wakes);
        output
    }

    /// Looks at the kernel, and changes nothing.
    #[inline]
    pub(super) fn look<T>(&self, look: impl FnOnce(&PoolKernel) -> T) -> T {
        self.state.0.with(|state| look(&state.kernel))
    }

    pub(super) fn audit(&self) -> Audit {
        self.adjust(|transaction| transaction.audit())
    }

    pub(super) fn status(&self) -> Status {
        self.adjust(|transaction| transaction.status())
    }

    #[inline(always)]
    fn with_state<T>(
        &self,
        wakes: &mut Wakes,
        change: impl FnOnce(&mut Transaction<'_, R::Value>) -> T,
    ) -> T {
        self.state.0.with(|state| {
            let mut transaction = Transaction {
                state,
                stacks: &self.stacks,
                name: &self.reporter.name,
                wakes,
            };
            let output = change(&mut transaction);
            transaction.leave_lock();
            output
        })
    }
}

impl<V> Transaction<'_, V> {
    #[inline(always)]
    pub(super) fn kernel(&mut self) -> &mut PoolKernel {
        &mut self.state.kernel
    }

    #[inline(always)]
    fn dispatch(&mut self) {
        if !self.state.kernel.is_in_order() || self.state.failure.is_some() {
            self.dispatch_what_is_due();
        }
    }

    #[cold]
    fn dispatch_what_is_due(&mut self) {
        self.forget_failure();
        self.refuse_hopeless();
        self.state.kernel.dispatch();
    }

    /// Drops the error of a failure that the kernel has forgotten.
    fn forget_failure(&mut self) {
        if self.state.failure.is_some() && !self.state.kernel.openings().remember_failure() {
            self.wakes.drop_cause(self.state.failure.take());
        }
    }

    /// Does what others are to be told, and sets the gates.
    #[inline(always)]
    fn leave_lock(&mut self) {
        if let Some(notices) = self.state.kernel.take_notices() {
            self.notify(notices);
        }
        let gates_are_up = self.state.kernel.gates_are_up();
        if self.state.gates_are_up != gates_are_up {
            self.state.gates_are_up = gates_are_up;
            self.stacks.set_gates(gates_are_up);
        }
        if self.state.is_watched != (self.state.kernel.watch() != IdleWatch::Nothing) {
            self.settle_watch();
        }
    }

    #[cold]
    fn notify(&mut self, notices: Notices) {
        let PoolState {
            kernel,
            cells,
            runner_waker,
            ..
        } = &mut *self.state;
        if notices.runner && kernel.has_runner() {
            self.wakes.push(runner_waker.take());
        }
        let Notices {
            openings,
            others,
            overdue_at,
            ..
        } = notices;
        let mut wake = |waiter: WaiterId| {
            self.wakes.push(cells[waiter.index()].take_waker());
        };
        kernel.queue().name_helpers(openings, others, &mut wake);
        if overdue_at != Instant::EPOCH {
            kernel.name_overdue(overdue_at, &mut wake);
        }
        kernel.call_keeper().into_iter().for_each(wake);
        if notices.changed {
            self.wakes.signal();
        }
        if notices.errands {
            self.wakes.tell_family();
        }
    }

    #[cold]
    fn settle_watch(&mut self) {
        self.state.is_watched = self.state.kernel.watch() != IdleWatch::Nothing;
        self.stacks.set_watch(self.state.is_watched);
    }

    /// Has what is laid idle from here on told of, or not. The stacks know it at once, before any of them is looked at.
    pub(super) fn set_watch(&mut self, watch: IdleWatch) {
        self.state.kernel.set_watch(watch);
        self.settle_watch();
    }

    /// Leaves the Runner's waker.
    pub(super) fn leave_runner_waker(&mut self, waker: Waker) {
        let unneeded = if self.state.kernel.has_runner() {
            self.state.runner_waker.replace(waker)
        } else {
            Some(waker)
        };
        self.wakes.drop_waker(unneeded);
    }

    pub(super) fn drop_runner_waker(&mut self) {
        self.wakes.drop_waker(self.state.runner_waker.take());
    }

    // Openings, with the errors and wakers that the kernel does not know.

    /// Has the driver of an opening woken, which was called off.
    pub(super) fn wake_called_off(&mut self, number: Option<u64>) {
        if let Some(number) = number {
            let waker = self.take_opening_waker(number);
            self.wakes.push(waker);
        }
    }

    fn take_opening_waker(&mut self, number: u64) -> Option<Waker> {
        let wakers = &mut self.state.opening_wakers;
        let index = wakers.iter().position(|waker| waker.0 == number)?;
        Some(wakers.swap_remove(index).1)
    }

    /// Returns `true` if the opening was called off, or if `waker` is what is woken when it is.
    pub(super) fn is_watched_by(&self, ticket: OpeningTicket, waker: &Waker) -> bool {
        let mut wakers = self.state.opening_wakers.iter();
        self.state.kernel.openings().has_called_off(ticket)
            || wakers.any(|known| known.0 == ticket.number && known.1.will_wake(waker))
    }

    /// Has a waker woken when the opening is called off, if it is not yet.
    pub(super) fn watch_opening(&mut self, ticket: OpeningTicket, waker: Waker) {
        let replaced = self.take_opening_waker(ticket.number);
        self.wakes.drop_waker(replaced);
        if self.state.kernel.openings().has_called_off(ticket) {
            self.wakes.drop_waker(Some(waker));
        } else {
            self.state.opening_wakers.push((ticket.number, waker));
        }
    }

    /// An opening is over.
    pub(super) fn forget_opening_waker(&mut self, ticket: OpeningTicket) {
        let waker = self.take_opening_waker(ticket.number);
        self.wakes.drop_waker(waker);
    }

    /// An opening has failed, with this error.
    pub(super) fn note_failure(
        &mut self,
        ticket: OpeningTicket,
        (class, cause): (ErrorClass, Cause),
        now: Option<Instant>,
        drawn: Drawn,
    ) -> Noted {
        let noted = self.state.kernel.failed(ticket, class, now, drawn);
        let forgotten = if noted.is_told {
            self.state.failure.replace(cause)
        } else {
            Some(cause)
        };
        self.wakes.drop_cause(forgotten);
        noted
    }

    /// The latest failure, unless it is too old to say anything at `now`.
    pub(super) fn latest_failure(&self, now: Option<Instant>) -> Option<OpenFailure> {
        let facts = self.state.kernel.openings().failure(now)?;
        Some(failure_of(facts, self.state.failure.as_ref()?))
    }

    /// The error that says how openings failed while a caller waited, if any did.
    pub(super) fn backend_down(
        &self,
        since: Since,
        reason: Option<StopReason>,
        now: Option<Instant>,
    ) -> Option<AcquireError> {
        let openings = self.state.kernel.openings();
        let facts = openings.failure_since(since, reason, now)?;
        Some(AcquireError::BackendDown {
            pool: self.name.clone(),
            failure: failure_of(facts, self.state.failure.as_ref()?),
            status: Box::new(self.status()),
        })
    }

    // The accounts.

    pub(super) fn ledger(&mut self) -> &mut Ledger {
        &mut self.state.ledger
    }

    pub(super) fn record_ending(&mut self, ending: Ending, why: Why, error: Option<Cause>) {
        let forgotten = self.state.ledger.record(ending, why, error);
        self.wakes.drop_cause(forgotten);
    }

    pub(super) fn begin_report(&mut self, now: Option<Instant>) {
        for failure in self.state.ledger.begin_shutdown(now) {
            self.wakes.drop_cause(failure.cause);
        }
    }

    pub(super) fn audit(&self) -> Audit {
        let counts = self.state.kernel.counts();
        let (idle, lent) = self.stacks.count();
        let in_use = lent + counts.lent() + counts.gathered() as i64;
        Audit {
            idle: idle as u64,
            // A value that is lost would make this negative one day: show it, do not wrap.
            in_use: u64::try_from(in_use).unwrap_or(u64::MAX),
            checking: counts.in_validation() as u64,
            closing: counts.leaving() as u64,
            ..self.state.ledger.tally.audit()
        }
    }

    pub(super) fn status(&self) -> Status {
        let kernel = &self.state.kernel;
        let counts = kernel.counts();
        let audit = self.audit();
        Status {
            max_size: kernel.max_size(),
            size: counts.size() + counts.beside(),
            idle: audit.idle as usize,
            in_use: audit.in_use as usize,
            waiting: kernel.queue().waiting(),
            opening: counts.opening(),
            checking: counts.in_validation(),
            closing: counts.leaving(),
            audit,
        }
    }
}

fn failure_of(facts: FailureFacts, cause: &Cause) -> OpenFailure {
    OpenFailure {
        attempts: facts.attempts,
        elapsed: facts.elapsed,
        stopped: facts.stopped,
        age: facts.age,
        cause: cause.clone(),
    }
}
