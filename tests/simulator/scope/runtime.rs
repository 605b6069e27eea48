//! The simulator, with spawned tasks that can be lost, or run at once.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::task::{Context, Waker};

use tenure_core::{Instant, SpawnLocal, Timer};
use tenure_sim::{Sim, Sleep, Task};

/// A runtime that remembers what it spawned, to cancel it as a runtime does that is shut down.
#[derive(Clone)]
pub(super) struct Runtime {
    sim: Sim,
    spawned: Rc<RefCell<Vec<Task<()>>>>,
    is_eager: bool,
}

impl Runtime {
    pub(super) fn new(sim: &Sim) -> Self {
        Self {
            sim: sim.clone(),
            spawned: Rc::default(),
            is_eager: false,
        }
    }

    /// One that runs what it spawns at once, as another thread may before its spawner goes on.
    pub(super) fn eager(sim: &Sim) -> Self {
        Self {
            is_eager: true,
            ..Self::new(sim)
        }
    }

    pub(super) fn lose_all(&self) {
        for task in self.spawned.take() {
            task.cancel();
        }
    }

    /// Whether no spawned task goes on for ever.
    pub(super) fn is_idle(&self) -> bool {
        self.spawned.borrow().iter().all(Task::is_over)
    }
}

impl Timer for Runtime {
    type Sleep = Sleep;

    fn now(&self) -> Instant {
        self.sim.now()
    }

    fn sleep_until(&self, at: Instant) -> Sleep {
        self.sim.sleep_until(at)
    }
}

impl SpawnLocal for Runtime {
    fn spawn_local<F: Future<Output = ()> + 'static>(&self, future: F) {
        let mut future = Box::pin(future);
        if self.is_eager {
            let mut nobody = Context::from_waker(Waker::noop());
            if future.as_mut().poll(&mut nobody).is_ready() {
                return;
            }
        }
        let task = self.sim.task("spawned", future);
        self.spawned.borrow_mut().push(task);
    }
}
