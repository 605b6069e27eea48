//! A pool that outlives the runtime it was made in.

use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use futures::executor::LocalPool;
use futures::future::join_all;
use tenure_core::{AcquireError, OwnedLease, Pool};
use tenure_futures::AnyExecutor;
use tenure_tokio::Tokio;
use tokio::runtime::{Builder, Runtime};

use crate::pool::assert_all_ended;
use crate::pool::probe::{Control, Hook, LocalProbe, SendProbe, Step};
use crate::worlds::within_hang_limit;

type TokioPool = Pool<SendProbe<Tokio>, Tokio>;

/// As many `#[tokio::test]`s share one: each has a runtime of its own, one after the other.
#[test]
fn n07_pool_in_a_static_serves_one_runtime_after_another() {
    static CONTROL: LazyLock<Control> = LazyLock::new(Control::default);
    static POOL: LazyLock<TokioPool> = LazyLock::new(|| {
        let probe = SendProbe::new(&CONTROL, Tokio::current());
        let pool = Pool::builder(probe).max_size(2).min_size(1);
        let pool = pool.max_closing_beside(0);
        pool.build(Tokio::current()).expect("a pool")
    });
    static KEPT: Mutex<Option<OwnedLease<SendProbe<Tokio>, Tokio>>> = Mutex::new(None);

    within_hang_limit(
        "n07_pool_in_a_static_serves_one_runtime_after_another",
        || {
            runtime().block_on(async {
                let lease = POOL.acquire_owned().await.expect("the first value");
                POOL.acquire().await.expect("another").discard();
                *KEPT.lock().expect("no panic before") = Some(lease);
            });
            for mut builder in [Builder::new_current_thread(), Builder::new_multi_thread()] {
                let runtime = builder.enable_time().build().expect("a runtime");
                runtime.block_on(async {
                    for _ in 0..3 {
                        POOL.acquire().await.expect("a value").discard();
                    }
                    let both = futures::join!(POOL.acquire(), async {
                        drop(KEPT.lock().expect("no panic before").take());
                    });
                    assert!(both.0.is_ok());
                    let status = POOL.status();
                    assert!(status.size <= 2 && status.in_use == 1, "{status}");
                });
            }
            assert!(CONTROL.most_taken() <= 2);
            runtime().block_on(async {
                assert!(POOL.close().await.is_clean());
                assert_all_ended(&POOL, &CONTROL);
            });
        },
    );
}

/// The Runner lives in a runtime that is alive and idle, as does one who waits. Whoever waits elsewhere hears of its timeout.
#[test]
fn n07_timeouts_hold_while_the_runtime_of_the_runner_is_idle() {
    within_hang_limit(
        "n07_timeouts_hold_while_the_runtime_of_the_runner_is_idle",
        || {
            let control = Control::default();
            let timeout = Duration::from_millis(30);
            let first = runtime();
            let (pool, held) = first.block_on(async {
                let probe = SendProbe::new(&control, Tokio::current());
                let pool = Pool::builder(probe).max_size(1).acquire_timeout(timeout);
                let pool = pool.build(Tokio::current()).expect("a pool");
                let held = pool.acquire_owned().await.expect("the value");
                for _ in 0..3 {
                    let pool = pool.clone();
                    tokio::spawn(async move { pool.acquire_owned().await.map(drop) });
                    tokio::task::yield_now().await;
                }
                (pool, held)
            });
            assert_eq!(pool.status().waiting, 3);
            runtime().block_on(async {
                let waiters = (0..5).map(|_| async {
                    let began_at = Instant::now();
                    let error = pool.acquire().await.expect_err("the value is held");
                    assert!(matches!(error, AcquireError::Exhausted { .. }), "{error}");
                    assert!(began_at.elapsed() >= timeout);
                });
                join_all(waiters).await;
            });
            first.block_on(async {
                drop(held);
                assert!(pool.close().await.is_clean());
                assert_all_ended(&pool, &control);
            });
        },
    );
}

/// What the Runner was doing when its runtime ended is given back.
#[test]
fn n07_runtime_that_ends_calls_off_what_was_under_way() {
    within_hang_limit("n07_runtime_that_ends_calls_off_what_was_under_way", || {
        let control = Control::default();
        let first = runtime();
        let pool = first.block_on(async {
            control.script(Hook::Open, [Step::Hang]);
            let probe = SendProbe::new(&control, Tokio::current());
            let pool = Pool::builder(probe).max_size(1).min_size(1);
            let pool = pool.build(Tokio::current()).expect("a pool");
            while control.running(Hook::Open) == 0 {
                tokio::task::yield_now().await;
            }
            pool
        });
        assert_eq!(pool.status().opening, 1);
        drop(first);
        assert_eq!((pool.status().opening, control.cut_off(Hook::Open)), (0, 1));
        runtime().block_on(async {
            assert_eq!(pool.acquire().await.expect("opened here").id, 1);
            assert!(pool.close().await.is_clean());
            assert_all_ended(&pool, &control);
        });
    });
}

#[test]
fn n07_pool_outlives_a_local_executor() {
    within_hang_limit("n07_pool_outlives_a_local_executor", || {
        let control = Control::default();
        let mut first = LocalPool::new();
        let runtime = AnyExecutor::new(first.spawner());
        let probe = LocalProbe::new(&control, runtime.clone());
        let pool = first.run_until(async {
            let pool = Pool::builder(probe).max_size(1).min_size(1);
            let pool = pool.build_local(runtime).expect("a pool");
            pool.start().await.expect("the minimum");
            pool
        });
        drop(first);
        LocalPool::new().run_until(async {
            // The first one belonged to the executor that has gone.
            let lease = pool.acquire().await.expect("a value");
            assert_eq!(lease.id, 2);
            lease.discard();
            assert_eq!(pool.acquire().await.expect("a new value").id, 3);
            assert!(pool.close().await.is_clean());
            assert_all_ended(&pool, &control);
        });
    });
}

fn runtime() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().build().expect("a runtime")
}
