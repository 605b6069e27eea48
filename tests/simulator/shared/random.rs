//! Shared values with users of all kinds, on backends on which everything goes wrong.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tenure_core::shared::Share;
use tenure_core::{OpenError, Shared, State};
use tenure_sim::{Backend, FaultyError, SharedFaultyResource, Sim, explore};

use crate::drawn::{self, a_limit, coin, heal, some_time};
use crate::patience::Patience;

#[test]
fn b11_random_shared_values_are_never_closed_under_a_user_nor_lost() {
    let explored = explore(0..5_000, |sim| async move {
        if sim.below(4) == 0 {
            sim.poll_spuriously(4);
        }
        let world = World::drawn(&sim);
        let users: Vec<_> = (0..1 + sim.below(5))
            .map(|number| sim.task(format!("user {number}"), world.clone().user()))
            .collect();
        for user in users {
            user.await;
        }
        world.end().await;
    });
    println!("{} shared values, {} steps", explored.runs, explored.steps);
}

type Held = Share<SharedFaultyResource, Sim>;

#[derive(Clone)]
struct World {
    sim: Sim,
    backend: Backend,
    shared: Shared<SharedFaultyResource, Sim>,
    /// Whether somebody has begun a shutdown: from then on a value may be closed under its user.
    is_ending: Rc<Cell<bool>>,
}

impl World {
    fn drawn(sim: &Sim) -> Self {
        let backend = drawn::backend(sim);
        let idle_timeout = match sim.below(4) {
            0 => Some(Duration::ZERO),
            1 => None,
            _ => Some(some_time(sim, 2_000)),
        };
        let builder = Shared::builder(SharedFaultyResource::new(&backend))
            .idle_timeout(idle_timeout)
            .open_timeout(a_limit(sim, 2))
            .close_timeout(a_limit(sim, 2))
            .retry(drawn::retry(sim));
        let shared = if coin(sim) {
            builder.build(sim.clone()).expect("it makes sense")
        } else {
            let (shared, runner) = builder
                .build_with_runner(sim.clone())
                .expect("it makes sense");
            // One in two of these loses its Runner half-way.
            if coin(sim) {
                let (sim, patience) = (sim.clone(), Patience::drawn(sim));
                let end = sim.clone();
                drop(sim.task("runner", async move {
                    let _ = patience.wait(&end, runner.run()).await;
                }));
            }
            shared
        };
        Self {
            sim: sim.clone(),
            backend,
            shared,
            is_ending: Rc::default(),
        }
    }

    async fn user(self) {
        let sim = &self.sim;
        for _ in 0..1 + sim.below(5) {
            let patience = Patience::drawn(sim);
            match sim.below(10) {
                0..=5 => {
                    let acquired = patience.wait(sim, self.shared.acquire()).await;
                    if let Some(Ok(share)) = acquired {
                        self.use_it(share).await;
                    }
                }
                6 => drop(patience.wait(sim, self.shared.swap()).await),
                7 => {
                    let other = SharedFaultyResource::new(&self.backend);
                    drop(patience.wait(sim, self.shared.swap_to(other)).await);
                }
                8 => sim.sleep(some_time(sim, 3_000)).await,
                _ => {
                    if sim.below(8) == 0 {
                        self.is_ending.set(true);
                        let within = some_time(sim, 3_000);
                        let ended = patience.wait(sim, self.shared.shutdown(within)).await;
                        if ended.is_some() {
                            assert_eq!(self.shared.state(), State::Closed);
                            let refused = self.shared.acquire().await;
                            assert!(matches!(refused, Err(OpenError::Closed { .. })));
                        }
                    }
                }
            }
            let audit = self.shared.audit();
            assert!(audit.is_balanced(), "{audit}");
        }
    }

    /// While it is held, it is open.
    async fn use_it(&self, share: Held) {
        let sim = &self.sim;
        let clone = coin(sim).then(|| share.clone());
        sim.sleep(some_time(sim, 2_000)).await;
        if sim.below(4) == 0 {
            let swap = Patience::drawn(sim)
                .wait(sim, share.swap_if_current())
                .await;
            assert!(!matches!(swap, Some(Ok(()))) || !share.is_current());
        }
        self.assert_open(&share);
        drop(share);
        if let Some(clone) = clone {
            sim.sleep(some_time(sim, 2_000)).await;
            self.assert_open(&clone);
        }
    }

    fn assert_open(&self, share: &Held) {
        let closed = matches!(share.ask(), Err(FaultyError::Closed { .. }));
        assert!(
            !closed || self.is_ending.get(),
            "it was closed under its user"
        );
    }

    async fn end(self) {
        let Self {
            sim,
            backend,
            shared,
            ..
        } = self;
        heal(&backend);
        if coin(&sim) {
            shared.close().await;
            let audit = shared.audit();
            assert!(audit.is_balanced() && audit.live() == 0, "{audit}");
        }
        drop(shared);
        sim.sleep(Duration::from_secs(60)).await;
        backend.assert_accounted();
    }
}
