//! A pool whose Runner ended with its runtime.

use tenure_core::pool::PoolBuilder;
use tenure_core::{AcquireError, Backoff, Pool, Resource, Retry};
use tenure_sim::{Backend, Ended, Fault, Faults, FaultyResource, Hook, Sim, run};

use super::{Numbers, RunnersSeen, SECOND, end_runtime};

/// A pool that holds so many idle values when its runtime ends.
async fn left_with<R: Resource>(sim: &Sim, values: usize, builder: PoolBuilder<R>) -> Pool<R, Sim> {
    let pool = builder.build(sim.clone()).expect("a valid configuration");
    drop(pool.acquire_many(values).await.expect("values"));
    end_runtime(sim).await;
    pool
}

#[test]
fn the_values_of_an_ended_runtime_are_closed_and_others_opened() {
    run(0, |sim| async move {
        let (backend, runners) = (Backend::new(&sim), RunnersSeen::default());
        let builder = Pool::builder(FaultyResource::new(&backend)).events(runners.sink());
        let pool = left_with(&sim, 3, builder).await;
        let kept = pool.acquire().await.expect("a value");
        assert_eq!(kept.id(), 4, "not one of the dead");
        sim.sleep(SECOND).await;
        assert_eq!(backend.ended(Ended::Closed), 3);
        end_runtime(&sim).await;
        drop(kept);
        assert_eq!(pool.acquire().await.expect("a value").id(), 5);
        sim.sleep(SECOND).await;
        assert_eq!(backend.live(), [5]);
        assert_eq!(runners.all(), ["ended", "restarted", "ended", "restarted"]);
        assert!(pool.close().await.is_clean());
        backend.assert_accounted();
    });
}

#[test]
fn values_that_outlive_their_runtime_are_kept_and_trimmed_again() {
    run(0, |sim| async move {
        let builder = Pool::builder(Numbers::default()).idle_timeout(SECOND);
        let pool = left_with(&sim, 4, builder).await;
        for _ in 0..20 {
            assert!(*pool.acquire().await.expect("a value") <= 4);
            sim.sleep(SECOND / 2).await;
        }
        assert_eq!(pool.status().size, 1, "those that nobody uses are closed");
    });
}

#[test]
fn an_idle_value_is_taken_at_once_and_brings_the_runner_back() {
    run(0, |sim| async move {
        let builder = Pool::builder(Numbers::default()).idle_timeout(SECOND);
        let pool = left_with(&sim, 2, builder).await;
        assert!(pool.try_acquire().is_some());
        sim.sleep(SECOND * 3).await;
        assert_eq!(pool.status().size, 0);
    });
}

#[test]
fn the_minimum_is_opened_again() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend)).min_size(3);
        let pool = left_with(&sim, 3, builder).await;
        pool.acquire().await.expect("a value").discard();
        sim.sleep(SECOND).await;
        assert_eq!(pool.status().idle, 3);
        end_runtime(&sim).await;
        pool.start().await.expect("the minimum");
        assert_eq!(pool.status().idle, 3);
        sim.sleep(SECOND).await;
        assert_eq!(pool.status().size, 3, "what was retired is closed");
    });
}

#[test]
fn idle_values_are_checked_again() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend)).check_every(SECOND);
        let pool = left_with(&sim, 1, builder).await;
        drop(pool.acquire().await.expect("a value"));
        let before = backend.calls(Hook::Check);
        sim.sleep(SECOND * 5).await;
        assert!(backend.calls(Hook::Check) >= before + 3);
    });
}

#[test]
fn a_waiter_in_a_live_runtime_is_served_though_the_runner_ends_meanwhile() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        backend.set_time(Hook::Open, SECOND);
        let pool = Pool::builder(FaultyResource::new(&backend))
            .max_size(1)
            .build(sim.clone())
            .expect("a valid configuration");
        let waiting = sim.task("waits for an opening", {
            let pool = pool.clone();
            async move { pool.acquire_owned().await.map(|lease| lease.id()) }
        });
        sim.sleep(SECOND / 2).await;
        end_runtime(&sim).await;
        assert_eq!(
            waiting.await.expect("a value"),
            1,
            "the first was called off"
        );
        let lease = pool.acquire().await.expect("a value");
        let waiting = sim.task("waits for a lease", {
            let pool = pool.clone();
            async move { pool.acquire_owned().await.map(|lease| lease.id()) }
        });
        sim.sleep(SECOND).await;
        end_runtime(&sim).await;
        drop(lease);
        assert_eq!(waiting.await.expect("a value"), 2);
    });
}

