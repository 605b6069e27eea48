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
    /// How far timers, not jumps, have moved the clock.
    time_passed: Duration,
    /// When the clock will jump, and how far.
    jumps: BTreeMap<Instant, Duration>,
    /// Tasks that may be polled, in the order of their wakes.
    ready: Vec<TaskId>,
    /// Tasks that may not.
    held: Vec<TaskId>,
    tasks: Vec<TaskInfo>,
    cancelled: Vec<TaskId>,
    pub(crate) spawned: Vec<(TaskId, SendFuture)>,
    /// Tasks that were spawned as a runtime spawns them and may still run.
    background: Vec<TaskId>,
    /// `true` while what is spawned is dropped, as by a runtime that has ended.
    pub(crate) refuses_tasks: bool,
    pub(crate) schedule: Schedule,
    trace: Option<String>,
    steps: u64,
    /// The task that was polled last.
    last: Option<TaskId>,
    /// How often a task that could go on may still be left for another; without a limit, always.
    preemptions_left: Option<u64>,
    /// One step in so many polls a task that was not woken.
    spurious_one_in: Option<u64>,
}

pub(crate) type TimerKey = (Instant, u64);

/// What is known of a task beside its future.
#[derive(Debug)]
struct TaskInfo {
    name: String,
    waiting_since: Instant,
    ended: bool,
    /// Whether it was woken since it was last polled, so that a second wake costs nothing.
    woken: bool,
    /// Whether it is kept from being polled, however often it is woken.
    held: bool,
}

