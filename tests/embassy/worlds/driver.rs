//! A time driver for Embassy whose clock stands still until it is advanced. Each thread has its own, so that tests
//! run beside each other.

use std::cell::{Cell, RefCell};
use std::task::Waker;

use embassy_time_driver::{Driver, TICK_HZ};

/// A device that has been up for a while: an hour after its boot.
const STARTED_AT: u64 = 60 * 60 * TICK_HZ;

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(STARTED_AT) };
    static ALARMS: RefCell<Vec<(u64, Waker)>> = const { RefCell::new(Vec::new()) };
}

struct VirtualTime;

embassy_time_driver::time_driver_impl!(static DRIVER: VirtualTime = VirtualTime);

impl Driver for VirtualTime {
    fn now(&self) -> u64 {
        NOW.get()
    }

    /// Keeps one alarm for each waker, its earliest, as the queues of Embassy do.
    fn schedule_wake(&self, at: u64, waker: &Waker) {
        ALARMS.with_borrow_mut(|alarms| {
            match alarms.iter_mut().find(|(_, other)| other.will_wake(waker)) {
                Some((alarm, _)) => *alarm = at.min(*alarm),
                None => alarms.push((at, waker.clone())),
            }
        });
    }
}

/// Advances this thread's clock to its next alarm, and wakes all that are due. Returns `false` if there is none.
pub(super) fn advance() -> bool {
    let due = ALARMS.with_borrow_mut(|alarms| {
        let next = alarms.iter().map(|(at, _)| *at).min()?;
        NOW.set(NOW.get().max(next));
        let (due, later) = alarms.drain(..).partition(|(at, _)| *at <= NOW.get());
        *alarms = later;
        Some::<Vec<_>>(due)
    });
    // Outside the borrow: a waker may be any code.
    let is_due = due.is_some();
    for (_, waker) in due.into_iter().flatten() {
        waker.wake();
    }
    is_due
}
