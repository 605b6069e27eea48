//! A scope.

use std::future::Future;

use tenure_core::{BoxError, Instant, Scope, Spawn, Timer};
use tenure_sim::{Sim, Sleep, run};

use super::MOMENT;
use super::lookout::{Lookout, TOLD_AND_WOKEN, poll_once};
use super::nosy::{Nosy, NosyValue, Refused};

#[test]
fn no_lock_of_a_scope_is_held_over_user_code() {
    run(0, |sim| async move {
        let lookout = Lookout::default();
        let builder = || Scope::builder().events(lookout.sink());
        let ends = builder().run(&sim, async |s: Scope<Sim>| {
            lookout.looks_at({
                let s = s.clone();
                move || drop((s.name(), s.audit()))
            });
            // Each way a little more than a report remembers.
            for _ in 0..20 {
                let child = s.scope(async |child| {
                    drop(child.open(Nosy::<false>(lookout.clone())).await);
                    sim.sleep(MOMENT).await;
                    let value = NosyValue(lookout.clone());
                    child.defer(|_| fails(value));
                    Ok::<_, BoxError>(())
                });
                drop(child.await);
                let value = NosyValue(lookout.clone());
                s.defer(|_| fails(value));
            }
            Ok::<_, BoxError>(())
        });
        drop(lookout.clone().wakes(ends).await);
        let dropped = builder().run(&Spawnless(sim.clone()), async |s: Scope<Spawnless>| {
            lookout.looks_at({
                let s = s.clone();
                move || drop((s.name(), s.audit()))
            });
            for _ in 0..4 {
                drop(s.open(Nosy::<false>(lookout.clone())).await);
                let value = NosyValue(lookout.clone());
                s.defer(|_| fails(value));
            }
            std::future::pending::<Result<(), BoxError>>().await
        });
        poll_once(dropped);
        lookout.forget();
        lookout.saw_nothing_locked(&TOLD_AND_WOKEN);
        lookout.saw_nothing_locked(&[
            "open",
            "close",
            "classify",
            "abandon",
            "finalizer",
            "drop of a value",
        ]);
    });
}

/// A runtime that is shut down: what it spawns is dropped at once.
#[derive(Clone)]
struct Spawnless(Sim);

impl Timer for Spawnless {
    type Sleep = Sleep;

    fn now(&self) -> Instant {
        self.0.now()
    }

    fn sleep_until(&self, at: Instant) -> Sleep {
        self.0.sleep_until(at)
    }
}

impl Spawn for Spawnless {
    fn spawn<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        drop(future);
    }
}

/// A finalizer that holds a value, and fails.
async fn fails(value: NosyValue) -> Result<(), BoxError> {
    value.0.look("finalizer");
    Err(Refused::reconnect(value.0.clone()).into())
}
