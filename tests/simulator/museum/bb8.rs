//! Bugs of bb8.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use tenure_core::pool::CheckOnAcquire;
use tenure_core::{AcquireError, Pool, Retry};
use tenure_sim::{
    Backend, Fault, Faults, FaultyResource, Hook, Sim, cancel_everywhere, explore, run,
};

use super::{AT_ONCE, MS, PERSISTENT, backend_with, ends_whole, holds_for, queue_up};
use crate::drawn::{coin, heal};
use crate::faults::{SECOND, SEEDS, elapsed, pool_drawn};
use crate::tell::tell;

/// A connection that was being checked for its next user lay bare in that user's future: a timeout around it,
/// at the wrong moment, and it was lost to the count for good.
#[test]
fn bb8_0059_a_timeout_in_a_check_loses_no_slot() {
    let cancelled = cancel_everywhere(
        0..5,
        async |sim| {
            let backend = Backend::new(&sim);
            let builder = Pool::builder(FaultyResource::new(&backend))
                .max_closing_beside(0)
                .max_size(1)
                .check_on_acquire(CheckOnAcquire::Always);
            let (pool, _) = pool_drawn(&sim, builder);
            drop(pool.acquire().await);
            backend.set_time(Hook::Check, MS * 10);
            (sim, backend, pool)
        },
        async |(_, _, pool): &(Sim, Backend, Pool<FaultyResource, Sim>)| {
            drop(pool.acquire().await);
        },
        async |(sim, backend, pool): (Sim, Backend, Pool<FaultyResource, Sim>)| {
            assert!(pool.audit().is_balanced());
            ends_whole(&sim, &pool, &backend).await;
        },
    );
    tell(format_args!("museum: an acquire in its check {cancelled}"));
}

/// The same with a timeout that is due as the check ends, or next to it.
#[test]
fn bb8_0059_a_timeout_as_the_check_ends_loses_no_slot() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .max_size(1)
            .check_on_acquire(CheckOnAcquire::Always);
        let (pool, _) = pool_drawn(&sim, builder);
        drop(pool.acquire().await);
        backend.set_time(Hook::Check, MS * 10);
        for _ in 0..10 {
            let limit = MS * (9 + sim.below(3) as u32);
            let took = elapsed(&sim);
            let answer = tenure_core::with_timeout(&sim, limit, "in time", pool.acquire()).await;
            let took = elapsed(&sim) - took;
            let served = matches!(answer, Ok(Ok(_)));
            assert!(took <= limit, "{took:?}");
            assert!(served || limit <= MS * 10, "{limit:?}");
            drop(answer);
            assert!(pool.audit().is_balanced());
            if !served {
                // A fresh value, which was not idle before, is checked as well.
                heal(&backend);
                drop(pool.acquire().await);
                backend.set_time(Hook::Check, MS * 10);
            }
        }
        ends_whole(&sim, &pool, &backend).await;
    });
}

/// A connection that had been sent to a waiter was gone with the waiter if that was dropped before it looked:
/// a burst of dropped requests, and the pool never served again.
#[test]
fn bb8_0067_a_value_handed_to_one_who_has_left_goes_to_the_next() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .max_size(1);
        let (pool, _) = pool_drawn(&sim, builder);
        for _ in 0..5 {
            let lease = pool.acquire().await.expect("the slot is there");
            let leaver = queue_up(&sim, &pool, "leaver", holds_for(&sim, &pool, MS)).await;
            drop(lease);
            assert_eq!((pool.status().waiting, pool.status().in_use), (0, 1));
            leaver.cancel();
            sim.yield_now().await;
            assert_eq!(pool.status().idle, 1, "it is to be had");
        }
        assert_eq!(elapsed(&sim), AT_ONCE);
        ends_whole(&sim, &pool, &backend).await;
        assert_eq!(backend.opened(), 1);
    });
}

/// The repair gave a value back from within a give-back, under the lock that both took: one thread locked itself
/// out. Here who leaves holds a lease of the same pool, and a value that it was handed.
#[test]
fn bb8_0067_one_who_leaves_gives_back_what_it_holds_as_well() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .max_size(2);
        let (pool, _) = pool_drawn(&sim, builder);
        let lease = pool.acquire().await.expect("the backend is well");
        let held = pool.acquire_owned().await.expect("the backend is well");
        let asks = {
            let pool = pool.clone();
            async move {
                let both = (held, pool.acquire_owned().await);
                drop(both);
            }
        };
        let leaver = queue_up(&sim, &pool, "leaver", asks).await;
        let others = [
            queue_up(&sim, &pool, "other", holds_for(&sim, &pool, MS)).await,
            queue_up(&sim, &pool, "other", holds_for(&sim, &pool, MS)).await,
        ];
        if coin(&sim) {
            drop(lease);
            leaver.cancel();
        } else {
            leaver.cancel();
            drop(lease);
        }
        for other in others {
            assert_eq!(other.await.0, AT_ONCE);
        }
        ends_whole(&sim, &pool, &backend).await;
    });
}

