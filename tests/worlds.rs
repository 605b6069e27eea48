//! The harness: a test is written once, as a generic async function, and runs in many worlds.
//!
//! A [`World`] is one way a program may run: an executor, and the backend that the library is given on
//! it. A test takes its world by value, and a list at the head of its file runs it in all of them:
//!
//! ```ignore
//! use crate::worlds::World;
//!
//! on_every_backend! {
//!     s03_late_caller_waits_for_the_same_open,
//! }
//!
//! async fn s03_late_caller_waits_for_the_same_open<W: World>(world: W) {
//!     let runtime = world.runtime();
//!     ..
//! }
//! ```
//!
//! The names of the tests are then `managed::on_smol::s03_late_caller_waits_for_the_same_open`, and so
//! on. A test that is missing in the list is dead code, of which the compiler warns.
//!
//! # The eight worlds
//!
//! | module                  | clock   | the library gets | which spawns    | values     | background |
//! |-------------------------|---------|------------------|-----------------|------------|------------|
//! | `on_tokio_multi_thread` | real    | `Tokio`          | on its threads  | `Send`     | runs       |
//! | `on_tokio_paused`       | virtual | `Tokio`          | on one thread   | `Send`     | runs       |
//! | `on_tokio_local_set`    | virtual | `Tokio`          | on the set      | not `Send` | runs       |
//! | `on_async_std`          | real    | `AsyncStd`       | on its threads  | `Send`     | runs       |
//! | `on_smol`               | real    | `Smol`           | on its thread   | `Send`     | runs       |
//! | `on_futures_local_pool` | real    | `AnyExecutor`    | on the pool     | not `Send` | runs       |
//! | `on_simulated`          | virtual | `Sim`            | on one thread   | `Send`     | runs       |
//! | `on_plain_block_on`     | real    | `FuturesTimer`   | nowhere         | `Send`     | is dropped |
//!
//! `on_backend!` runs a list in one world, for what only some have: `W::Runtime: Spawn` is a bound like
//! any other. There are further worlds in `executors` ([`TokioUnpaused`], [`SmolLocally`],
//! [`FuturesThreadPool`]), which only the contract of the backends needs.
//!
//! # What a world offers
//!
//! - [`World::runtime`], the backend, to be handed to the library.
//! - [`World::tick`], the unit of waiting: a second where time is virtual, a few milliseconds where it
//!   is real. Write every interval, timeout and wait as some ticks. Assert "not before", never "not
//!   after"; only where [`World::VIRTUAL_TIME`] says so may a test rely on the exact time, or wait a day.
//! - [`World::task`], a task beside the test, on the same thread, so that nothing need be `Send`. A
//!   panic in it reaches whoever awaits it. `futures::join!` serves as well.
//! - [`World::background`], which runs the future of a `Runner` in the same way. Without
//!   [`World::BACKGROUND`] it is dropped, as by a user who has no use for it.
//! - [`World::Mark`], for a test resource to carry in its values: an `Rc` where values need not be `Send`.
//!
//! # Where the code must be `Send` in some worlds only
//!
//! Generic code can't promise that a future is `Send` if it is so in some worlds only: `build(runtime)`
//! asks for it, `build_local(runtime)` does not. Then the suite adds a trait of its own. Its methods
//! name associated types without a bound, and each implementation knows what they are:
//!
//! ```ignore
//! trait PoolWorld: World {
//!     type Probe: LocalResource<Value = ProbeValue<Self::Mark>>;
//!     fn build(&self, pool: PoolBuilder<Self::Probe>) -> Pool<Self::Probe>;
//! }
//! impl PoolWorld for SmolGlobal { // likewise in all worlds that spawn
//!     type Probe = SendProbe;
//!     fn build(&self, pool: PoolBuilder<SendProbe>) -> Pool<SendProbe> { pool.build(self.runtime()) }
//! }
//! impl PoolWorld for TokioLocalSet { // likewise in all worlds that spawn locally
//!     type Probe = LocalProbe;
//!     fn build(&self, pool: PoolBuilder<LocalProbe>) -> Pool<LocalProbe> { pool.build_local(self.runtime()) }
//! }
//! ```
//!
//! # Hanging
//!
//! A test that takes longer than [`HANG_LIMIT`] ends the whole process with its name on stderr: a lost
//! wake-up must be a failure, not a build that waits for ever.

