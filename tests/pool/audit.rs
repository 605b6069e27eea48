//! The counters balance at any moment, and the maximum holds, while threads use the pool.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::spawn;

use futures::executor::block_on;
use tenure_core::pool::{CheckOnAcquire, Status};
use tenure_core::{Event, Timer};

use super::probe::{Condition, Control, Hook, SendProbe, Step};
use super::{PoolOf, PoolWorld};
use crate::worlds::World;

where_threads_may_wait! {
    s09_strict_maximum_across_threads,
    p03_audit_balances_while_threads_use_the_pool,
    p03_audit_balances_whenever_an_event_is_told,
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

/// The sink is told under no lock, in the middle of what happens.
async fn p03_audit_balances_whenever_an_event_is_told<W: Threads>(world: W) {
    let watched = Arc::new(Mutex::new(None::<PoolOf<W>>));
    let wrong = Arc::new(Mutex::new(Vec::new()));
    let sink = {
        let (watched, wrong) = (watched.clone(), wrong.clone());
        Arc::new(move |event: &Event<'_>| {
            let watched = watched.lock().expect("no test panics under the lock");
            let status = watched.as_ref().map(|pool| pool.status());
            if let Some(status) = status.filter(|status| !holds(status)) {
                let mut wrong = wrong.lock().expect("no test panics under the lock");
                wrong.push(format!("{event}: {status}; {}", status.audit));
            }
        })
    };
    for checked in [false, true] {
        let control = Control::default();
        let pool = world.pool(&control, |pool| {
            let pool = pool.max_size(2).events(sink.clone());
            let pool = pool.check_on_open(checked).check_on_acquire(if checked {
                CheckOnAcquire::Always
            } else {
                CheckOnAcquire::Never
            });
            pool.retry(world.quick_retries()).check_on_release(checked)
        });
        *watched.lock().expect("no test panics under the lock") = Some(pool.clone());
        control.script(Hook::Open, [Step::Fail("not yet")]);
        control.script(Hook::Check, [Step::Fail("sick"); 2]);
        for turn in 0..4 {
            let mut leases = pool.acquire_many(2).await.expect("two values");
            match turn {
                1 => leases.pop().expect("one of two").discard(),
                2 => drop(leases.pop().expect("one of two").detach()),
                _ => {}
            }
        }
        assert!(pool.close().await.is_clean());
        *watched.lock().expect("no test panics under the lock") = None;
    }
    let wrong = wrong.lock().expect("no test panics under the lock");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Each slot is taken by something that is counted, and each value is somewhere.
fn holds(status: &Status) -> bool {
    let values = status.idle + status.in_use + status.checking + status.closing;
    // The slot of a value that has ended is freed a moment after.
    status.audit.is_balanced()
        && status.audit.live() == values as u64
        && status.size >= values + status.opening
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
