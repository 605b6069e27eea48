//! Managed resources of every configuration, used in every way, on backends on which everything goes
//! wrong.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tenure_core::managed::CallOptions;
use tenure_core::{Budget, Managed, Start, State};
use tenure_sim::{Backend, Faults, FaultyError, SharedFaultyResource, Sim, Task, explore};

use crate::drawn::{a_limit, backend, coin, heal, noted, retry, some_limit, some_time};
use crate::patience::Patience;

/// As many worlds as the tests of every build explore.
const SEEDS: u64 = 10_000;

#[test]
fn random_worlds_lose_nothing() {
    let explored = explore(0..SEEDS, |sim| async move {
        if sim.below(4) == 0 {
            sim.poll_spuriously(4);
        }
        let world = World::drawn(&sim);
        let watcher = sim.task("watcher", world.watch());
        let users: Vec<_> = (0..2 + sim.below(5))
            .map(|number| sim.task(format!("user {number}"), world.clone().user()))
            .collect();
        for user in users {
            user.await;
        }
        world.end().await;
        watcher.await;
    });
    println!("{} resources, {} steps", explored.runs, explored.steps);
}

const MINUTE: Duration = Duration::from_secs(60);

#[derive(Clone)]
struct World {
    sim: Sim,
    backend: Backend,
    managed: Managed<SharedFaultyResource, Sim>,
    /// Absent where the resource has none, or has lost it.
    runner: Rc<RefCell<Option<Task<()>>>>,
    /// The handles of the users are gone: the resource may end without a shutdown.
    abandoned: Rc<Cell<bool>>,
}

impl World {
    fn drawn(sim: &Sim) -> Self {
        let backend = backend(sim);
        let fail_after = 1 + sim.below(3) as u32;
        let mut builder = Managed::builder(SharedFaultyResource::new(&backend))
            .name("drawn")
            .events(noted(sim))
            .check_every(some_limit(sim, 10))
            .check_timeout(a_limit(sim, 5))
            .fail_after(fail_after)
            .recover_after(1 + sim.below(3) as u32)
            .reopen_after(coin(sim).then_some(fail_after + sim.below(3) as u32))
            .open_timeout(a_limit(sim, 5))
            .close_timeout(a_limit(sim, 5))
            .broken_close_timeout(some_limit(sim, 2))
            .call_grace(some_limit(sim, 3))
            .retry(retry(sim))
            .open_retry(retry(sim))
            .start(if coin(sim) {
                Start::Lazily
            } else {
                Start::InBackground
            });
        if sim.below(4) == 0 {
            builder = builder.budget(Arc::new(Budget::standard()));
        }
        let (managed, runner) = builder
            .build_with_runner(sim.clone())
            .expect("a configuration that makes sense");
        let runner = match sim.below(3) {
            0 => None,
            _ => Some(sim.task("runner", runner.run())),
        };
        Self {
            sim: sim.clone(),
            backend,
            managed,
            runner: Rc::new(RefCell::new(runner)),
            abandoned: Rc::default(),
        }
    }

    /// Sees every change in order, or learns how many it missed, and sees the last.
    fn watch(&self) -> impl Future<Output = ()> + use<> {
        let (sim, abandoned) = (self.sim.clone(), self.abandoned.clone());
        // Holds no handle: whoever watches is no reason to keep the value.
        let mut watch = self.managed.watch();
        async move {
            let mut last: Option<(u64, State)> = None;
            loop {
                let changed = Patience::drawn(&sim).wait(&sim, watch.changed()).await;
                let Some(change) = changed else {
                    if abandoned.get() {
                        return;
                    }
                    continue;
                };
                let Some(change) = change else {
                    assert!(last.is_none_or(|(_, state)| state == State::Closed));
                    return;
                };
                assert!(change.from.can_go(change.to), "{change:?}");
                if let Some((number, state)) = last {
                    assert_eq!(change.number, number + change.missed + 1);
                    assert!(change.missed > 0 || change.from == state, "{change:?}");
                }
                last = Some((change.number, change.to));
                if coin(&sim) {
                    sim.sleep(some_time(&sim, 3_000)).await;
                }
            }
        }
    }

