//! Every operation of a connection, dropped wherever it can be: alone, and beside every other.

use std::time::Duration;

use tenure_core::connection::{ConnectionState, WhenDown};
use tenure_core::{Backoff, CallOptions, Connection, Instant, Retry};
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
    Open,
    Call,
    CallOrFail,
    CallBroken,
    Reconnect,
    LoseOld,
    FindDead,
    Check,
    Watch,
    ShutDown,
}

impl Operation {
    const ALL: [Self; 10] = [
        Self::Open,
        Self::Call,
        Self::CallOrFail,
        Self::CallBroken,
        Self::Reconnect,
        Self::LoseOld,
        Self::FindDead,
        Self::Check,
        Self::Watch,
        Self::ShutDown,
    ];

    async fn perform(self, scene: &Scene) {
        let Scene {
            sim,
            connection,
            backend,
        } = scene;
        match self {
            Self::Open => drop(connection.open().await),
            Self::Call => drop(scene.call(WhenDown::WaitToDeadline).await),
            Self::CallOrFail => drop(scene.call(WhenDown::FailAtOnce).await),
            Self::CallBroken => {
                backend.break_all();
                drop(scene.call(WhenDown::WaitToDeadline).await);
            }
            Self::Reconnect => drop(connection.reconnect().await),
            Self::LoseOld => {
                let later = Instant::from_nanos(u64::MAX);
                connection.lose_if_opened_before(later);
                drop(connection.open_timeout(HOOK_TIME).await);
            }
            Self::FindDead => {
                connection.found_dead();
                drop(scene.call(WhenDown::WaitToDeadline).await);
            }
            Self::Check => drop(connection.check().await),
            Self::Watch => {
                let mut watch = connection.watch();
                let watching = watch.changed();
                let limited = tenure_core::with_timeout(sim, TIMEOUT, "enough", watching);
                drop(limited.await);
            }
            Self::ShutDown => drop(connection.shutdown(TIMEOUT * 3).await),
        }
    }
}

/// How a connection stands when an operation begins.
#[derive(Clone, Copy, Debug)]
enum Setting {
    Unopened,
    Connected,
    /// It was lost before it had proven itself.
    Lost,
}

impl Setting {
    const ALL: [Self; 3] = [Self::Unopened, Self::Connected, Self::Lost];
}

struct Scene {
    sim: Sim,
    backend: Backend,
    connection: Connection<SharedFaultyResource, Sim>,
}

impl Scene {
    async fn call(&self, when_down: WhenDown) -> Result<(), tenure_core::CallError> {
        let options = CallOptions::named("ask").deadline(TIMEOUT * 4);
        let request = self.connection.request(options).when_down(when_down);
        let sim = &self.sim;
        request
            .run(|value| async move {
                sim.sleep(HOOK_TIME).await;
                value.ask()
            })
            .await
    }
}

impl Staged for Scene {
    const NAME: &'static str = "connection";

    type Operation = Operation;
    type Setting = Setting;

    const OPERATIONS: &'static [Operation] = &Operation::ALL;
    const SETTINGS: &'static [Setting] = &Setting::ALL;

    async fn set(sim: Sim, setting: Setting, runner: bool, trouble: Trouble) -> Self {
        let backend = Backend::new(&sim);
        let builder = Connection::builder("peer:1", SharedFaultyResource::new(&backend))
            .check_every(None)
            .open_timeout(HOOK_TIME * 3)
            .close_timeout(HOOK_TIME * 3)
            .check_timeout(HOOK_TIME * 3)
            .call_grace(HOOK_TIME / 2)
            .retry(Retry::new(Backoff::constant(Duration::from_millis(5))).max_retries(1))
            .open_retry(Retry::new(Backoff::constant(Duration::from_millis(5))).max_retries(1));
        let connection = if runner {
            builder.build(sim.clone()).expect("it makes sense")
        } else {
            let built = builder.build_with_runner(sim.clone());
            built.expect("it makes sense").0
        };
        match setting {
            Setting::Unopened => {}
            Setting::Connected => connection.open().await.expect("the backend is well"),
            Setting::Lost => {
                connection.open().await.expect("the backend is well");
                connection.lose_if_opened_before(Instant::from_nanos(u64::MAX));
            }
        }
        trouble.begin(&backend);
        Self {
            sim,
            backend,
            connection,
        }
    }

    async fn perform(&self, operation: Operation) {
        operation.perform(self).await;
    }

    /// Once the backend is well it answers, unless it was closed; what was counted balances; and all ends.
    async fn prove_whole(self) {
        heal(&self.backend);
        let Self {
            sim,
            backend,
            connection,
        } = self;
        let was_closed = connection.connection_state() == ConnectionState::Closed;
        let patient = CallOptions::named("ask").max_retries(9);
        let asked = connection
            .request(patient)
            .when_down(WhenDown::Wait)
            .run(|value| async move { value.ask() })
            .await;
        assert_eq!(asked.is_ok(), !was_closed, "{asked:?}");
        let report = connection.close().await;
        assert_eq!(
            connection.connection_state(),
            ConnectionState::Closed,
            "{report}"
        );
        let audit = connection.audit();
        assert!(audit.is_balanced() && audit.live() == 0, "{audit}");
        // A Runner may still wait for a close that had no more time.
        sim.sleep(HOOK_TIME * 20).await;
        let stats = connection.stats();
        assert!(stats.is_balanced(), "{stats}");
        assert_eq!(
            (stats.connects.under_way, stats.calls.in_flight),
            (0, 0),
            "{stats}"
        );
        backend.assert_accounted();
    }
}
