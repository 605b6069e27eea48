//! More tasks than values: everybody waits in turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::{JoinHandle, yield_now};
use tokio::time::{sleep, timeout};

use crate::application::acquire;
use crate::contenders::{Contender, Settings};
use crate::cpu;
use crate::runtimes::Runtimes;
use crate::workload::{Metric, PoolWorkload, Reach, Round, Workload};

/// Each task takes a value, yields while it holds it, drops it, and asks again, until the time is over.
/// So all compete from beginning to end, and uses are counted by task.
///
/// On two workers chance has its part in it: a task holds its value until its worker comes back to it, and
/// the sum of many such times differs from task to task. That evens out with the number of uses, so the
/// uses of all rounds are added up before the fewest are compared with the most. On one thread a strict
/// queue is exact.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contended {
    name: &'static str,
    tasks: usize,
    values: usize,
    workers: Workers,
    acquire_timeout: Option<Duration>,
    is_watched: bool,
    length: Duration,
    reach: Option<fn() -> Reach>,
}

#[derive(Clone, Copy, Debug)]
enum Workers {
    One,
    Two,
}

/// What an acquire waits for at most unless its user says otherwise, here as in HikariCP.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a contest waits for each task to be served once before it begins.
const GATHERING: Duration = Duration::from_millis(300);
/// How long the last tasks may take to be served once it is over.
const PATIENCE: Duration = Duration::from_secs(2);

impl Contended {
    pub(crate) const TASKS_64: Self = Self {
        name: "04 64 tasks, 8 values, two workers",
        tasks: 64,
        values: 8,
        workers: Workers::Two,
        acquire_timeout: None,
        is_watched: false,
        length: Duration::from_secs(1),
        reach: Some(|| Reach::BelowBestPeer(1.4)),
    };

    pub(crate) const TASKS_64_ONE_THREAD: Self = Self {
        name: "04 64 tasks, 8 values, one thread",
        workers: Workers::One,
        length: Duration::from_millis(200),
        reach: None,
        ..Self::TASKS_64
    };

    pub(crate) const TASKS_64_WITH_TIMEOUT: Self = Self {
        name: "04 64 tasks, 8 values, two workers, timeout",
        acquire_timeout: Some(DEFAULT_TIMEOUT),
        length: Duration::from_millis(300),
        ..Self::TASKS_64
    };

    pub(crate) const TASKS_64_WATCHED: Self = Self {
        name: "04 64 tasks, 8 values, two workers, timeout, sink, timings, leak detection",
        is_watched: true,
        reach: Some(|| Reach::BelowBestPeer(1.0)),
        ..Self::TASKS_64_WITH_TIMEOUT
    };

    pub(crate) const TASKS_1024: Self = Self {
        name: "05 1024 tasks, 4 values, two workers",
        tasks: 1024,
        values: 4,
        length: Duration::from_millis(500),
        reach: Some(|| Reach::BelowBestPeer(1.3)),
        ..Self::TASKS_64
    };

    pub(crate) const TASKS_1024_WITH_TIMEOUT: Self = Self {
        name: "05 1024 tasks, 4 values, two workers, timeout",
        acquire_timeout: Some(DEFAULT_TIMEOUT),
        ..Self::TASKS_1024
    };

    pub(crate) const TASKS_1024_WATCHED: Self = Self {
        name: "05 1024 tasks, 4 values, two workers, timeout, sink, timings, leak detection",
        is_watched: true,
        reach: Some(|| Reach::BelowBestPeer(0.9)),
        ..Self::TASKS_1024_WITH_TIMEOUT
    };

    pub(crate) const TASKS_1024_ONE_THREAD: Self = Self {
        name: "05 1024 tasks, 4 values, one thread",
        workers: Workers::One,
        length: Duration::from_millis(200),
        reach: None,
        ..Self::TASKS_1024
    };

