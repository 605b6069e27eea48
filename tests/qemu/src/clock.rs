//! The time driver: a clock that stands still while any task works, and goes to the next alarm when all of them wait.

use alloc::vec::Vec;
use core::cell::RefCell;
use core::task::{RawWakerVTable, Waker};

use critical_section::Mutex;
use embassy_time_driver::{Driver, TICK_HZ};
use embassy_time_queue_utils::Queue;

/// A device that has been up for an hour.
const STARTED_AT: u64 = 60 * 60 * TICK_HZ;

struct VirtualTime(Mutex<RefCell<Clock>>);

struct Clock {
    now: u64,
    /// The wakers of the executor's tasks: Embassy's own queue, in which each task has one entry.
    of_tasks: Queue,
    /// What tells them: Embassy's queue panics at any other.
    of_executor: Option<&'static RawWakerVTable>,
    /// The wakers that combinators and tests make.
    others: Vec<(u64, Waker)>,
}

embassy_time_driver::time_driver_impl!(static DRIVER: VirtualTime = VirtualTime(Mutex::new(RefCell::new(Clock {
    now: STARTED_AT,
    of_tasks: Queue::new(),
    of_executor: None,
    others: Vec::new(),
}))));

impl Driver for VirtualTime {
    fn now(&self) -> u64 {
        self.with(|clock| clock.now)
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        self.with(|clock| {
            if clock
                .of_executor
                .is_some_and(|known| core::ptr::eq(known, waker.vtable()))
            {
                clock.of_tasks.schedule_wake(at, waker);
                return;
            }
            match clock
                .others
                .iter_mut()
                .find(|(_, other)| other.will_wake(waker))
            {
                Some((alarm, _)) => *alarm = at.min(*alarm),
                None => clock.others.push((at, waker.clone())),
            }
        });
    }
}

impl VirtualTime {
    fn with<U>(&self, f: impl FnOnce(&mut Clock) -> U) -> U {
        critical_section::with(|section| f(&mut self.0.borrow_ref_mut(section)))
    }
}

/// Says how the wakers of the executor's tasks are told from others.
pub(crate) fn these_are_of_tasks(waker: &Waker) {
    DRIVER.with(|clock| clock.of_executor = Some(waker.vtable()));
}

/// Advances the clock to its next alarm, and wakes all that are due. Returns `false` if there is none.
pub(crate) fn advance() -> bool {
    let due = DRIVER.with(|clock| {
        let next = clock.of_tasks.next_expiration(clock.now);
        let next = clock.others.iter().map(|(at, _)| *at).fold(next, u64::min);
        if next == u64::MAX {
            return None;
        }
        clock.now = clock.now.max(next);
        clock.of_tasks.next_expiration(clock.now);
        let now = clock.now;
        let (due, later) = clock.others.drain(..).partition(|(at, _)| *at <= now);
        clock.others = later;
        Some::<Vec<_>>(due)
    });
    let is_due = due.is_some();
    // Outside the critical section: a waker of a test may be any code.
    for (_, waker) in due.into_iter().flatten() {
        waker.wake();
    }
    is_due
}

/// Lets go of the wakers that a test made.
pub(crate) fn forget_others() {
    let others = DRIVER.with(|clock| core::mem::take(&mut clock.others));
    drop(others);
}
