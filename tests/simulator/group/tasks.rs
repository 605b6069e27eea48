//! Groups whose members start in tasks of their own.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tenure_core::group::Lifecycle;
use tenure_core::{BoxError, Group, Instant, Spawn, State, Timer};
use tenure_sim::{Sim, cancel_everywhere, cancel_pairs, run};

use crate::tell::{Drops, tell};
use crate::trouble::{HOOK_TIME, Polls, TIMEOUT};

#[test]
fn every_operation_dropped_everywhere_loses_nothing() {
    let mut all = Drops::default();
    for operation in Operation::ALL {
        for fails in [None, Some(0), Some(1), Some(3)] {
            for polls in Polls::ALL {
                all += cancel_everywhere(
                    0..1,
                    async |sim| {
                        polls.set(&sim);
                        Scene::set(sim, fails)
                    },
                    async |scene: &Scene| operation.perform(scene).await,
                    async |scene: Scene| scene.prove_whole().await,
                );
            }
        }
    }
    tell(format_args!("group with tasks: every operation {all}"));
}

#[test]
fn every_pair_of_operations_loses_nothing() {
    let mut all = Drops::default();
    for first in Operation::ALL {
        for second in Operation::ALL {
            for fails in [None, Some(1)] {
                all += cancel_pairs(
                    0..1,
                    async |sim| Scene::set(sim, fails),
                    async |scene: &Scene| first.perform(scene).await,
                    async |scene: &Scene| second.perform(scene).await,
                    async |scene: Scene| scene.prove_whole().await,
                );
            }
        }
    }
    let pairs = Operation::ALL.len() * Operation::ALL.len();
    tell(format_args!(
        "group with tasks: {pairs} pairs of operations {all}"
    ));
}

#[test]
fn b10_a_start_in_a_task_goes_on_without_who_asked_and_is_called_off_by_a_shutdown() {
    run(1, |sim| async move {
        let scene = Scene::set(sim.clone(), None);
        drop(
            scene
                .within(Duration::from_millis(1), scene.group.start())
                .await,
        );
        assert_eq!(scene.counts.under_way(), 1, "the first goes on");
        sim.sleep(HOOK_TIME * 2).await;
        assert_eq!((scene.counts.under_way(), scene.counts.up()), (0, 1));
        drop(
            scene
                .within(Duration::from_millis(1), scene.group.start())
                .await,
        );
        assert_eq!(scene.counts.under_way(), 2);
        let report = scene.group.shutdown(HOOK_TIME * 10).await;
        assert!(report.is_clean(), "{report}");
        // Two stops after one another: nobody waited for the starts.
        assert_eq!(report.took, Some(HOOK_TIME * 2), "{report}");
        assert_eq!((scene.counts.under_way(), scene.counts.up()), (0, 0));
    });
}

#[test]
fn b10_starts_in_tasks_end_with_the_last_handle() {
    run(1, |sim| async move {
        let scene = Scene::set(sim.clone(), None);
        drop(
            scene
                .within(Duration::from_millis(1), scene.group.start())
                .await,
        );
        let Scene { group, counts, .. } = scene;
        drop(group.clone());
        assert_eq!(counts.under_way(), 1);
        drop(group);
        sim.sleep(Duration::from_millis(1)).await;
        assert_eq!(counts.under_way(), 0);
        assert_eq!(
            Arc::strong_count(&counts),
            1,
            "nothing is left of the members"
        );
    });
}

/// A runtime whose executor is gone: whatever is spawned is dropped at once.
#[derive(Clone)]
struct Gone(Sim);

impl Timer for Gone {
    type Sleep = <Sim as Timer>::Sleep;

    fn now(&self) -> Instant {
        self.0.now()
    }

    fn sleep_until(&self, at: Instant) -> Self::Sleep {
        self.0.sleep_until(at)
    }
}

impl Spawn for Gone {
    fn spawn<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        drop(future);
    }
}

