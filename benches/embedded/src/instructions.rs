//! Counts instructions. Under QEMU's `-icount shift=5` each takes 32 ns, and the SysTick advances every 40 ns.

use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m::peripheral::SYST;
use cortex_m::register::primask;

/// Lets the SysTick run freely, so that it counts and no time passes for the firmware.
pub fn start_counting() {
    // SAFETY: the clock has the peripheral, and is stopped by this on purpose.
    let mut systick = unsafe { cortex_m::Peripherals::steal() }.SYST;
    systick.disable_interrupt();
    systick.set_reload(FULL);
    systick.clear_current();
    LONGEST.store(0, Ordering::Relaxed);
}

/// Returns how many instructions `f` takes, less than ten million.
pub fn of<U>(f: impl FnOnce() -> U) -> u32 {
    let began_at = SYST::get_current();
    let _ = core::hint::black_box(f());
    in_instructions(since(began_at))
}

/// Returns how many instructions the longest critical section took since the counting began.
pub fn of_longest_critical_section() -> u32 {
    in_instructions(LONGEST.load(Ordering::Relaxed))
}

const FULL: u32 = 0x00ff_ffff;

fn since(began_at: u32) -> u32 {
    began_at.wrapping_sub(SYST::get_current()) & FULL
}

const fn in_instructions(turns: u32) -> u32 {
    (turns as u64 * 40 / 32) as u32
}

/// When the section under way began, that is within no other.
static BEGAN_AT: AtomicU32 = AtomicU32::new(0);
static LONGEST: AtomicU32 = AtomicU32::new(0);

struct Counted;

critical_section::set_impl!(Counted);

// SAFETY: that of `cortex-m`, with the time noted.
unsafe impl critical_section::Impl for Counted {
    unsafe fn acquire() -> bool {
        let is_outermost = primask::read().is_active();
        cortex_m::interrupt::disable();
        if is_outermost {
            BEGAN_AT.store(SYST::get_current(), Ordering::Relaxed);
        }
        is_outermost
    }

    unsafe fn release(is_outermost: bool) {
        if is_outermost {
            let took = since(BEGAN_AT.load(Ordering::Relaxed));
            LONGEST.fetch_max(took, Ordering::Relaxed);
            // SAFETY: interrupts were enabled before the section.
            unsafe { cortex_m::interrupt::enable() };
        }
    }
}
