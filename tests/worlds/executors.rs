//! The worlds themselves: each starts an executor, and hands out the backend for it.

use std::future::Future;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use futures::channel::oneshot;
use futures::executor::{LocalPool, LocalSpawner, ThreadPool};
use futures::task::{FutureObj, SpawnError};
use smol::LocalExecutor;
use tenure_async_std::AsyncStd;
use tenure_core::SpawnLocal;
use tenure_futures::{AnyExecutor, FuturesTimer};
use tenure_sim::Sim;
use tenure_smol::{Smol, SmolLocal};
use tenure_tokio::Tokio;
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

use super::World;

/// Tokio's multi-thread scheduler, in real time.
#[derive(Clone)]
pub(crate) struct TokioMultiThread(Beside);

impl World for TokioMultiThread {
    type Runtime = Tokio;
    type Mark = Arc<()>;

    fn run<F: Future<Output = ()>>(test: impl Fn(Self) -> F) {
        tokio(Builder::new_multi_thread().worker_threads(2))
            .block_on(Beside::run(|beside| test(Self(beside))));
    }

    fn runtime(&self) -> Tokio {
        Tokio::current()
    }

    fn detach(&self, future: impl Future<Output = ()> + 'static) {
        self.0.spawn(future);
    }
}

/// Tokio's current-thread scheduler, whose clock is paused.
#[derive(Clone)]
pub(crate) struct TokioPaused(Beside);

impl World for TokioPaused {
    type Runtime = Tokio;
    type Mark = Arc<()>;

    const VIRTUAL_TIME: bool = true;

    fn run<F: Future<Output = ()>>(test: impl Fn(Self) -> F) {
        tokio(Builder::new_current_thread().start_paused(true))
            .block_on(Beside::run(|beside| test(Self(beside))));
    }

    fn runtime(&self) -> Tokio {
        Tokio::current()
    }

    fn detach(&self, future: impl Future<Output = ()> + 'static) {
        self.0.spawn(future);
    }
}

/// Tokio's current-thread scheduler, in real time. For the contract of timers.
#[derive(Clone)]
pub(crate) struct TokioUnpaused(Beside);

impl World for TokioUnpaused {
    type Runtime = Tokio;
    type Mark = Arc<()>;

    fn run<F: Future<Output = ()>>(test: impl Fn(Self) -> F) {
        tokio(&mut Builder::new_current_thread())
            .block_on(Beside::run(|beside| test(Self(beside))));
    }

    fn runtime(&self) -> Tokio {
        Tokio::current()
    }

    fn detach(&self, future: impl Future<Output = ()> + 'static) {
        self.0.spawn(future);
    }
}

/// A `LocalSet` of tokio, whose clock is paused, for values that are not `Send`.
#[derive(Clone)]
pub(crate) struct TokioLocalSet;

impl World for TokioLocalSet {
    type Runtime = Tokio;
    type Mark = Rc<()>;

    const VIRTUAL_TIME: bool = true;

    fn run<F: Future<Output = ()>>(test: impl Fn(Self) -> F) {
        let runtime = tokio(Builder::new_current_thread().start_paused(true));
        LocalSet::new().block_on(&runtime, async { test(Self).await });
    }

    fn runtime(&self) -> Tokio {
        Tokio::current()
    }

    fn detach(&self, future: impl Future<Output = ()> + 'static) {
        self.runtime().spawn_local(future);
    }
}

/// async-std's global executor.
#[derive(Clone)]
pub(crate) struct AsyncStdGlobal;

impl World for AsyncStdGlobal {
    type Runtime = AsyncStd;
    type Mark = Arc<()>;

    fn run<F: Future<Output = ()>>(test: impl Fn(Self) -> F) {
        async_std::task::block_on(async { test(Self).await });
    }

    fn runtime(&self) -> AsyncStd {
        AsyncStd
    }

    fn detach(&self, future: impl Future<Output = ()> + 'static) {
        AsyncStd.spawn_local(future);
    }
}

/// smol's global executor.
#[derive(Clone)]
pub(crate) struct SmolGlobal(Beside);

impl World for SmolGlobal {
    type Runtime = Smol;
    type Mark = Arc<()>;

    fn run<F: Future<Output = ()>>(test: impl Fn(Self) -> F) {
        smol::block_on(Beside::run(|beside| test(Self(beside))));
    }

    fn runtime(&self) -> Smol {
        Smol
    }

    fn detach(&self, future: impl Future<Output = ()> + 'static) {
        self.0.spawn(future);
    }
}

/// A `LocalExecutor` of smol, for values that are not `Send`. For the contract of timers.
#[derive(Clone)]
pub(crate) struct SmolLocally(SmolLocal);

impl World for SmolLocally {
    type Runtime = SmolLocal;
    type Mark = Rc<()>;

    fn run<F: Future<Output = ()>>(test: impl Fn(Self) -> F) {
        let executor = Rc::new(LocalExecutor::new());
        smol::block_on(executor.run(async { test(Self(SmolLocal::new(&executor))).await }));
    }

    fn runtime(&self) -> SmolLocal {
        self.0.clone()
    }

    fn detach(&self, future: impl Future<Output = ()> + 'static) {
        self.0.spawn_local(future);
    }
}

/// The simulator: a seed decides which of the ready tasks runs, and a test runs for a few of them.
#[derive(Clone)]
pub(crate) struct Simulated(Sim);

impl World for Simulated {
    type Runtime = Sim;
    type Mark = Arc<()>;

    const VIRTUAL_TIME: bool = true;

