//! What the core asks of a runtime: the time, a sleep, and, for convenience alone, spawning.
//!
//! A backend crate implements [`Timer`] and, where its runtime can spawn, [`Spawn`] or [`SpawnLocal`].
//! Nothing else in the core knows which runtime it runs on.

use core::future::{Future, Ready};

use crate::time::Instant;

/// A clock that can wait.
///
/// Implement it for a runtime that has no backend yet: two methods are enough.
///
/// # Contract
/// - `now` never goes backwards while one runtime lives.
/// - A sleep never ends before its instant: when it has ended, `now()` is at or after it.
/// - A sleep until an instant that has passed ends at its next poll.
/// - A sleep until [`Instant::MAX`] neither panics nor ends.
/// - A sleep may be dropped at any time, and polled from another task than before.
///
/// ```
/// use core::future::{Future, pending};
/// use core::time::Duration;
/// use tenure_core::{Instant, Timer};
///
/// /// A clock that stands still; enough where nothing ever waits.
/// #[derive(Clone)]
/// struct Stopped;
///
/// impl Timer for Stopped {
///     type Sleep = core::future::Pending<()>;
///     fn now(&self) -> Instant {
///         Instant::EPOCH
///     }
///     fn sleep_until(&self, _at: Instant) -> Self::Sleep {
///         pending()
///     }
/// }
/// assert_eq!(Timer::now(&Stopped), Instant::EPOCH);
/// ```
pub trait Timer: Clone {
    /// Whether futures may be polled with wakers that wrap the task's own.
    ///
    /// If so, background work of many parts polls the one that was woken, and not all of them at each wake. Most
    /// executors do not mind, and the backends for them say `true`. By default it is `false`, for there are timers and
    /// drivers that find their task by the waker, as `embassy-time` does with the timer queue that is integrated with its
    /// executor.
    ///
    /// ```
    /// # use core::future::{Pending, pending};
    /// # use tenure_core::{Instant, Timer};
    /// #[derive(Clone)]
    /// struct AnyWaker;
    ///
    /// impl Timer for AnyWaker {
    ///     const ACCEPTS_WRAPPED_WAKERS: bool = true;
    ///     // ..
    /// #     type Sleep = Pending<()>;
    /// #     fn now(&self) -> Instant { Instant::EPOCH }
    /// #     fn sleep_until(&self, _: Instant) -> Self::Sleep { pending() }
    /// }
    /// ```
    const ACCEPTS_WRAPPED_WAKERS: bool = false;

    /// What [`sleep_until`](Timer::sleep_until) returns. It is neither boxed nor bounded: if it is
    /// `Send`, so are the futures that hold it.
    type Sleep: Future<Output = ()>;

    /// The time now.
    fn now(&self) -> Instant;

    /// A future that ends at `at`, or at its first poll if `at` has passed.
    fn sleep_until(&self, at: Instant) -> Self::Sleep;

    /// Something that differs from process to process, to seed the jitter of whoever asked for none
    /// in particular. By default it is the clock's reading, which is the best a bare machine has;
    /// a backend with a source of randomness says better, and a simulator answers from its seed.
    fn entropy(&self) -> u64 {
        self.now().as_nanos()
    }

    /// A number for the task that is being polled, where the runtime can tell tasks apart. It serves to
    /// find a task that waits for what it holds itself.
    fn current_task(&self) -> Option<u64> {
        None
    }
}

/// A runtime that takes a future and runs it to its end on its own, on any of its threads.
///
/// It returns nothing, because runtimes disagree on what dropping a task's handle does.
///
/// ```
/// use core::future::Future;
/// use tenure_core::Spawn;
///
/// /// Gives each future a thread of its own.
/// struct ThreadEach;
///
/// impl Spawn for ThreadEach {
///     fn spawn<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
///         std::thread::spawn(|| futures::executor::block_on(future));
///     }
/// }
/// ThreadEach.spawn(async { println!("on a thread of its own") });
/// ```
pub trait Spawn {
    /// Runs `future` to its end, detached from the caller.
    fn spawn<F: Future<Output = ()> + Send + 'static>(&self, future: F);
}

/// A runtime that runs a future which never leaves the current thread.
///
/// The counterpart of [`Spawn`] for resources that are not `Send`.
///
/// ```
/// use core::future::Future;
/// use futures::executor::LocalSpawner;
/// use futures::task::LocalSpawnExt;
/// use tenure_core::SpawnLocal;
///
/// struct OnPool(LocalSpawner);
///
/// impl SpawnLocal for OnPool {
///     fn spawn_local<F: Future<Output = ()> + 'static>(&self, future: F) {
///         self.0.spawn_local(future).expect("the pool outlives its spawner");
///     }
/// }
///
/// let mut executor = futures::executor::LocalPool::new();
/// OnPool(executor.spawner()).spawn_local(async { println!("on this thread") });
/// executor.run();
/// ```
pub trait SpawnLocal {
    /// Runs `future` to its end on this thread, detached from the caller.
    fn spawn_local<F: Future<Output = ()> + 'static>(&self, future: F);
}

/// A timer, or none: what a pool or a managed resource is generic over.
///
/// Every [`Timer`] is a clock, and so is [`NoTimer`]. Do not implement it: implement [`Timer`].
/// What needs to wait takes a [`Timer`], so that a timeout without a timer does not compile.
///
/// ```
/// use tenure_core::{Clock, NoTimer};
/// assert!(NoTimer.try_now().is_none());
/// ```
pub trait Clock: Clone {
    /// See [`Timer::ACCEPTS_WRAPPED_WAKERS`]. Without a timer nothing is known of the executor, and none is wrapped.
    const ACCEPTS_WRAPPED_WAKERS: bool = false;

    /// The sleep of the timer, if there is one.
    type Sleep: Future<Output = ()>;

    /// The time, if anything tells it.
    fn try_now(&self) -> Option<Instant>;

    /// A sleep until `at`, if there is a timer.
    fn try_sleep_until(&self, at: Instant) -> Option<Self::Sleep>;

    /// See [`Timer::entropy`].
    fn seed(&self) -> u64;

    /// The task that is being polled, as [`Timer::current_task`].
    fn current_task(&self) -> Option<u64> {
        None
    }
}

impl<T: Timer> Clock for T {
    const ACCEPTS_WRAPPED_WAKERS: bool = T::ACCEPTS_WRAPPED_WAKERS;

    type Sleep = T::Sleep;

    fn try_now(&self) -> Option<Instant> {
        Some(self.now())
    }

    fn try_sleep_until(&self, at: Instant) -> Option<Self::Sleep> {
        Some(self.sleep_until(at))
    }

    fn seed(&self) -> u64 {
        self.entropy()
    }

    fn current_task(&self) -> Option<u64> {
        Timer::current_task(self)
    }
}

/// The absence of a timer: for a pool that never waits for time, on a machine that may have no clock.
///
/// Methods that take a timeout do not exist on what is built with it, retries make one attempt, and
/// closing has no limit. Prefer a real timer wherever there is one.
///
/// ```
/// use tenure_core::{Clock, Instant, NoTimer};
/// assert!(NoTimer.try_sleep_until(Instant::EPOCH).is_none());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoTimer;

impl Clock for NoTimer {
    type Sleep = Ready<()>;

    fn try_now(&self) -> Option<Instant> {
        None
    }

    fn try_sleep_until(&self, _at: Instant) -> Option<Self::Sleep> {
        None
    }

    fn seed(&self) -> u64 {
        0
    }
}
