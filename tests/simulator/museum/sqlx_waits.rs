//! Bugs of sqlx around those who wait, and those who stop waiting.

use tenure_core::pool::CheckOnAcquire;
use tenure_core::{AcquireError, Pool};
use tenure_sim::{Backend, Fault, Faults, FaultyResource, Hook, explore, run};

use super::{AT_ONCE, Answer, MS, PERSISTENT, backend_with, ends_whole, holds_for, queue_up};
use crate::drawn::coin;
use crate::faults::{SECOND, SEEDS, always, elapsed, pool_drawn};

/// The size was counted up before a connection was opened, and counted down by hand on some of the ways out:
/// not on that of a dropped future. A pool that held nothing took itself for full.
#[test]
fn sqlx_0083_a_dropped_acquire_keeps_no_slot() {
    explore(SEEDS, |sim| async move {
        let backend = backend_with(&sim, Hook::Open, MS * 10);
        match sim.below(3) {
            0 => backend.set_faults(Faults::none().one_in(3, Hook::Open, Fault::Fail)),
            1 => backend.set_faults(Faults::none().one_in(3, Hook::Open, Fault::Panic)),
            _ => {}
        }
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .max_size(2)
            .retry(PERSISTENT)
            .acquire_timeout(SECOND * 10);
        let (pool, _) = pool_drawn(&sim, builder);
        let users: Vec<_> = (0..20)
            .map(|number| sim.task(format!("user {number}"), holds_for(&sim, &pool, MS * 5)))
            .collect();
        // The first two open, the others wait.
        sim.sleep(MS * sim.below(30) as u32).await;
        for user in &users {
            if coin(&sim) {
                user.cancel();
            }
        }
        sim.sleep(SECOND * 5).await;
        assert!(users.iter().all(tenure_sim::Task::is_over));
        let status = pool.status();
        assert_eq!((status.waiting, status.opening), (0, 0), "{status}");
        assert_eq!(status.size, status.idle, "{status}");
        ends_whole(&sim, &pool, &backend).await;
    });
}

/// A release woke one entry of the queue, and that could be of somebody who had gone, or who went between
/// being woken and being polled: the living slept beside an idle connection.
#[test]
fn sqlx_0620_a_waiter_that_leaves_hands_its_turn_on() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .max_size(1);
        let (pool, _) = pool_drawn(&sim, builder.acquire_timeout(None));
        let lease = pool.acquire().await.expect("the backend is well");
        let leaver = queue_up(&sim, &pool, "leaver", holds_for(&sim, &pool, SECOND)).await;
        let second = queue_up(&sim, &pool, "second", holds_for(&sim, &pool, SECOND)).await;
        let third = queue_up(&sim, &pool, "third", holds_for(&sim, &pool, SECOND)).await;
        match sim.below(3) {
            0 => {
                leaver.cancel();
                sim.yield_now().await;
                assert_eq!(
                    pool.status().waiting,
                    2,
                    "it is gone as soon as it is dropped"
                );
                drop(lease);
            }
            1 => {
                drop(lease);
                assert_eq!(pool.status().waiting, 2, "the first has its answer");
                leaver.cancel();
            }
            _ => {
                leaver.cancel();
                drop(lease);
            }
        }
        assert_eq!(second.await.0, AT_ONCE);
        assert_eq!(third.await.0, SECOND);
        sim.sleep(SECOND).await;
        ends_whole(&sim, &pool, &backend).await;
    });
}

/// The same of one who has got half of what it asked for.
#[test]
fn sqlx_0620_a_waiter_that_leaves_hands_on_what_it_had_gathered() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .max_size(2);
        let (pool, _) = pool_drawn(&sim, builder.acquire_timeout(None));
        let leases = pool.acquire_many(2).await.expect("the backend is well");
        let mut leases = leases.into_iter();
        let gathers = {
            let pool = pool.clone();
            async move { drop(pool.acquire_many(2).await) }
        };
        let gathers = queue_up(&sim, &pool, "gathers", gathers).await;
        let second = queue_up(&sim, &pool, "second", holds_for(&sim, &pool, SECOND)).await;
        drop(leases.next());
        assert_eq!((pool.status().waiting, pool.status().idle), (2, 0));
        if coin(&sim) {
            // It is handed the other half as well, and does not come to see it.
            drop(leases.next());
        }
        gathers.cancel();
        assert_eq!(second.await.0, AT_ONCE);
        drop(leases);
        sim.sleep(SECOND).await;
        ends_whole(&sim, &pool, &backend).await;
    });
}

