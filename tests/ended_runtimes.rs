//! What a backend's value does when the runtime it was made in is elsewhere, has ended, or never was.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::channel::oneshot;
use futures::executor::{LocalPool, ThreadPool, block_on};
use tenure_core::pool::KeyedPool;
use tenure_core::{Connection, Instant, Pool, Resource, Shared, Spawn, SpawnLocal, Timer};
use tenure_futures::AnyExecutor;
use tenure_smol::SmolLocal;
use tenure_tokio::Tokio;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

use crate::worlds::within_hang_limit;

const SOON: Duration = Duration::from_millis(2);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[test]
fn tokio_in_a_static_serves_one_runtime_after_another() {
    static KEPT: LazyLock<Tokio> = LazyLock::new(Tokio::current);
    within_hang_limit("tokio_in_a_static_serves_one_runtime_after_another", || {
        for mut builder in [
            Builder::new_current_thread(),
            Builder::new_multi_thread(),
            Builder::new_current_thread(),
        ] {
            let runtime = builder.enable_time().build().expect("a runtime of tokio");
            runtime.block_on(async { sleep_and_spawn(&*KEPT).await });
        }
    });
}

#[test]
fn tokio_made_outside_a_runtime_serves_the_one_around_its_caller() {
    within_hang_limit(
        "tokio_made_outside_a_runtime_serves_the_one_around_its_caller",
        || {
            let kept = Tokio::current();
            unpaused().block_on(sleep_and_spawn(&kept));
        },
    );
}

#[test]
fn tokio_made_in_a_live_runtime_serves_a_plain_thread() {
    within_hang_limit("tokio_made_in_a_live_runtime_serves_a_plain_thread", || {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_time()
            .build()
            .expect("a runtime of tokio");
        let kept = runtime.block_on(async { Tokio::current() });
        block_on(sleep_and_spawn(&kept));
    });
}

#[test]
fn tokio_prefers_the_runtime_around_its_caller() {
    within_hang_limit("tokio_prefers_the_runtime_around_its_caller", || {
        let (ahead, around) = (paused(), paused());
        let kept = ahead.block_on(async { Tokio::current() });
        ahead.block_on(kept.sleep_until(kept.now() + DAY));
        around.block_on(async {
            let before = Tokio::current().now();
            assert_eq!(kept.now(), before);
            kept.sleep_until(before + SOON).await;
            assert_eq!(kept.now(), before + SOON);
        });
    });
}

#[test]
fn tokio_tells_the_paused_time_outside_its_runtime_too() {
    let runtime = paused();
    let kept = runtime.block_on(async {
        let kept = Tokio::current();
        kept.sleep_until(kept.now() + DAY).await;
        kept
    });
    let inside = runtime.block_on(async { kept.now() });
    assert_eq!(kept.now(), inside, "the clock went to another time outside");
}

#[test]
fn a_sleep_of_tokio_that_moves_to_another_runtime_ends_by_the_clock_there() {
    within_hang_limit(
        "a_sleep_of_tokio_that_moves_to_another_runtime_ends_by_the_clock_there",
        || {
            let (ahead, around) = (paused(), paused());
            let kept = Tokio::current();
            let at = around.block_on(async { kept.now() }) + DAY;
            let mut sleep = pin!(kept.sleep_until(at));
            ahead.block_on(async {
                assert_eq!(futures::poll!(sleep.as_mut()), Poll::Pending);
                kept.sleep_until(kept.now() + DAY * 2).await;
            });
            around.block_on(async {
                assert!(kept.now() < at);
                sleep.await;
                assert!(kept.now() >= at);
            });
        },
    );
}

#[test]
fn tokio_without_any_runtime_says_what_to_do() {
    let homeless = Tokio::current();
    let now = homeless.now();
    assert!(homeless.now() >= now);
    assert_eq!(
        poll_once(homeless.sleep_until(now)),
        Poll::Ready(()),
        "what has passed needs no timer"
    );
    assert_eq!(
        poll_once(homeless.sleep_until(Instant::MAX)),
        Poll::Pending,
        "what never comes needs none either"
    );
    for message in [
        panic_of(|| assert!(poll_once(homeless.sleep_until(homeless.now() + DAY)).is_pending())),
        panic_of(|| homeless.spawn(async {})),
    ] {
        assert!(
            message.starts_with("no tokio runtime") && message.contains("Tokio::current()"),
            "{message}"
        );
    }
}

