//! The handle of a simulated world: its clock, its timer, its spawner and its dice.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tenure_core::{Instant, Spawn, SpawnLocal, Timer};

use crate::executor::spawn_here;
use crate::world::{TaskId, TimerKey, World};

/// A simulated runtime. Hand it to the library, or to any code of yours that takes a
/// [`Timer`], a [`Spawn`] or a [`SpawnLocal`], and it runs there unchanged.
///
/// Time passes only when every task waits, and then at once. Which of the ready tasks runs next is drawn
/// from the seed, and so is [`random`](Sim::random): one seed gives one run.
///
/// ```
/// use std::time::Duration;
/// use tenure_core::Timer;
///
/// let day = Duration::from_secs(24 * 60 * 60);
/// let end = tenure_sim::run(7, |sim| async move {
///     sim.sleep_until(sim.now() + day).await;
///     sim.now()
/// });
/// assert_eq!(end - tenure_core::Instant::EPOCH, day);
/// ```
#[derive(Clone)]
pub struct Sim {
    world: Arc<World>,
}

impl Sim {
    pub(crate) const fn new(world: Arc<World>) -> Self {
        Self { world }
    }

    /// Runs `future` as a task beside the others, under a name that shows in traces and deadlocks.
    ///
    /// Dropping the [`Task`] leaves it running.
    ///
    /// ```
    /// let sum = tenure_sim::run(1, |sim| async move {
    ///     let one = sim.task("one", async { 1 });
    ///     let two = sim.task("two", async { 2 });
    ///     one.await + two.await
    /// });
    /// assert_eq!(sum, 3);
    /// ```
    pub fn task<F: Future<Output: 'static> + 'static>(
        &self,
        name: impl Into<String>,
        future: F,
    ) -> Task<F::Output> {
        let cell = Rc::new(RefCell::new(Outcome {
            output: None,
            waker: None,
        }));
        let result = cell.clone();
        let id = self.world.with(|state| state.add_task(name.into()));
        let task = async move {
            let output = future.await;
            let waker = {
                let mut outcome = result.borrow_mut();
                outcome.output = Some(output);
                outcome.waker.take()
            };
            if let Some(waker) = waker {
                waker.wake();
            }
        };
        spawn_here(&self.world, id, Box::pin(task));
        Task {
            world: self.world.clone(),
            id,
            cell,
        }
    }

    /// A number that the seed decides. Take all your random numbers from here, or a seed no longer replays.
    ///
    /// ```
    /// let (a, b) = (tenure_sim::run(1, |sim| async move { sim.random() }),
    ///               tenure_sim::run(1, |sim| async move { sim.random() }));
    /// assert_eq!(a, b);
    /// ```
    #[must_use]
    pub fn random(&self) -> u64 {
        self.world.with(|state| state.schedule.dice().next())
    }

    /// A number from 0 up to, but not including, `bound`, that the seed decides.
    ///
    /// ```
    /// let die = tenure_sim::run(1, |sim| async move { 1 + sim.below(6) });
    /// assert!((1..=6).contains(&die));
    /// ```
    #[must_use]
    pub fn below(&self, bound: u64) -> u64 {
        self.world.with(|state| state.schedule.dice().below(bound))
    }

