//! What the simulator found in the library, each with the seed and the moment that showed it first.

use std::time::Duration;

use tenure_core::{Managed, Pool};
use tenure_sim::{Backend, Fault, Faults, FaultyResource, Hook, SharedFaultyResource, run};

/// `managed::cancel`, seed 0, never dropped: the move to Closed woke nobody who had no value to close.
#[test]
fn a_runner_of_what_was_never_opened_ends_with_the_close() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let (managed, runner) = Managed::builder(SharedFaultyResource::new(&backend))
            .build_with_runner(sim.clone())
            .expect("a configuration that makes sense");
        let runner = sim.task("runner", runner.run());
        sim.yield_now().await;
        managed.close().await;
        runner.await;
        assert_eq!(backend.opened(), 0);
    });
}

/// `pool::random`, seed 174: one who waits for more than two values and drives their openings began the third in
/// place of the second, and the second in place of the third, on and on.
#[test]
fn a_waiter_for_several_values_drives_one_opening_after_another() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let slow = Fault::Slow(Duration::from_millis(100));
        backend.set_faults(Faults::none().one_in(1, Hook::Open, slow));
        let (pool, _) = Pool::builder(FaultyResource::new(&backend))
            .build_with_runner(sim.clone())
            .expect("a configuration that makes sense");
        let values = pool.acquire_many(3).await.expect("the backend is well");
        assert_eq!(sim.time_passed(), Duration::from_millis(300));
        assert_eq!(pool.audit().open_called_off, 0);
        drop(values);
    });
}
