//! The counters balance at any moment, and the maximum holds, while threads use the pool.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::spawn;

use futures::executor::block_on;
use tenure_core::Timer;

use super::PoolWorld;
use super::probe::{Condition, Control, SendProbe};
use crate::worlds::World;

macro_rules! on_every_backend_with_threads {
    ($($test:ident),+ $(,)?) => {
        on_backend! { on_tokio_multi_thread = TokioMultiThread: $($test),+ }
        on_backend! { on_async_std = AsyncStdGlobal: $($test),+ }
        on_backend! { on_smol = SmolGlobal: $($test),+ }
        on_backend! { on_plain_block_on = PlainBlockOn: $($test),+ }
    };
}

on_every_backend_with_threads! {
    s09_strict_maximum_across_threads,
    p03_audit_balances_while_threads_use_the_pool,
    s10_lease_moves_to_another_thread,
}

/// A world where values may move between threads.
trait Threads:
    PoolWorld<
        Mark = Arc<()>,
        Probe = SendProbe<<Self as World>::Runtime>,
        Runtime: Timer<Sleep: Send> + Send + Sync,
    >
{
}

impl<W> Threads for W where
    W: PoolWorld<
            Mark = Arc<()>,
            Probe = SendProbe<<W as World>::Runtime>,
            Runtime: Timer<Sleep: Send> + Send + Sync,
        >
{
}

const THREADS: usize = 4;

async fn s09_strict_maximum_across_threads<W: Threads>(world: W) {
    const MAX: usize = 2;
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(MAX));
    let in_use = Arc::new(AtomicUsize::new(0));
    let threads = Vec::from_iter((0..THREADS).map(|thread| {
        let (pool, in_use) = (pool.clone(), in_use.clone());
        spawn(move || {
            for turn in 0..500 {
                let mut lease = block_on(pool.acquire()).expect("a value in time");
                assert!(in_use.fetch_add(1, Ordering::SeqCst) < MAX);
                if (thread + turn) % 50 == 0 {
                    lease.condition = Condition::Broken;
                }
                in_use.fetch_sub(1, Ordering::SeqCst);
                drop(lease);
            }
        })
    }));
    for thread in threads {
        world
            .until("the thread has ended", || thread.is_finished())
            .await;
        thread.join().expect("no assertion failed in the thread");
    }
    assert!(
        control.most_taken() <= MAX,
        "{} at once",
        control.most_taken()
    );
    world.ends_clean(&pool, &control).await;
}

/// One value goes from stack to stack, as the threads that use it have different ones, while it is counted.
async fn p03_audit_balances_while_threads_use_the_pool<W: Threads>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(THREADS));
    drop(pool.acquire().await.expect("a value"));
    let is_over = Arc::new(AtomicBool::new(false));
    let threads = Vec::from_iter((0..THREADS).map(|_| {
        let (pool, is_over) = (pool.clone(), is_over.clone());
        spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                drop(pool.try_acquire());
            }
        })
    }));
    let wrong = (0..200_000).find_map(|_| {
        let audit = pool.audit();
        let places = [audit.idle, audit.in_use, audit.checking, audit.closing];
        let is_right = places.iter().sum::<u64>() == 1 && audit.is_balanced();
        (!is_right).then_some(audit)
    });
    is_over.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().expect("it does not panic");
    }
    assert_eq!(wrong, None, "a value was counted twice, or not at all");
    world.ends_clean(&pool, &control).await;
}

async fn s10_lease_moves_to_another_thread<W: Threads>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(1));
    let lease = pool.acquire_owned().await.expect("a value");
    let waiter = world.waiter(&pool).await;
    let thread = spawn(move || lease.id);
    assert_eq!(waiter.await.expect("what the thread gave back"), 1);
    assert_eq!(thread.join().expect("it does not panic"), 1);
    world.ends_clean(&pool, &control).await;
}
