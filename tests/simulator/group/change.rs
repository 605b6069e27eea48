//! Everything that changes a group while it runs, dropped wherever it can be: alone, and beside all that it
//! shares the group with.

use std::rc::Rc;
use std::time::Duration;

use tenure_core::group::{
    AddError, DependencyFailed, LocalLifecycle, LocalMembers, RemoveError, Restarts,
};
use tenure_core::{Backoff, Group, Managed, Retry, State};
use tenure_sim::{Backend, SharedFaultyResource, Sim, Task, cancel_everywhere, cancel_pairs};

use super::watched::{Diary, Part};
use crate::drawn::heal;
use crate::tell::{Drops, tell};
use crate::trouble::{HOOK_TIME, Polls, TIMEOUT, Trouble};

#[test]
fn every_change_dropped_everywhere_loses_nothing() {
    let mut all = Drops::default();
    for operation in Operation::ALL {
        let mut drops = Drops::default();
        for setting in Setting::ALL {
            for trouble in Trouble::ALL {
                for polls in Polls::ALL {
                    drops += cancel_everywhere(
                        0..1,
                        async |sim| {
                            polls.set(&sim);
                            Scene::set(sim, setting, trouble, &[operation]).await
                        },
                        async |scene: &Scene| operation.perform(scene).await,
                        async |scene: Scene| scene.prove_whole().await,
                    );
                }
            }
        }
        tell(format_args!("group: {operation:?} {drops}"));
        all += drops;
    }
    tell(format_args!("group: every change {all}"));
}

#[test]
fn every_pair_of_changes_loses_nothing() {
    let mut all = Drops::default();
    for first in Operation::PAIRED {
        for second in Operation::PAIRED {
            for setting in Setting::ALL {
                for trouble in Trouble::SHARED {
                    all += cancel_pairs(
                        0..1,
                        async |sim| Scene::set(sim, setting, trouble, &[first, second]).await,
                        async |scene: &Scene| first.perform(scene).await,
                        async |scene: &Scene| second.perform(scene).await,
                        async |scene: Scene| scene.prove_whole().await,
                    );
                }
            }
        }
    }
    let pairs = Operation::PAIRED.len() * Operation::PAIRED.len();
    tell(format_args!("group: {pairs} pairs of changes {all}"));
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Start,
    ShutDown,
    /// A member that needs the database.
    Add,
    /// A member that needs the one which [`Remove`](Operation::Remove) is about.
    AddAbove,
    Remove,
    /// One that the former needs.
    RemoveBelow,
    /// The whole group, as the group that it is a member of has it done.
    Restart,
    Supervise(Restarts),
    /// The group that this one is a member of.
    SuperviseAround,
}

impl Operation {
    const ALL: [Self; 11] = [
        Self::Start,
        Self::ShutDown,
        Self::Add,
        Self::AddAbove,
        Self::Remove,
        Self::RemoveBelow,
        Self::Restart,
        Self::Supervise(Restarts::One),
        Self::Supervise(Restarts::WithDependents),
        Self::Supervise(Restarts::All),
        Self::SuperviseAround,
    ];

    const PAIRED: [Self; 9] = [
        Self::Start,
        Self::ShutDown,
        Self::Add,
        Self::AddAbove,
        Self::Remove,
        Self::RemoveBelow,
        Self::Restart,
        Self::Supervise(Restarts::WithDependents),
        Self::SuperviseAround,
    ];

    const fn supervises(self) -> bool {
        matches!(self, Self::Supervise(_) | Self::SuperviseAround)
    }

