#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use std::collections::hash_map::RandomState;
use std::future::Future;
use std::hash::{BuildHasher, Hasher};
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};
use std::time::Duration;

use tenure_core::{Instant, Spawn, SpawnLocal, Timer};

/// The async-std runtime, as tenure sees it: the machine's clock, async-std's timer, and its executors.
///
/// It needs no set-up and works from every thread, because async-std starts its threads when they are
/// first needed. It is **legacy**: async-std is discontinued (RUSTSEC-2025-0052), so a new program
/// should take smol.
///
/// ```
/// use tenure_async_std::AsyncStd;
/// use tenure_core::Spawn;
///
/// let (done, finished) = async_std::channel::bounded(1);
/// AsyncStd.spawn(async move { done.send(7).await.expect("the receiver waits") });
/// assert_eq!(async_std::task::block_on(finished.recv()), Ok(7));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AsyncStd;

impl Timer for AsyncStd {
    const ACCEPTS_WRAPPED_WAKERS: bool = true;

    type Sleep = Sleep;

    fn now(&self) -> Instant {
        Instant::EPOCH + epoch().elapsed()
    }

    fn sleep_until(&self, at: Instant) -> Sleep {
        Sleep(on_machine_clock(at).map_or_else(async_io::Timer::never, async_io::Timer::at))
    }

    fn entropy(&self) -> u64 {
        RandomState::new().build_hasher().finish()
    }
}

impl Spawn for AsyncStd {
    fn spawn<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        async_std::task::spawn(future);
    }
}

impl SpawnLocal for AsyncStd {
    /// Runs `future` on this thread, whenever this thread is inside `async_std::task::block_on`.
    ///
    /// The future is no async-std task: `async_std::task::current` panics in it, and task-local values
    /// can't be read. async-std's own `spawn_local`, which has them, is behind its `unstable` feature.
    ///
    /// ```
    /// use std::rc::Rc;
    /// use tenure_async_std::AsyncStd;
    /// use tenure_core::SpawnLocal;
    ///
    /// let not_send = Rc::new(7);
    /// let (done, finished) = async_std::channel::bounded(1);
    /// AsyncStd.spawn_local(async move { done.send(*not_send).await.expect("the receiver waits") });
    /// assert_eq!(async_std::task::block_on(finished.recv()), Ok(7));
    /// ```
    fn spawn_local<F: Future<Output = ()> + 'static>(&self, future: F) {
        async_global_executor::spawn_local(future).detach();
    }
}

/// The sleep of [`AsyncStd`]: it ends at its instant, and never before.
///
/// # Cancel safety
///
/// It may be dropped at any time; nothing remains in the timer.
///
/// ```
/// use std::time::Duration;
/// use tenure_async_std::{AsyncStd, Sleep};
/// use tenure_core::Timer;
///
/// let at = AsyncStd.now() + Duration::from_millis(2);
/// let sleep: Sleep = AsyncStd.sleep_until(at);
/// async_std::task::block_on(sleep);
/// assert!(AsyncStd.now() >= at);
/// ```
#[derive(Debug)]
#[must_use = "a sleep does nothing unless it is awaited"]
pub struct Sleep(async_io::Timer);

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(drop)
    }
}

/// Where `at` is on the machine's clock; nowhere if it is never, or later than that clock can say.
fn on_machine_clock(at: Instant) -> Option<std::time::Instant> {
    if at == Instant::MAX {
        return None;
    }
    epoch().checked_add(Duration::from_nanos(at.as_nanos()))
}

/// The first time that anyone asked.
fn epoch() -> std::time::Instant {
    static EPOCH: OnceLock<std::time::Instant> = OnceLock::new();
    *EPOCH.get_or_init(std::time::Instant::now)
}
