//! A managed resource.

use tenure_core::{Managed, Retry, State};
use tenure_sim::run;

use super::MOMENT;
use super::lookout::{Lookout, TOLD_AND_WOKEN, poll_once};
use super::nosy::{Nosy, ask};

#[test]
fn no_lock_of_a_managed_resource_is_held_over_user_code() {
    run(0, |sim| async move {
        let lookout = Lookout::default();
        let managed = Managed::builder(Nosy::<false>(lookout.clone()))
            .check_every(MOMENT * 4)
            .reopen_after(2)
            .retry(Retry::new(lookout.backoff()))
            .open_pace(lookout.backoff())
            .events(lookout.sink())
            .build(sim.clone())
            .expect("a valid configuration");
        lookout.looks_at({
            let managed = managed.clone();
            move || {
                drop((
                    managed.state(),
                    managed.audit(),
                    managed.last_error(),
                    managed.try_get(),
                ));
                poll_once(managed.watch().changed());
            }
        });
        let opens = sim.task("opens", {
            let managed = managed.clone();
            lookout
                .clone()
                .wakes(async move { drop(managed.get().await) })
        });
        opens.await;
        for broken in [false, true] {
            let call = managed.call("ask", |value| ask(lookout.clone(), value, broken));
            let _ = call.await;
        }
        sim.sleep(MOMENT * 50).await;
        let waits = sim.task("waits", {
            let managed = managed.clone();
            lookout.clone().wakes(async move {
                drop(managed.wait_for(State::Closed).await);
            })
        });
        sim.sleep(MOMENT).await;
        managed.close().await;
        waits.await;
        lookout.saw_nothing_locked(&TOLD_AND_WOKEN);
        lookout.saw_nothing_locked(&[
            "open",
            "backoff",
            "close",
            "check",
            "classify",
            "drop of a value",
            "clone",
            "call",
        ]);
    });
}
