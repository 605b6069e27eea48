#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use std::collections::hash_map::RandomState;
use std::future::Future;
use std::hash::{BuildHasher, Hasher};
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, ready};

use futures_timer::Delay;
use tenure_core::{Instant, Spawn, SpawnLocal, Timer};

/// A timer that needs no executor: enough for a plain `block_on`, where nothing runs in the background.
///
/// The clock is the machine's, and one thread of the crate `futures-timer` wakes whoever sleeps. Where
/// there is something to spawn on, use [`AnyExecutor`]. On tokio, async-std or smol use their own
/// backend, whose timer is finer and has no thread of its own.
///
/// ```
/// use std::time::Duration;
/// use tenure_core::Timer;
/// use tenure_futures::FuturesTimer;
///
/// let at = FuturesTimer.now() + Duration::from_millis(2);
/// futures::executor::block_on(FuturesTimer.sleep_until(at));
/// assert!(FuturesTimer.now() >= at);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FuturesTimer;

impl Timer for FuturesTimer {
    const ACCEPTS_WRAPPED_WAKERS: bool = true;

    type Sleep = Sleep;

    fn now(&self) -> Instant {
        static EPOCH: OnceLock<std::time::Instant> = OnceLock::new();
        Instant::EPOCH + EPOCH.get_or_init(std::time::Instant::now).elapsed()
    }

    fn sleep_until(&self, at: Instant) -> Sleep {
        Sleep { at, armed: None }
    }

    fn entropy(&self) -> u64 {
        RandomState::new().build_hasher().finish()
    }
}

/// [`FuturesTimer`], with whatever implements [`futures_task::Spawn`] or [`futures_task::LocalSpawn`].
///
/// It can [`Spawn`] if `S` can, and [`SpawnLocal`] if `S` can. An executor may refuse a future, most
/// often because it has shut down. Then the future is dropped, and nobody is told: what was to run in
/// the background does not, and a pool without its background work stays usable.
///
/// ```
/// use futures::executor::ThreadPool;
/// use tenure_core::Spawn;
/// use tenure_futures::AnyExecutor;
///
/// let runtime = AnyExecutor::new(ThreadPool::new()?);
/// let (done, finished) = futures::channel::oneshot::channel();
/// runtime.spawn(async move { done.send(7).expect("the receiver waits") });
/// assert_eq!(futures::executor::block_on(finished), Ok(7));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct AnyExecutor<S> {
    spawner: S,
}

impl<S> AnyExecutor<S> {
    /// Spawns with `spawner`. One that can't be cloned, or is a trait object, goes in an `Arc` or an `Rc`.
    ///
    /// ```
    /// use futures::executor::LocalPool;
    /// use std::rc::Rc;
    /// use tenure_core::SpawnLocal;
    /// use tenure_futures::AnyExecutor;
    ///
    /// let mut executor = LocalPool::new();
    /// let runtime = AnyExecutor::new(executor.spawner());
    /// let not_send = Rc::new(7);
    /// let (done, finished) = futures::channel::oneshot::channel();
    /// runtime.spawn_local(async move { done.send(*not_send).expect("the receiver waits") });
    /// assert_eq!(executor.run_until(finished), Ok(7));
    /// ```
    #[must_use]
    pub const fn new(spawner: S) -> Self {
        Self { spawner }
    }
}

impl<S: Clone> Timer for AnyExecutor<S> {
    const ACCEPTS_WRAPPED_WAKERS: bool = true;

    type Sleep = Sleep;

    fn now(&self) -> Instant {
        FuturesTimer.now()
    }

    fn sleep_until(&self, at: Instant) -> Sleep {
        FuturesTimer.sleep_until(at)
    }

    fn entropy(&self) -> u64 {
        FuturesTimer.entropy()
    }
}

impl<S: futures_task::Spawn> Spawn for AnyExecutor<S> {
    /// Runs `future` on the executor, or drops it if the executor refuses it.
    fn spawn<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        // The refusal says nothing that could be acted upon: it comes without the future.
        let _ = self.spawner.spawn_obj(Box::new(future).into());
    }
}

impl<S: futures_task::LocalSpawn> SpawnLocal for AnyExecutor<S> {
    /// Runs `future` on the executor, or drops it if the executor refuses it.
    fn spawn_local<F: Future<Output = ()> + 'static>(&self, future: F) {
        let _ = self.spawner.spawn_local_obj(Box::new(future).into());
    }
}

/// The sleep of [`FuturesTimer`] and [`AnyExecutor`]: it ends at its instant, and never before.
///
/// # Cancel safety
///
/// It may be dropped at any time; nothing remains in the timer.
///
/// ```
/// use std::time::Duration;
/// use tenure_core::Timer;
/// use tenure_futures::{FuturesTimer, Sleep};
///
/// let sleep: Sleep = FuturesTimer.sleep_until(FuturesTimer.now() + Duration::from_millis(2));
/// futures::executor::block_on(sleep);
/// ```
#[derive(Debug)]
#[must_use = "a sleep does nothing unless it is awaited"]
pub struct Sleep {
    at: Instant,
    armed: Option<Delay>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.at == Instant::MAX {
            return Poll::Pending;
        }
        loop {
            let left = self.at - FuturesTimer.now();
            if left.is_zero() {
                return Poll::Ready(());
            }
            // A delay counts from its making, and what the clock can't express it cuts to thirty years.
            let delay = self.armed.get_or_insert_with(|| Delay::new(left));
            ready!(Pin::new(delay).poll(cx));
            self.armed = None;
        }
    }
}
