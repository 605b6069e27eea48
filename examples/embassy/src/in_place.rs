//! The same two sensors without an allocator: the bus is one exclusive value, which lies with all that waits for it in a
//! `static`. Were anything here to allocate, the program would not be linked.
#![no_std]
#![no_main]

mod bus;
mod clock;
mod led;

use core::fmt;
use core::panic::PanicInfo;
use core::time::Duration;

use cortex_m_semihosting::{debug, hprintln};
use embassy_executor::Spawner;
use embassy_time::{Instant, Timer};
use static_cell::StaticCell;
use tenure_embassy::fixed::{FixedError, FixedPool};
use tenure_embassy::{Backoff, Embassy, ErrorClass, Failure, Retry, TimedOut, retry, with_timeout};

use bus::{BusControl, BusError, Device};

/// Of the boards mps2-an385 and mps2-an386, as QEMU has them.
const PROCESSOR_HZ: u32 = 25_000_000;

/// One bus, for which at most the two sensors wait.
type BusPool = FixedPool<BusControl, Embassy, 1, 2>;

static BUS: StaticCell<BusPool> = StaticCell::new();

/// A sensor answers in two milliseconds, or not at all.
const READING_TIMEOUT: Duration = Duration::from_millis(20);

/// Three retries, after a tenth of a second, two and four.
const RETRY: Retry = Retry::new(Backoff::exponential(Duration::from_millis(100))).max_retries(3);

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let peripherals = cortex_m::Peripherals::take().expect("nobody has taken them");
    clock::start(peripherals.SYST, PROCESSOR_HZ);
    Embassy::seed_jitter(SERIAL_NUMBER);

    let bus: &'static BusPool = BUS.init(FixedPool::new(BusControl, Embassy));
    spawner.spawn(background(bus).expect("it is spawned once"));
    for device in [Device::Thermometer, Device::Barometer] {
        spawner.spawn(watch(device, bus).expect("there are two"));
    }
    spawner.spawn(led::show().expect("it is spawned once"));

    Timer::after_secs(8).await;
    assert!(led::is_heard(Device::Thermometer), "it has recovered");
    assert!(!led::is_heard(Device::Barometer), "it hangs for good");
    let was_closed = bus.shutdown(Duration::from_secs(1)).await;
    assert!(was_closed, "the bus was closed in time");
    debug::exit(debug::EXIT_SUCCESS);
}

/// What tells this device from the others, lest all of them retry at the same moments.
const SERIAL_NUMBER: u64 = 7;

/// The background work of the bus: it is opened anew at once, and not only when a sensor asks for it.
#[embassy_executor::task]
async fn background(bus: &'static BusPool) {
    bus.run().await;
}

/// Reads a sensor every second, for ever.
#[embassy_executor::task(pool_size = 2)]
async fn watch(device: Device, bus: &'static BusPool) {
    loop {
        let attempt = || read(device, bus);
        let reading = retry(&Embassy, RETRY, attempt).classify(classify).await;
        let at = Instant::now().as_millis();
        match reading {
            Ok(value) => {
                led::note(device);
                hprintln!("{:5} ms  {:?}: {}.{}", at, device, value / 10, value % 10);
            }
            Err(error) => hprintln!("{:5} ms  {:?}: {}", at, device, error),
        }
        Timer::after_secs(1).await;
    }
}

async fn read(device: Device, bus: &BusPool) -> Result<i32, ReadError> {
    let mut bus = bus.acquire().await.map_err(ReadError::NoBus)?;
    // Cut off within `run`, the reading leaves the bus suspect: it is opened anew before anybody else gets it.
    let reading = bus.run(async |bus| bus.read(device).await);
    with_timeout(&Embassy, READING_TIMEOUT, "a reading", reading)
        .await
        .map_err(ReadError::Hangs)?
        .map_err(ReadError::Bus)
}

/// A device that hangs costs the others the time of its reading, so it is asked once a second and no more often.
fn classify(failure: Failure<'_, ReadError>) -> ErrorClass {
    match failure {
        Failure::Error(ReadError::Hangs(_)) => ErrorClass::GiveUp,
        _ => ErrorClass::Retry,
    }
}

#[derive(Debug)]
enum ReadError {
    NoBus(FixedError<BusError>),
    Hangs(TimedOut),
    Bus(BusError),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBus(error) => error.fmt(f),
            Self::Hangs(error) => error.fmt(f),
            Self::Bus(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ReadError {}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    hprintln!("{}", info);
    debug::exit(debug::EXIT_FAILURE);
    loop {}
}
