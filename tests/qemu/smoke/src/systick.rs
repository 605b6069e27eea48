//! A time driver on the processor's own timer, as firmware has one: a thousand ticks a second.

use core::cell::RefCell;
use core::task::Waker;

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::exception;
use critical_section::Mutex;
use embassy_time_driver::{Driver, TICK_HZ};
use embassy_time_queue_utils::Queue;

struct SysTickDriver(Mutex<RefCell<(u64, Queue)>>);

embassy_time_driver::time_driver_impl!(
    static DRIVER: SysTickDriver = SysTickDriver(Mutex::new(RefCell::new((0, Queue::new()))))
);

impl Driver for SysTickDriver {
    fn now(&self) -> u64 {
        critical_section::with(|section| self.0.borrow_ref(section).0)
    }

    /// Only noted: the timer looks at the queue in each of its interrupts.
    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|section| {
            self.0.borrow_ref_mut(section).1.schedule_wake(at, waker);
        });
    }
}

/// Starts the timer.
pub(crate) fn start(mut timer: SYST, core_hz: u32) {
    timer.set_clock_source(SystClkSource::Core);
    timer.set_reload(core_hz / TICK_HZ as u32 - 1);
    timer.clear_current();
    timer.enable_counter();
    timer.enable_interrupt();
}

#[exception]
fn SysTick() {
    critical_section::with(|section| {
        let (now, queue) = &mut *DRIVER.0.borrow_ref_mut(section);
        *now += 1;
        queue.next_expiration(*now);
    });
}