    /// Waits for `duration` of virtual time.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tenure_core::Timer;
    /// let woke_at = tenure_sim::run(1, |sim| async move {
    ///     sim.sleep(Duration::from_secs(9)).await;
    ///     sim.now()
    /// });
    /// assert_eq!(woke_at.as_nanos(), 9_000_000_000);
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the sleep takes its timer away.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        self.sleep_until(self.now() + duration)
    }

    /// Lets the other ready tasks run, if the scheduler chooses them.
    ///
    /// ```
    /// tenure_sim::run(1, |sim| async move {
    ///     let other = sim.task("other", async {});
    ///     while !other.is_over() {
    ///         sim.yield_now().await;
    ///     }
    /// });
    /// ```
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn yield_now(&self) {
        let mut yielded = false;
        std::future::poll_fn(|cx| {
            if std::mem::replace(&mut yielded, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    /// Moves the clock forward at once, as when the machine was suspended: every timer on the way is late.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tenure_core::Timer;
    /// tenure_sim::run(1, |sim| async move {
    ///     let sleep = sim.sleep(Duration::from_secs(1));
    ///     sim.jump(Duration::from_secs(60));
    ///     sleep.await;
    ///     assert_eq!(sim.now().as_nanos(), 60_000_000_000);
    /// });
    /// ```
    pub fn jump(&self, by: Duration) {
        let wakers = self.world.with(|state| state.jump(by));
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Drops what was spawned through [`Spawn`] and [`SpawnLocal`], as a runtime that ends drops its tasks.
    ///
    /// A [`task`](Sim::task) goes on, like a caller in another runtime, and what is spawned from then on runs.
    /// The futures are dropped once the current step is done.
    ///
    /// ```
    /// # use std::future::pending;
    /// # use tenure_core::SpawnLocal;
    /// tenure_sim::run(1, |sim| async move {
    ///     let alive = std::rc::Rc::new(());
    ///     let held = alive.clone();
    ///     sim.spawn_local(async move {
    ///         pending::<()>().await;
    ///         drop(held);
    ///     });
    ///     sim.end_runtime();
    ///     sim.yield_now().await;
    ///     assert_eq!(std::rc::Rc::strong_count(&alive), 1);
    /// });
    /// ```
    pub fn end_runtime(&self) {
        self.world.with(|state| state.end_background());
    }

    /// Sets whether futures that are spawned are dropped unpolled, as by a runtime that has ended.
    ///
    /// ```
    /// # use tenure_core::SpawnLocal;
    /// tenure_sim::run(1, |sim| async move {
    ///     sim.refuse_tasks(true);
    ///     sim.spawn_local(async { unreachable!("it is dropped") });
    ///     sim.yield_now().await;
    /// });
    /// ```
    pub fn refuse_tasks(&self, refuses: bool) {
        self.world.with(|state| state.refuses_tasks = refuses);
    }

    /// How much time has passed in the world, jumps of its clock left out: what a limit is to be held
    /// against where the clock may [jump](Sim::jump).
    ///
    /// ```
    /// # use std::time::Duration;
    /// tenure_sim::run(1, |sim| async move {
    ///     sim.sleep(Duration::from_secs(1)).await;
    ///     sim.jump(Duration::from_secs(60));
    ///     assert_eq!(sim.time_passed(), Duration::from_secs(1));
    /// });
    /// ```
    #[must_use]
    pub fn time_passed(&self) -> Duration {
        self.world.with(|state| state.time_passed())
    }

    /// From now on, about one step in so many polls a task that nothing woke, as every future has to
    /// bear. The seed says when and which.
    ///
    /// Such polls hide lost wake-ups, so run a world without them as well.
    ///
    /// # Panics
    /// If `one_in` is less than 2: nobody who was woken would ever run.
    ///
    /// ```
    /// let steps = |spurious| tenure_sim::run(1, move |sim| async move {
    ///     if spurious {
    ///         sim.poll_spuriously(2);
    ///     }
    ///     let sleeper = sim.task("sleeper", sim.sleep(std::time::Duration::from_secs(1)));
    ///     for _ in 0..20 {
    ///         sim.yield_now().await;
    ///     }
    ///     sleeper.await;
    ///     sim.steps()
    /// });
    /// assert!(steps(true) > steps(false));
    /// ```
    pub fn poll_spuriously(&self, one_in: u64) {
        assert!(
            one_in >= 2,
            "`one_in` ({one_in}) is below 2: nobody who was woken would ever run"
        );
        self.world.with(|state| state.poll_spuriously(one_in));
    }

    /// From now on, a task that could go on is left for another at most so many times (a preemption, in
    /// the sense of CHESS, Musuvathi and Qadeer, 2007). A task that has to wait is left for any other.
    ///
    /// Most faults of interleaving need two preemptions or fewer; the bound keeps
    /// [`exhaust`](crate::exhaust) from trying the rest.
    ///
    /// ```
    /// let orders = |preemptions| tenure_sim::exhaust(10_000, |sim| async move {
    ///     sim.limit_preemptions(preemptions);
    ///     let walk = |sim: tenure_sim::Sim| async move {
    ///         sim.yield_now().await;
    ///         sim.yield_now().await;
    ///     };
    ///     let (a, b) = (sim.task("a", walk(sim.clone())), sim.task("b", walk(sim.clone())));
    ///     a.await;
    ///     b.await;
    /// }).runs;
    /// assert!(orders(0) < orders(1) && orders(1) < orders(9));
    /// ```
    pub fn limit_preemptions(&self, most: u64) {
        self.world.with(|state| state.limit_preemptions(most));
    }

    /// Writes a line into the trace. Where none is kept, `line` is not called.
    ///
    /// ```
    /// let run = tenure_sim::run_traced(1, |sim| async move { sim.note(|| "here".into()) });
    /// assert!(run.trace.contains("here"));
    /// ```
    pub fn note(&self, line: impl FnOnce() -> String) {
        if self.world.with(|state| state.is_traced()) {
            // Outside the lock, because `line` may ask for the time.
            let line = line();
            self.world.with(|state| state.note(|| line));
        }
    }

    /// How many times a task was polled so far.
    ///
    /// ```
    /// assert_eq!(tenure_sim::run(1, |sim| async move { sim.steps() }), 1);
    /// ```
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.world.with(|state| state.steps())
    }

    pub(crate) const fn world(&self) -> &Arc<World> {
        &self.world
    }
}

impl Timer for Sim {
    const ACCEPTS_WRAPPED_WAKERS: bool = true;

    type Sleep = Sleep;

    fn now(&self) -> Instant {
        self.world.with(|state| state.now)
    }

    fn sleep_until(&self, at: Instant) -> Sleep {
        Sleep {
            world: self.world.clone(),
            at,
            key: None,
        }
    }

    fn entropy(&self) -> u64 {
        self.random()
    }

    fn current_task(&self) -> Option<u64> {
        let last = self.world.with(|state| state.last());
        last.map(|task| task.0 as u64)
    }
}

impl Spawn for Sim {
    fn spawn<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        let refused = self.world.with(|state| {
            if state.refuses_tasks {
                return Some(future);
            }
            let id = state.add_background_task();
            state.spawned.push((id, Box::pin(future)));
            None
        });
        // Outside the world's lock: its `drop` may ask for the time.
        drop(refused);
    }
}

impl SpawnLocal for Sim {
    fn spawn_local<F: Future<Output = ()> + 'static>(&self, future: F) {
        if self.world.with(|state| state.refuses_tasks) {
            return;
        }
        let id = self.world.with(|state| state.add_background_task());
        spawn_here(&self.world, id, Box::pin(future));
    }
}

impl std::fmt::Debug for Sim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sim")
            .field("now", &self.now())
            .finish_non_exhaustive()
    }
}

