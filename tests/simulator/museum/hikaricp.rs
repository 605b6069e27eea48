//! Bugs of HikariCP.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tenure_core::{AcquireError, Event, EventKind, Pool};
use tenure_sim::{Backend, Fault, Faults, FaultyResource, Hook, explore};

use super::{AT_ONCE, MS, PERSISTENT, ends_whole, holds_for, queue_up};
use crate::drawn::coin;
use crate::faults::{SECOND, SEEDS, always, elapsed, pool_drawn};

/// "Connection is not available, request timed out after 30096ms": hundreds of reports of a message that does
/// not say whether leases are held for too long, by whom, or whether the database is down. Ours does.
#[test]
fn hikaricp_1111_a_timeout_says_what_it_waited_for() {
    explore(SEEDS, |sim| async move {
        let held: Arc<Mutex<Vec<(u32, Duration)>>> = Arc::default();
        let told = held.clone();
        let sink = move |event: &Event<'_>| {
            if let EventKind::Leaked { taken_at, held_for } = event.kind {
                let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
                told.push((taken_at.line(), held_for));
            }
        };
        let backend = Backend::new(&sim);
        let pool = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .max_size(2)
            .retry(PERSISTENT.backoff(tenure_core::Backoff::constant(SECOND)))
            .acquire_timeout(SECOND * 30)
            .leak_after(SECOND * 10)
            .events(Arc::new(sink))
            .build(sim.clone())
            .expect("it makes sense");
        let line = line!() + 1;
        let one = pool.acquire().await.expect("the backend is well");
        let is_down = coin(&sim);
        let two = if is_down {
            backend.set_faults(always(Hook::Open, Fault::Fail));
            None
        } else {
            Some(pool.acquire().await.expect("the backend is well"))
        };
        let beside = queue_up(&sim, &pool, "beside", {
            let pool = pool.clone();
            async move { pool.acquire_timeout(SECOND * 60).await.map(drop) }
        });
        let beside = beside.await;
        let error = pool.acquire().await.map(drop).expect_err("none is free");
        assert_eq!(elapsed(&sim), SECOND * 30);
        match &error {
            AcquireError::Exhausted { waited, status, .. } => {
                assert!(!is_down);
                assert_eq!(*waited, SECOND * 30);
                assert_eq!((status.max_size, status.in_use), (2, 2), "{status}");
                assert_eq!((status.waiting, status.opening), (2, 0), "{status}");
                assert!(error.to_string().contains("2 in use"), "{error}");
            }
            AcquireError::BackendDown {
                failure, status, ..
            } => {
                assert!(is_down);
                assert_eq!(status.in_use, 1, "{status}");
                assert!(failure.attempts >= 29, "{failure}");
                assert!(error.to_string().contains("attempts"), "{error}");
                let cause = std::error::Error::source(&error);
                assert!(cause.is_some_and(|cause| cause.to_string().contains("open")));
            }
            _ => panic!("{error}"),
        }
        // Who holds what is told as well, and since when.
        let held = std::mem::take(&mut *held.lock().unwrap_or_else(PoisonError::into_inner));
        assert_eq!(held.len(), if is_down { 1 } else { 2 });
        assert_eq!(held[0].0, line);
        assert!(
            held.iter()
                .all(|(_, time)| *time >= SECOND * 10 && *time <= SECOND * 13)
        );
        drop((one, two));
        beside.await.expect("one came back");
        sim.sleep(SECOND * 2).await;
        ends_whole(&sim, &pool, &backend).await;
    });
}

/// Two who hold one each and ask for one more wait for each other, until the timeout: the most frequent of the
/// causes found for that message. Who asks for two at once never does.
#[test]
fn hikaricp_1111_two_who_need_two_each_are_served_one_after_another() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .max_size(2);
        let (pool, _) = pool_drawn(&sim, builder.acquire_timeout(None));
        let users = [1, 2, 3].map(|number| {
            let (sim, pool) = (sim.clone(), pool.clone());
            sim.clone().task(format!("user {number}"), async move {
                let both = pool.acquire_many(2).await.expect("its turn comes");
                sim.sleep(SECOND).await;
                drop(both);
            })
        });
        for user in users {
            user.await;
        }
        assert_eq!(elapsed(&sim), SECOND * 3);
        ends_whole(&sim, &pool, &backend).await;
    });
}

/// One thread opened all connections, and its driver had no limit: a single handshake that a firewall had
/// swallowed, and no connection was opened any more. The pool dwindled to nothing and stayed there.
#[test]
fn hikaricp_2161_an_opening_that_hangs_holds_up_no_other() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        backend.set_faults(Faults::none().nth(Hook::Open, 1, Fault::Hang));
        let pool = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .min_size(2)
            .max_size(4)
            .open_timeout(SECOND * 5)
            .retry(PERSISTENT)
            .build(sim.clone())
            .expect("it makes sense");
        let callers = [1, 2, 3].map(|_| sim.task("caller", holds_for(&sim, &pool, SECOND)));
        let mut served = Vec::new();
        for caller in callers {
            served.push(caller.await.0);
        }
        served.sort_unstable();
        // There is an opening for each who waits. The third gets what the first gives back, or what is opened in the
        // place of the one that hangs.
        assert_eq!(served[..2], [AT_ONCE, AT_ONCE]);
        assert!(served[2] <= SECOND, "{served:?}");
        assert_eq!(pool.status().opening, 1);
        sim.sleep(SECOND * 4 + MS).await;
        let status = pool.status();
        assert_eq!(
            (status.opening, status.audit.open_failed),
            (0, 1),
            "{status}"
        );
        let leases = pool.acquire_many(3).await;
        backend.break_all();
        drop(leases);
        sim.sleep(SECOND).await;
        assert_eq!(pool.status().idle, 2, "the minimum is there again");
        ends_whole(&sim, &pool, &backend).await;
    });
}

/// The same where every opening hangs for an hour: when the network is back, so is the pool, in its own time and
/// without a restart.
#[test]
fn hikaricp_2161_a_pool_recovers_from_openings_that_all_hang() {
    explore(0..20, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .max_size(4)
            .open_timeout(SECOND * 5)
            .retry(PERSISTENT);
        let (pool, _) = pool_drawn(&sim, builder);
        backend.set_faults(always(Hook::Open, Fault::Hang));
        let mut failed = 0;
        while elapsed(&sim) < SECOND * 3_600 {
            failed += u32::from(pool.acquire().await.is_err());
        }
        assert_eq!(failed, 3_600 / 30, "each waits for as long as it would");
        backend.set_faults(Faults::none());
        let back_at = elapsed(&sim);
        drop(pool.acquire().await.expect("the backend is well"));
        let took = elapsed(&sim) - back_at;
        assert!(took <= SECOND * 5 + MS, "{took:?}");
        // The oldest of those that hang keeps its place until it times out.
        sim.sleep(SECOND * 5).await;
        ends_whole(&sim, &pool, &backend).await;
    });
}
