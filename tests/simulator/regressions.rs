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

/// Its own opening hung when another found room: it slept beside that room until its opening had run out of time.
#[test]
fn a_waiter_whose_opening_hangs_begins_another_once_there_is_room() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let (pool, _) = Pool::builder(FaultyResource::new(&backend))
            .max_size(2)
            .build_with_runner(sim.clone())
            .expect("a configuration that makes sense");
        let first = pool.acquire().await.expect("the backend is well");
        backend.set_faults(Faults::none().one_in(1, Hook::Open, Fault::Hang));
        let waiting = pool.clone();
        let waiter = sim.task("waiter", async move { waiting.acquire_owned().await });
        sim.sleep(Duration::from_secs(2)).await;
        assert_eq!(pool.status().opening, 1, "it hangs");
        backend.set_faults(Faults::none());
        let began_at = sim.time_passed();
        let value = first.detach();
        let second = waiter.await.expect("there is room for another");
        assert_eq!(sim.time_passed(), began_at);
        drop((second, value));
    });
}