#[test]
fn tokio_whose_runtime_has_ended_drops_what_is_spawned() {
    let runtime = unpaused();
    let kept = runtime.block_on(async { Tokio::current() });
    drop(runtime);
    assert_dropped(|work| kept.spawn(work));
    let message = panic_of(|| assert!(poll_once(kept.sleep_until(kept.now() + DAY)).is_pending()));
    assert!(message.contains("shut"), "tokio says why: {message}");
}

#[test]
fn spawning_locally_on_tokio_panics_outside_a_local_set() {
    let message =
        panic_of(|| unpaused().block_on(async { Tokio::current().spawn_local(async {}) }));
    assert!(message.contains("LocalSet"), "{message}");
}

#[test]
fn smol_drops_what_is_spawned_on_a_local_executor_that_has_gone() {
    let executor = Rc::new(smol::LocalExecutor::new());
    let kept = SmolLocal::new(&executor);
    drop(executor);
    let held = Rc::new(());
    let in_task = held.clone();
    kept.spawn_local(async move { drop(in_task) });
    assert_eq!(Rc::strong_count(&held), 1);
}

#[test]
fn a_background_task_does_not_keep_the_local_executor_of_smol_alive() {
    let executor = Rc::new(smol::LocalExecutor::new());
    let runtime = SmolLocal::new(&executor);
    let held = Rc::new(());
    runtime.spawn_local({
        let (runtime, held) = (runtime.clone(), held.clone());
        async move {
            runtime.sleep_until(Instant::MAX).await;
            drop(held);
        }
    });
    drop(executor);
    assert_eq!(
        Rc::strong_count(&held),
        1,
        "the task is dropped with its executor"
    );
}

#[test]
fn an_executor_of_futures_that_has_gone_drops_what_is_spawned() {
    let pool = LocalPool::new();
    let kept = AnyExecutor::new(pool.spawner());
    drop(pool);
    assert_dropped(|work| kept.spawn(work));
    assert_dropped(|work| kept.spawn_local(work));
}

#[test]
fn a_spawner_may_be_shared_as_a_trait_object() {
    let pool: Arc<dyn futures::task::Spawn + Send + Sync> =
        Arc::new(ThreadPool::new().expect("threads for the pool"));
    within_hang_limit("a_spawner_may_be_shared_as_a_trait_object", || {
        block_on(sleep_and_spawn(&AnyExecutor::new(pool)));
    });
}

async fn sleep_and_spawn<T: Timer + Spawn>(runtime: &T) {
    let at = runtime.now() + SOON;
    runtime.sleep_until(at).await;
    assert!(runtime.now() >= at);
    let (done, finished) = oneshot::channel();
    runtime.spawn(async move { done.send("done").expect("the test waits for it") });
    assert_eq!(finished.await, Ok("done"));
}

fn unpaused() -> Runtime {
    Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime of tokio")
}

fn paused() -> Runtime {
    Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime of tokio")
}

fn poll_once(future: impl Future<Output = ()>) -> Poll<()> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Asserts that `spawn` drops the future it is given, rather than keep it unpolled.
fn assert_dropped(spawn: impl FnOnce(futures::future::BoxFuture<'static, ()>)) {
    let held = Arc::new(());
    let in_task = held.clone();
    spawn(Box::pin(async move { drop(in_task) }));
    assert_eq!(Arc::strong_count(&held), 1);
}

fn panic_of(f: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).expect_err("it panics");
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => (*payload.downcast::<&str>().expect("a panic with a message")).to_owned(),
    }
}

/// An echo server on threads of its own, which outlives every runtime.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let mut answers = stream.try_clone().expect("a socket");
                io::copy(&mut answers, &mut stream)
            });
        }
    });
    address
}

struct Sockets(SocketAddr);

impl Resource for Sockets {
    type Value = Arc<tokio::sync::Mutex<TcpStream>>;
    type Error = io::Error;

    async fn open(&self) -> io::Result<Self::Value> {
        let stream = TcpStream::connect(self.0).await?;
        Ok(Arc::new(tokio::sync::Mutex::new(stream)))
    }
}

async fn echoed(socket: &tokio::sync::Mutex<TcpStream>) -> io::Result<u8> {
    let mut socket = socket.lock().await;
    socket.write_all(b"x").await?;
    socket.read_u8().await
}

