//! Faults of checks, and of what follows from them.

use std::time::Duration;

use tenure_core::{AcquireError, Backoff, Managed, Pool, Retry, State};
use tenure_sim::{
    Backend, Ended, Fault, Faults, FaultyResource, Hook, SharedFaultyResource, explore,
};

use super::{
    SECOND, SEEDS, always, elapsed, managed_ends_well, odd_time, pool_drawn, pool_ends_well,
};
use crate::drawn::coin;

/// In a port a check that raises sets ERROR, in which no check runs any more: one lost packet, and the
/// resource is given up for good.
#[test]
fn fault_07_failing_check_does_not_end_checking() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        let bad = Faults::none()
            .nth(Hook::Check, 1, Fault::Fail)
            .nth(Hook::Check, 2, Fault::Panic)
            .nth(Hook::Check, 3, Fault::Hang);
        backend.set_faults(bad);
        let builder = Managed::builder(SharedFaultyResource::new(&backend))
            .check_every(SECOND * 10)
            .check_timeout(SECOND * 5)
            .reopen_after(None);
        let managed = builder.build(sim.clone()).expect("it makes sense");
        managed.open().await.expect("the backend is well");
        let mut watch = managed.watch();

        // Checks come up to a tenth early; the first fails, and the fourth is the first to pass.
        let lost = watch.changed().await.expect("it is not closed");
        assert_eq!(lost.to, State::Degraded);
        assert!((SECOND * 9..=SECOND * 10).contains(&elapsed(&sim)));
        let regained = watch.changed().await.expect("it is not closed");
        assert_eq!(regained.to, State::Ready);
        assert!((SECOND * (4 * 9 + 5)..=SECOND * (4 * 10 + 5)).contains(&elapsed(&sim)));
        assert_eq!(backend.calls(Hook::Check), 4);

        sim.sleep(SECOND * 101).await;
        assert!(backend.calls(Hook::Check) >= 14);
        assert_eq!(backend.calls(Hook::Open), 1);
        managed_ends_well(&managed, &backend).await;
    });
}

/// In a port nothing in the background leads out of ERROR: whoever asks next finds it there, long after
/// the backend is back.
#[test]
fn fault_07_what_failed_recovers_by_itself() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        let (down, up) = (odd_time(&sim, 60), SECOND * 100 + odd_time(&sim, 60));
        backend.set_faults(Faults::none().outage(down..up));
        let builder = Managed::builder(SharedFaultyResource::new(&backend))
            .check_every(SECOND * 10)
            .reopen_after(2)
            .retry(Retry::new(Backoff::constant(SECOND * 5)).max_retries(2))
            .open_retry(Retry::new(Backoff::constant(SECOND * 5)).max_retries(2));
        let managed = builder.build(sim.clone()).expect("it makes sense");
        managed.open().await.expect("the backend is well");

        sim.sleep(down + SECOND * 20).await;
        assert!(!managed.is_usable(), "two checks have failed");
        assert_eq!(backend.live(), []);
        // Attempts come at least every five seconds, also once a round of retries is over.
        sim.sleep(up + SECOND * 5 - elapsed(&sim)).await;
        assert_eq!(managed.state(), State::Ready);
        assert_eq!(backend.live(), [2]);
        managed_ends_well(&managed, &backend).await;
    });
}

/// A port takes a failed check to DEGRADE the value, keeps it among the available ones, and hands it out.
#[test]
fn fault_17_value_that_failed_its_check_is_replaced() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .min_size(3)
            .max_size(3)
            .check_every(SECOND * 10);
        let pool = builder.build(sim.clone()).expect("it makes sense");
        pool.start().await.expect("the backend is well");
        sim.sleep(odd_time(&sim, 60)).await;
        let broken = 1 + sim.below(3);
        backend.break_value(broken);

        // Each idle value is checked at least so often: every interval, and a sweep later.
        sim.sleep(SECOND * 10 + SECOND * 10 / 4).await;
        assert_eq!((pool.status().idle, backend.opened()), (3, 4), "{pool:?}");
        assert!(!backend.live().contains(&broken));
        for lease in [
            pool.acquire().await,
            pool.acquire().await,
            pool.acquire().await,
        ] {
            assert!(!lease.expect("one is idle").is_broken());
        }
        pool_ends_well(&pool, &backend).await;
    });
}

