//! One path through the pool, or one call over gRPC, so many times over, for an instrument to look at:
//! callgrind, perf.
//!
//! `.ci/run instructions` runs each under callgrind with two counts. What one operation takes is the
//! difference of both, so that starting up does not count.

mod grpc;

use std::convert::Infallible;
use std::future::poll_fn;
use std::hint::black_box;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use tenure::pool::PoolBuilder;
use tenure::{Clock, Event, Lease, NoTimer, OwnedLease, Pool, Resource, Sink};
use tenure_tokio::Tokio;

const USAGE: &str = "usage: path NAME COUNT, where NAME is one of:";
const NAMES: [&str; 11] = [
    "uncontended",
    "uncontended-large",
    "uncontended-watched",
    "uncontended-checked",
    "uncontended-timeout",
    "uncontended-owned",
    "uncontended-no-timer",
    "waiting",
    "contended",
    "grpc-bare-client",
    "grpc-service",
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        // So does a bare `cargo bench`.
        [] | ["--bench"] => {
            println!("{USAGE}\n{}", NAMES.join("\n"));
            ExitCode::SUCCESS
        }
        [name, count] if NAMES.contains(&name) => match count.parse() {
            Ok(count) => {
                match name {
                    "grpc-bare-client" => grpc::call_bare_client(count),
                    "grpc-service" => grpc::call_service(count),
                    _ => walk(name, count),
                }
                ExitCode::SUCCESS
            }
            Err(_) => ExitCode::from(2),
        },
        _ => ExitCode::from(2),
    }
}

/// On one thread, because instructions that are counted must not depend on who comes first.
fn walk(name: &str, count: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime starts");
    runtime.block_on(async {
        match name {
            "uncontended" => borrow(&tokio_pool(16, None).await, count).await,
            "uncontended-large" => borrow(&full_pool(Pool::builder(Large)).await, count).await,
            "uncontended-watched" => {
                let sink = Sink::new(|event: &Event<'_>| {
                    black_box(event);
                });
                let watched = Pool::builder(Unit).events(sink).timings(true);
                let pool = full_pool(watched.leak_after(Duration::from_secs(60))).await;
                borrow(&pool, count).await;
            }
            "uncontended-checked" => borrow(&checked_pool(16).await, count).await,
            "uncontended-timeout" => {
                let timeout = Some(Duration::from_secs(5));
                borrow(&tokio_pool(16, timeout).await, count).await;
            }
            "uncontended-owned" => {
                let pool = tokio_pool(16, None).await;
                for _ in 0..count {
                    drop(acquire_owned(&pool).await);
                }
            }
            "uncontended-no-timer" => borrow(&timerless_pool(16).await, count).await,
            "waiting" => wait(&tokio_pool(1, None).await, count).await,
            "contended" => compete(tokio_pool(8, None).await, count).await,
            _ => unreachable!("only names of the pool's paths come here"),
        }
    });
}

/// Acquires as applications do: in a function of their own, which turns the pool's error into theirs.
async fn acquire<R: Resource, C: Clock>(pool: &Pool<R, C>) -> Result<Lease<'_, R, C>, String> {
    pool.acquire().await.map_err(|error| error.to_string())
}

async fn acquire_owned<R: Resource, C: Clock>(
    pool: &Pool<R, C>,
) -> Result<OwnedLease<R, C>, String> {
    pool.acquire_owned()
        .await
        .map_err(|error| error.to_string())
}

async fn borrow<R: Resource, C: Clock>(pool: &Pool<R, C>, count: u64) {
    for _ in 0..count {
        drop(acquire(pool).await);
    }
}

/// A value is lent, a second acquire waits for it, and is handed it: two acquires.
async fn wait<C: Clock>(pool: &Pool<Unit, C>, count: u64) {
    for _ in 0..count {
        let mut held = Some(acquire(pool).await);
        let mut waits = pin!(acquire(pool));
        let taken = poll_fn(|cx| {
            let answer = waits.as_mut().poll(cx);
            if answer.is_pending() && held.take().is_some() {
                return waits.as_mut().poll(cx);
            }
            answer
        });
        assert!(taken.await.is_ok());
    }
}

/// 64 tasks share the uses among them; each holds a value while the others have their turn. What the
/// scheduler takes for that counts as well.
async fn compete<C: Clock + Send + Sync + 'static>(pool: Pool<Unit, C>, count: u64)
where
    C::Sleep: Send,
{
    const TASKS: u64 = 64;
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..TASKS {
        let pool = pool.clone();
        let uses = (count + task) / TASKS;
        tasks.spawn(async move {
            for _ in 0..uses {
                let lease = acquire(&pool).await;
                assert!(lease.is_ok());
                tokio::task::yield_now().await;
                drop(lease);
            }
        });
    }
    tasks.join_all().await;
}

struct Unit;

impl Resource for Unit {
    type Value = u64;
    type Error = Infallible;

    async fn open(&self) -> Result<u64, Infallible> {
        Ok(0)
    }
}

/// A value of 256 bytes.
struct Large;

impl Resource for Large {
    type Value = [u64; 32];
    type Error = Infallible;

    async fn open(&self) -> Result<[u64; 32], Infallible> {
        Ok([0; 32])
    }
}

async fn full_pool<R: Resource>(builder: PoolBuilder<R>) -> Pool<R, Tokio> {
    let pool = builder
        .min_size(16)
        .max_size(16)
        .acquire_timeout(None)
        .build(Tokio::current())
        .expect("the settings are valid");
    pool.start().await.expect("opening cannot fail");
    pool
}

/// A unit that has a check, which a pool asks for by default once a value has lain idle.
struct Checked;

impl Resource for Checked {
    type Value = u64;
    type Error = Infallible;
    const CHECKED: bool = true;

    async fn open(&self) -> Result<u64, Infallible> {
        Ok(0)
    }

    async fn check(&self, _: &mut u64) -> Result<(), Infallible> {
        Ok(())
    }
}

async fn checked_pool(size: usize) -> Pool<Checked, Tokio> {
    let pool = Pool::builder(Checked)
        .min_size(size)
        .max_size(size)
        .acquire_timeout(None)
        .build(Tokio::current())
        .expect("the settings are valid");
    pool.start().await.expect("opening cannot fail");
    pool
}

async fn tokio_pool(size: usize, acquire_timeout: Option<Duration>) -> Pool<Unit, Tokio> {
    let pool = Pool::builder(Unit)
        .min_size(size)
        .max_size(size)
        .acquire_timeout(acquire_timeout)
        .build(Tokio::current())
        .expect("the settings are valid");
    pool.start().await.expect("opening cannot fail");
    pool
}

async fn timerless_pool(size: usize) -> Pool<Unit, NoTimer> {
    let (pool, _runner) = Pool::builder(Unit)
        .min_size(size)
        .max_size(size)
        .build_with_runner(NoTimer)
        .expect("the settings are valid");
    pool.start().await.expect("opening cannot fail");
    pool
}
