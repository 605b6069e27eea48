//! Small worlds, in every order in which they can run.

use tenure_core::{NoTimer, Pool, Start};
use tenure_sim::{Backend, FaultyResource, Sim, exhaust};

use crate::tell::tell;

/// Two acquirers and a releaser on a pool of one; the first acquirer is cancelled at any moment.
#[test]
fn two_acquirers_and_a_releaser_one_cancelled_in_every_order() {
    let explored = exhaust(1_000_000, |sim| async move {
        let backend = Backend::new(&sim);
        let (pool, runner) = Pool::builder(FaultyResource::new(&backend))
            .max_size(1)
            .start(Start::Lazily)
            .build_with_runner(NoTimer)
            .expect("a configuration that makes sense");
        drop(runner);
        let lease = pool.acquire_owned().await.expect("a value");
        let acquirer = |sim: &Sim, name: &str| {
            let (sim, pool) = (sim.clone(), pool.clone());
            sim.clone().task(name, async move {
                let lease = pool.acquire().await.expect("a value");
                assert!(lease.ask().is_ok());
                sim.yield_now().await;
            })
        };
        let cancelled = acquirer(&sim, "is cancelled");
        let served = acquirer(&sim, "is served");
        let releaser = sim.task("releaser", async move { drop(lease) });
        sim.yield_now().await;
        cancelled.cancel();
        served.await;
        releaser.await;
        pool.close().await;
        assert!(pool.audit().is_balanced());
        backend.assert_accounted();
    });
    tell(format_args!(
        "pool: two acquirers and a releaser, one cancelled: {} schedules",
        explored.runs
    ));
}
