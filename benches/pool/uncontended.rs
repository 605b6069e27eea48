//! Acquire and drop, while there is always a value for whoever asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::application::{acquire, acquire_owned};
use crate::contenders::{Contender, Settings, Tenure};
use crate::cpu;
use crate::runtimes::Runtimes;
use crate::workload::{Metric, PoolWorkload, Reach, Round, Workload};

/// Each task, on a worker of its own, takes a value of 16 and drops it, again and again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Uncontended {
    name: &'static str,
    tasks: usize,
    is_owned: bool,
    acquire_timeout: Option<Duration>,
    is_watched: bool,
    reach: fn() -> Reach,
}

const POOL_SIZE: usize = 16;
/// Of each task in one round.
const ACQUIRES: usize = 100_000;
const NO_TIMEOUT: &str = "tenure, no timeout";

impl Uncontended {
    pub(crate) const ONE_TASK: Self = Self {
        name: "01 one task, pool of 16",
        tasks: 1,
        is_owned: false,
        acquire_timeout: None,
        is_watched: false,
        reach: || Reach::BelowBestPeer(5.0),
    };

    pub(crate) const WATCHED: Self = Self {
        name: "01 one task, pool of 16, sink, timings, leak detection",
        is_watched: true,
        reach: || Reach::BelowBestPeer(1.5),
        ..Self::ONE_TASK
    };

    pub(crate) const WITH_TIMEOUT: Self = Self {
        name: "02 one task, acquire timeout of 5 s",
        acquire_timeout: Some(Duration::from_secs(5)),
        reach: || Reach::Within(NO_TIMEOUT, 1.1),
        ..Self::ONE_TASK
    };

    pub(crate) const TWO_WORKERS: Self = Self {
        name: "03 two tasks on two workers, pool of 16",
        tasks: 2,
        reach: || Reach::BelowBestPeer(12.0),
        ..Self::ONE_TASK
    };

    pub(crate) const TWO_WORKERS_WATCHED: Self = Self {
        name: "03 two tasks on two workers, pool of 16, sink, timings, leak detection",
        is_watched: true,
        reach: || Reach::BelowBestPeer(2.0),
        ..Self::TWO_WORKERS
    };

    pub(crate) const OWNED: Self = Self {
        name: "08 owned lease, one task, pool of 16",
        is_owned: true,
        reach: || Reach::BelowBestPeer(3.0),
        ..Self::ONE_TASK
    };

    pub(crate) const OWNED_TWO_WORKERS: Self = Self {
        name: "08 owned lease, two tasks on two workers, pool of 16",
        tasks: 2,
        reach: || Reach::BelowBestPeer(2.5),
        ..Self::OWNED
    };

    fn round<P: Contender>(self, runtimes: &'static Runtimes) -> Round {
        let settings = Settings {
            acquire_timeout: self.acquire_timeout,
            is_watched: self.is_watched,
            ..Settings::full(POOL_SIZE)
        };
        let pool = runtimes.two_workers.block_on(P::leaked(settings));
        Box::new(move || vec![Some(runtimes.two_workers.block_on(self.nanos(pool)))])
    }

    /// For one acquire and drop, over all tasks.
    async fn nanos<P: Contender>(self, pool: &'static P) -> f64 {
        let here = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..self.tasks)
            .map(|_| {
                let here = here.clone();
                tokio::spawn(async move {
                    self.meet(&here);
                    let began = cpu::time();
                    if self.is_owned {
                        for _ in 0..ACQUIRES {
                            let guard = acquire_owned(pool).await;
                            assert!(guard.is_ok());
                            drop(guard);
                        }
                    } else {
                        for _ in 0..ACQUIRES {
                            let guard = acquire(pool).await;
                            assert!(guard.is_ok());
                            drop(guard);
                        }
                    }
                    (began, cpu::time())
                })
            })
            .collect();
        let mut times = Vec::new();
        for task in tasks {
            times.push(task.await.expect("no task panics"));
        }
        let began = times.iter().map(|(began, _)| *began).min();
        let ended = times.iter().map(|(_, ended)| *ended).max();
        let (ended, began) = ended.zip(began).expect("there is a task");
        (ended - began).as_nanos() as f64 / (self.tasks * ACQUIRES) as f64
    }

    /// Waits for the other tasks without an await: while this one keeps its worker, they can only be on
    /// others.
    fn meet(self, here: &AtomicUsize) {
        here.fetch_add(1, Ordering::SeqCst);
        while here.load(Ordering::SeqCst) < self.tasks {
            std::hint::spin_loop();
        }
    }
}

impl Workload for Uncontended {
    fn name(&self) -> &'static str {
        self.name
    }

    fn metrics(&self) -> Vec<Metric> {
        vec![Metric::new("", "CPU ns per acquire and drop").reach((self.reach)())]
    }

    fn repeats(&self) -> usize {
        5
    }
}

impl PoolWorkload for Uncontended {
    fn prepare<P: Contender>(&self, runtimes: &'static Runtimes) -> Option<Round> {
        let can = self.acquire_timeout.is_none() || P::HAS_TIMEOUT;
        can.then(|| self.round::<P>(runtimes))
    }

    fn variants(&self, runtimes: &'static Runtimes) -> Vec<(&'static str, Round)> {
        let without = Self {
            acquire_timeout: None,
            ..*self
        };
        match self.acquire_timeout {
            Some(_) => vec![(NO_TIMEOUT, without.round::<Tenure>(runtimes))],
            None => Vec::new(),
        }
    }
}
