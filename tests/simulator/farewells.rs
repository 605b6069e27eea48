//! How values that were found broken are closed: beside their successors, which do not wait for a dead peer.

use std::future::pending;
use std::time::Duration;

use tenure_core::{Managed, Pool, Why, with_timeout};
use tenure_sim::{Backend, Fault, Faults, Hook, SharedFaultyResource, run};

use crate::scripted::{Ask, Server, Step, timed};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_place_of_a_broken_value_is_free_though_its_close_hangs() {
    for max_size in [1, 2, 4, 8] {
        run(0, |sim| async move {
            let server = Server::<false>::new(&sim);
            let pool = Pool::builder(server.clone())
                .max_size(max_size)
                .build(sim.clone())
                .expect("it makes sense");
            let leases = pool.acquire_many(max_size).await.expect("all there may be");
            server.always(Ask::Close, Step::Hangs);
            server.break_all();
            drop(leases);
            let (took, lease) = timed(&sim, pool.acquire()).await;
            lease.map(drop).expect("a fresh one");
            assert!(took < MS, "{took:?}: {}", pool.status());
            let most = max_size + (max_size / 4).max(1);
            assert!(pool.status().size <= most, "{}", pool.status());
            // The others' places are free once their closes have timed out.
            let (took, leases) = timed(&sim, pool.acquire_many(max_size)).await;
            leases.map(drop).expect("all there may be");
            assert!(took <= SECOND * 5, "{took:?}");
            assert!(server.most_live() <= most as u64);
            assert!(pool.audit().is_balanced(), "{}", pool.audit());
            sim.sleep(SECOND * 2).await;
            assert_eq!(pool.audit().close_timed_out, max_size as u64);
            server.always(Ask::Close, Step::Answers);
            assert!(pool.close().await.closed > 0);
            assert!(pool.audit().is_balanced() && pool.audit().live() == 0);
        });
    }
}

/// The caller gave up after a second without an answer. Nothing can check what that left behind, and its peer may be dead.
#[test]
fn the_place_of_a_value_whose_operation_was_cut_off_is_free_though_its_close_hangs() {
    run(0, |sim| async move {
        let server = Server::<false>::new(&sim);
        let pool = Pool::builder(server.clone()).max_size(2);
        let pool = pool.build(sim.clone()).expect("it makes sense");
        let mut leases = pool.acquire_many(2).await.expect("all there may be");
        server.always(Ask::Close, Step::Hangs);
        for lease in &mut leases {
            let never = lease.run(async |_| pending::<()>().await);
            let cut_off = with_timeout(&sim, SECOND, "query", never).await;
            cut_off.expect_err("it takes longer");
        }
        drop(leases);
        let (took, lease) = timed(&sim, pool.acquire()).await;
        lease.map(drop).expect("a fresh one");
        assert!(took < MS, "{took:?}: {}", pool.status());
        sim.sleep(SECOND * 2).await;
        assert_eq!(pool.audit().close_timed_out, 2);
        let closed = server.closed();
        assert!(closed.iter().all(|(_, why)| *why == Why::OperationCutOff));
    });
}

/// The allowance is the family's: a quarter of its maximum, and at least one.
#[test]
fn no_key_of_a_family_waits_for_the_close_of_a_broken_value() {
    for (allowance, other_key, waits) in [
        (None, false, Duration::ZERO),
        (None, true, Duration::ZERO),
        (Some(0), false, SECOND),
        (Some(0), true, SECOND),
    ] {
        run(0, |sim| async move {
            let server = Server::<false>::new(&sim);
            let of_key = {
                let server = server.clone();
                move |_: &bool| Pool::builder(server.clone())
            };
            let mut builder = Pool::keyed(of_key).max_size(2);
            if let Some(allowance) = allowance {
                builder = builder.max_closing_beside(allowance);
            }
            let family = builder.build(sim.clone()).expect("it makes sense");
            let leases = [family.acquire(&false).await, family.acquire(&false).await];
            server.always(Ask::Close, Step::Hangs);
            server.break_all();
            drop(leases);
            let (took, lease) = timed(&sim, family.acquire(&other_key)).await;
            lease.map(drop).expect("a fresh one");
            assert!((waits..waits + MS).contains(&took), "{took:?}");
            // All are lent again once the closes have timed out, and no more than there may be.
            sim.sleep(SECOND * 2).await;
            let again = [family.acquire(&true).await, family.acquire(&false).await];
            assert!(again.iter().all(Result::is_ok));
            let third = family.pool(&true).expect("the family is open");
            assert!(third.acquire_timeout(SECOND).await.is_err());
            assert!(server.most_live() <= 3, "{}", server.most_live());
            server.always(Ask::Close, Step::Answers);
            drop(again);
            for (_, report) in family.close().await {
                assert_eq!(report.still_in_use, 0, "{report}");
            }
        });
    }
}