/// A task of a simulation. Awaiting it gives its output; dropping it leaves it running.
///
/// ```
/// tenure_sim::run(1, |sim| async move {
///     let task = sim.task("adds", async { 1 + 1 });
///     assert!(!task.is_over());
///     assert_eq!(task.await, 2);
/// });
/// ```
///
/// # Cancel safety
/// Dropping it, awaited or not, leaves the task running.
#[must_use = "a task runs whether it is awaited or not; drop it on purpose"]
pub struct Task<T> {
    world: Arc<World>,
    id: TaskId,
    cell: Rc<RefCell<Outcome<T>>>,
}

struct Outcome<T> {
    output: Option<T>,
    waker: Option<Waker>,
}

impl<T> Task<T> {
    /// Drops the task's future once the current step is done. Whoever awaits the task then waits for ever.
    ///
    /// ```
    /// tenure_sim::run(1, |sim| async move {
    ///     let alive = std::rc::Rc::new(());
    ///     let held = alive.clone();
    ///     let task = sim.task("waits", async move {
    ///         std::future::pending::<()>().await;
    ///         drop(held);
    ///     });
    ///     task.cancel();
    ///     sim.yield_now().await;
    ///     assert_eq!(std::rc::Rc::strong_count(&alive), 1);
    /// });
    /// ```
    pub fn cancel(&self) {
        self.world.with(|state| state.cancel(self.id));
    }

    /// Whether the task has ended or was cancelled.
    ///
    /// ```
    /// tenure_sim::run(1, |sim| async move {
    ///     let task = sim.task("sleeps", sim.sleep(std::time::Duration::from_secs(1)));
    ///     sim.sleep(std::time::Duration::from_secs(2)).await;
    ///     assert!(task.is_over());
    /// });
    /// ```
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.world.with(|state| state.has_ended(self.id))
    }
}

impl<T> Future for Task<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let mut outcome = self.cell.borrow_mut();
        match outcome.output.take() {
            Some(output) => Poll::Ready(output),
            None => {
                outcome.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<T> std::fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.world.with(|state| state.name(self.id).to_owned());
        f.debug_struct("Task")
            .field("name", &name)
            .finish_non_exhaustive()
    }
}

/// The sleep of [`Sim`].
///
/// ```
/// use std::time::Duration;
/// tenure_sim::run(1, |sim| async move {
///     let sleep: tenure_sim::Sleep = sim.sleep(Duration::from_millis(5));
///     sleep.await;
/// });
/// ```
///
/// # Cancel safety
/// Dropping it takes its timer away.
#[must_use = "a sleep does nothing unless it is awaited"]
pub struct Sleep {
    world: Arc<World>,
    at: Instant,
    key: Option<TimerKey>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let (at, key) = (self.at, self.key);
        // A waker that is not needed is dropped outside the lock, as user code is.
        let (key, unneeded) = self.world.with(|state| match key {
            _ if state.now >= at && at != Instant::MAX => {
                let replaced = key.and_then(|key| state.clear_timer(key));
                (None, [Some(waker), replaced])
            }
            // Later than everything: no timer at all, so that a deadlock shows as one.
            _ if at == Instant::MAX => (None, [Some(waker), None]),
            Some(key) => {
                let replaced = state.renew_timer(key, waker);
                (Some(key), [None, replaced])
            }
            None => (Some(state.set_timer(at, waker)), [None, None]),
        });
        drop(unneeded);
        self.key = key;
        if key.is_none() && at != Instant::MAX {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            let waker = self.world.with(|state| state.clear_timer(key));
            drop(waker);
        }
    }
}

impl std::fmt::Debug for Sleep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sleep")
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}
