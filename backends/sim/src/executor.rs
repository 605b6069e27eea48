//! Runs one world on the current thread, a poll at a time.

use std::cell::RefCell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::world::{TaskId, TaskWaker, World};

pub(crate) type LocalFuture = Pin<Box<dyn Future<Output = ()>>>;

/// A task that is polled more often than this while the clock stands still is taken to spin.
const MOST_STEPS_AT_ONE_INSTANT: u64 = 1_000_000;

/// Runs `main` and what it spawns until `main` ends, then drops what is left.
///
/// # Panics
/// If every task waits and no timer is set, if one spins, or if a task panics.
pub(crate) fn run_world<F: Future>(world: &Arc<World>, main: F) -> F::Output {
    Executor::enter(world).run("main", main)
}

/// One world and its tasks. Dropping it drops every task while the world is still there for them.
pub(crate) struct Executor {
    tasks: Tasks,
    entered: Entered,
    steps_at_this_instant: u64,
}

/// What a step of the world was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A task was polled.
    Polled,
    /// Nothing was ready, and the clock moved on to the next timer.
    TimePassed,
    /// Nothing was ready, and no timer was set.
    Stuck,
}

impl Executor {
    pub(crate) fn enter(world: &Arc<World>) -> Self {
        Self {
            tasks: Tasks::default(),
            entered: Entered::new(world.clone()),
            steps_at_this_instant: 0,
        }
    }

    /// Runs the world until `future` ends. The tasks that it leaves behind go on in the next run.
    pub(crate) fn run<F: Future>(&mut self, name: &str, future: F) -> F::Output {
        let mut output = None;
        let mut front = Front::new(self.world(), name, async { output = Some(future.await) });
        while !front.is_over() {
            if self.step(&mut [&mut front]) == Step::Stuck {
                self.report_deadlock();
            }
        }
        drop(front);
        match output {
            Some(output) => output,
            None => unreachable!("a future that ended has given its output"),
        }
    }

    /// Polls one task, or moves the clock. `fronts` are the futures that are driven from outside.
    pub(crate) fn step(&mut self, fronts: &mut [&mut Front<'_>]) -> Step {
        let world = self.world().clone();
        self.tasks.take_up(&world);
        let Some(task) = world.with(|state| state.next_step()) else {
            self.steps_at_this_instant = 0;
            return match world.with(|state| state.advance()) {
                Some(wakers) => {
                    wakers.into_iter().for_each(Waker::wake);
                    Step::TimePassed
                }
                None => Step::Stuck,
            };
        };
        self.steps_at_this_instant += 1;
        if self.steps_at_this_instant > MOST_STEPS_AT_ONE_INSTANT {
            panic!("{}", world.with(|state| state.spinning()));
        }
        match fronts.iter_mut().find(|front| front.task == task) {
            Some(front) => front.poll(),
            None => self.tasks.poll(&world, task),
        }
        self.tasks.drop_cancelled(&world);
        Step::Polled
    }

    /// # Panics
    /// Always.
    pub(crate) fn report_deadlock(&self) -> ! {
        panic!("{}", self.world().with(|state| state.deadlock()))
    }

    pub(crate) const fn world(&self) -> &Arc<World> {
        &self.entered.world
    }
}

/// A future that is driven from the stack, beside the world's tasks: it may borrow, and whoever drives
/// it decides when to drop it.
pub(crate) struct Front<'f> {
    world: Arc<World>,
    task: TaskId,
    waker: Waker,
    future: Option<Pin<Box<dyn Future<Output = ()> + 'f>>>,
    polls: u64,
    /// In place of which poll it is dropped.
    dropped_instead_of: Option<u64>,
}

impl<'f> Front<'f> {
    pub(crate) fn new(
        world: &Arc<World>,
        name: &str,
        future: impl Future<Output = ()> + 'f,
    ) -> Self {
        let task = world.with(|state| state.add_task(name.into()));
        Self {
            world: world.clone(),
            task,
            waker: TaskWaker::of(world, task),
            future: Some(Box::pin(future)),
            polls: 0,
            dropped_instead_of: None,
        }
    }

    /// Has it dropped when it would be polled for this time.
    pub(crate) const fn drop_instead_of_poll(&mut self, number: u64) {
        self.dropped_instead_of = Some(number);
    }

    /// Drops the future, now.
    pub(crate) fn cancel(&mut self) {
        if let Some(future) = self.future.take() {
            drop(future);
            self.world.with(|state| state.end_task(self.task));
        }
    }

