//! What a world offers to a test, and how one test is run in one world.

use std::future::{Future, poll_fn};
use std::io::{Write, stderr};
use std::mem::replace;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::task::Poll;
use std::time::Duration;

use futures::FutureExt;
use futures::future::RemoteHandle;
use tenure_core::Timer;

/// One way a program may run. See the head of `worlds.rs`.
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
    fn run<F: Future<Output = ()> + 'static>(test: impl Fn(Self) -> F);

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

/// Lets every other task that is ready run before this one goes on.
pub(crate) async fn yield_now() {
    let mut has_yielded = false;
    poll_fn(|cx| {
        if replace(&mut has_yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