/// Asks in one runtime after another, as the tests of one program do.
fn ask_in_three_runtimes(
    name: &'static str,
    ask: impl AsyncFn() -> io::Result<u8> + Send + 'static,
) {
    within_hang_limit(name, move || {
        for _ in 0..3 {
            let mut builder = Builder::new_current_thread();
            let runtime = builder.enable_all().build().expect("a runtime of tokio");
            let answer = runtime.block_on(ask());
            assert_eq!(answer.expect("an answer"), b'x');
        }
    });
}

#[test]
fn a_pool_of_sockets_in_a_static_serves_one_runtime_after_another() {
    static POOL: OnceLock<Pool<Sockets, Tokio>> = OnceLock::new();
    let address = echo();
    ask_in_three_runtimes(
        "a_pool_of_sockets_in_a_static_serves_one_runtime_after_another",
        async move || {
            let build = || Pool::builder(Sockets(address)).build(Tokio::current());
            let pool = POOL.get_or_init(|| build().expect("a pool"));
            let lease = pool.acquire().await.map_err(io::Error::other)?;
            echoed(&lease).await
        },
    );
}

#[test]
fn a_connection_in_a_static_serves_one_runtime_after_another() {
    static CONNECTION: OnceLock<Connection<Sockets, Tokio>> = OnceLock::new();
    let address = echo();
    ask_in_three_runtimes(
        "a_connection_in_a_static_serves_one_runtime_after_another",
        async move || {
            let builder = || Connection::builder(address.to_string(), Sockets(address));
            let build = || builder().build(Tokio::current()).expect("a connection");
            let asked = CONNECTION.get_or_init(build);
            let call = asked.call("echo", |socket| async move { echoed(&socket).await });
            call.await.map_err(io::Error::other)
        },
    );
}

#[test]
fn a_shared_socket_in_a_static_serves_one_runtime_after_another() {
    static SHARED: OnceLock<Shared<Sockets, Tokio>> = OnceLock::new();
    let address = echo();
    ask_in_three_runtimes(
        "a_shared_socket_in_a_static_serves_one_runtime_after_another",
        async move || {
            let build = || Shared::builder(Sockets(address)).build(Tokio::current());
            let shared = SHARED.get_or_init(|| build().expect("a shared socket"));
            let share = shared.acquire().await.map_err(io::Error::other)?;
            echoed(&share).await
        },
    );
}

#[test]
fn a_keyed_pool_in_a_static_serves_one_runtime_after_another() {
    static POOLS: OnceLock<KeyedPool<u8, Sockets, Tokio>> = OnceLock::new();
    let address = echo();
    let next_key = AtomicU8::new(0);
    ask_in_three_runtimes(
        "a_keyed_pool_in_a_static_serves_one_runtime_after_another",
        async move || {
            let build = || {
                let pools = Pool::keyed(move |_: &u8| Pool::builder(Sockets(address)));
                pools.max_size(1).build(Tokio::current())
            };
            let pools = POOLS.get_or_init(|| build().expect("a keyed pool"));
            // Another key needs the one place of the family.
            let key = next_key.fetch_add(1, Ordering::Relaxed);
            let lease = pools.acquire(&key).await.map_err(io::Error::other)?;
            echoed(&lease).await
        },
    );
}

#[test]
fn a_caller_whose_runtime_is_shut_down_meanwhile_is_told() {
    within_hang_limit(
        "a_caller_whose_runtime_is_shut_down_meanwhile_is_told",
        || {
            let mut builder = Builder::new_multi_thread();
            let runtime = builder
                .worker_threads(1)
                .enable_all()
                .build()
                .expect("a runtime");
            let pool = runtime.block_on(async {
                let builder = Pool::builder(Sockets(echo())).max_size(1);
                builder.build(Tokio::current()).expect("a pool")
            });
            let lease = runtime.block_on(pool.acquire_owned()).expect("a value");
            let waiting = std::thread::spawn({
                let pool = pool.clone();
                // A waker that is no task's of the runtime.
                move || {
                    catch_unwind(AssertUnwindSafe(|| {
                        block_on(pool.acquire_owned()).map(drop)
                    }))
                }
            });
            while pool.status().waiting == 0 {
                std::thread::yield_now();
            }
            drop(runtime);
            drop(lease);
            // By a panic of tokio's timer, or by an error of the opening: not by silence.
            let told = waiting.join().expect("a panic is caught");
            assert!(!matches!(told, Ok(Ok(()))));
            assert_eq!(pool.status().waiting, 0);
        },
    );
}
