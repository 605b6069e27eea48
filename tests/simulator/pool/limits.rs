//! What lay too long or lived too long is not lent, though no sweep has seen it: where limits are strict.

use std::time::Duration;

use tenure_core::Pool;
use tenure_core::pool::PoolBuilder;
use tenure_sim::{Backend, Fault, Faults, FaultyResource, Hook, Sim, explore, run};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// The process is frozen for an hour, and whoever asks may come before the Runner.
#[test]
fn no_value_past_its_limits_is_lent_after_a_freeze() {
    type Setting = fn(PoolBuilder<FaultyResource>) -> PoolBuilder<FaultyResource>;
    let settings: [Setting; 4] = [
        |builder| builder.strict_limits(true),
        |builder| builder.strict_limits(true).max_lifetime(None),
        |builder| builder.max_lifetime(50 * SECOND).idle_timeout(None),
        |builder| builder.max_lifetime(None).idle_timeout(50 * SECOND),
    ];
    for setting in settings {
        explore(0..50, |sim| async move {
            let (backend, pool) = pool(&sim, setting);
            drop(pool.acquire().await.expect("a value"));
            backend.set_faults(Faults::none().jump(10 * SECOND, 60 * MINUTE));
            sim.sleep(11 * SECOND).await;
            let lease = pool.acquire().await.expect("another");
            assert!(lease.age().expect("there is a clock") < SECOND);
            drop(lease);
            ends_well(&pool, &backend).await;
        });
    }
}

#[test]
fn each_way_of_asking_passes_over_what_is_past_its_limits() {
    run(0, |sim| async move {
        let (backend, pool) = pool(&sim, |builder| builder.strict_limits(true).max_size(3));
        drop(pool.acquire_many(3).await.expect("three"));
        backend.set_faults(Faults::none().jump(10 * SECOND, 60 * MINUTE));
        sim.sleep(10 * SECOND).await;
        assert!(pool.try_acquire().is_none(), "none is young enough");
        let three = pool.acquire_many(3).await.expect("three others");
        assert!(three.iter().all(|lease| lease.age() < Some(SECOND)));
        assert_eq!(backend.opened(), 6);
        drop(three);
        ends_well(&pool, &backend).await;
    });
}

/// Nobody sweeps, so only those who ask can see it.
#[test]
fn strict_limits_hold_without_a_runner() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let (pool, _) = Pool::builder(FaultyResource::new(&backend))
            .max_lifetime(50 * SECOND)
            .idle_timeout(20 * SECOND)
            .build_with_runner(sim.clone())
            .expect("it makes sense");
        let opened_again = async |pause: Duration| {
            let before = backend.opened();
            drop(pool.acquire().await.expect("a value"));
            sim.sleep(pause).await;
            drop(pool.acquire().await.expect("a value"));
            backend.opened() - before
        };
        assert_eq!(opened_again(19 * SECOND).await, 1, "the first of all");
        assert_eq!(opened_again(20 * SECOND).await, 1, "idle for too long");
        assert_eq!(opened_again(19 * SECOND).await, 0, "19 s old");
        assert_eq!(opened_again(19 * SECOND).await, 0, "38 s old");
        assert_eq!(opened_again(19 * SECOND).await, 1, "57 s old");
        ends_well(&pool, &backend).await;
    });
}

/// The minimum stays open however long it lies idle, as where limits are not strict.
#[test]
fn a_strict_idle_timeout_leaves_the_minimum() {
    run(0, |sim| async move {
        let (backend, pool) = pool(&sim, |builder| {
            builder.idle_timeout(20 * SECOND).min_size(1)
        });
        drop(pool.acquire_many(2).await.expect("two"));
        sim.sleep(MINUTE).await;
        drop(pool.acquire().await.expect("the one that is left"));
        assert_eq!(backend.opened(), 2);
        ends_well(&pool, &backend).await;
    });
}

/// Shorter than it takes to hand it over: whoever has it opened gets it.
#[test]
fn a_value_that_was_opened_for_its_user_is_lent_however_short_its_life_is() {
    run(0, |sim| async move {
        let slow = Fault::Slow(SECOND / 10);
        for with_runner in [false, true] {
            let backend = Backend::new(&sim);
            backend.set_faults(Faults::none().one_in(1, Hook::Open, slow));
            let builder = Pool::builder(FaultyResource::new(&backend))
                .max_lifetime(Duration::from_nanos(1))
                .strict_limits(true);
            let (pool, runner) = builder
                .build_with_runner(sim.clone())
                .expect("it makes sense");
            if with_runner {
                let _runs_on = sim.task("runner", runner.run());
            }
            for opened in 1..4 {
                drop(pool.acquire().await.expect("a value"));
                assert_eq!(backend.opened(), opened);
                sim.sleep(SECOND).await;
            }
            ends_well(&pool, &backend).await;
        }
    });
}

fn pool(
    sim: &Sim,
    setting: impl FnOnce(PoolBuilder<FaultyResource>) -> PoolBuilder<FaultyResource>,
) -> (Backend, Pool<FaultyResource, Sim>) {
    let backend = Backend::new(sim);
    let builder = Pool::builder(FaultyResource::new(&backend)).max_size(2);
    let pool = setting(builder).build(sim.clone()).expect("it makes sense");
    (backend, pool)
}

async fn ends_well(pool: &Pool<FaultyResource, Sim>, backend: &Backend) {
    pool.close().await;
    assert!(pool.audit().is_balanced(), "{}", pool.audit());
    backend.assert_accounted();
}
