//! More tasks than values: everybody waits in turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Barrier;
use tokio::task::{JoinSet, yield_now};
use tokio::time::{sleep, timeout};

use crate::contenders::{Contender, Settings};
use crate::runtimes::Runtimes;
use crate::workload::{Metric, Reach, Round, Workload};

/// Each task takes a value, yields while it holds it, drops it, and asks again, until the time is over.
/// So all compete to the end, whoever is served how often: that is counted by task.
///
/// On two workers the system's scheduler has its part in it: a worker that has to make room for another
/// program keeps its tasks from asking. One thread shows the pool's own part, and a quiet machine both.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contended {
    name: &'static str,
    tasks: usize,
    values: usize,
    workers: Workers,
    acquire_timeout: Option<Duration>,
    length: Duration,
    reach: Option<fn() -> Reach>,
}

#[derive(Clone, Copy, Debug)]
enum Workers {
    One,
    Two,
}

/// How long the last tasks may take to be served once the time is over.
const PATIENCE: Duration = Duration::from_secs(2);

impl Contended {
    pub(crate) const TASKS_64: Self = Self {
        name: "04 64 tasks, 8 values, two workers",
        tasks: 64,
        values: 8,
        workers: Workers::Two,
        acquire_timeout: None,
        length: Duration::from_millis(500),
        reach: Some(|| Reach::BelowBestPeer(1.3)),
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
        acquire_timeout: Some(Duration::from_secs(5)),
        reach: None,
        ..Self::TASKS_64
    };

    pub(crate) const TASKS_1024: Self = Self {
        name: "05 1024 tasks, 4 values, two workers",
        tasks: 1024,
        values: 4,
        reach: Some(|| Reach::Below("deadpool", 1.3)),
        ..Self::TASKS_64
    };

    pub(crate) const TASKS_1024_ONE_THREAD: Self = Self {
        name: "05 1024 tasks, 4 values, one thread",
        workers: Workers::One,
        length: Duration::from_millis(200),
        reach: None,
        ..Self::TASKS_1024
    };

    async fn compete<P: Contender>(self, pool: &'static P) -> Vec<Option<f64>> {
        let start = Arc::new(Barrier::new(self.tasks + 1));
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for _ in 0..self.tasks {
            tasks.spawn(take_turns(pool, start.clone(), stop.clone()));
        }
        start.wait().await;
        sleep(self.length).await;
        stop.store(true, Ordering::Relaxed);
        match timeout(PATIENCE, tasks.join_all()).await {
            Ok(turns) => vec![Some(nanos_per_use(&turns)), Some(fewest_to_most(&turns))],
            Err(_) => {
                eprintln!("{}: {} left somebody waiting", self.name, P::NAME);
                vec![None, None]
            }
        }
    }
}

impl Workload for Contended {
    fn name(&self) -> &'static str {
        self.name
    }

    fn metrics(&self) -> Vec<Metric> {
        let time = Metric::new("time", "ns per use");
        let fairness = Metric::new("fairness", "fewest to most uses").more_is_better();
        match self.reach {
            Some(reach) => vec![time.reach(reach()), fairness.reach(Reach::AtLeast(0.97))],
            None => vec![time, fairness],
        }
    }

    fn prepare<P: Contender>(&self, runtimes: &'static Runtimes) -> Option<Round> {
        if self.acquire_timeout.is_some() && !P::HAS_TIMEOUT {
            return None;
        }
        let contended = *self;
        let settings = Settings {
            acquire_timeout: self.acquire_timeout,
            ..Settings::full(self.values)
        };
        let runtime = match self.workers {
            Workers::One => &runtimes.one_thread,
            Workers::Two => &runtimes.two_workers,
        };
        let pool = runtime.block_on(P::leaked(settings));
        Some(Box::new(move || runtime.block_on(contended.compete(pool))))
    }
}

/// What one task has done.
struct Turns {
    began: Instant,
    ended: Instant,
    uses: u64,
}

async fn take_turns<P: Contender>(
    pool: &'static P,
    start: Arc<Barrier>,
    stop: Arc<AtomicBool>,
) -> Turns {
    start.wait().await;
    let began = Instant::now();
    let mut uses = 0;
    while !stop.load(Ordering::Relaxed) {
        let taken = pool.acquire().await;
        assert!(P::is_taken(&taken));
        yield_now().await;
        drop(taken);
        uses += 1;
    }
    Turns {
        began,
        ended: Instant::now(),
        uses,
    }
}

fn nanos_per_use(turns: &[Turns]) -> f64 {
    let began = turns.iter().map(|turn| turn.began).min();
    let ended = turns.iter().map(|turn| turn.ended).max();
    let (began, ended) = began.zip(ended).expect("there are tasks");
    let uses: u64 = turns.iter().map(|turn| turn.uses).sum();
    (ended - began).as_nanos() as f64 / uses as f64
}

fn fewest_to_most(turns: &[Turns]) -> f64 {
    let fewest = turns.iter().map(|turn| turn.uses).min();
    let most = turns.iter().map(|turn| turn.uses).max();
    let (fewest, most) = fewest.zip(most).expect("there are tasks");
    fewest as f64 / most as f64
}