    /// Adds the uses of each task to `totals`.
    async fn compete<P: Contender>(self, pool: &'static P, totals: &mut [u64]) -> Vec<Option<f64>> {
        let contest = Arc::new(Contest::default());
        let tasks: Vec<_> = (0..self.tasks)
            .map(|_| tokio::spawn(take_turns(pool, contest.clone())))
            .collect();
        // Counting before everybody is there would favour whom the scheduler has started first. Some pools
        // never serve everybody.
        let spawned = Instant::now();
        while contest.present.load(Ordering::Relaxed) < self.tasks && spawned.elapsed() < GATHERING
        {
            sleep(Duration::from_millis(1)).await;
        }
        contest.is_on.store(true, Ordering::Relaxed);
        let began = cpu::time();
        sleep(self.length).await;
        contest.is_over.store(true, Ordering::Relaxed);
        let used = cpu::time() - began;
        let Ok(uses) = timeout(PATIENCE, all(tasks)).await else {
            eprintln!("{}: {} left somebody waiting", self.name, P::NAME);
            return vec![None, None];
        };
        for (total, uses) in totals.iter_mut().zip(&uses) {
            *total += uses;
        }
        let nanos = used.as_nanos() as f64 / uses.iter().sum::<u64>() as f64;
        vec![Some(nanos), Some(fewest_to_most(totals))]
    }
}

impl Workload for Contended {
    fn name(&self) -> &'static str {
        self.name
    }

    fn metrics(&self) -> Vec<Metric> {
        let time = Metric::new("time", "CPU ns per use");
        let fairness = Metric::new("fairness", "fewest to most uses")
            .more_is_better()
            .cumulative()
            .reach(Reach::AsGoodAs("deadpool"));
        let time = match self.reach {
            Some(reach) => time.reach(reach()),
            None => time,
        };
        vec![time, fairness]
    }
}

impl PoolWorkload for Contended {
    fn prepare<P: Contender>(&self, runtimes: &'static Runtimes) -> Option<Round> {
        if self.acquire_timeout.is_some() && !P::HAS_TIMEOUT {
            return None;
        }
        let contended = *self;
        let settings = Settings {
            acquire_timeout: self.acquire_timeout,
            is_watched: self.is_watched,
            ..Settings::full(self.values)
        };
        let runtime = match self.workers {
            Workers::One => &runtimes.one_thread,
            Workers::Two => &runtimes.two_workers,
        };
        let pool = runtime.block_on(P::leaked(settings));
        let mut totals = vec![0; self.tasks];
        Some(Box::new(move || {
            runtime.block_on(contended.compete(pool, &mut totals))
        }))
    }
}

/// Between the two flags uses count.
#[derive(Debug, Default)]
struct Contest {
    /// How many tasks have had a value.
    present: AtomicUsize,
    is_on: AtomicBool,
    is_over: AtomicBool,
}

/// Competes until the contest is over. Yields how many uses counted.
async fn take_turns<P: Contender>(pool: &'static P, contest: Arc<Contest>) -> u64 {
    let mut uses = 0;
    let mut is_present = false;
    while !contest.is_over.load(Ordering::Relaxed) {
        let guard = acquire(pool).await;
        assert!(guard.is_ok());
        yield_now().await;
        drop(guard);
        if !is_present {
            is_present = true;
            contest.present.fetch_add(1, Ordering::Relaxed);
        }
        if contest.is_on.load(Ordering::Relaxed) {
            uses += 1;
        }
    }
    uses
}

async fn all(tasks: Vec<JoinHandle<u64>>) -> Vec<u64> {
    let mut uses = Vec::new();
    for task in tasks {
        uses.push(task.await.expect("no task panics"));
    }
    uses
}

fn fewest_to_most(uses: &[u64]) -> f64 {
    let fewest = uses.iter().min().expect("there are tasks");
    let most = uses.iter().max().expect("there are tasks");
    *fewest as f64 / *most as f64
}