#[test]
fn a_pause_between_openings_ends_though_the_runner_has_ended() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        backend.set_faults(Faults::none().nth(Hook::Open, 1, Fault::Fail));
        let pool = Pool::builder(FaultyResource::new(&backend))
            .retry(Retry::new(Backoff::constant(SECOND)))
            .build(sim.clone())
            .expect("a valid configuration");
        let waiting = sim.task("waits", {
            let pool = pool.clone();
            async move { pool.acquire_owned().await.map(|lease| lease.id()) }
        });
        sim.sleep(SECOND / 2).await;
        end_runtime(&sim).await;
        assert_eq!(waiting.await.expect("a value"), 1);
    });
}

#[test]
fn an_executor_that_has_gone_is_asked_once_per_acquire_and_callers_do_the_work() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend)).max_size(1);
        let pool = left_with(&sim, 1, builder).await;
        sim.refuse_tasks(true);
        let steps = sim.steps();
        for _ in 0..3 {
            // Not retired again and again: nothing was opened under a Runner that never ran.
            assert_eq!(pool.acquire().await.expect("a value").id(), 2);
        }
        assert_eq!(pool.try_acquire().expect("it is idle").id(), 2);
        assert!(sim.steps() < steps + 20, "nobody spins");
        sim.refuse_tasks(false);
        pool.acquire().await.expect("a value").discard();
        sim.sleep(SECOND).await;
        assert_eq!(pool.status().size, 0, "its Runner is there again");
        backend.assert_accounted();
    });
}

#[test]
fn a_runner_of_the_users_own_is_not_spawned_again() {
    run(0, |sim| async move {
        let runners = RunnersSeen::default();
        let (pool, runner) = Pool::builder(Numbers::default())
            .events(runners.sink())
            .build_with_runner(sim.clone())
            .expect("a valid configuration");
        drop(runner.run());
        let first = pool.acquire().await.expect("a value");
        first.discard();
        sim.sleep(SECOND).await;
        assert_eq!(pool.status().closing, 1);
        assert!(runners.all().is_empty());
    });
}

#[test]
fn a_shutdown_is_not_undone_by_who_asks_later() {
    run(0, |sim| async move {
        let (backend, runners) = (Backend::new(&sim), RunnersSeen::default());
        let builder = Pool::builder(FaultyResource::new(&backend)).events(runners.sink());
        let pool = left_with(&sim, 2, builder).await;
        assert!(pool.close().await.is_clean());
        let refused = pool.acquire().await.map(drop);
        assert!(
            matches!(refused, Err(AcquireError::Closed { .. })),
            "{refused:?}"
        );
        assert_eq!(runners.all(), ["ended"]);
        backend.assert_accounted();
    });
}

#[test]
fn a_pool_on_a_local_runtime_restarts_as_well() {
    run(0, |sim| async move {
        let pool = Pool::builder(Numbers::default())
            .build_local(sim.clone())
            .expect("a valid configuration");
        drop(pool.acquire().await.expect("a value"));
        end_runtime(&sim).await;
        pool.acquire().await.expect("a value").discard();
        sim.sleep(SECOND).await;
        assert_eq!(pool.status().size, 0);
    });
}

#[test]
fn a_value_that_was_idle_through_a_freeze_is_closed_once_the_runner_has_had_a_turn() {
    run(0, |sim| async move {
        let pool = Pool::builder(Numbers::default())
            .idle_timeout(SECOND * 60)
            .build(sim.clone())
            .expect("a valid configuration");
        drop(pool.acquire().await.expect("a value"));
        // No sweep has seen it come back when the process stops.
        sim.sleep(SECOND).await;
        sim.jump(SECOND * 3600);
        sim.sleep(SECOND / 100).await;
        assert_eq!(*pool.acquire().await.expect("a value"), 2);
    });
}

#[test]
fn a_value_that_outlived_its_lifetime_in_a_freeze_is_closed_once_the_runner_has_had_a_turn() {
    run(0, |sim| async move {
        let pool = Pool::builder(Numbers::default())
            .idle_timeout(None)
            .max_lifetime(SECOND * 600)
            .build(sim.clone())
            .expect("a valid configuration");
        drop(pool.acquire().await.expect("a value"));
        sim.sleep(SECOND).await;
        sim.jump(SECOND * 3600);
        sim.sleep(SECOND / 100).await;
        assert_eq!(*pool.acquire().await.expect("a value"), 2);
    });
}
