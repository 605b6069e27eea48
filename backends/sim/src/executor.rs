//! Runs one world on the current thread, a poll at a time.

use std::cell::RefCell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use crate::world::{TaskId, TaskWaker, World};

pub(crate) type LocalFuture = Pin<Box<dyn Future<Output = ()>>>;

/// A task that is polled more often than this while the clock stands still is taken to spin.
const MOST_STEPS_AT_ONE_INSTANT: u64 = 1_000_000;

/// A main task that waits for longer than this while the timers of others go on is taken to wait for
/// ever: background work that repeats would hide a deadlock otherwise.
const LONGEST_WAIT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Runs `main` and what it spawns until `main` ends, then drops what is left.
///
/// # Panics
/// If every task waits and no timer is set, if `main` waits for ever, if a task spins, or if one panics.
pub(crate) fn run_world<F: Future>(world: &Arc<World>, main: F) -> F::Output {
    Executor::enter(world).run("main", main)
}

/// One world and its tasks. Dropping it drops every task while the world is still there for them.
pub(crate) struct Executor {
    tasks: Tasks,
    entered: Entered,
    steps_at_this_instant: u64,
}

/// What the world does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// This task is to be polled.
    Task(TaskId),
    /// Nothing was ready, and the clock moved on to the next timer.
    TimePassed,
    /// Nothing was ready, and no timer was set, or one who is held could run.
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
        self.run_to_end(&mut front);
        drop(front);
        match output {
            Some(output) => output,
            None => unreachable!("a future that ended has given its output"),
        }
    }

    pub(crate) fn run_to_end(&mut self, front: &mut Front<'_>) {
        while !front.is_over() {
            match self.next() {
                Next::Task(task) => self.poll(task, &mut [front]),
                Next::TimePassed => self.expect_patience(front),
                Next::Stuck => self.report_deadlock(),
            }
        }
    }

    /// Chooses the task to poll, or moves the clock.
    pub(crate) fn next(&mut self) -> Next {
        let world = &self.entered.world;
        self.tasks.take_up(world);
        let Some(task) = world.with(|state| state.next_step()) else {
            self.steps_at_this_instant = 0;
            return match world.with(|state| state.advance()) {
                Some(wakers) => {
                    wakers.into_iter().for_each(Waker::wake);
                    Next::TimePassed
                }
                None => Next::Stuck,
            };
        };
        self.steps_at_this_instant += 1;
        if self.steps_at_this_instant > MOST_STEPS_AT_ONE_INSTANT {
            panic!("{}", world.with(|state| state.spinning()));
        }
        Next::Task(task)
    }

    /// Polls a task. `fronts` are the futures that are driven from outside.
    pub(crate) fn poll(&mut self, task: TaskId, fronts: &mut [&mut Front<'_>]) {
        let world = &self.entered.world;
        match fronts.iter_mut().find(|front| front.task == task) {
            Some(front) => front.poll(),
            None => self.tasks.poll(world, task),
        }
        self.tasks.drop_cancelled(world);
    }

    /// # Panics
    /// If `front` waits and waits while the timers of others go on.
    pub(crate) fn expect_patience(&self, front: &Front<'_>) {
        self.world().with(|state| {
            let waited = state.time_passed() - front.polled_after;
            if waited > LONGEST_WAIT && !state.is_woken(front.task) {
                panic!("{}", state.stall(front.task, LONGEST_WAIT));
            }
        });
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
    /// How much time had passed when it was last polled.
    polled_after: Duration,
}

impl<'f> Front<'f> {
    pub(crate) fn new(
        world: &Arc<World>,
        name: &str,
        future: impl Future<Output = ()> + 'f,
    ) -> Self {
        let (task, polled_after) =
            world.with(|state| (state.add_task(name.into()), state.time_passed()));
        Self {
            world: world.clone(),
            task,
            waker: TaskWaker::of(world, task),
            future: Some(Box::pin(future)),
            polls: 0,
            polled_after,
        }
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
        let future = self.future.take();
        // `resume_unwind` unwinds as a panic does, and prints nothing.
        let _unwound = catch_unwind(AssertUnwindSafe(|| {
            let _dropped = future;
            resume_unwind(Box::new(()));
        }));
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
        let Some(future) = &mut self.future else {
            return;
        };
        self.polls += 1;
        self.polled_after = self.world.with(|state| state.time_passed());
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
