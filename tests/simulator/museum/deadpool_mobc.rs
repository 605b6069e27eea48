//! Bugs of deadpool, and of mobc.

use std::time::Duration;

use tenure_core::{AcquireError, Pool};
use tenure_sim::{Backend, Fault, Faults, FaultyResource, Hook, explore, run};

use super::{AT_ONCE, Answer, MS, PERSISTENT, backend_with, ends_whole, holds_for, queue_up};
use crate::faults::{SECOND, SEEDS, elapsed, odd_time, pool_drawn, pool_ends_well};

/// A close refused those who asked, but kept what was idle, and took back what was returned: a closed pool held
/// its connections open for as long as anybody held the pool.
#[test]
fn deadpool_0089_a_closed_pool_keeps_nothing_open() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .max_size(3);
        let (pool, has_runner) = pool_drawn(&sim, builder);
        let lease = pool.acquire_owned().await.expect("the backend is well");
        let idle = pool.acquire().await.expect("the backend is well");
        let queued = {
            let pool = pool.clone();
            async move {
                let both = pool.acquire_many(2).await;
                both.map(drop)
            }
        };
        // One is lent, one is about to be idle, and one is being opened.
        backend.set_time(Hook::Open, MS * 20);
        let queued = queue_up(&sim, &pool, "queued", queued).await;
        sim.yield_now().await;
        drop(idle);
        let shutdown = sim.task("shutdown", {
            let pool = pool.clone();
            async move { pool.shutdown(SECOND).await }
        });
        while !pool.is_closed() {
            sim.yield_now().await;
        }
        shutdown.cancel();
        assert!(matches!(queued.await, Err(AcquireError::Closed { .. })));
        assert_eq!(elapsed(&sim), AT_ONCE);
        sim.sleep(MS * 10).await;
        drop(lease);
        sim.sleep(MS * 20).await;
        assert_eq!(pool.status().idle, 0);
        assert_eq!(pool.status().opening, 0);
        assert!(pool.try_acquire().is_none());
        // Where nobody is there to close them, they wait for the one who calls again.
        assert_eq!(backend.live().is_empty(), has_runner);
        assert!(pool.shutdown(SECOND).await.is_clean());
        assert_eq!(backend.live(), []);
        pool_ends_well(&pool, &backend).await;
    });
}

/// The permits of those values that were there were taken away, and there were none: a pool that was shrunk
/// while it was empty, or while all its values were being opened, went on to lend as many as before.
#[test]
fn deadpool_and_mobc_a_pool_shrunk_while_empty_lends_no_more_than_it_may() {
    explore(SEEDS, |sim| async move {
        let backend = backend_with(&sim, Hook::Open, MS * 10);
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .max_size(5);
        let (pool, _) = pool_drawn(&sim, builder.acquire_timeout(SECOND));
        let shrunk_early = sim.below(2) == 0;
        if shrunk_early {
            pool.resize(2).expect("it makes sense");
        }
        let users: Vec<_> = (0..5)
            .map(|number| {
                let pool = pool.clone();
                let asks = async move { pool.acquire_owned().await };
                sim.task(format!("user {number}"), asks)
            })
            .collect();
        sim.sleep(MS * 5).await;
        if !shrunk_early {
            pool.resize(2).expect("it makes sense");
        }
        let mut leases = Vec::new();
        for user in users {
            let answer: Answer = user.await;
            leases.extend(answer);
        }
        assert_eq!((leases.len(), pool.status().in_use), (2, 2));
        assert_eq!(pool.status().size, 2, "{}", pool.status());
        assert_eq!(backend.most_live(), if shrunk_early { 2 } else { 5 });
        drop(leases);
        let three = pool.acquire_many(3).await;
        assert!(matches!(three, Err(AcquireError::TooMany { .. })));

        // And grown again, it lends as many as it may, once.
        pool.resize(4).expect("it makes sense");
        let four = pool.acquire_many(4).await.expect("there is room again");
        assert!(pool.acquire().await.is_err());
        drop(four);
        pool_ends_well(&pool, &backend).await;
    });
}

/// The timeouts are for waiting, creating and recycling: a hook that hangs holds its slot and its caller for
/// ever.
#[test]
fn deadpool_a_hook_that_hangs_ends_at_its_timeout() {
    for (hook, served_at) in [
        // The opening has failed, and is tried again.
        (Hook::AfterOpen, SECOND),
        (Hook::BeforeAcquire, SECOND),
        (Hook::AfterRelease, SECOND),
        (Hook::BeforeClose, SECOND),
    ] {
        explore(0..10, |sim| async move {
            let backend = Backend::new(&sim);
            backend.set_faults(Faults::none().nth(hook, 1, Fault::Hang));
            let builder = Pool::builder(FaultyResource::hooked(&backend))
                .max_closing_beside(0)
                .max_size(1)
                .hook_timeout(SECOND)
                .acquire_timeout(None)
                .retry(PERSISTENT);
            let (pool, _) = pool_drawn(&sim, builder);
            let lease = pool.acquire().await.expect("it comes in the end");
            match hook {
                Hook::BeforeClose => lease.discard(),
                _ => drop(lease),
            }
            let lease = pool.acquire().await.expect("it comes in the end");
            assert_eq!((elapsed(&sim), lease.id()), (served_at, 2), "{hook}");
            drop(lease);
            ends_whole(&sim, &pool, &backend).await;
        });
    }
}

/// The idle time counts from the creation of a connection, so that one in steady use is closed and opened anew
/// each time.
#[test]
fn mobc_idle_time_does_not_count_from_the_opening() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let pool = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .max_size(1)
            .idle_timeout(SECOND * 10)
            .max_lifetime(None)
            .check_every(None)
            .build(sim.clone())
            .expect("it makes sense");
        for _ in 0..100 {
            assert_eq!(holds_for(&sim, &pool, MS).await.1, 1);
            sim.sleep(odd_time(&sim, 9)).await;
        }
        assert_eq!(backend.opened(), 1);
        // Once it is idle in earnest it goes, in its time and at most a quarter later.
        drop(pool.acquire().await);
        sim.sleep(SECOND * 10 - MS).await;
        assert_eq!(backend.live(), [1]);
        sim.sleep(Duration::from_millis(2_501)).await;
        assert_eq!(backend.live(), []);
        ends_whole(&sim, &pool, &backend).await;
    });
}
