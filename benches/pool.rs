//! An uncontended acquire: one task takes a value from a warm pool of 16 and drops it.
//!
//! Every pool is as a user would configure it for production where it can be: idle timeout and maximum
//! lifetime on, no test on acquire. All of them run in turns, round by round, in one process.

use std::convert::Infallible;
use std::future::Future;
use std::time::{Duration, Instant};

use tenure::{Pool, Resource};
use tenure_tokio::Tokio;

const ROUNDS: usize = 9;
const ACQUIRES: u32 = 100_000;
const POOL_SIZE: usize = 16;
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);
const MAX_LIFETIME: Duration = Duration::from_secs(1800);

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime starts");
    let mut table = Table::default();
    runtime.block_on(async {
        let tenure = tenure_pool().await;
        let deadpool = deadpool_pool().await;
        let bb8 = bb8_pool().await;
        let mobc = mobc_pool().await;
        let semaphore = async_lock::Semaphore::new(POOL_SIZE);
        for _ in 0..ROUNDS {
            let ours = time(|| async { drop(tenure.acquire().await.expect("a value is idle")) });
            table.add("tenure", ours.await);
            let theirs = time(|| async { drop(deadpool.get().await.expect("a value is idle")) });
            table.add("deadpool", theirs.await);
            let theirs = time(|| async { drop(bb8.get().await.expect("a value is idle")) });
            table.add("bb8", theirs.await);
            let theirs = time(|| async { drop(mobc.get().await.expect("a value is idle")) });
            table.add("mobc", theirs.await);
            table.add(
                "async-lock semaphore",
                time(|| async { drop(semaphore.acquire().await) }).await,
            );
        }
    });
    table.print();
}

/// Nanoseconds for one acquire and drop.
async fn time<F: Future<Output = ()>>(mut operation: impl FnMut() -> F) -> f64 {
    let start = Instant::now();
    for _ in 0..ACQUIRES {
        operation().await;
    }
    start.elapsed().as_nanos() as f64 / f64::from(ACQUIRES)
}

#[derive(Default)]
struct Table {
    rows: Vec<(&'static str, Vec<f64>)>,
}

impl Table {
    fn add(&mut self, name: &'static str, nanos: f64) {
        match self.rows.iter_mut().find(|(row, _)| *row == name) {
            Some((_, times)) => times.push(nanos),
            None => self.rows.push((name, vec![nanos])),
        }
    }

    fn print(&mut self) {
        println!("uncontended acquire and drop, pool of {POOL_SIZE}, median of {ROUNDS} rounds");
        let ours = median(&mut self.rows[0].1);
        for (name, times) in &mut self.rows {
            let nanos = median(times);
            println!("{name:>22} {nanos:>8.1} ns {:>6.2} x tenure", nanos / ours);
        }
    }
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

struct Unit;

impl Resource for Unit {
    type Value = u64;
    type Error = Infallible;

    async fn open(&self) -> Result<u64, Infallible> {
        Ok(0)
    }
}

async fn tenure_pool() -> Pool<Unit, Tokio> {
    let pool = Pool::builder(Unit)
        .min_size(POOL_SIZE)
        .max_size(POOL_SIZE)
        .idle_timeout(IDLE_TIMEOUT)
        .build(Tokio::current())
        .expect("the settings are valid");
    pool.start().await.expect("opening cannot fail");
    pool
}

impl deadpool::managed::Manager for Unit {
    type Type = u64;
    type Error = Infallible;

    async fn create(&self) -> Result<u64, Infallible> {
        Ok(0)
    }

    async fn recycle(
        &self,
        _: &mut u64,
        _: &deadpool::managed::Metrics,
    ) -> deadpool::managed::RecycleResult<Infallible> {
        Ok(())
    }
}

async fn deadpool_pool() -> deadpool::managed::Pool<Unit> {
    let pool = deadpool::managed::Pool::builder(Unit)
        .max_size(POOL_SIZE)
        .build()
        .expect("the settings are valid");
    let mut warm = Vec::new();
    for _ in 0..POOL_SIZE {
        warm.push(pool.get().await.expect("creating cannot fail"));
    }
    pool
}

impl bb8::ManageConnection for Unit {
    type Connection = u64;
    type Error = Infallible;

    async fn connect(&self) -> Result<u64, Infallible> {
        Ok(0)
    }

    async fn is_valid(&self, _: &mut u64) -> Result<(), Infallible> {
        Ok(())
    }

    fn has_broken(&self, _: &mut u64) -> bool {
        false
    }
}

async fn bb8_pool() -> bb8::Pool<Unit> {
    bb8::Pool::builder()
        .max_size(POOL_SIZE as u32)
        .min_idle(POOL_SIZE as u32)
        .idle_timeout(IDLE_TIMEOUT)
        .max_lifetime(MAX_LIFETIME)
        .test_on_check_out(false)
        .build(Unit)
        .await
        .expect("connecting cannot fail")
}

#[mobc::async_trait]
impl mobc::Manager for Unit {
    type Connection = u64;
    type Error = Infallible;

    async fn connect(&self) -> Result<u64, Infallible> {
        Ok(0)
    }

    async fn check(&self, connection: u64) -> Result<u64, Infallible> {
        Ok(connection)
    }
}

async fn mobc_pool() -> mobc::Pool<Unit> {
    let pool = mobc::Pool::builder()
        .max_open(POOL_SIZE as u64)
        .max_idle(POOL_SIZE as u64)
        .max_idle_lifetime(Some(IDLE_TIMEOUT))
        .max_lifetime(Some(MAX_LIFETIME))
        .test_on_check_out(false)
        .build(Unit);
    let mut warm = Vec::new();
    for _ in 0..POOL_SIZE {
        warm.push(pool.get().await.expect("connecting cannot fail"));
    }
    pool
}
