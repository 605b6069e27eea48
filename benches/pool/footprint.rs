//! What memory it takes: allocations, bytes by value and by waiter, the size of the future.

use std::future::{Future, poll_fn};
use std::pin::pin;

use crate::allocations;
use crate::application::acquire;
use crate::by_hand::Waiters;
use crate::contenders::{Contender, Settings};
use crate::runtimes::Runtimes;
use crate::workload::{Metric, PoolWorkload, Reach, Round, Workload};

/// Allocations of an acquire and drop, in a pool that is warm. The future is on the stack.
#[derive(Debug)]
pub(crate) struct Allocations;

impl Workload for Allocations {
    fn name(&self) -> &'static str {
        "09 allocations"
    }

    fn metrics(&self) -> Vec<Metric> {
        const UNIT: &str = "per acquire and drop";
        vec![
            Metric::new("uncontended", UNIT).reach(Reach::AtMost(0.0)),
            Metric::new("waiting", UNIT).reach(Reach::AtMost(0.0)),
        ]
    }
}

impl PoolWorkload for Allocations {
    fn prepare<P: Contender>(&self, runtimes: &'static Runtimes) -> Option<Round> {
        let pool = runtimes.here(P::leaked(Settings::full(1)));
        Some(Box::new(move || {
            let uncontended = runtimes.here(allocations_of(async || {
                drop(acquire(pool).await);
            }));
            let waiting = runtimes.here(allocations_of(async || {
                let mut held = Some(acquire(pool).await);
                let mut waits = pin!(acquire(pool));
                // Pending once, with the value held; then it is given back.
                let taken = poll_fn(|cx| {
                    let answer = waits.as_mut().poll(cx);
                    if answer.is_pending() && held.take().is_some() {
                        return waits.as_mut().poll(cx);
                    }
                    answer
                });
                assert!(taken.await.is_ok());
            }));
            vec![Some(uncontended), Some(waiting)]
        }))
    }
}

async fn allocations_of(mut operation: impl AsyncFnMut()) -> f64 {
    const OPERATIONS: u64 = 1_000;
    for _ in 0..OPERATIONS {
        operation().await;
    }
    allocations::start();
    for _ in 0..OPERATIONS {
        operation().await;
    }
    allocations::stop().count as f64 / OPERATIONS as f64
}

/// Bytes by idle value and by waiter.
#[derive(Debug)]
pub(crate) struct Memory;

const COUNT: usize = 1024;

impl Workload for Memory {
    fn name(&self) -> &'static str {
        "10 memory"
    }

    fn metrics(&self) -> Vec<Metric> {
        vec![
            Metric::new("by idle value", "bytes beyond the value").reach(Reach::AtMost(32.0)),
            Metric::new("by waiter", "bytes with its future").reach(Reach::AtMost(192.0)),
        ]
    }
}

impl PoolWorkload for Memory {
    fn prepare<P: Contender>(&self, runtimes: &'static Runtimes) -> Option<Round> {
        Some(Box::new(move || {
            let by_value = P::HOLDS_VALUES.then(|| runtimes.here(bytes_by_value::<P>()));
            vec![by_value, Some(runtimes.here(bytes_by_waiter::<P>()))]
        }))
    }
}

async fn bytes_by_value<P: Contender>() -> f64 {
    let full = bytes_of::<P>(Settings::full(COUNT)).await;
    // The smallest pool, because some set room aside for as many values as they may hold.
    let empty = bytes_of::<P>(Settings {
        is_full: false,
        ..Settings::full(1)
    });
    (full - empty.await) as f64 / COUNT as f64 - size_of::<u64>() as f64
}

async fn bytes_of<P: Contender>(settings: Settings) -> i64 {
    allocations::start();
    P::leaked(settings).await;
    allocations::stop().bytes
}

async fn bytes_by_waiter<P: Contender>() -> f64 {
    let pool = P::leaked(Settings::full(1)).await;
    let held = pool.acquire().await;
    let mut waiters = Waiters::with_places(COUNT);
    allocations::start();
    for place in 0..COUNT {
        waiters.join(place, pool.acquire());
    }
    let allocated = allocations::stop().bytes as f64 / COUNT as f64;
    for place in 0..COUNT {
        waiters.leave(place);
    }
    drop(held);
    allocated + future_size(pool)
}

/// The size of the future that an acquire is.
#[derive(Debug)]
pub(crate) struct FutureSize;

impl Workload for FutureSize {
    fn name(&self) -> &'static str {
        "11 acquire future"
    }

    fn metrics(&self) -> Vec<Metric> {
        vec![Metric::new("", "bytes")]
    }
}

impl PoolWorkload for FutureSize {
    fn prepare<P: Contender>(&self, runtimes: &'static Runtimes) -> Option<Round> {
        let pool = runtimes.here(P::leaked(Settings::full(1)));
        Some(Box::new(move || vec![Some(future_size(pool))]))
    }
}

fn future_size<P: Contender>(pool: &'static P) -> f64 {
    size_of_val(&pool.acquire()) as f64
}
