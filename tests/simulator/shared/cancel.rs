//! Every operation of a shared value, dropped wherever it can be: alone, and beside every other.

use std::time::Duration;

use tenure_core::shared::Share;
use tenure_core::{Backoff, Retry, Shared, State};
use tenure_sim::{Backend, SharedFaultyResource, Sim};

use crate::drawn::heal;
use crate::staged::{Staged, drop_everywhere, drop_in_pairs};
use crate::trouble::{HOOK_TIME, TIMEOUT, Trouble};

#[test]
fn every_operation_dropped_everywhere_loses_nothing() {
    drop_everywhere::<Scene>();
}

#[test]
fn every_pair_of_operations_loses_nothing() {
    drop_in_pairs::<Scene>();
}

#[derive(Clone, Copy, Debug)]
enum Operation {
    Acquire,
    AcquireForATime,
    UseForLong,
    Swap,
    SwapTo,
    ShutDown,
}

impl Operation {
    const ALL: [Self; 6] = [
        Self::Acquire,
        Self::AcquireForATime,
        Self::UseForLong,
        Self::Swap,
        Self::SwapTo,
        Self::ShutDown,
    ];

    async fn perform(self, scene: &Scene) {
        let Scene {
            sim,
            shared,
            backend,
            ..
        } = scene;
        match self {
            Self::Acquire => drop(shared.acquire().await),
            Self::AcquireForATime => drop(shared.acquire_timeout(HOOK_TIME * 2).await),
            Self::UseForLong => {
                if let Ok(share) = shared.acquire().await {
                    sim.sleep(IDLE_TIMEOUT * 2).await;
                    let _ = share.ask();
                }
            }
            Self::Swap => drop(shared.swap().await),
            Self::SwapTo => drop(shared.swap_to(SharedFaultyResource::new(backend)).await),
            Self::ShutDown => drop(shared.shutdown(TIMEOUT * 3).await),
        }
    }
}

/// How a shared value stands when an operation begins.
#[derive(Clone, Copy, Debug)]
enum Setting {
    Unopened,
    Idle,
    /// It has been idle for too long. A Runner has closed it.
    Expired,
    /// Somebody holds a value that was replaced.
    Replaced,
}

impl Setting {
    const ALL: [Self; 4] = [Self::Unopened, Self::Idle, Self::Expired, Self::Replaced];
}

const IDLE_TIMEOUT: Duration = Duration::from_millis(100);

struct Scene {
    sim: Sim,
    backend: Backend,
    shared: Shared<SharedFaultyResource, Sim>,
    held: Option<Share<SharedFaultyResource, Sim>>,
}

impl Staged for Scene {
    const NAME: &'static str = "shared";

    type Operation = Operation;
    type Setting = Setting;

    const OPERATIONS: &'static [Operation] = &Operation::ALL;
    const SETTINGS: &'static [Setting] = &Setting::ALL;

    async fn set(sim: Sim, setting: Setting, runner: bool, trouble: Trouble) -> Self {
        let backend = Backend::new(&sim);
        let builder = Shared::builder(SharedFaultyResource::new(&backend))
            .open_timeout(HOOK_TIME * 3)
            .close_timeout(HOOK_TIME * 3)
            .idle_timeout(IDLE_TIMEOUT)
            .retry(Retry::new(Backoff::constant(Duration::from_millis(5))).max_retries(1));
        let shared = if runner {
            builder.build(sim.clone()).expect("it makes sense")
        } else {
            let built = builder.build_with_runner(sim.clone());
            built.expect("it makes sense").0
        };
        let mut held = None;
        match setting {
            Setting::Unopened => {}
            Setting::Idle => drop(shared.acquire().await.expect("the backend is well")),
            Setting::Expired => {
                drop(shared.acquire().await.expect("the backend is well"));
                sim.sleep(IDLE_TIMEOUT).await;
            }
            Setting::Replaced => {
                held = shared.acquire().await.ok();
                shared.swap().await.expect("the backend is well");
            }
        }
        trouble.begin(&backend);
        Self {
            sim,
            backend,
            shared,
            held,
        }
    }

    async fn perform(&self, operation: Operation) {
        operation.perform(self).await;
    }

    /// Once the backend is well a value can be had, unless all was closed; and all ends.
    async fn prove_whole(self) {
        heal(&self.backend);
        let Self {
            sim,
            backend,
            shared,
            held,
        } = self;
        if let Some(held) = &held {
            assert!(!held.is_current());
        }
        let was_shut = matches!(shared.state(), State::Closing | State::Closed);
        match shared.acquire().await {
            Ok(share) => {
                assert!(!was_shut && share.is_current());
                share.ask().expect("it is open");
            }
            Err(error) => assert!(was_shut, "{error}"),
        }
        drop(held);
        let report = shared.close().await;
        assert_eq!(shared.state(), State::Closed, "{report}");
        assert!(was_shut || report.still_in_use == 0, "{report}");
        let audit = shared.audit();
        assert!(audit.is_balanced() && audit.live() == 0, "{audit}");
        // A Runner may still wait for a close that had no more time.
        sim.sleep(HOOK_TIME * 20).await;
        backend.assert_accounted();
    }
}
