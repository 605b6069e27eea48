//! A timeout holds, whoever looks after it: most of those who wait have no timer of their own.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use tenure_core::{AcquireError, Instant, Pool, Timer};
use tenure_sim::{Backend, FaultyResource, Sim, Sleep, Task, explore, run};

const MS: Duration = Duration::from_millis(1);
const TIMEOUT: Duration = Duration::from_secs(1);

type OnePool = Pool<FaultyResource, CountedSim>;

/// What becomes of the Runner while callers wait.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Works,
    /// It is not polled any more, as in a runtime that is alive and idle.
    FallsIdle,
    /// Its runtime ends.
    Ends,
}

#[test]
fn each_waiter_hears_of_its_timeout_at_its_time_whatever_the_runner_does() {
    for fate in [Fate::Works, Fate::FallsIdle, Fate::Ends] {
        explore(0..100, |sim| async move {
            sim.poll_spuriously(10);
            let scene = Scene::new(&sim).await;
            let held = scene.pool.acquire().await.expect("the value");
            let mut waiters = Vec::new();
            for _ in 0..30 {
                // Some leave before their time is over, timekeepers among them.
                let leaves = (sim.below(3) == 0).then(|| drawn(&sim, 1_000));
                waiters.push(scene.times_out(drawn(&sim, 600), leaves));
            }
            sim.sleep(drawn(&sim, 600)).await;
            scene.meets(fate);
            all(waiters).await;
            drop(held);
        });
    }
}