/// A port tries once to replace the value, and while the backend is down its health loop ends with that
/// attempt: the minimum is gone until somebody asks.
#[test]
fn fault_17_minimum_is_open_again_once_the_backend_is_well() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        let (down, up) = (odd_time(&sim, 60), SECOND * 100 + odd_time(&sim, 60));
        backend.set_faults(Faults::none().outage(down..up));
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .min_size(2)
            .check_every(SECOND * 10)
            .retry(Retry::new(Backoff::constant(SECOND * 5)).max_retries(2));
        let pool = builder.build(sim.clone()).expect("it makes sense");
        pool.start().await.expect("the backend is well");

        sim.sleep(down + SECOND * 13).await;
        assert_eq!(backend.live(), [], "both have failed their checks");
        if coin(&sim) {
            let error = pool.acquire_timeout(SECOND).await.expect_err("it is down");
            // An attempt of its own wait has failed, or the next one was not yet due.
            let down = matches!(error, AcquireError::BackendDown { .. });
            let paced = matches!(error, AcquireError::OpenPending { .. });
            assert!(down || paced, "{error}");
        }
        sim.sleep(up + SECOND * 5 - elapsed(&sim)).await;
        assert_eq!((pool.status().idle, backend.live()), (2, vec![3, 4]));
        pool_ends_well(&pool, &backend).await;
    });
}

/// A port sees on a release only what some check has found out before: a value that broke in use goes
/// back, and to the next.
#[test]
fn fault_17_value_that_comes_back_broken_is_handed_to_nobody() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        backend.set_time(Hook::Open, odd_time(&sim, 1));
        backend.set_time(Hook::Close, odd_time(&sim, 1));
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .max_size(2);
        let (pool, _) = pool_drawn(&sim, builder.check_every(None));
        let users = [1, 2, 3, 4, 5].map(|number| {
            let (world, pool, backend) = (sim.clone(), pool.clone(), backend.clone());
            sim.task(format!("user {number}"), async move {
                let mut broken = 0;
                for _ in 0..10 {
                    let lease = pool.acquire().await.expect("one comes back");
                    assert!(!lease.is_broken());
                    world.sleep(odd_time(&world, 1)).await;
                    if coin(&world) {
                        backend.break_value(lease.id());
                        broken += 1;
                    }
                }
                broken
            })
        });
        let mut broken = 0;
        for user in users {
            broken += user.await;
        }
        pool_ends_well(&pool, &backend).await;
        assert_eq!(backend.ended(Ended::Closed), backend.opened());
        // Each that broke, and what the pool held in the end.
        assert!((broken..=broken + 2).contains(&backend.opened()));
    });
}

/// In a port a cleanup that raises leaves its entry among the resources, where it counts against the
/// maximum for ever.
#[test]
fn fault_18_failing_close_gives_its_slot_back() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        let fault = [Fault::Fail, Fault::Panic, Fault::Hang][sim.below(3) as usize];
        backend.set_faults(always(Hook::Close, fault));
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .max_size(1);
        let (pool, _) = pool_drawn(&sim, builder.broken_close_timeout(SECOND * 5));
        for round in 0..10 {
            let lease = pool.acquire().await.expect("the slot is free again");
            // The close is over, in whatever way, before another value is opened.
            let waited = match fault {
                Fault::Hang => SECOND * 5 * round,
                _ => Duration::ZERO,
            };
            assert_eq!(elapsed(&sim), waited);
            lease.discard();
        }
        pool_ends_well(&pool, &backend).await;
        let audit = pool.audit();
        assert_eq!(audit.close_failed + audit.close_timed_out, 10, "{audit}");
        assert_eq!(backend.most_live(), 1);
    });
}

/// In a port a cleanup that raises in the health loop ends that loop: what is idle is checked no more,
/// and nobody is told.
#[test]
fn fault_18_failing_close_does_not_end_checking() {
    explore(SEEDS, |sim| async move {
        let fault = [Fault::Fail, Fault::Panic, Fault::Hang][sim.below(3) as usize];
        let faults = always(Hook::Close, fault).nth(Hook::Check, 1, Fault::Fail);
        let (backend, of_pool) = (Backend::new(&sim), Backend::new(&sim));
        backend.set_faults(faults.clone());
        of_pool.set_faults(faults);

        let builder = Managed::builder(SharedFaultyResource::new(&backend));
        let builder = builder.check_every(SECOND * 10).reopen_after(1);
        let managed = builder.build(sim.clone()).expect("it makes sense");
        managed.open().await.expect("the backend is well");
        let builder = Pool::builder(FaultyResource::new(&of_pool))
            .max_closing_beside(0)
            .min_size(2);
        let builder = builder.check_every(SECOND * 10);
        let pool = builder.build(sim.clone()).expect("it makes sense");
        pool.start().await.expect("the backend is well");

        sim.sleep(SECOND * 20).await;
        assert_eq!((managed.state(), backend.live()), (State::Ready, vec![2]));
        assert_eq!((pool.status().idle, of_pool.live().len()), (2, 2));
        let checks = (backend.calls(Hook::Check), of_pool.calls(Hook::Check));
        sim.sleep(SECOND * 125).await;
        assert!(backend.calls(Hook::Check) >= checks.0 + 10);
        assert!(of_pool.calls(Hook::Check) >= checks.1 + 2 * 10);
        managed_ends_well(&managed, &backend).await;
        pool_ends_well(&pool, &of_pool).await;
    });
}
