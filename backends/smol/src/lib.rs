#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use std::collections::hash_map::RandomState;
use std::future::Future;
use std::hash::{BuildHasher, Hasher};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::OnceLock;
use std::task::{Context, Poll};
use std::time::Duration;

use smol::LocalExecutor;
use tenure_core::{Instant, Spawn, SpawnLocal, Timer};

/// The smol runtime, as tenure sees it: the machine's clock, smol's timer, and its global executor.
///
/// It needs no set-up and works from every thread, because smol starts its threads when they are first
/// needed. For resources that are not `Send` use [`SmolLocal`].
///
/// ```
/// use tenure_core::Spawn;
/// use tenure_smol::Smol;
///
/// let (done, finished) = smol::channel::bounded(1);
/// Smol.spawn(async move { done.send(7).await.expect("the receiver waits") });
/// assert_eq!(smol::block_on(finished.recv()), Ok(7));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Smol;

impl Timer for Smol {
    const ACCEPTS_WRAPPED_WAKERS: bool = true;

    type Sleep = Sleep;

    fn now(&self) -> Instant {
        Instant::EPOCH + epoch().elapsed()
    }

    fn sleep_until(&self, at: Instant) -> Sleep {
        Sleep(on_machine_clock(at).map_or_else(smol::Timer::never, smol::Timer::at))
    }

    fn entropy(&self) -> u64 {
        RandomState::new().build_hasher().finish()
    }
}

impl Spawn for Smol {
    fn spawn<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        smol::spawn(future).detach();
    }
}

/// The same timer as [`Smol`], with a [`LocalExecutor`] of the user's: for resources that are not `Send`.
///
/// It does not keep the executor alive, because a background task that the executor runs holds this
/// value, and neither would ever be freed. A future that is spawned after the executor has gone is
/// dropped, as are those it had not finished; a pool without its background work stays usable.
///
/// ```
/// use std::rc::Rc;
/// use tenure_core::SpawnLocal;
/// use tenure_smol::SmolLocal;
///
/// let executor = Rc::new(smol::LocalExecutor::new());
/// let runtime = SmolLocal::new(&executor);
/// let not_send = Rc::new(7);
/// let (done, finished) = smol::channel::bounded(1);
/// runtime.spawn_local(async move { done.send(*not_send).await.expect("the receiver waits") });
/// assert_eq!(smol::block_on(executor.run(finished.recv())), Ok(7));
/// ```
#[derive(Clone, Debug)]
pub struct SmolLocal {
    executor: Weak<LocalExecutor<'static>>,
}

impl SmolLocal {
    /// Spawns on `executor`, which the caller keeps and runs.
    ///
    /// ```
    /// # use std::rc::Rc;
    /// let executor = Rc::new(smol::LocalExecutor::new());
    /// let runtime = tenure_smol::SmolLocal::new(&executor);
    /// smol::block_on(executor.run(async { /* the program, with `runtime` */ }));
    /// # drop(runtime);
    /// ```
    #[must_use]
    pub fn new(executor: &Rc<LocalExecutor<'static>>) -> Self {
        Self {
            executor: Rc::downgrade(executor),
        }
    }
}

impl Timer for SmolLocal {
    const ACCEPTS_WRAPPED_WAKERS: bool = true;

    type Sleep = Sleep;

    fn now(&self) -> Instant {
        Smol.now()
    }

    fn sleep_until(&self, at: Instant) -> Sleep {
        Smol.sleep_until(at)
    }

    fn entropy(&self) -> u64 {
        Smol.entropy()
    }
}

impl SpawnLocal for SmolLocal {
    /// Runs `future` on the executor, or drops it if the executor has gone.
    fn spawn_local<F: Future<Output = ()> + 'static>(&self, future: F) {
        if let Some(executor) = self.executor.upgrade() {
            executor.spawn(future).detach();
        }
    }
}

/// The sleep of [`Smol`] and [`SmolLocal`]: it ends at its instant, and never before.
///
/// # Cancel safety
///
/// It may be dropped at any time; nothing remains in the timer.
///
/// ```
/// use std::time::Duration;
/// use tenure_core::Timer;
/// use tenure_smol::{Sleep, Smol};
///
/// let at = Smol.now() + Duration::from_millis(2);
/// let sleep: Sleep = Smol.sleep_until(at);
/// smol::block_on(sleep);
/// assert!(Smol.now() >= at);
/// ```
#[derive(Debug)]
#[must_use = "a sleep does nothing unless it is awaited"]
pub struct Sleep(smol::Timer);

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