/// The slot of a broken value is free as soon as it is taken out, and another is opened while it is still
/// torn down: the server sees more connections than the maximum.
#[test]
fn bb8_a_value_that_is_torn_down_counts_until_it_has_ended() {
    explore(SEEDS, |sim| async move {
        let backend = backend_with(&sim, Hook::Close, SECOND);
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .max_size(2);
        let (pool, _) = pool_drawn(&sim, builder);
        let leases = pool.acquire_many(2).await.expect("the backend is well");
        backend.break_all();
        drop(leases);
        assert_eq!((pool.status().closing, pool.status().size), (2, 2));
        let lease = pool.acquire().await.expect("a new one is opened");
        assert_eq!((elapsed(&sim), lease.id()), (SECOND, 3));
        assert_eq!(backend.most_live(), 2);
        drop(lease);
        // Without a Runner, the other is closed by whoever needs its place.
        let both = pool.acquire_many(2).await;
        drop(both);
        ends_whole(&sim, &pool, &backend).await;
    });
}

/// Who waits is woken to look for itself, and finds that somebody who came later has taken the value.
#[test]
fn bb8_a_newcomer_does_not_overtake_who_waits() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .max_size(1);
        let (pool, _) = pool_drawn(&sim, builder);
        let lease = pool.acquire().await.expect("the backend is well");
        let first = queue_up(&sim, &pool, "first", holds_for(&sim, &pool, SECOND)).await;
        drop(lease);
        // The first is woken, and has not run yet.
        assert!(pool.try_acquire().is_none());
        let mut newcomer = pin!(pool.acquire());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(newcomer.as_mut().poll(&mut cx).is_pending());
        drop(newcomer.await.expect("its turn comes"));
        assert_eq!(elapsed(&sim), SECOND);
        assert_eq!(first.await.0, AT_ONCE);
        ends_whole(&sim, &pool, &backend).await;
    });
}

/// The same of one who gives back and asks again in one breath, for ever: it may not have the value twice while
/// somebody waits.
#[test]
fn bb8_who_asks_again_at_once_queues_behind_who_waits() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .max_size(1);
        let (pool, _) = pool_drawn(&sim, builder);
        let lease = pool.acquire().await.expect("the backend is well");
        let waiter = queue_up(&sim, &pool, "waiter", holds_for(&sim, &pool, SECOND)).await;
        drop(lease);
        for round in 0..10 {
            drop(pool.acquire().await.expect("its turn comes"));
            assert_eq!(elapsed(&sim), SECOND, "round {round}");
        }
        assert_eq!(waiter.await, (AT_ONCE, 1));
        ends_whole(&sim, &pool, &backend).await;
    });
}

/// A slot is counted as pending, and a panic of `connect` takes the task away that would count it back: after as
/// many panics as there are slots the pool opens nothing more.
#[test]
fn bb8_a_panic_in_an_opening_loses_no_slot() {
    explore(SEEDS, |sim| async move {
        let backend = backend_with(&sim, Hook::Open, MS * sim.below(3) as u32);
        let panics = (1..=10).fold(Faults::none(), |faults, call| {
            faults.nth(Hook::Open, call, Fault::Panic)
        });
        backend.set_faults(panics);
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .max_size(2);
        let (pool, _) = pool_drawn(&sim, builder.retry(PERSISTENT));
        drop(pool.acquire().await.expect("the eleventh opening succeeds"));
        assert_eq!(backend.calls(Hook::Open), 11);
        assert_eq!(pool.audit().open_failed, 10);
        ends_whole(&sim, &pool, &backend).await;
    });
}

/// Who waited for it was told of a timeout; here it is told of the panic.
#[test]
fn bb8_a_panic_in_an_opening_is_told() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        backend.set_faults(Faults::none().nth(Hook::Open, 1, Fault::Panic));
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .max_size(1);
        let (pool, _) = pool_drawn(&sim, builder.retry(Retry::NEVER));
        let Err(AcquireError::BackendDown { failure, .. }) = pool.acquire().await else {
            panic!("the opening panicked");
        };
        assert_eq!((failure.attempts, elapsed(&sim)), (1, AT_ONCE));
        assert!(
            failure.cause.to_string().contains("panic"),
            "{}",
            failure.cause
        );
        sim.sleep(SECOND * 5).await;
        ends_whole(&sim, &pool, &backend).await;
    });
}
