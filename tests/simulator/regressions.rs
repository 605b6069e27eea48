//! What the simulator found in the library, each with the seed and the moment that showed it first.

use tenure_core::Managed;
use tenure_sim::{Backend, SharedFaultyResource, run};

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