    async fn perform(self, scene: &Scene) {
        let group = &scene.group;
        match self {
            Self::Start => drop(group.start().await),
            Self::ShutDown => drop(group.shutdown(TIMEOUT * 3).await),
            Self::Add => drop(scene.add("web", &["db"]).await),
            Self::AddAbove => drop(scene.add("top", &["api"]).await),
            Self::Remove => drop(group.remove("api").await),
            Self::RemoveBelow => drop(group.remove("cache").await),
            Self::Restart => drop(LocalLifecycle::restart(group).await),
            Self::Supervise(restarts) => {
                let supervisor = group.supervisor().restarts(restarts);
                let supervisor = supervisor.check_every(HOOK_TIME * 2);
                drop(supervisor.intensity(2, HOOK_TIME * 100).run().await);
            }
            Self::SuperviseAround => {
                let supervisor = scene.around.supervisor().check_every(HOOK_TIME * 2);
                drop(supervisor.intensity(2, HOOK_TIME * 100).run().await);
            }
        }
    }
}

/// How a group stands when an operation begins.
#[derive(Clone, Copy, Debug)]
enum Setting {
    Unstarted,
    Started,
    /// It has started, and what all need is down since.
    Broken,
}

impl Setting {
    const ALL: [Self; 3] = [Self::Unstarted, Self::Started, Self::Broken];
}

type LocalGroup = Group<Sim, LocalMembers>;

/// How long each member may take to start or to stop.
const LIMIT: Duration = HOOK_TIME.saturating_mul(8);

/// A group of three members, which is itself the member of another.
struct Scene {
    sim: Sim,
    backend: Backend,
    diary: Rc<Diary>,
    group: LocalGroup,
    around: LocalGroup,
    /// Whoever ends what would watch for ever.
    end: Option<Task<()>>,
}

impl Scene {
    async fn set(sim: Sim, setting: Setting, trouble: Trouble, operations: &[Operation]) -> Self {
        let backend = Backend::new(&sim);
        let diary = Diary::new(&sim, LIMIT / 2);
        let cache = managed(&sim, &backend);
        let group = Group::local_builder("scene")
            .add("db", diary.watch("db", &[], Part::new(&backend)))
            .start_timeout(LIMIT)
            .stop_timeout(LIMIT)
            .add("cache", diary.watch("cache", &["db"], cache))
            .after("db")
            .optional()
            .start_timeout(LIMIT)
            .stop_timeout(LIMIT)
            .add(
                "api",
                diary.watch("api", &["db", "cache"], Part::new(&backend)),
            )
            .after("db")
            .wants("cache")
            .start_timeout(LIMIT)
            .stop_timeout(LIMIT)
            .build_local(sim.clone())
            .expect("a graph");
        let around = Group::local_builder("around")
            .add("scene", group.clone())
            .build_local(sim.clone())
            .expect("a graph");
        match setting {
            Setting::Unstarted => {}
            Setting::Started => around.start().await.expect("the backend is well"),
            Setting::Broken => {
                around.start().await.expect("the backend is well");
                backend.break_value(1);
                assert_eq!(group.state(), State::Error);
            }
        }
        trouble.begin(&backend);
        let supervises = operations.iter().any(|operation| operation.supervises());
        let end = supervises.then(|| {
            let (sim, around) = (sim.clone(), around.clone());
            sim.clone().task("the end", async move {
                sim.sleep(HOOK_TIME * 12).await;
                around.close().await;
            })
        });
        Self {
            sim,
            backend,
            diary,
            group,
            around,
            end,
        }
    }

