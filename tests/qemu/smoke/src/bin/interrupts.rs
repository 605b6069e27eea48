//! What an interrupt may do with a pool: it takes a value, gives one back, and looks at how the pool stands, while a
//! task waits.
#![no_std]
#![no_main]

extern crate alloc;

use core::cell::{Cell, RefCell};
use core::convert::Infallible;
use core::future::{Future, poll_fn};
use core::mem::MaybeUninit;
use core::panic::PanicInfo;
use core::pin::pin;
use core::ptr::addr_of_mut;
use core::task::Poll;

use alloc::boxed::Box;

use cortex_m::peripheral::SCB;
use cortex_m_rt::exception;
use cortex_m_semihosting::debug::{EXIT_FAILURE, EXIT_SUCCESS, exit};
use cortex_m_semihosting::{hprint, hprintln};
use critical_section::Mutex;
use embassy_executor::{Executor, Spawner};
use embedded_alloc::LlffHeap;
use tenure_embassy::{Embassy, OwnedLease, Pool, Resource};

#[path = "../../../../../examples/embassy/src/clock.rs"]
mod clock;

const CORE_HZ: u32 = 64_000_000;
const HEAP_BYTES: usize = 6 * 1024;

#[global_allocator]
static HEAP: LlffHeap = LlffHeap::empty();

struct Buffer;

impl Resource for Buffer {
    type Value = u32;
    type Error = Infallible;

    async fn open(&self) -> Result<u32, Infallible> {
        Ok(7)
    }
}

/// What the interrupt gives back.
static HELD: Mutex<RefCell<Option<OwnedLease<Buffer, Embassy>>>> = Mutex::new(RefCell::new(None));
/// Where it takes a value.
static POOL: Mutex<RefCell<Option<Pool<Buffer, Embassy>>>> = Mutex::new(RefCell::new(None));
/// How often it took one, and how often there was none.
static TAKEN: Mutex<Cell<(u32, u32)>> = Mutex::new(Cell::new((0, 0)));

#[exception]
fn PendSV() {
    let held = critical_section::with(|section| HELD.borrow_ref_mut(section).take());
    drop(held);
    let pool = critical_section::with(|section| POOL.borrow_ref(section).clone());
    let Some(pool) = pool else { return };
    let lease = pool.try_acquire();
    let in_use = usize::from(lease.is_some());
    assert!(pool.status().in_use >= in_use);
    critical_section::with(|section| {
        let taken = TAKEN.borrow(section);
        let (some, none) = taken.get();
        taken.set(match lease.as_deref() {
            Some(value) => (some + value / 7, none),
            None => (some, none + 1),
        });
    });
}

fn taken() -> (u32, u32) {
    critical_section::with(|section| TAKEN.borrow(section).get())
}

#[embassy_executor::task]
async fn interrupts() {
    let (pool, _runner) = Pool::builder(Buffer)
        .max_size(1)
        .build_with_runner(Embassy)
        .expect("the settings are valid");
    let lease = pool.acquire_owned().await.expect("a value");

    hprint!("an interrupt gives a value back, and who waits for it gets it ... ");
    {
        let mut waiting = pin!(pool.acquire());
        poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx).is_pending().then_some(())))
            .await
            .expect("the value is lent");
        critical_section::with(|section| HELD.borrow_ref_mut(section).replace(lease));
        SCB::set_pendsv();
        assert_eq!(*waiting.await.expect("the same value"), 7);
    }
    hprintln!("ok");

    hprint!("an interrupt takes a value while there is one ... ");
    critical_section::with(|section| POOL.borrow_ref_mut(section).replace(pool.clone()));
    SCB::set_pendsv();
    assert_eq!(taken(), (1, 0));
    let lease = pool.acquire().await.expect("it was given back");
    SCB::set_pendsv();
    assert_eq!(taken(), (1, 1));
    drop(lease);
    hprintln!("ok");
    exit(EXIT_SUCCESS);
}

#[cortex_m_rt::entry]
fn main() -> ! {
    start_heap();
    let processor = cortex_m::Peripherals::take().expect("taken once");
    clock::start(processor.SYST, CORE_HZ);
    let executor: &'static mut Executor = Box::leak(Box::new(Executor::new()));
    executor.run(|spawner: Spawner| spawner.spawn(interrupts().expect("it is spawned once")))
}

fn start_heap() {
    static mut MEMORY: [MaybeUninit<u8>; HEAP_BYTES] = [MaybeUninit::uninit(); HEAP_BYTES];
    // SAFETY: once, before anything is allocated, and nothing else knows of this memory.
    unsafe { HEAP.init(addr_of_mut!(MEMORY) as usize, HEAP_BYTES) }
}

#[panic_handler]
fn panicked(info: &PanicInfo<'_>) -> ! {
    hprintln!("FAILED\n{}", info);
    exit(EXIT_FAILURE);
    loop {
        cortex_m::asm::wfi();
    }
}