/// A connection whose acquire was dropped in the middle of its ping was closed, and nobody had said that it
/// would be: an in-memory database was gone. Ours is closed as well, as documented, because nobody knows how far
/// the check came; it is counted, and told with its reason.
#[test]
fn sqlx_1869_a_value_whose_acquire_is_dropped_in_its_check_ends_and_is_told() {
    explore(SEEDS, |sim| async move {
        let (hook, why) = if coin(&sim) {
            (Hook::Check, tenure_core::Why::CheckCutOff)
        } else {
            (Hook::BeforeAcquire, tenure_core::Why::HookCutOff)
        };
        let backend = Backend::new(&sim);
        let endings = super::Endings::default();
        let builder = Pool::builder(FaultyResource::hooked(&backend))
            .max_closing_beside(0)
            .max_size(1)
            .check_on_acquire(CheckOnAcquire::Always)
            .events(endings.sink());
        let (pool, has_runner) = pool_drawn(&sim, builder);
        drop(pool.acquire().await);
        backend.set_time(hook, MS * 10);
        let user = sim.task("user", holds_for(&sim, &pool, MS));
        sim.sleep(MS * 5).await;
        assert_eq!(pool.status().checking, 1);
        user.cancel();
        sim.sleep(MS * 100).await;
        let status = pool.status();
        assert_eq!((status.idle, status.checking), (0, 0), "{status}");
        // Where there is no Runner, whoever comes next closes it.
        assert_eq!(status.closing, usize::from(!has_runner), "{status}");
        ends_whole(&sim, &pool, &backend).await;
        assert_eq!(endings.seen()[0], why);
        assert_eq!(backend.opened(), 2);
    });
}

/// The same where the value is checked for its own sake: an acquire that waits for it has no part in it.
#[test]
fn sqlx_1869_a_dropped_acquire_leaves_a_check_in_the_background_alone() {
    run(0, |sim| async move {
        let backend = backend_with(&sim, Hook::Check, MS * 10);
        let pool = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .max_size(1)
            .check_every(SECOND)
            .build(sim.clone())
            .expect("it makes sense");
        drop(pool.acquire().await);
        while pool.status().checking == 0 {
            sim.sleep(MS).await;
        }
        let user = queue_up(&sim, &pool, "user", holds_for(&sim, &pool, MS)).await;
        user.cancel();
        sim.sleep(MS * 10).await;
        assert_eq!((pool.status().idle, backend.live()), (1, vec![1]));
        assert_eq!(pool.acquire().await.expect("it is idle").id(), 1);
        ends_whole(&sim, &pool, &backend).await;
        assert_eq!(backend.opened(), 1);
    });
}

/// An opening belonged to the caller that had begun it and ended with its timeout: under load a pool opened
/// thousands of connections a second, threw each away, and was never full.
#[test]
fn sqlx_3513_an_opening_outlives_the_caller_that_asked_for_it() {
    explore(SEEDS, |sim| async move {
        let backend = backend_with(&sim, Hook::Open, MS * 100);
        let pool = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .max_size(2)
            .acquire_timeout(MS * 60)
            .build(sim.clone())
            .expect("it makes sense");
        let callers: Vec<_> = (0..50)
            .map(|number| {
                let pool = pool.clone();
                let asks = async move { pool.acquire_owned().await };
                sim.task(format!("caller {number}"), asks)
            })
            .collect();
        for caller in callers {
            let answer: Answer = caller.await;
            assert!(matches!(answer, Err(AcquireError::OpenPending { .. })));
            assert_eq!(elapsed(&sim), MS * 60);
        }
        assert_eq!(pool.status().opening, 2);
        sim.sleep(MS * 40).await;
        sim.sleep(MS / 2).await;
        assert_eq!((pool.status().idle, backend.calls(Hook::Open)), (2, 2));
        ends_whole(&sim, &pool, &backend).await;
        assert_eq!(backend.calls(Hook::Open), 2);
    });
}

/// Once it had decided to open, an acquire tried to until its time was over, and never looked at what was
/// given back meanwhile.
#[test]
fn sqlx_3513_a_waiter_takes_what_comes_back_while_openings_fail() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .max_size(2)
            .retry(PERSISTENT.backoff(tenure_core::Backoff::constant(SECOND)));
        let (pool, _) = pool_drawn(&sim, builder);
        let lease = pool.acquire().await.expect("the backend is well");
        backend.set_faults(always(Hook::Open, Fault::Fail));
        let waiter = queue_up(&sim, &pool, "waiter", holds_for(&sim, &pool, MS)).await;
        sim.sleep(MS * 5).await;
        assert_eq!(backend.calls(Hook::Open), 2, "the second has failed");
        drop(lease);
        assert_eq!(waiter.await, (MS * 5, 1));
        // The pause after the failure goes by.
        sim.sleep(SECOND * 2).await;
        ends_whole(&sim, &pool, &backend).await;
    });
}
