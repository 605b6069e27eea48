//! The status LED: green while both sensors are heard. On a board it is a pin.

use core::cell::Cell;

use cortex_m_semihosting::hprintln;
use critical_section::Mutex;
use embassy_time::{Duration, Instant, Timer};

use crate::bus::Device;

/// After that time without a reading a sensor counts as lost.
const PATIENCE: Duration = Duration::from_millis(1_500);

static HEARD: Mutex<Cell<[Option<Instant>; 2]>> = Mutex::new(Cell::new([None; 2]));

/// Notes that a sensor has answered.
pub(crate) fn note(device: Device) {
    critical_section::with(|section| {
        let heard = HEARD.borrow(section);
        let mut at = heard.get();
        at[device as usize] = Some(Instant::now());
        heard.set(at);
    });
}

/// Returns `true` if a sensor has answered lately.
pub(crate) fn is_heard(device: Device) -> bool {
    let heard = critical_section::with(|section| HEARD.borrow(section).get());
    heard[device as usize].is_some_and(|at| at.elapsed() < PATIENCE)
}

/// Shows how the sensors are, for ever.
#[embassy_executor::task]
pub(crate) async fn show() {
    let mut shown = None;
    loop {
        let is_green = is_heard(Device::Thermometer) && is_heard(Device::Barometer);
        if shown != Some(is_green) {
            shown = Some(is_green);
            let colour = if is_green { "green" } else { "red" };
            hprintln!("{:5} ms  led: {}", Instant::now().as_millis(), colour);
        }
        Timer::after(Duration::from_millis(100)).await;
    }
}