/// The task of a timekeeper is not polled any more, as that of a runtime which is alive and idle.
#[test]
fn a_timekeeper_that_is_not_polled_keeps_nobody_from_its_timeout() {
    explore(0..50, |sim| async move {
        let scene = Scene::new(&sim).await;
        let held = scene.pool.acquire().await.expect("the value");
        let mut unpolled: Vec<_> = (0..3).map(|_| Box::pin(scene.pool.acquire())).collect();
        for waiter in &mut unpolled {
            poll_fn(|cx| {
                assert!(waiter.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
        }
        let waiters = (0..10).map(|_| scene.times_out(drawn(&sim, 50), None));
        all(waiters.collect::<Vec<_>>()).await;
        drop((unpolled, held));
    });
}

/// A thousand wait, and a handful have timers.
#[test]
fn a_crowd_that_waits_sets_few_timers() {
    run(0, |sim| async move {
        let scene = Scene::new(&sim).await;
        let held = scene.pool.acquire().await.expect("the value");
        let first = [(); 2].map(|()| scene.times_out(Duration::ZERO, None));
        sim.sleep(MS).await;
        let before = scene.sleeps();
        let crowd: Vec<_> = (0..1_000)
            .map(|_| scene.times_out(Duration::ZERO, None))
            .collect();
        sim.sleep(MS).await;
        assert_eq!(scene.pool.status().waiting, 1_002);
        assert_eq!(
            scene.sleeps(),
            before,
            "all rely on the first two and the Runner"
        );
        first.iter().for_each(Task::cancel);
        sim.sleep(MS).await;
        assert_eq!(scene.sleeps(), before + 1, "one is called in its place");
        all(crowd).await;
        drop(held);
    });
}

/// One or two wait, are served, and others come.
#[test]
fn the_runner_is_woken_once_in_a_timeout_for_all_who_wait() {
    run(0, |sim| async move {
        let scene = Scene::new(&sim).await;
        let mut held = scene.pool.acquire_owned().await.expect("the value");
        let before = scene.polls();
        let waits = || {
            let pool = scene.pool.clone();
            sim.task("waits", async move { pool.acquire_owned().await })
        };
        for _ in 0..20 {
            let waiter = waits();
            sim.sleep(MS).await;
            drop(held);
            held = waiter.await.expect("the value");
        }
        assert_eq!(scene.polls(), before, "each waited alone");
        for _ in 0..20 {
            let first = waits();
            sim.sleep(MS).await;
            let second = waits();
            sim.sleep(MS).await;
            drop(held);
            drop(first.await.expect("the value"));
            held = second.await.expect("the value");
        }
        let polls = scene.polls() - before;
        assert!(polls <= 2, "the Runner was polled {polls} times");
    });
}

async fn all(tasks: Vec<Task<()>>) {
    for task in tasks {
        task.await;
    }
}

fn drawn(sim: &Sim, below: u64) -> Duration {
    MS * sim.below(below) as u32
}

/// A pool of one value, whose Runner can be stopped.
struct Scene {
    sim: Sim,
    sleeps: Arc<AtomicU64>,
    pool: OnePool,
    runner: Task<()>,
    polls: Rc<Cell<u64>>,
    is_idle: Rc<Cell<bool>>,
}

impl Scene {
    async fn new(sim: &Sim) -> Self {
        let clock = CountedSim {
            sim: sim.clone(),
            sleeps: Arc::default(),
        };
        let sleeps = clock.sleeps.clone();
        let (pool, runner) = Pool::builder(FaultyResource::new(&Backend::new(sim)))
            .max_size(1)
            .acquire_timeout(TIMEOUT)
            .build_with_runner(clock)
            .expect("it makes sense");
        let is_idle = Rc::new(Cell::new(false));
        let polls = Rc::new(Cell::new(0));
        let runner = sim.task("runner", {
            let (is_idle, polls) = (is_idle.clone(), polls.clone());
            let mut work = Box::pin(runner.run());
            poll_fn(move |cx| {
                if is_idle.get() {
                    return Poll::Pending;
                }
                polls.set(polls.get() + 1);
                work.as_mut().poll(cx)
            })
        });
        drop(pool.acquire().await.expect("a value"));
        Self {
            sim: sim.clone(),
            sleeps,
            pool,
            runner,
            polls,
            is_idle,
        }
    }

    fn meets(&self, fate: Fate) {
        match fate {
            Fate::Works => {}
            Fate::FallsIdle => self.is_idle.set(true),
            Fate::Ends => self.runner.cancel(),
        }
    }

    /// How often the Runner was polled so far.
    fn polls(&self) -> u64 {
        self.polls.get()
    }

    /// How many sleeps were set up so far.
    fn sleeps(&self) -> u64 {
        self.sleeps.load(Ordering::Relaxed)
    }

    /// A caller who comes after a while, and gets nothing: it hears so at its time, or leaves before.
    fn times_out(&self, comes_after: Duration, leaves_after: Option<Duration>) -> Task<()> {
        let (sim, pool) = (self.sim.clone(), self.pool.clone());
        self.sim.task("waits", async move {
            sim.sleep(comes_after).await;
            let began_at = sim.now();
            let mut acquire = pin!(pool.acquire());
            let mut leaves = pin!(leaves_after.map(|after| sim.sleep(after)));
            let answer = poll_fn(|cx| {
                if let Poll::Ready(answer) = acquire.as_mut().poll(cx) {
                    return Poll::Ready(Some(answer));
                }
                match leaves.as_mut().as_pin_mut() {
                    Some(leaves) => leaves.poll(cx).map(|()| None),
                    None => Poll::Pending,
                }
            });
            if let Some(answer) = answer.await {
                let error = answer.expect_err("the value is held");
                assert!(matches!(error, AcquireError::Exhausted { .. }), "{error}");
                assert_eq!(sim.now() - began_at, TIMEOUT);
            }
        })
    }
}

/// The simulator's clock, which counts the sleeps it is asked for.
#[derive(Clone)]
struct CountedSim {
    sim: Sim,
    sleeps: Arc<AtomicU64>,
}

impl Timer for CountedSim {
    type Sleep = Sleep;

    fn now(&self) -> Instant {
        self.sim.now()
    }

    fn sleep_until(&self, at: Instant) -> Sleep {
        self.sleeps.fetch_add(1, Ordering::Relaxed);
        self.sim.sleep_until(at)
    }

    fn current_task(&self) -> Option<u64> {
        self.sim.current_task()
    }
}