#[test]
fn b10_without_an_executor_whoever_awaits_the_start_drives_it() {
    run(1, |sim| async move {
        let counts = Arc::new(Counts::default());
        let group = Group::builder("gone")
            .add("one", Part::new(&sim, &counts, false))
            .add("other", Part::new(&sim, &counts, false))
            .after("one")
            .build_spawning(Gone(sim.clone()))
            .expect("a graph");
        group.start().await.expect("nothing fails");
        assert_eq!(counts.up(), 2);
        assert!(group.close().await.is_clean());
    });
}

#[derive(Clone, Copy, Debug)]
enum Operation {
    Start,
    Close,
    ShutDown,
}

impl Operation {
    const ALL: [Self; 3] = [Self::Start, Self::Close, Self::ShutDown];

    async fn perform(self, scene: &Scene) {
        let group = &scene.group;
        match self {
            Self::Start => drop(group.start().await),
            Self::Close => drop(group.close().await),
            Self::ShutDown => drop(group.shutdown(TIMEOUT * 3).await),
        }
    }
}

/// A group of four: one, two that need it, and one that needs these.
struct Scene {
    sim: Sim,
    group: Group<Sim>,
    counts: Arc<Counts>,
    fails: Rc<Cell<bool>>,
}

impl Scene {
    /// One of them may fail.
    fn set(sim: Sim, fails: Option<usize>) -> Self {
        let counts = Arc::new(Counts::default());
        let part = |number| Part::new(&sim, &counts, fails == Some(number));
        let group = Group::builder("scene")
            .add("db", part(0))
            .add("cache", part(1))
            .after("db")
            .add("queue", part(2))
            .after("db")
            .add("api", part(3))
            .after("cache")
            .after("queue")
            .build_spawning(sim.clone())
            .expect("a graph");
        Self {
            sim,
            group,
            counts,
            fails: Rc::new(Cell::new(fails.is_some())),
        }
    }

    /// Awaits a future for that long.
    async fn within<T>(&self, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
        tenure_core::with_timeout(&self.sim, limit, "enough", future)
            .await
            .ok()
    }

    /// Called again it starts, unless it was to stop or one fails; and all ends.
    async fn prove_whole(self) {
        let was_alive = self.group.is_alive();
        let started = self.group.start().await;
        assert_eq!(started.is_ok(), was_alive && !self.fails.get());
        if started.is_ok() {
            assert_eq!((self.counts.up(), self.counts.under_way()), (4, 0));
        }
        let report = self.group.close().await;
        assert_eq!(self.group.state(), State::Closed, "{report}");
        assert_eq!(
            (self.counts.up(), self.counts.under_way()),
            (0, 0),
            "{report}"
        );
    }
}

/// How many members are starting, and are up.
#[derive(Debug, Default)]
struct Counts {
    under_way: AtomicUsize,
    up: AtomicUsize,
}

impl Counts {
    fn under_way(&self) -> usize {
        self.under_way.load(Ordering::SeqCst)
    }

    fn up(&self) -> usize {
        self.up.load(Ordering::SeqCst)
    }
}

struct Part {
    sim: Sim,
    counts: Arc<Counts>,
    fails: bool,
    is_up: AtomicUsize,
}

impl Part {
    fn new(sim: &Sim, counts: &Arc<Counts>, fails: bool) -> Self {
        Self {
            sim: sim.clone(),
            counts: counts.clone(),
            fails,
            is_up: AtomicUsize::new(0),
        }
    }
}

/// One more that is under way, until it is dropped.
struct UnderWay<'a>(&'a Counts);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Lifecycle for Part {
    async fn start(&self) -> Result<(), BoxError> {
        self.counts.under_way.fetch_add(1, Ordering::SeqCst);
        let _under_way = UnderWay(&self.counts);
        self.sim.sleep(HOOK_TIME).await;
        if self.fails {
            return Err("by plan".into());
        }
        assert_eq!(self.is_up.swap(1, Ordering::SeqCst), 0, "it is up already");
        self.counts.up.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    async fn stop(&self, _: Option<Duration>) -> Result<(), BoxError> {
        self.sim.sleep(HOOK_TIME).await;
        let was_up = self.is_up.swap(0, Ordering::SeqCst);
        self.counts.up.fetch_sub(was_up, Ordering::SeqCst);
        Ok(())
    }
}
