//! The state of one simulated world: its clock, its timers, its tasks and its dice.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};
use std::time::Duration;

use tenure_core::Instant;

use crate::schedule::Schedule;

/// What all handles of one world share.
///
/// It can be sent to other threads, so that code which asks for a `Send` runtime runs on it unchanged;
/// but one thread alone runs the world.
pub(crate) struct World {
    state: Mutex<State>,
}

pub(crate) type SendFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TaskId(pub(crate) usize);

pub(crate) struct State {
    pub(crate) now: Instant,
    /// By instant, and then by the order in which they were set.
    timers: BTreeMap<TimerKey, Waker>,
    timers_set: u64,
    /// Tasks that were woken and not polled since, in the order of their wakes.
    ready: Vec<TaskId>,
    tasks: Vec<TaskInfo>,
    cancelled: Vec<TaskId>,
    pub(crate) spawned: Vec<(TaskId, SendFuture)>,
    pub(crate) schedule: Schedule,
    trace: Option<String>,
    steps: u64,
    /// After which step a task is to be dropped, for the exploration of cancellation.
    cancel_after: Option<(u64, TaskId)>,
}

pub(crate) type TimerKey = (Instant, u64);

/// What is known of a task beside its future.
#[derive(Debug)]
struct TaskInfo {
    name: String,
    waiting_since: Instant,
    ended: bool,
}

impl World {
    pub(crate) fn new(schedule: Schedule, traced: bool) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                now: Instant::EPOCH,
                timers: BTreeMap::new(),
                timers_set: 0,
                ready: Vec::new(),
                tasks: Vec::new(),
                cancelled: Vec::new(),
                spawned: Vec::new(),
                schedule,
                trace: traced.then(String::new),
                steps: 0,
                cancel_after: None,
            }),
        })
    }

    /// Runs `f` under the lock. No user code may run in it, nor may a waker be woken or dropped.
    pub(crate) fn with<U>(&self, f: impl FnOnce(&mut State) -> U) -> U {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    pub(crate) fn add_task(&mut self, name: String) -> TaskId {
        let id = TaskId(self.tasks.len());
        self.note(|| format!("{name} is spawned"));
        self.tasks.push(TaskInfo {
            name,
            waiting_since: self.now,
            ended: false,
        });
        self.ready.push(id);
        id
    }

    pub(crate) fn end_task(&mut self, task: TaskId) {
        let info = &mut self.tasks[task.0];
        info.ended = true;
        let name = info.name.clone();
        self.ready.retain(|ready| *ready != task);
        self.note(|| format!("{name} has ended"));
    }

    /// Chooses among the ready tasks.
    pub(crate) fn next_step(&mut self) -> Option<TaskId> {
        if self.ready.is_empty() {
            return None;
        }
        let chosen = self.schedule.choose(self.ready.len());
        let task = self.ready.remove(chosen);
        self.steps += 1;
        let now = self.now;
        let info = &mut self.tasks[task.0];
        info.waiting_since = now;
        if self.trace.is_some() {
            let name = info.name.clone();
            self.note(|| format!("{name} runs"));
        }
        Some(task)
    }

    pub(crate) fn step_done(&mut self, _task: TaskId) {
        if let Some((after, task)) = self.cancel_after {
            if self.steps >= after {
                self.cancel_after = None;
                self.cancel(task);
            }
        }
    }

    pub(crate) fn cancel_after(&mut self, step: u64, task: TaskId) {
        self.cancel_after = Some((step, task));
    }

    /// Has the task's future dropped before the next step.
    pub(crate) fn cancel(&mut self, task: TaskId) {
        if !self.tasks[task.0].ended {
            self.cancelled.push(task);
        }
    }

    pub(crate) fn take_cancelled(&mut self) -> Vec<TaskId> {
        std::mem::take(&mut self.cancelled)
    }

    pub(crate) const fn steps(&self) -> u64 {
        self.steps
    }

    pub(crate) fn has_ended(&self, task: TaskId) -> bool {
        self.tasks[task.0].ended
    }

    /// Writes a line of the trace, if one is kept.
    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            let nanos = self.now.as_nanos();
            let _ = writeln!(trace, "{nanos:>15} {}", line());
        }
    }

    pub(crate) fn take_trace(&mut self) -> String {
        self.trace.take().unwrap_or_default()
    }

    pub(crate) fn set_timer(&mut self, at: Instant, waker: Waker) -> TimerKey {
        let key = (at, self.timers_set);
        self.timers_set += 1;
        self.timers.insert(key, waker);
        key
    }

    pub(crate) fn renew_timer(&mut self, key: TimerKey, waker: Waker) -> Option<Waker> {
        self.timers.insert(key, waker)
    }

    pub(crate) fn clear_timer(&mut self, key: TimerKey) -> Option<Waker> {
        self.timers.remove(&key)
    }

    /// Moves the clock to the next timer, and hands out the wakers of all that are due then.
    pub(crate) fn advance(&mut self) -> Option<Vec<Waker>> {
        let (&(at, _), _) = self.timers.first_key_value()?;
        self.now = self.now.max(at);
        Some(self.due())
    }

    /// Moves the clock forward at once, as when a machine was suspended.
    pub(crate) fn jump(&mut self, by: Duration) -> Vec<Waker> {
        self.now = self.now + by;
        self.note(|| format!("the clock jumps by {by:?}"));
        self.due()
    }

    fn due(&mut self) -> Vec<Waker> {
        let later = self.timers.split_off(&(self.now, u64::MAX));
        let due = std::mem::replace(&mut self.timers, later);
        due.into_values().collect()
    }

    pub(crate) fn deadlock(&self) -> String {
        let mut text = String::from("deadlock: every task waits and no timer is set.");
        for task in self.tasks.iter().filter(|task| !task.ended) {
            let since = task.waiting_since.saturating_duration_since(Instant::EPOCH);
            let _ = write!(text, "\n  {} waits since {since:?}", task.name);
        }
        text
    }

    pub(crate) fn spinning(&self, task: TaskId) -> String {
        let name = &self.tasks[task.0].name;
        let now = self.now.saturating_duration_since(Instant::EPOCH);
        format!(
            "livelock: tasks run on and on at {now:?} and the clock stands still; the last was {name}"
        )
    }

    /// Empties the world, so that what it held can be dropped outside its lock.
    pub(crate) fn take_all(&mut self) -> (Vec<Waker>, Vec<(TaskId, SendFuture)>) {
        let timers = std::mem::take(&mut self.timers);
        (
            timers.into_values().collect(),
            std::mem::take(&mut self.spawned),
        )
    }
}

/// Wakes one task of one world.
pub(crate) struct TaskWaker {
    pub(crate) world: Arc<World>,
    pub(crate) task: TaskId,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let task = self.task;
        self.world.with(|state| {
            if !state.tasks[task.0].ended && !state.ready.contains(&task) {
                state.ready.push(task);
            }
        });
    }
}