/// The sockets of a runtime that has ended answer nothing any more.
#[test]
fn values_of_an_ended_runtime_hold_up_no_others_though_their_closes_hang() {
    run(0, |sim| async move {
        let server = Server::<false>::new(&sim);
        let pool = Pool::builder(server.clone()).max_size(2);
        let pool = pool.build(sim.clone()).expect("it makes sense");
        drop(pool.acquire_many(2).await.expect("all there may be"));
        let backend = Backend::new(&sim);
        backend.set_faults(Faults::none().nth(Hook::Close, 1, Fault::Hang));
        let managed = Managed::builder(SharedFaultyResource::new(&backend)).build(sim.clone());
        let managed = managed.expect("the defaults are valid");
        managed.open().await.expect("it opens");
        sim.sleep(SECOND * 100).await;
        server.always(Ask::Close, Step::Hangs);
        sim.end_runtime();
        sim.yield_now().await;
        let (took, lease) = timed(&sim, pool.acquire()).await;
        lease.map(drop).expect("one of this runtime");
        assert!(took < MS, "{took:?}: {}", pool.status());
        let (took, value) = timed(&sim, managed.get()).await;
        value.map(drop).expect("one of this runtime");
        assert!(took < MS, "{took:?}");
    });
}

/// The most there may be at once: the maximum, and the allowance above it.
#[test]
fn no_more_broken_values_than_allowed_are_closed_beside_their_successors() {
    for (allowance, most) in [(Some(0), 4), (Some(2), 6), (None, 5)] {
        run(0, |sim| async move {
            let server = Server::<false>::new(&sim);
            let mut builder = Pool::builder(server.clone()).max_size(4);
            if let Some(allowance) = allowance {
                builder = builder.max_closing_beside(allowance);
            }
            let pool = builder.build(sim.clone()).expect("it makes sense");
            server.always(Ask::Close, Step::AnswersAfter(MS * 500));
            for _ in 0..3 {
                let leases = pool.acquire_many(4).await.expect("all there may be");
                server.break_all();
                drop(leases);
            }
            let leases = pool.acquire_many(4).await.expect("all there may be");
            drop(leases);
            assert_eq!((pool.audit().opened, server.most_live()), (16, most));
            assert!(pool.audit().is_balanced(), "{}", pool.audit());
            pool.close().await;
            assert_eq!(pool.audit().live(), 0);
        });
    }
}

#[test]
fn a_value_that_excludes_others_is_closed_before_its_successor_is_opened() {
    run(0, |sim| async move {
        let server = Server::<true>::new(&sim);
        let pool = Pool::builder(server.clone())
            .max_size(1)
            .build(sim.clone())
            .expect("it makes sense");
        server.always(Ask::Close, Step::AnswersAfter(MS * 300));
        let lease = pool.acquire().await.expect("a value");
        server.break_all();
        drop(lease);
        let (took, lease) = timed(&sim, pool.acquire()).await;
        lease.map(drop).expect("its successor");
        assert_eq!(took, MS * 300);
    });
}

#[test]
fn a_close_is_told_why() {
    run(0, |sim| async move {
        let server = Server::<false>::new(&sim);
        let pool = Pool::builder(server.clone())
            .build(sim.clone())
            .expect("it makes sense");
        let leases = pool.acquire_many(2).await.expect("values");
        for lease in leases {
            lease.discard();
        }
        sim.sleep(MS).await;
        drop(pool.acquire().await.expect("a value"));
        pool.evict_all();
        sim.sleep(MS).await;
        drop(pool.acquire().await.expect("a value"));
        pool.close().await;
        let mut closed = server.closed();
        closed.sort_by_key(|(id, _)| *id);
        let whys = [Why::Broken, Why::Broken, Why::Evicted, Why::Shutdown];
        assert_eq!(closed.iter().map(|(_, why)| *why).collect::<Vec<_>>(), whys);
    });
}
