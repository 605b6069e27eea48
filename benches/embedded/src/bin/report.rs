//! Counts instructions and memory, and prints them as `name value`.
#![no_std]
#![no_main]

use core::future::Future;
use core::mem::size_of_val;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};

use cortex_m_semihosting::{debug, hprintln};
use embassy_executor::Spawner;
use embassy_time::Timer;
use tenure_embassy::{Embassy, Managed, Pool, Retry, Timer as _, retry};
use tenure_embedded_benches::{Device, answer, instructions, start};

#[path = "../heap.rs"]
mod heap;

const TURNS: u32 = 1_000;

#[embassy_executor::main]
async fn main(_spawner: Spawner) {
    start();
    heap::start();

    let before = heap::used();
    let (pool, pool_runner) = Pool::builder(Device)
        .max_size(4)
        // Embassy's queue of timers knows its own tasks' wakers alone, and polls by hand have none.
        .acquire_timeout(None)
        .build_with_runner(Embassy)
        .expect("valid");
    let mut leases = [const { None }; 4];
    for lease in &mut leases {
        *lease = pool.acquire().await.ok();
    }
    drop(leases);
    hprintln!("heap-pool {}", heap::used() - before);

    let before = heap::used();
    let (managed, managed_runner) = Managed::builder(Device)
        .build_with_runner(Embassy)
        .expect("valid");
    managed.get().await.expect("it opens");
    hprintln!("heap-managed {}", heap::used() - before);
    // Lets what is under way come to its end.
    Timer::after_millis(10).await;

    hprintln!(
        "future-retry {}",
        size_of_val(&retry(&Embassy, Retry::DEFAULT, answer))
    );
    hprintln!("future-acquire {}", size_of_val(&pool.acquire()));
    hprintln!("future-get {}", size_of_val(&managed.get()));
    hprintln!(
        "future-call {}",
        size_of_val(&managed.call("read", |_| answer()))
    );
    hprintln!("future-answer {}", size_of_val(&answer()));
    hprintln!(
        "future-sleep {}",
        size_of_val(&Embassy.sleep_until(Embassy.now()))
    );

    instructions::start_counting();
    let acquires = instructions::of(|| {
        for _ in 0..TURNS {
            drop(ready(pool.acquire()));
        }
    });
    hprintln!("instructions-acquire {}", acquires / TURNS);
    let gets = instructions::of(|| {
        for _ in 0..TURNS {
            let _ = ready(managed.get());
        }
    });
    hprintln!("instructions-get {}", gets / TURNS);
    let hand_overs = instructions::of(|| {
        let held = [(); 3].map(|()| ready(pool.acquire()));
        for _ in 0..TURNS {
            let lease = ready(pool.acquire());
            let mut waiting = pin!(pool.acquire());
            assert!(poll(waiting.as_mut()).is_pending(), "all are in use");
            drop(lease);
            assert!(poll(waiting).is_ready(), "it was handed over");
        }
        drop(held);
    });
    hprintln!("instructions-hand-over {}", hand_overs / TURNS);
    hprintln!(
        "longest-critical-section {}",
        instructions::of_longest_critical_section()
    );
    // Last of all: a Runner that is dropped takes the values with it.
    hprintln!("future-pool-runner {}", size_of_val(&pool_runner.run()));
    hprintln!(
        "future-managed-runner {}",
        size_of_val(&managed_runner.run())
    );
    debug::exit(debug::EXIT_SUCCESS);
}

/// The result of what need not wait.
fn ready<F: Future>(future: F) -> F::Output {
    match poll(pin!(future)) {
        Poll::Ready(result) => result,
        Poll::Pending => unreachable!("nothing is in its way"),
    }
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}