    /// Drops the future while the stack unwinds, as when the code around it panics.
    pub(crate) fn cancel_by_panic(&mut self) {
        struct Unwinding;
        let future = self.future.take();
        // `resume_unwind` unwinds as a panic does, and prints nothing.
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            let _dropped = future;
            resume_unwind(Box::new(Unwinding));
        }));
        debug_assert!(unwound.is_err_and(|payload| payload.is::<Unwinding>()));
        self.world.with(|state| state.end_task(self.task));
    }

    pub(crate) const fn is_over(&self) -> bool {
        self.future.is_none()
    }

    /// How many times it was polled.
    pub(crate) const fn polls(&self) -> u64 {
        self.polls
    }

    pub(crate) const fn task(&self) -> TaskId {
        self.task
    }

    fn poll(&mut self) {
        if self.dropped_instead_of == Some(self.polls + 1) {
            return self.cancel();
        }
        let Some(future) = &mut self.future else {
            return;
        };
        self.polls += 1;
        let mut cx = Context::from_waker(&self.waker);
        if future.as_mut().poll(&mut cx).is_ready() {
            self.cancel();
        }
    }
}

/// The futures of all tasks that were spawned.
#[derive(Default)]
struct Tasks {
    places: Vec<Option<Place>>,
}

struct Place {
    future: LocalFuture,
    waker: Waker,
}

impl Tasks {
    fn take_up(&mut self, world: &Arc<World>) {
        let local = RUNNING.with_borrow_mut(|running| match running.last_mut() {
            Some(running) => std::mem::take(&mut running.spawned),
            None => Vec::new(),
        });
        let sendable = world.with(|state| std::mem::take(&mut state.spawned));
        for (task, future) in sendable {
            self.store(world, task, future);
        }
        for (task, future) in local {
            self.store(world, task, future);
        }
    }

    fn store(&mut self, world: &Arc<World>, task: TaskId, future: LocalFuture) {
        if self.places.len() <= task.0 {
            self.places.resize_with(task.0 + 1, || None);
        }
        let waker = TaskWaker::of(world, task);
        self.places[task.0] = Some(Place { future, waker });
    }

    fn poll(&mut self, world: &World, task: TaskId) {
        let Some(place) = self.places.get_mut(task.0).and_then(Option::as_mut) else {
            return;
        };
        let mut cx = Context::from_waker(&place.waker);
        if place.future.as_mut().poll(&mut cx).is_ready() {
            self.places[task.0] = None;
            world.with(|state| state.end_task(task));
        }
    }

    fn drop_cancelled(&mut self, world: &Arc<World>) {
        let cancelled = world.with(|state| state.take_cancelled());
        if !cancelled.is_empty() {
            // One that was spawned in this very step is to be found too.
            self.take_up(world);
        }
        for task in cancelled {
            let place = self.places.get_mut(task.0).and_then(Option::take);
            drop(place);
            world.with(|state| state.end_task(task));
        }
    }
}

std::thread_local! {
    /// The worlds that run on this thread, the innermost last, with the tasks that were spawned in each
    /// and are not taken up yet. They are not in the world itself, because they need not be `Send`.
    static RUNNING: RefCell<Vec<Running>> = const { RefCell::new(Vec::new()) };
}

struct Running {
    world: Arc<World>,
    spawned: Vec<(TaskId, LocalFuture)>,
}

/// Hands a future to the world, which has to run on this thread.
pub(crate) fn spawn_here(world: &Arc<World>, task: TaskId, future: LocalFuture) {
    RUNNING.with_borrow_mut(|running| {
        match running
            .iter_mut()
            .rfind(|running| Arc::ptr_eq(&running.world, world))
        {
            Some(running) => running.spawned.push((task, future)),
            None => panic!("a simulated task can be spawned only while its simulation runs"),
        }
    });
}

/// While it lives, the world runs on this thread.
struct Entered {
    world: Arc<World>,
}

impl Entered {
    fn new(world: Arc<World>) -> Self {
        let running = Running {
            world: world.clone(),
            spawned: Vec::new(),
        };
        RUNNING.with_borrow_mut(|worlds| worlds.push(running));
        Self { world }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let running = RUNNING.with_borrow_mut(Vec::pop);
        drop(running);
        // Wakers hold the world and the world holds wakers: let go of them, whatever ended the run.
        let left = self.world.with(|state| state.take_all());
        drop(left);
    }
}
