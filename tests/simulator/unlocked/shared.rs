//! A shared value.

use tenure_core::{Retry, Shared};
use tenure_sim::run;

use super::MOMENT;
use super::lookout::{Lookout, TOLD_AND_WOKEN};
use super::nosy::Nosy;

#[test]
fn no_lock_of_a_shared_value_is_held_over_user_code() {
    run(0, |sim| async move {
        let lookout = Lookout::default();
        let shared = Shared::builder(Nosy::<false>(lookout.clone()))
            .idle_timeout(MOMENT * 2)
            .retry(Retry::new(lookout.backoff()))
            .events(lookout.sink())
            .build(sim.clone())
            .expect("a valid configuration");
        lookout.looks_at({
            let shared = shared.clone();
            move || drop((shared.state(), shared.audit(), shared.clone()))
        });
        for _ in 0..3 {
            let share = lookout.clone().wakes(shared.acquire()).await;
            drop(shared.swap().await);
            drop(shared.swap_to(Nosy::<false>(lookout.clone())).await);
            drop(share);
            sim.sleep(MOMENT * 10).await;
        }
        let held = shared.acquire().await;
        let waits = sim.task("waits", {
            let (shared, lookout) = (shared.clone(), lookout.clone());
            async move { drop(lookout.wakes(shared.close()).await) }
        });
        sim.sleep(MOMENT).await;
        drop(held);
        waits.await;
        drop(shared.acquire().await);
        lookout.saw_nothing_locked(&TOLD_AND_WOKEN);
        lookout.saw_nothing_locked(&[
            "open",
            "backoff",
            "close",
            "classify",
            "drop of a value",
            "clone",
        ]);
    });
}
