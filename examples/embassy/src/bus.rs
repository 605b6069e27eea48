//! The bus that both sensors share, as a resource. What hangs on it is simulated: a HAL's driver takes its place.

use core::error::Error;
use core::fmt;
use core::future::pending;

use embassy_time::{Duration, Instant, Timer};
use tenure_embassy::LocalResource;

/// How the bus is brought into order. A pool of one lends it to one task at a time.
pub(crate) struct BusControl;

impl LocalResource for BusControl {
    type Value = Bus;
    type Error = BusError;

    /// There is one peripheral, so it is closed before it is opened again.
    const EXCLUSIVE: bool = true;

    /// A device that was cut off in the middle of an answer holds the data line low. Nine pulses of the clock let it end
    /// that answer (I2C specification, UM10204, section 3.1.16).
    async fn open(&self) -> Result<Bus, BusError> {
        Timer::after(NINE_PULSES).await;
        Ok(Bus(()))
    }
}

/// At 10 kHz, and a turn of the clock at the least.
const NINE_PULSES: Duration = Duration::from_millis(1);

/// The bus, in order.
pub(crate) struct Bus(());

/// What hangs on the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Device {
    /// Answers in two milliseconds. Between the second and the fourth second it does not acknowledge its address.
    Thermometer,
    /// Answers as fast, but from the third second on it stretches the clock for ever.
    Barometer,
}

impl Bus {
    /// Reads what a device measures: tenths of a degree, or of a hectopascal.
    pub(crate) async fn read(&mut self, device: Device) -> Result<i32, BusError> {
        Timer::after(Duration::from_millis(2)).await;
        match (device, Instant::now().as_secs()) {
            (Device::Thermometer, 2..4) => Err(BusError::NotAcknowledged),
            (Device::Thermometer, _) => Ok(215),
            (Device::Barometer, 3..) => pending().await,
            (Device::Barometer, _) => Ok(10_132),
        }
    }
}

#[derive(Debug)]
pub(crate) enum BusError {
    NotAcknowledged,
}

impl fmt::Display for BusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAcknowledged => f.write_str("the address was not acknowledged"),
        }
    }
}

impl Error for BusError {}