    async fn user(self) {
        for _ in 0..1 + self.sim.below(8) {
            self.act().await;
            self.look();
            if coin(&self.sim) {
                self.sim.sleep(some_time(&self.sim, 3_000)).await;
            }
        }
    }

    async fn act(&self) {
        let (sim, managed) = (&self.sim, &self.managed);
        let patience = Patience::drawn(sim).at_most(10 * MINUTE);
        match sim.below(20) {
            0..=1 => drop(patience.wait(sim, managed.open()).await),
            2..=3 => {
                let limit = some_time(sim, 10_000);
                let began = sim.time_passed();
                let _ = patience.wait(sim, managed.get_timeout(limit)).await;
                let took = sim.time_passed() - began;
                assert!(took <= limit, "{took:?} of {limit:?}");
            }
            4..=8 => self.call(patience).await,
            9 => drop(managed.try_get()),
            10..=11 => drop(patience.wait(sim, managed.check()).await),
            12 => {
                let wanted = State::ALL[sim.below(State::ALL.len() as u64) as usize];
                let patience = patience.at_most(MINUTE);
                let _ = patience.wait(sim, managed.wait_for(wanted)).await;
            }
            13..=14 => self.backend.break_all(),
            15 => {
                let runner = self.runner.borrow_mut().take();
                if let Some(runner) = runner {
                    runner.cancel();
                }
            }
            16 => sim.sleep(Duration::from_secs(sim.below(30))).await,
            17 if sim.below(4) == 0 => {
                let within = some_time(sim, 5_000);
                let _ = patience.wait(sim, managed.shutdown(within)).await;
            }
            _ => self.backend.set_faults(if coin(sim) {
                Faults::none()
            } else {
                Faults::drawn(sim)
            }),
        }
    }

    /// A call that takes its time, and whose value may break meanwhile.
    async fn call(&self, patience: Patience) {
        let sim = &self.sim;
        let takes = some_time(sim, 2_000);
        let mut options = CallOptions::named("ask");
        if coin(sim) {
            options = options.attempt_timeout(a_limit(sim, 2));
        }
        if coin(sim) {
            options = options.deadline(a_limit(sim, 10));
        }
        let asked = self.managed.call_with(options, |value| async move {
            sim.sleep(takes).await;
            let answer = value.ask();
            let closed = matches!(answer, Err(FaultyError::Closed { .. }));
            assert!(!closed || self.managed.state() == State::Closing || self.was_cut_short());
            answer
        });
        let _ = patience.wait(sim, asked).await;
    }

    /// A value under a call is closed only when a shutdown's time is over.
    fn was_cut_short(&self) -> bool {
        self.managed.state() == State::Closed
    }

    /// What holds at any moment.
    fn look(&self) {
        let audit = self.managed.audit();
        assert!(audit.is_balanced(), "{audit}");
        assert_eq!(audit.opened, self.backend.opened(), "{audit}");
    }

    /// Whatever happened: once the backend is well, whoever asks is served; and all ends.
    async fn end(self) {
        heal(&self.backend);
        let is_closing = matches!(self.managed.state(), State::Closing | State::Closed);
        if !is_closing {
            // One that began before may still fail, and a clock that jumps leaves whoever waits no time.
            let long = Duration::from_secs(600);
            let mut opened = self.managed.open_timeout(long).await;
            for _ in 0..2 {
                if opened.is_err() {
                    opened = self.managed.open_timeout(long).await;
                }
            }
            assert!(opened.is_ok(), "{}", opened.unwrap_err());
        }
        self.look();
        if coin(&self.sim) {
            let _ = self.managed.shutdown(some_time(&self.sim, 5_000)).await;
            self.look();
        }
        if coin(&self.sim) {
            let report = self.managed.close().await;
            assert_eq!(report.still_in_use, 0, "{report}");
            assert_eq!(self.managed.state(), State::Closed);
            let audit = self.managed.audit();
            assert!(audit.is_balanced() && audit.live() == 0, "{audit}");
        }
        self.abandoned.set(true);
        let runner = self.runner.borrow_mut().take();
        drop(self.managed);
        if let Some(runner) = runner {
            runner.await;
        }
        self.backend.assert_accounted();
    }
}
