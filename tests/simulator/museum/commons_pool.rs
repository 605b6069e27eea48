//! Bugs of Apache's commons-pool, whose callers were stuck in one way after another for fifteen years.

use tenure_core::pool::CheckOnAcquire;
use tenure_core::{AcquireError, Pool, Retry};
use tenure_sim::{Backend, Fault, Faults, FaultyResource, Hook, explore};

use super::{MS, PERSISTENT, ends_whole, holds_for, queue_up};
use crate::drawn::heal;
use crate::faults::{SECOND, SEEDS, always, elapsed, pool_drawn};

/// POOL-356: only what was given back woke those who waited; an object that was destroyed freed its place and told
/// nobody, and they blocked for ever.
#[test]
fn commons_pool_356_a_crowd_whose_values_are_bad_is_served_to_the_last() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        let bad = match sim.below(3) {
            0 => Hook::Check,
            1 => Hook::AfterRelease,
            _ => Hook::Open,
        };
        backend.set_faults(Faults::none().one_in(2, bad, Fault::Fail));
        let builder = Pool::builder(FaultyResource::hooked(&backend))
            .max_closing_beside(0)
            .max_size(1 + sim.below(3) as usize)
            .check_on_release(true)
            .retry(PERSISTENT)
            .acquire_timeout(None);
        let (pool, _) = pool_drawn(&sim, builder);
        let users: Vec<_> = (0..20)
            .map(|number| sim.task(format!("user {number}"), holds_for(&sim, &pool, MS)))
            .collect();
        for user in users {
            user.await;
        }
        // Twenty turns of a millisecond, and one more for each opening that failed.
        let failed = pool.audit().open_failed as u32;
        assert!(elapsed(&sim) <= MS * (20 + failed));
        heal(&backend);
        sim.sleep(SECOND).await;
        drop(pool.acquire().await);
        sim.sleep(SECOND).await;
        ends_whole(&sim, &pool, &backend).await;
    });
}

/// PR 346: a new object that failed its validation looked like a pool that was full, and the only caller there was
/// waited for somebody to give something back.
#[test]
fn commons_pool_a_lone_caller_whose_new_value_is_bad_does_not_wait_for_others() {
    for hook in [Hook::Check, Hook::AfterOpen] {
        explore(0..50, |sim| async move {
            let backend = Backend::new(&sim);
            backend.set_faults(always(hook, Fault::Fail));
            let builder = Pool::builder(FaultyResource::hooked(&backend))
                .max_closing_beside(0)
                .max_size(1)
                .check_on_open(true)
                .retry(Retry::new(tenure_core::Backoff::constant(SECOND)).max_retries(2))
                .acquire_timeout(None);
            let (pool, _) = pool_drawn(&sim, builder);
            let Err(AcquireError::BackendDown { failure, .. }) = pool.acquire().await else {
                panic!("no value is any good");
            };
            assert_eq!((failure.attempts, elapsed(&sim)), (3, SECOND * 2));
            assert!(failure.cause.to_string().contains(&hook.to_string()));
            sim.sleep(SECOND * 2).await;
            ends_whole(&sim, &pool, &backend).await;
        });
    }
}

/// One thread tested the idle objects of all pools, one after another, without a limit: one peer that was silent,
/// and nothing was tested, trimmed or replaced in the whole process.
#[test]
fn commons_pool_a_check_that_hangs_holds_up_no_other() {
    explore(0..50, |sim| async move {
        let (backend, other_backend) = (Backend::new(&sim), Backend::new(&sim));
        let build = |backend: &Backend| {
            Pool::builder(FaultyResource::new(backend))
                .max_closing_beside(0)
                .min_size(1)
                .max_size(16)
                .check_every(SECOND)
                .check_timeout(SECOND * 5)
                .idle_timeout(SECOND * 10)
                .build(sim.clone())
                .expect("it makes sense")
        };
        let (pool, other) = (build(&backend), build(&other_backend));
        drop(pool.acquire_many(4).await);
        drop(other.acquire_many(4).await);
        let fault = [Fault::Hang, Fault::Panic, Fault::Slow(SECOND * 3_600)][sim.below(3) as usize];
        backend.set_faults(Faults::none().nth(Hook::Check, 1, fault));
        // A round comes at most a quarter late.
        sim.sleep(MS * 1_260).await;
        assert_eq!(backend.calls(Hook::Check), 4, "all four in the same round");
        assert_eq!(other_backend.calls(Hook::Check), 4);
        let hangs = usize::from(fault != Fault::Panic);
        assert_eq!((pool.status().checking, other.status().idle), (hangs, 4));
        sim.sleep(SECOND * 5).await;
        assert_eq!((pool.status().checking, pool.status().size), (0, 3));
        sim.sleep(SECOND * 7).await;
        assert_eq!((pool.status().idle, other.status().idle), (1, 1), "trimmed");
        ends_whole(&sim, &pool, &backend).await;
        ends_whole(&sim, &other, &other_backend).await;
    });
}

/// POOL-184 and 287: an object that was borrowed or given back while the evictor tested it was lost to the count.
#[test]
fn commons_pool_184_a_value_under_check_goes_to_who_waits_for_it() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        let pool = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .max_size(2)
            .check_every(SECOND)
            .check_on_acquire(CheckOnAcquire::Never)
            .build(sim.clone())
            .expect("it makes sense");
        drop(pool.acquire_many(2).await);
        backend.set_time(Hook::Check, SECOND);
        while pool.status().checking == 0 {
            sim.sleep(MS).await;
        }
        let checked_at = elapsed(&sim);
        let lease = pool.acquire().await.expect("the other one is idle");
        assert_eq!(elapsed(&sim), checked_at);
        let waiter = queue_up(&sim, &pool, "waiter", holds_for(&sim, &pool, SECOND)).await;
        let user = sim.task("user", {
            let (sim, pool) = (sim.clone(), pool.clone());
            async move {
                sim.sleep(MS * 5).await;
                pool.acquire().await.map(drop)
            }
        });
        let (served_at, value) = waiter.await;
        assert!(served_at - checked_at <= SECOND && value != lease.id());
        drop(lease);
        user.await.expect("its turn comes");
        assert_eq!(backend.opened(), 2);
        // Whichever check has begun comes to its end.
        heal(&backend);
        sim.sleep(SECOND).await;
        ends_whole(&sim, &pool, &backend).await;
    });
}

/// POOL-418 and 420: whoever was woken for nothing began to wait anew, with all of its time: a deadline was kept as
/// a duration.
#[test]
fn commons_pool_420_waking_for_nothing_does_not_prolong_the_wait() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .max_size(1);
        let (pool, _) = pool_drawn(&sim, builder);
        sim.poll_spuriously(2);
        let lease = pool.acquire_owned().await.expect("the backend is well");
        let mut before = Vec::new();
        for number in 0..10 {
            let waits = holds_for(&sim, &pool, MS * 15);
            before.push(queue_up(&sim, &pool, &format!("before {number}"), waits).await);
        }
        let late = {
            let pool = pool.clone();
            async move { pool.acquire_timeout(MS * 100).await.map(drop) }
        };
        let late = queue_up(&sim, &pool, "late", late).await;
        drop(lease);
        assert!(late.await.is_err());
        assert_eq!(elapsed(&sim), MS * 100);
        for user in before {
            user.await;
        }
        ends_whole(&sim, &pool, &backend).await;
    });
}