impl World {
    pub(crate) fn new(schedule: Schedule, traced: bool) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                now: Instant::EPOCH,
                timers: BTreeMap::new(),
                timers_set: 0,
                time_passed: Duration::ZERO,
                jumps: BTreeMap::new(),
                ready: Vec::new(),
                held: Vec::new(),
                tasks: Vec::new(),
                cancelled: Vec::new(),
                spawned: Vec::new(),
                background: Vec::new(),
                refuses_tasks: false,
                schedule,
                trace: traced.then(String::new),
                steps: 0,
                last: None,
                preemptions_left: None,
                spurious_one_in: None,
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
            woken: true,
            held: false,
        });
        self.ready.push(id);
        id
    }

    pub(crate) fn end_task(&mut self, task: TaskId) {
        let info = &mut self.tasks[task.0];
        info.ended = true;
        if info.held {
            self.held.retain(|held| *held != task);
        } else if info.woken {
            self.ready.retain(|ready| *ready != task);
        }
        if self.trace.is_some() {
            let name = self.tasks[task.0].name.clone();
            self.note(|| format!("{name} has ended"));
        }
    }

    pub(crate) fn wake(&mut self, task: TaskId) {
        let info = &mut self.tasks[task.0];
        if !info.ended && !info.woken {
            info.woken = true;
            if !info.held {
                self.ready.push(task);
            }
        }
    }

    /// Keeps a task from being polled until it is let go. What wakes it meanwhile is not lost.
    pub(crate) fn hold(&mut self, task: TaskId) {
        if !std::mem::replace(&mut self.tasks[task.0].held, true) {
            self.ready.retain(|ready| *ready != task);
            self.held.push(task);
        }
    }

    pub(crate) fn let_go(&mut self, task: TaskId) {
        let info = &mut self.tasks[task.0];
        if std::mem::take(&mut info.held) {
            if info.woken && !info.ended {
                self.ready.push(task);
            }
            self.held.retain(|held| *held != task);
        }
    }

    pub(crate) fn is_woken(&self, task: TaskId) -> bool {
        self.tasks[task.0].woken
    }

    /// Chooses who is polled next: one of the ready tasks, or now and then one that was not woken, if
    /// that is asked for.
    pub(crate) fn next_step(&mut self) -> Option<TaskId> {
        let task = match self.choose_spurious() {
            Some(task) => task,
            None => self.choose_ready()?,
        };
        self.steps += 1;
        self.last = Some(task);
        let now = self.now;
        let info = &mut self.tasks[task.0];
        let woken = std::mem::take(&mut info.woken);
        info.waiting_since = now;
        if self.trace.is_some() {
            let name = info.name.clone();
            let why = if woken {
                ""
            } else {
                ", though nothing woke it"
            };
            self.note(|| format!("{name} runs{why}"));
        }
        Some(task)
    }

    fn choose_ready(&mut self) -> Option<TaskId> {
        if self.ready.is_empty() {
            return None;
        }
        let chosen = self.choose_place();
        Some(self.ready.remove(chosen))
    }

    fn choose_place(&mut self) -> usize {
        let of = self.ready.len();
        let Some(left) = self.preemptions_left else {
            return self.schedule.choose(of);
        };
        let last = self.last;
        let goes_on = self.ready.iter().position(|ready| Some(*ready) == last);
        match goes_on {
            Some(place) if left == 0 => place,
            Some(place) => {
                let chosen = self.schedule.choose(of);
                self.preemptions_left = Some(left - u64::from(chosen != place));
                chosen
            }
            None => self.schedule.choose(of),
        }
    }

    /// A task that waits, if it is time for such a poll. Where nothing else goes on there is none, so
    /// that a deadlock stays one.
    fn choose_spurious(&mut self) -> Option<TaskId> {
        let one_in = self.spurious_one_in?;
        if self.ready.is_empty() || self.schedule.dice().below(one_in) > 0 {
            return None;
        }
        let drawn = self.schedule.dice().below(self.tasks.len() as u64) as usize;
        let info = &self.tasks[drawn];
        (!info.ended && !info.woken && !info.held).then_some(TaskId(drawn))
    }

    pub(crate) fn poll_spuriously(&mut self, one_in: u64) {
        self.spurious_one_in = Some(one_in);
    }

    pub(crate) fn limit_preemptions(&mut self, most: u64) {
        self.preemptions_left = Some(most);
    }

    /// Has the task's future dropped before the next step.
    pub(crate) fn cancel(&mut self, task: TaskId) {
        if !self.tasks[task.0].ended {
            self.cancelled.push(task);
        }
    }

    /// Adds a task that [`end_background`](State::end_background) ends.
    pub(crate) fn add_background_task(&mut self) -> TaskId {
        let number = self.steps();
        let id = self.add_task(format!("task spawned at step {number}"));
        self.background.push(id);
        id
    }

    /// Has the futures of all background tasks dropped before the next step.
    pub(crate) fn end_background(&mut self) {
        for task in std::mem::take(&mut self.background) {
            self.cancel(task);
        }
    }

    pub(crate) fn take_cancelled(&mut self) -> Vec<TaskId> {
        std::mem::take(&mut self.cancelled)
    }

    pub(crate) const fn steps(&self) -> u64 {
        self.steps
    }

    /// The task that was polled last, which is the one that runs.
    pub(crate) const fn last(&self) -> Option<TaskId> {
        self.last
    }

    pub(crate) fn name(&self, task: TaskId) -> &str {
        &self.tasks[task.0].name
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

    pub(crate) const fn is_traced(&self) -> bool {
        self.trace.is_some()
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

    /// Moves the clock to the next timer, and hands out the wakers of all that are due then. Time does
    /// not pass for a task that is held although it could run.
    pub(crate) fn advance(&mut self) -> Option<Vec<Waker>> {
        if self.held.iter().any(|task| self.tasks[task.0].woken) {
            return None;
        }
        let (&(at, _), _) = self.timers.first_key_value()?;
        if let Some(jump) = self.jumps.first_entry().filter(|jump| *jump.key() <= at) {
            let (jumps_at, by) = jump.remove_entry();
            self.pass_until(jumps_at);
            return Some(self.jump(by));
        }
        self.pass_until(at);
        Some(self.due())
    }

    fn pass_until(&mut self, at: Instant) {
        self.time_passed += at - self.now;
        self.now = self.now.max(at);
    }

    /// Has the clock jump forward once it is there.
    pub(crate) fn jump_at(&mut self, at: Instant, by: Duration) {
        *self.jumps.entry(at).or_default() += by;
    }

    /// Moves the clock forward at once, as when a machine was suspended.
    pub(crate) fn jump(&mut self, by: Duration) -> Vec<Waker> {
        self.now = self.now + by;
        self.note(|| format!("the clock jumps by {by:?}"));
        self.due()
    }

    fn due(&mut self) -> Vec<Waker> {
        let mut due = Vec::new();
        while let Some(first) = self.timers.first_entry() {
            if first.key().0 > self.now {
                break;
            }
            due.push(first.remove());
        }
        due
    }

    pub(crate) const fn time_passed(&self) -> Duration {
        self.time_passed
    }

    pub(crate) fn deadlock(&self) -> String {
        let waiting = self.waiting();
        format!("deadlock: every task waits and no timer is set.{waiting}")
    }

    pub(crate) fn stall(&self, task: TaskId, limit: Duration) -> String {
        let (name, waiting) = (&self.tasks[task.0].name, self.waiting());
        let days = limit.as_secs() / (24 * 60 * 60);
        format!(
            "deadlock: {name} has waited for {days} days while the timers of others went on.{waiting}"
        )
    }

    fn waiting(&self) -> String {
        let mut text = String::new();
        for task in self.tasks.iter().filter(|task| !task.ended) {
            let since = task.waiting_since - Instant::EPOCH;
            let _ = write!(text, "\n  {} waits since {since:?}", task.name);
        }
        text
    }

    pub(crate) fn spinning(&self) -> String {
        let name = self.last.map_or("none", |task| &self.tasks[task.0].name);
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
    world: Arc<World>,
    task: TaskId,
}

impl TaskWaker {
    pub(crate) fn of(world: &Arc<World>, task: TaskId) -> Waker {
        Waker::from(Arc::new(Self {
            world: world.clone(),
            task,
        }))
    }
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.world.with(|state| state.wake(self.task));
    }
}