    async fn add(
        &self,
        name: &'static str,
        needs: &'static [&'static str],
    ) -> Result<(), AddError> {
        let member = managed(&self.sim, &self.backend);
        let member = self.diary.watch(name, needs, member);
        let addition = self.group.add(name, member).start_timeout(LIMIT);
        let addition = addition.stop_timeout(LIMIT);
        let addition = needs.iter().fold(addition, |all, one| all.after(*one));
        addition.start().await
    }

    /// Once the backend is well, what was half done is done when it is asked for again, unless the group was to
    /// stop; and all ends.
    async fn prove_whole(self) {
        if let Some(end) = &self.end {
            end.cancel();
            self.sim.yield_now().await;
        }
        heal(&self.backend);
        self.assert_told_as_it_is();
        if self.group.is_alive() {
            self.group.start().await.expect("the backend is well");
            self.assert_told_as_it_is();
            assert!(self.group.has_started());
            let restarted = LocalLifecycle::restart(&self.group).await;
            restarted.expect("the backend is well");
            assert_eq!(self.group.state(), State::Ready);
            match self.add("web", &["db"]).await {
                Ok(()) => {}
                Err(error) => assert!(matches!(error, AddError::Graph(_)), "{error}"),
            }
            assert_eq!(self.group.state(), State::Ready);
            for name in ["top", "api", "cache"] {
                match self.group.remove(name).await {
                    Ok(report) => assert!(report.stop_error.is_none(), "{report}"),
                    Err(RemoveError::Unknown { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            self.assert_told_as_it_is();
            let graph = self.group.graph().to_string();
            assert_eq!(graph, "1. db\n2. web (after db)\n");
        }
        let report = self.group.close().await;
        let all_closed = { report.members.iter() }.all(|member| member.state == State::Closed);
        assert!(all_closed, "{report}");
        assert!(self.around.close().await.members[0].state == State::Closed);
        self.assert_told_as_it_is();
        self.diary.assert_no_offence();
        for page in self.diary.pages() {
            // Whoever did not begin is stopped if it may have been used by itself.
            let least = u32::from(page.starts.begun.get() > 0);
            let most = u32::from(page.was_told());
            let stops = page.stops.ended.get();
            assert!((least..=most).contains(&stops), "{}: {stops}", page.name);
            assert!(page.starts.ended.get() <= 1, "{}", page.name);
            assert!(!page.up.get() && !page.busy.get(), "{}", page.name);
        }
        // A Runner may still wait for a close that had no more time.
        self.sim.sleep(HOOK_TIME * 20).await;
        self.backend.assert_accounted();
    }

    /// What the group says of its members is what they say, and those are in its graph that are in its report.
    fn assert_told_as_it_is(&self) {
        let (report, dot) = (self.group.report(), self.group.graph().to_dot());
        for member in &report.members {
            let page = self.diary.page(&member.name);
            let context = format!("{} by {member}", page.name);
            assert!(dot.contains(&format!("    \"{}\"", member.name)), "{dot}");
            let ended = page.starts.ended.get() + page.restarts.ended.get();
            assert_eq!(member.started_in.is_some(), ended > 0, "{context}");
            let start_error = member.start_error.as_ref();
            let held_back = start_error.is_some_and(|error| error.is::<DependencyFailed>());
            assert_eq!(
                start_error.is_some() && !held_back,
                page.start_failed.get(),
                "{context}"
            );
            assert!(!held_back || page.starts.ended.get() == 0, "{context}");
            assert_eq!(
                member.stop_error.is_some(),
                page.stop_failed.get(),
                "{context}"
            );
            if page.stops.ended.get() > 0 {
                assert_eq!(member.state, State::Closed, "{context}");
            }
            let is_up = page.up.get() || page.comes_up_alone;
            assert!(is_up || !member.state.is_usable(), "{context}");
            assert!(!page.busy.get(), "nobody drives it: {context}");
        }
        // Those that have left are forgotten, unless they are still to be stopped.
        for page in self.diary.pages() {
            let stays = report.members.iter().any(|member| member.name == page.name);
            let has_left = !stays && page.stops.ended.get() > 0;
            assert!(page.dropped.get() || !has_left, "{}", page.name);
        }
    }
}

fn managed(sim: &Sim, backend: &Backend) -> Managed<SharedFaultyResource, Sim> {
    Managed::builder(SharedFaultyResource::new(backend))
        .open_timeout(HOOK_TIME * 3)
        .close_timeout(HOOK_TIME * 3)
        .check_timeout(HOOK_TIME * 3)
        .retry(Retry::new(Backoff::constant(Duration::from_millis(5))).max_retries(1))
        .open_retry(Retry::new(Backoff::constant(Duration::from_millis(5))).max_retries(1))
        .build(sim.clone())
        .expect("it makes sense")
}
