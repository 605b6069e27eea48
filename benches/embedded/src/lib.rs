//! What all of the firmware has: a clock, a heap where there is one, and the end of a panic.
#![no_std]

use core::hint::black_box;

use embassy_time::{Duration, Timer};

#[path = "../../../examples/embassy/src/clock.rs"]
mod clock;
#[cfg(feature = "telling")]
pub mod instructions;

/// Of the board mps2-an386, as QEMU has it.
const PROCESSOR_HZ: u32 = 25_000_000;

/// Starts the clock. Once.
pub fn start() {
    if let Some(peripherals) = cortex_m::Peripherals::take() {
        clock::start(peripherals.SYST, PROCESSOR_HZ);
    }
}

/// What a device does: it answers in a millisecond, or fails.
pub async fn answer() -> Result<u32, Refused> {
    Timer::after(Duration::from_millis(1)).await;
    black_box(Ok(7))
}

/// The device did not answer.
#[derive(Debug)]
pub struct Refused;

impl core::fmt::Display for Refused {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("refused")
    }
}

impl core::error::Error for Refused {}

/// What is held: opened by one answer of the device, asked by another.
#[derive(Debug)]
pub struct Device;

#[cfg(feature = "alloc")]
impl tenure_embassy::Resource for Device {
    type Value = u32;
    type Error = Refused;

    async fn open(&self) -> Result<u32, Refused> {
        answer().await
    }
}

/// The same where there is no heap.
#[cfg(not(feature = "alloc"))]
impl tenure_embassy::LocalResource for Device {
    type Value = u32;
    type Error = Refused;

    async fn open(&self) -> Result<u32, Refused> {
        answer().await
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
