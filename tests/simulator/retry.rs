//! Retries in the simulator: dropped wherever they can be, alone and beside others on the same budget.

use std::cell::Cell;

use tenure_core::{Backoff, Budget, Resource, Retry, Timer, Why, retry, with_timeout};
use tenure_sim::{
    Backend, Fault, Faults, FaultyResource, Hook, Sim, cancel_everywhere, cancel_pairs,
};

use crate::drawn;
use crate::tell::{Drops, tell};
use crate::trouble::{HOOK_TIME, Polls};

/// What a task does with a resource of its own, without a pool.
#[derive(Clone, Copy, Debug)]
enum Operation {
    /// Opens it under a policy, and closes it.
    Retried,
    /// The same, each attempt and all of them limited in time.
    RetriedWithLimits,
    /// The same, under a limit from outside.
    LimitedFromOutside,
}

impl Operation {
    const ALL: [Self; 3] = [
        Self::Retried,
        Self::RetriedWithLimits,
        Self::LimitedFromOutside,
    ];

    async fn perform(self, scene: &Scene) {
        let (sim, policy) = (&scene.sim, Retry::new(Backoff::constant(HOOK_TIME)));
        let open = || async {
            scene.attempts.set(scene.attempts.get() + 1);
            scene.resource.open().await
        };
        let value = match self {
            Self::Retried => retry(sim, policy, open).budget(&scene.budget).await.ok(),
            Self::RetriedWithLimits => {
                let policy = policy
                    .attempt_timeout(HOOK_TIME * 2)
                    .deadline(HOOK_TIME * 5);
                let began_at = sim.now();
                let opened = retry(sim, policy, open).budget(&scene.budget).await;
                assert!(sim.now() - began_at <= HOOK_TIME * 5);
                opened.ok()
            }
            Self::LimitedFromOutside => {
                let retried = retry(sim, policy, open).budget(&scene.budget);
                let limited = with_timeout(sim, HOOK_TIME * 2, "too slow", retried).await;
                limited.ok().and_then(Result::ok)
            }
        };
        if let Some(value) = value {
            let _ = scene.resource.close(value, Why::Shutdown).await;
        }
    }
}

struct Scene {
    sim: Sim,
    backend: Backend,
    resource: FaultyResource,
    budget: Budget,
    attempts: Cell<u32>,
}

/// How many retries the budget of a scene allows before any call has paid in.
const RESERVE: u32 = 10;

impl Scene {
    fn set(sim: Sim, polls: Polls, fault: Option<Fault>) -> Self {
        polls.set(&sim);
        let backend = Backend::new(&sim);
        for hook in Hook::ALL {
            backend.set_time(hook, HOOK_TIME);
        }
        if let Some(fault) = fault {
            let twice = Faults::none()
                .nth(Hook::Open, 1, fault)
                .nth(Hook::Open, 2, fault);
            backend.set_faults(twice);
        }
        Self {
            sim,
            resource: FaultyResource::new(&backend),
            backend,
            budget: Budget::new(RESERVE, 20),
            attempts: Cell::new(0),
        }
    }

    /// Every retry was paid for, one that was dropped included, and the next operation is as good as
    /// the first.
    async fn prove_whole(self, operations: u32) {
        let spent = RESERVE - self.budget.available().min(RESERVE);
        let retries = self.attempts.get().saturating_sub(operations);
        assert!(retries <= spent + 1, "{retries} retries, {spent} paid for");
        drawn::heal(&self.backend);
        let opened = retry(&self.sim, Retry::default(), || self.resource.open()).await;
        let value = opened.expect("the backend is well");
        let _ = self.resource.close(value, Why::Shutdown).await;
        self.backend.assert_accounted();
    }
}

const FAULTS: [Option<Fault>; 4] = [
    None,
    Some(Fault::Fail),
    Some(Fault::Hang),
    Some(Fault::Slow(HOOK_TIME)),
];

#[test]
fn every_retry_dropped_everywhere_loses_nothing() {
    let mut drops = Drops::default();
    for operation in Operation::ALL {
        for fault in FAULTS.into_iter().filter(|fault| operation.can_end(*fault)) {
            for polls in Polls::ALL {
                drops += cancel_everywhere(
                    0..1,
                    async |sim| Scene::set(sim, polls, fault),
                    async |scene: &Scene| operation.perform(scene).await,
                    async |scene: Scene| scene.prove_whole(1).await,
                );
            }
        }
    }
    tell(format_args!("retry: every operation {drops}"));
}

#[test]
fn every_pair_of_retries_on_one_budget_loses_nothing() {
    let mut drops = Drops::default();
    let mut pairs = 0;
    for first in Operation::ALL {
        for second in Operation::ALL {
            let ends = |fault: &Option<Fault>| first.can_end(*fault) && second.can_end(*fault);
            for fault in FAULTS.into_iter().filter(ends) {
                drops += cancel_pairs(
                    0..1,
                    async |sim| Scene::set(sim, Polls::AsWoken, fault),
                    async |scene: &Scene| first.perform(scene).await,
                    async |scene: &Scene| second.perform(scene).await,
                    async |scene: Scene| scene.prove_whole(2).await,
                );
            }
            pairs += 1;
        }
    }
    tell(format_args!("retry: {pairs} pairs of operations {drops}"));
}

impl Operation {
    /// An attempt that hangs ends only where it is limited.
    fn can_end(self, fault: Option<Fault>) -> bool {
        !matches!((self, fault), (Self::Retried, Some(Fault::Hang)))
    }
}
