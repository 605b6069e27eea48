//! Runs one world on the current thread, a poll at a time.

use std::cell::RefCell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::world::{TaskId, TaskWaker, World};

pub(crate) type LocalFuture = Pin<Box<dyn Future<Output = ()>>>;

std::thread_local! {
    /// The worlds that run on this thread, the innermost last, with the tasks that were spawned in each
    /// and are not taken up yet. They are not in the world itself, because they need not be `Send`.
    static RUNNING: RefCell<Vec<Running>> = const { RefCell::new(Vec::new()) };
}

struct Running {
    world: Arc<World>,
    spawned: Vec<(TaskId, LocalFuture)>,
}

/// A task that is polled more often than this while the clock stands still is taken to spin.
const MOST_STEPS_AT_ONE_INSTANT: u64 = 1_000_000;

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

/// Runs `main` and what it spawns until `main` ends, then drops what is left.
///
/// # Panics
/// If every task waits and no timer is set, if one spins, or if a task panics.
pub(crate) fn run_world<F: Future>(world: &Arc<World>, main: F) -> F::Output {
    // Declared first, so that it is dropped last: what tasks do in their drop still finds their world.
    let _entered = Entered::new(world.clone());
    let main_id = world.with(|state| state.add_task("main".into()));
    let mut tasks = Tasks::default();
    let mut main = pin!(main);
    let mut steps_at_this_instant = 0;
    loop {
        tasks.take_up(world);
        let Some(task) = world.with(|state| state.next_step()) else {
            steps_at_this_instant = 0;
            match world.with(|state| state.advance()) {
                Some(wakers) => wakers.into_iter().for_each(Waker::wake),
                None => panic!("{}", world.with(|state| state.deadlock())),
            }
            continue;
        };
        steps_at_this_instant += 1;
        if steps_at_this_instant > MOST_STEPS_AT_ONE_INSTANT {
            panic!("{}", world.with(|state| state.spinning(task)));
        }
        let waker = Waker::from(Arc::new(TaskWaker {
            world: world.clone(),
            task,
        }));
        let mut cx = Context::from_waker(&waker);
        if task == main_id {
            if let Poll::Ready(output) = main.as_mut().poll(&mut cx) {
                world.with(|state| state.end_task(task));
                return output;
            }
        } else {
            tasks.poll(world, task, &mut cx);
        }
        world.with(|state| state.step_done(task));
        tasks.drop_cancelled(world);
    }
}

/// The futures of all tasks but the main one.
#[derive(Default)]
struct Tasks {
    futures: Vec<Option<LocalFuture>>,
}

impl Tasks {
    fn take_up(&mut self, world: &World) {
        let local = RUNNING.with_borrow_mut(|running| match running.last_mut() {
            Some(running) => std::mem::take(&mut running.spawned),
            None => Vec::new(),
        });
        let sendable = world.with(|state| std::mem::take(&mut state.spawned));
        for (task, future) in sendable {
            self.store(task, future);
        }
        for (task, future) in local {
            self.store(task, future);
        }
    }

    fn store(&mut self, task: TaskId, future: LocalFuture) {
        if self.futures.len() <= task.0 {
            self.futures.resize_with(task.0 + 1, || None);
        }
        self.futures[task.0] = Some(future);
    }

    fn poll(&mut self, world: &World, task: TaskId, cx: &mut Context<'_>) {
        let Some(future) = self.futures.get_mut(task.0).and_then(Option::as_mut) else {
            return;
        };
        if future.as_mut().poll(cx).is_ready() {
            self.futures[task.0] = None;
            world.with(|state| state.end_task(task));
        }
    }

    fn drop_cancelled(&mut self, world: &World) {
        for task in world.with(|state| state.take_cancelled()) {
            let future = self.futures.get_mut(task.0).and_then(Option::take);
            drop(future);
            world.with(|state| state.end_task(task));
        }
    }
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
