//! What a world offers to a test.

use std::future::{Future, poll_fn};
use std::mem::replace;
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
