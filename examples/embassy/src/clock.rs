//! The time driver of this board, where firmware has that of its HAL: a millisecond is one turn of the SysTick.

use core::cell::RefCell;
use core::task::Waker;

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::exception;
use critical_section::Mutex;
use embassy_time_driver::{Driver, TICK_HZ};
use embassy_time_queue_utils::Queue;

struct SysTickClock(Mutex<RefCell<Ticks>>);

struct Ticks {
    now: u64,
    alarms: Queue,
}

embassy_time_driver::time_driver_impl!(static CLOCK: SysTickClock = SysTickClock(Mutex::new(RefCell::new(Ticks {
    now: 0,
    alarms: Queue::new(),
}))));

impl Driver for SysTickClock {
    fn now(&self) -> u64 {
        critical_section::with(|section| CLOCK.0.borrow_ref(section).now)
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        // The queue says when it is due next; a clock that looks at each tick need not know.
        let _ = critical_section::with(|section| {
            let mut ticks = CLOCK.0.borrow_ref_mut(section);
            ticks.alarms.schedule_wake(at, waker)
        });
    }
}

/// Starts the clock of a processor that takes so many steps a second.
pub(crate) fn start(mut systick: SYST, processor_hz: u32) {
    systick.set_clock_source(SystClkSource::Core);
    systick.set_reload(processor_hz / TICK_HZ as u32 - 1);
    systick.clear_current();
    systick.enable_counter();
    systick.enable_interrupt();
}

#[exception]
fn SysTick() {
    critical_section::with(|section| {
        let mut ticks = CLOCK.0.borrow_ref_mut(section);
        ticks.now += 1;
        let now = ticks.now;
        // Wakes whom it finds due.
        let _ = ticks.alarms.next_expiration(now);
    });
}
