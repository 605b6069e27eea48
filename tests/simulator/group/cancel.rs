//! Every operation of a group, dropped wherever it can be: alone, and beside every other.

use std::time::Duration;

use tenure_core::{Backoff, Group, Managed, Retry, State};
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
    Start,
    Close,
    ShutDown,
    AskForHealth,
}

impl Operation {
    const ALL: [Self; 4] = [Self::Start, Self::Close, Self::ShutDown, Self::AskForHealth];

    async fn perform(self, scene: &Scene) {
        let group = &scene.group;
        match self {
            Self::Start => drop(group.start().await),
            Self::Close => drop(group.close().await),
            Self::ShutDown => drop(group.shutdown(TIMEOUT * 3).await),
            Self::AskForHealth => drop(group.health().await),
        }
    }
}

/// How a group stands when an operation begins.
#[derive(Clone, Copy, Debug)]
enum Setting {
    Unstarted,
    Started,
    /// It has started but for one that could do without.
    Degraded,
}

impl Setting {
    const ALL: [Self; 3] = [Self::Unstarted, Self::Started, Self::Degraded];
}

/// A group of three managed resources, two of which need the first.
struct Scene {
    sim: Sim,
    backend: Backend,
    group: Group<Sim>,
    members: Vec<Managed<SharedFaultyResource, Sim>>,
}

impl Staged for Scene {
    const NAME: &'static str = "group";

    type Operation = Operation;
    type Setting = Setting;

    const OPERATIONS: &'static [Operation] = &Operation::ALL;
    const SETTINGS: &'static [Setting] = &Setting::ALL;

    async fn set(sim: Sim, setting: Setting, runners: bool, trouble: Trouble) -> Self {
        let backend = Backend::new(&sim);
        let members: Vec<_> = (0..3).map(|_| member(&sim, &backend, runners)).collect();
        let group = Group::builder("scene")
            .add("db", members[0].clone())
            .add("cache", members[1].clone())
            .after("db")
            .optional()
            .add("api", members[2].clone())
            .after("db")
            .wants("cache")
            .stop_timeout(HOOK_TIME * 8)
            .build(sim.clone())
            .expect("a graph");
        let scene = Self {
            sim,
            backend,
            group,
            members,
        };
        match setting {
            Setting::Unstarted => {}
            Setting::Started => scene.group.start().await.expect("the backend is well"),
            Setting::Degraded => {
                scene.members[1].close().await;
                scene.group.start().await.expect("it can do without");
                assert_eq!(scene.group.state(), State::Degraded);
            }
        }
        trouble.begin(&scene.backend);
        scene
    }

    async fn perform(&self, operation: Operation) {
        operation.perform(self).await;
    }

    /// Once the backend is well the group starts, unless it was to stop; and all ends.
    async fn prove_whole(self) {
        heal(&self.backend);
        let was_alive = self.group.is_alive();
        let started = self.group.start().await;
        if was_alive && started.is_ok() {
            assert!(self.group.has_started());
            assert!(self.members[0].is_usable() && self.members[2].is_usable());
        }
        let report = self.group.close().await;
        let states: Vec<_> = report.members.iter().map(|member| member.state).collect();
        assert_eq!(states, [State::Closed; 3], "{report}");
        assert_eq!(self.group.state(), State::Closed);
        for member in &self.members {
            assert_eq!(member.state(), State::Closed);
            let audit = member.audit();
            assert!(audit.is_balanced() && audit.live() == 0, "{audit}");
        }
        // A Runner may still wait for a close that had no more time.
        self.sim.sleep(HOOK_TIME * 20).await;
        self.backend.assert_accounted();
    }
}

fn member(sim: &Sim, backend: &Backend, runner: bool) -> Managed<SharedFaultyResource, Sim> {
    let builder = Managed::builder(SharedFaultyResource::new(backend))
        .open_timeout(HOOK_TIME * 3)
        .close_timeout(HOOK_TIME * 3)
        .check_timeout(HOOK_TIME * 3)
        .retry(Retry::new(Backoff::constant(Duration::from_millis(5))).max_retries(1))
        .open_retry(Retry::new(Backoff::constant(Duration::from_millis(5))).max_retries(1));
    if runner {
        builder.build(sim.clone()).expect("it makes sense")
    } else {
        let (managed, _runner) = builder
            .build_with_runner(sim.clone())
            .expect("it makes sense");
        managed
    }
}
