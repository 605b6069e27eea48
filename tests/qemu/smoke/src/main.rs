//! Tenure as firmware uses it, on a Cortex-M0 with 16 KB of memory: Embassy's executor for threads, a timer of the
//! processor, a pool of one value with its Runner in a task, and a retry.
#![no_std]
#![no_main]

extern crate alloc;

use core::cell::Cell;
use core::fmt;
use core::panic::PanicInfo;
use core::time::Duration;

use cortex_m_semihosting::debug::{EXIT_FAILURE, EXIT_SUCCESS, exit};
use cortex_m_semihosting::{hprint, hprintln};
use critical_section::Mutex;
use embassy_executor::{Executor, Spawner};
use embedded_alloc::LlffHeap;
use tenure_embassy::{
    AcquireError, Backoff, Embassy, Pool, PoolRunner, Resource, Retry, Timer, Why, retry,
};

#[path = "../../../../examples/embassy/src/clock.rs"]
mod clock;

/// Of the processor, as QEMU has it.
const CORE_HZ: u32 = 64_000_000;

/// What is left is the stack, of which the deepest polls take almost all.
const HEAP_BYTES: usize = 4 * 1024;

#[global_allocator]
static HEAP: LlffHeap = LlffHeap::empty();

/// A device of which only one can be open.
struct Sensor;

/// An open sensor, by its number.
struct Open(u32);

#[derive(Debug)]
struct NotReady;

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not ready")
    }
}

impl core::error::Error for NotReady {}

/// How many were opened and closed.
static COUNTS: Mutex<Cell<(u32, u32)>> = Mutex::new(Cell::new((0, 0)));

fn counts() -> (u32, u32) {
    critical_section::with(|section| COUNTS.borrow(section).get())
}

fn count(opened: u32, closed: u32) {
    critical_section::with(|section| {
        let counts = COUNTS.borrow(section);
        counts.set((counts.get().0 + opened, counts.get().1 + closed));
    });
}

impl Resource for Sensor {
    type Value = Open;
    type Error = NotReady;

    async fn open(&self) -> Result<Open, NotReady> {
        Embassy
            .sleep_until(Embassy.now() + Duration::from_millis(3))
            .await;
        count(1, 0);
        Ok(Open(counts().0))
    }

    async fn close(&self, _: Open, _: Why) -> Result<(), NotReady> {
        count(0, 1);
        Ok(())
    }
}

#[embassy_executor::task]
async fn background(runner: PoolRunner<Sensor>) {
    runner.run().await;
}

#[embassy_executor::task]
async fn smoke(spawner: Spawner) {
    let began_at = Embassy.now();
    hprint!("a sleep of the processor's timer is never early ... ");
    for millis in 0..20 {
        let at = Embassy.now() + Duration::from_micros(millis * 700);
        Embassy.sleep_until(at).await;
        assert!(Embassy.now() >= at);
    }
    hprintln!("ok");

    hprint!("an operation that fails twice is retried ... ");
    let failures = Cell::new(2);
    let policy = Retry::new(Backoff::constant(Duration::from_millis(5)));
    let outcome = retry(&Embassy, policy, || async {
        failures.set(failures.get() - 1);
        if failures.get() >= 0 {
            Err(NotReady)
        } else {
            Ok(7)
        }
    });
    assert_eq!(outcome.await.expect("the third attempt"), 7);
    hprintln!("ok");

    hprint!("a pool lends its one value, and refuses in time while it is out ... ");
    let (pool, runner) = Pool::builder(Sensor)
        .max_size(1)
        .idle_timeout(Duration::from_millis(200))
        .build_with_runner(Embassy)
        .expect("the settings are valid");
    spawner.spawn(background(runner).expect("it is spawned once"));
    let lease = pool.acquire().await.expect("a value");
    assert_eq!(lease.0, 1);
    let refused = pool.acquire_timeout(Duration::from_millis(10)).await;
    assert!(matches!(refused, Err(AcquireError::Exhausted { .. })));
    drop(refused);
    drop(lease);
    assert_eq!(pool.acquire().await.expect("the same value").0, 1);
    hprintln!("ok");

    hprint!("a value that lies idle is closed by the Runner, and another opened ... ");
    Embassy
        .sleep_until(Embassy.now() + Duration::from_secs(2))
        .await;
    assert_eq!(counts(), (1, 1));
    assert_eq!(pool.acquire().await.expect("another value").0, 2);
    hprintln!("ok");

    hprint!("a shutdown closes what is left ... ");
    let report = pool.shutdown(Duration::from_secs(1)).await;
    assert!(report.is_clean());
    drop((report, pool));
    assert_eq!(counts(), (2, 2));
    hprintln!("ok");

    let took = Embassy.now() - began_at;
    hprintln!(
        "5 passed in {} ms, {} bytes of the heap in use",
        took.as_millis(),
        HEAP.used()
    );
    exit(EXIT_SUCCESS);
}

#[cortex_m_rt::entry]
fn main() -> ! {
    use core::mem::MaybeUninit;
    use core::ptr::addr_of_mut;

    static mut MEMORY: [MaybeUninit<u8>; HEAP_BYTES] = [MaybeUninit::uninit(); HEAP_BYTES];
    // SAFETY: once, before anything is allocated, and nothing else knows of this memory.
    unsafe { HEAP.init(addr_of_mut!(MEMORY) as usize, HEAP_BYTES) }

    let processor = cortex_m::Peripherals::take().expect("taken once");
    clock::start(processor.SYST, CORE_HZ);
    let executor: &'static mut Executor =
        alloc::boxed::Box::leak(alloc::boxed::Box::new(Executor::new()));
    executor.run(|spawner| spawner.spawn(smoke(spawner).expect("it is spawned once")))
}

#[panic_handler]
fn panicked(info: &PanicInfo<'_>) -> ! {
    hprintln!("FAILED\n{}", info);
    exit(EXIT_FAILURE);
    loop {
        cortex_m::asm::wfi();
    }
}