use std::future::Future;
use std::io::{Write, stderr};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use futures::FutureExt;
use futures::future::RemoteHandle;
use tenure_core::Timer;

#[path = "worlds/executors.rs"]
mod executors;

pub(crate) use executors::*;

/// One way a program may run. See the head of this file.
pub(crate) trait World: Clone + 'static {
    /// The backend that the library is given.
    type Runtime: Timer + 'static;
    /// What the values of a test's resource carry: something that is not `Send` where none needs to be.
    type Mark: Clone + Default + 'static;

    /// Whether time passes at once when all tasks wait for it.
    const VIRTUAL_TIME: bool = false;
    /// Whether background work runs at all.
    const BACKGROUND: bool = true;

    /// Makes the world and runs `test` in it to its end.
    fn run<F: Future<Output = ()>>(test: impl Fn(Self) -> F);

    /// The backend.
    fn runtime(&self) -> Self::Runtime;

    /// Runs `future` beside the test, on its thread, until it or the test ends.
    fn detach(&self, future: impl Future<Output = ()> + 'static);

    /// Runs `future` beside the test, on its thread. Dropping the handle cancels it.
    fn task<F: Future<Output: 'static> + 'static>(&self, future: F) -> RemoteHandle<F::Output> {
        let (task, handle) = future.remote_handle();
        self.detach(task);
        handle
    }

    /// Runs what a user would spawn and forget, or drops it where there is no background.
    fn background(&self, work: impl Future<Output = ()> + 'static) {
        if Self::BACKGROUND {
            self.detach(work);
        }
    }

    /// The unit of waiting.
    fn tick(&self) -> Duration {
        if Self::VIRTUAL_TIME {
            Duration::from_secs(1)
        } else {
            Duration::from_millis(4)
        }
    }
}

/// Runs each listed test of the calling module in all eight worlds. Once per module.
macro_rules! on_every_backend {
    ($($test:ident),+ $(,)?) => {
        on_backend! { on_tokio_multi_thread = TokioMultiThread: $($test),+ }
        on_backend! { on_tokio_paused = TokioPaused: $($test),+ }
        on_backend! { on_tokio_local_set = TokioLocalSet: $($test),+ }
        on_backend! { on_async_std = AsyncStdGlobal: $($test),+ }
        on_backend! { on_smol = SmolGlobal: $($test),+ }
        on_backend! { on_futures_local_pool = FuturesLocalPool: $($test),+ }
        on_backend! { on_simulated = Simulated: $($test),+ }
        on_backend! { on_plain_block_on = PlainBlockOn: $($test),+ }
    };
}

/// Runs each listed test of the calling module in one world: `on_backend! { module = World: tests }`.
macro_rules! on_backend {
    ($module:ident = $world:ident: $($test:ident),+ $(,)?) => {
        mod $module {
            use crate::worlds::{$world, World, within_hang_limit};

            $(
                #[test]
                fn $test() {
                    within_hang_limit(concat!(module_path!(), "::", stringify!($test)), || {
                        $world::run(super::$test::<$world>);
                    });
                }
            )+
        }
    };
}

/// How long a test may take. All of them together take less.
pub(crate) const HANG_LIMIT: Duration = Duration::from_secs(60);

/// Runs `test`, and ends the process if that takes too long.
pub(crate) fn within_hang_limit(name: &'static str, test: impl FnOnce()) {
    let (ended, end) = channel::<()>();
    let watchdog = std::thread::spawn(move || {
        // A test that panics drops its end of the channel as well.
        if end.recv_timeout(HANG_LIMIT) == Err(RecvTimeoutError::Timeout) {
            // Not `eprintln!`, which the test runner would keep to itself.
            let _ = writeln!(
                stderr(),
                "{name} hangs: it has not ended within {HANG_LIMIT:?}"
            );
            std::process::abort();
        }
    });
    test();
    drop(ended);
    watchdog.join().expect("the watchdog does not panic");
}