    fn run<F: Future<Output = ()>>(test: impl Fn(Self) -> F) {
        for seed in 0..5 {
            tenure_sim::run(seed, |sim| test(Self(sim)));
        }
    }

    fn runtime(&self) -> Sim {
        self.0.clone()
    }

    fn detach(&self, future: impl Future<Output = ()> + 'static) {
        self.0.spawn_local(future);
    }
}

/// The `LocalPool` of the futures crate, for values that are not `Send`.
#[derive(Clone)]
pub(crate) struct FuturesLocalPool(AnyExecutor<LocalSpawner>);

impl World for FuturesLocalPool {
    type Runtime = AnyExecutor<LocalSpawner>;
    type Mark = Rc<()>;

    fn run<F: Future<Output = ()>>(test: impl Fn(Self) -> F) {
        let mut pool = LocalPool::new();
        let spawner = pool.spawner();
        pool.run_until(async { test(Self(AnyExecutor::new(spawner))).await });
    }

    fn runtime(&self) -> AnyExecutor<LocalSpawner> {
        self.0.clone()
    }

    fn detach(&self, future: impl Future<Output = ()> + 'static) {
        self.0.spawn_local(future);
    }
}

/// The `ThreadPool` of the futures crate, in whose threads the library runs what it spawns.
#[derive(Clone)]
pub(crate) struct FuturesThreadPool(AnyExecutor<ThreadPool>, Beside);

impl World for FuturesThreadPool {
    type Runtime = AnyExecutor<ThreadPool>;
    type Mark = Arc<()>;

    fn run<F: Future<Output = ()>>(test: impl Fn(Self) -> F) {
        let pool = ThreadPool::builder()
            .pool_size(2)
            .create()
            .expect("threads for the pool");
        futures::executor::block_on(Beside::run(|beside| {
            test(Self(AnyExecutor::new(pool), beside))
        }));
    }

    fn runtime(&self) -> AnyExecutor<ThreadPool> {
        self.0.clone()
    }

    fn detach(&self, future: impl Future<Output = ()> + 'static) {
        self.1.spawn(future);
    }
}

/// A timer and nothing to spawn on. The tasks of a test run all the same; the library's do not.
#[derive(Clone)]
pub(crate) struct PlainBlockOn(Beside);

impl World for PlainBlockOn {
    type Runtime = FuturesTimer;
    type Mark = Arc<()>;

    const BACKGROUND: bool = false;

    fn run<F: Future<Output = ()>>(test: impl Fn(Self) -> F) {
        futures::executor::block_on(Beside::run(|beside| test(Self(beside))));
    }

    fn runtime(&self) -> FuturesTimer {
        FuturesTimer
    }

    fn detach(&self, future: impl Future<Output = ()> + 'static) {
        self.0.spawn(future);
    }
}

/// The `block_on` of pollster, which knows of nothing else: as [`PlainBlockOn`].
#[derive(Clone)]
pub(crate) struct Pollster(Beside);

impl World for Pollster {
    type Runtime = FuturesTimer;
    type Mark = Arc<()>;

    const BACKGROUND: bool = false;

    fn run<F: Future<Output = ()>>(test: impl Fn(Self) -> F) {
        pollster::block_on(Beside::run(|beside| test(Self(beside))));
    }

    fn runtime(&self) -> FuturesTimer {
        FuturesTimer
    }

    fn detach(&self, future: impl Future<Output = ()> + 'static) {
        self.0.spawn(future);
    }
}

/// A bare executor of the crate async-executor, run by two threads.
#[derive(Clone)]
pub(crate) struct AsyncExecutor(AnyExecutor<Spawner>, Beside);

/// What a program writes to have the library use an executor of its own: this, and nothing more.
#[derive(Clone)]
pub(crate) struct Spawner(Arc<async_executor::Executor<'static>>);

impl futures::task::Spawn for Spawner {
    fn spawn_obj(&self, future: FutureObj<'static, ()>) -> Result<(), SpawnError> {
        self.0.spawn(future).detach();
        Ok(())
    }
}

impl World for AsyncExecutor {
    type Runtime = AnyExecutor<Spawner>;
    type Mark = Arc<()>;

    fn run<F: Future<Output = ()>>(test: impl Fn(Self) -> F) {
        let executor = Arc::new(async_executor::Executor::new());
        let runtime = AnyExecutor::new(Spawner(executor.clone()));
        let (ends, ended) = oneshot::channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(|| pollster::block_on(executor.run(ended)));
            let test = Beside::run(|beside| test(Self(runtime, beside)));
            // A test that panics drops it as well.
            let _ends = ends;
            pollster::block_on(executor.run(test));
        });
    }

    fn runtime(&self) -> AnyExecutor<Spawner> {
        self.0.clone()
    }

    fn detach(&self, future: impl Future<Output = ()> + 'static) {
        self.1.spawn(future);
    }
}

/// Runs tasks beside a test in any `block_on`, and lets go of them when the test ends.
#[derive(Clone)]
struct Beside(Weak<LocalExecutor<'static>>);

impl Beside {
    async fn run<F: Future<Output = ()>>(test: impl FnOnce(Self) -> F) {
        let executor = Rc::new(LocalExecutor::new());
        executor.run(test(Self(Rc::downgrade(&executor)))).await;
    }

    fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        if let Some(executor) = self.0.upgrade() {
            executor.spawn(future).detach();
        }
    }
}

fn tokio(builder: &mut Builder) -> Runtime {
    builder.enable_time().build().expect("a runtime of tokio")
}
