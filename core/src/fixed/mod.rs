//! A pool without a heap: one exclusive value, or a few, in place.
//!
//! What firmware has most often is one thing that can't be cloned: a bus, a modem, a session. [`FixedPool`] opens it, lends it
//! to one task at a time, first come, first served, and opens it anew, with growing pauses, when it broke. It has room for
//! a number of values and of waiters that its type says, allocates nothing, and decides by the same rules as
//! [`Pool`](https://docs.rs/tenure-core/latest/tenure_core/struct.Pool.html), which has more to offer where there is a heap.
//!
//! ```
//! use core::time::Duration;
//! use tenure_core::fixed::FixedPool;
//! use tenure_core::{LocalResource, NoTimer};
//!
//! struct Modem;
//!
//! struct Session {
//!     sent: u32,
//! }
//!
//! impl LocalResource for Modem {
//!     type Value = Session;
//!     type Error = &'static str;
//!
//!     async fn open(&self) -> Result<Session, &'static str> {
//!         Ok(Session { sent: 0 })
//!     }
//! }
//!
//! # futures::executor::block_on(async {
//! // One session, and at most four tasks that wait for it.
//! let pool: FixedPool<Modem, NoTimer, 1, 4> = FixedPool::new(Modem, NoTimer);
//! let mut session = pool.acquire().await.unwrap();
//! session.run(async |session| session.sent += 1).await;
//! drop(session);
//! assert!(pool.shutdown(Duration::from_secs(1)).await);
//! # });
//! ```
//!
//! In firmware it lies in a `static`, by a cell such as `static_cell` has, and tasks have `&'static` references to it.
//!
//! # Who does the work
//!
//! Without a Runner, whoever waits opens and closes what it needs, as it polls. Spawn [`run`](FixedPool::run) in a task of its
//! own to have that done in the background, and idle values checked. It does as many things at once as there are
//! values, in its own memory. An opening that hangs is cut off by its [timeout](FixedPool::open_timeout), with a Runner and without.
//!
//! Without a clock ([`NoTimer`](crate::NoTimer)) no limit of time holds, and nothing is checked while it lies idle.

mod acquire;
mod error;
mod event;
mod lease;
mod parts;
mod runner;
mod shutdown;
mod state;
mod work;

use core::fmt;
use core::time::Duration;

pub use error::FixedError;
pub use event::FixedEvent;
pub use lease::FixedLease;
pub use parts::{Parts, PartsGuard};

use crate::backoff::Backoff;
use crate::ending::Why;
use crate::kernel::{
    Bounds, FixedList, Kernel, Life, Limits, OpeningUnderWay, PoolOpenings, QueueEntry,
};
use crate::local_resource::LocalResource;
use crate::retry::Retry;
use crate::runtime::Clock;
use crate::sync::Lock;
use event::Sends;
use state::FixedState;

/// A pool of at most `VALUES` values, for which at most `WAITERS` tasks wait, without a heap. See the [module](self).
///
/// Take it where there is no allocator, or none that you trust. With one, a [`Pool`](https://docs.rs/tenure-core/latest/tenure_core/struct.Pool.html)
/// has hooks, statistics, limits on the age of values and room for any number of waiters.
///
/// A value that its user dropped unharmed is lent again. One that [`is_broken`](LocalResource::is_broken), or whose last operation
/// was [cut off](FixedLease::run) and that fails its check, is closed, and another is opened for the next who asks.
///
/// ```
#[doc = include_str!("doc_setting.txt")]
/// # futures::executor::block_on(async {
/// let pool = FixedPool::<_, _, 1, 4>::new(Modem, NoTimer).acquire_timeout(Duration::from_secs(2));
/// assert_eq!(*pool.acquire().await.unwrap(), 7);
/// # });
/// ```
pub struct FixedPool<R: LocalResource, C: Clock, const VALUES: usize, const WAITERS: usize> {
    resource: R,
    clock: C,
    config: FixedConfig,
    sends: Option<Sends<R::Error>>,
    state: Lock<FixedState<R::Value, R::Error, VALUES, WAITERS>>,
}

#[derive(Clone, Copy, Debug)]
struct FixedConfig {
    acquire_timeout: Option<Duration>,
    open_timeout: Option<Duration>,
    close_timeout: Option<Duration>,
    check_timeout: Option<Duration>,
    check_every: Option<Duration>,
    open_retry: Retry,
}

/// What is looked at again and again is not looked at more often: a period of no time would never let the Runner rest.
const LEAST_PERIOD: Duration = Duration::from_millis(1);

/// A value, with what the pool knows of it.
struct Slot<V> {
    value: V,
    life: Life,
}

impl<R: LocalResource, C: Clock, const VALUES: usize, const WAITERS: usize>
    FixedPool<R, C, VALUES, WAITERS>
{
    /// A pool that opens its first value when it is first asked for one.
    ///
    /// ```
    #[doc = include_str!("doc_setting.txt")]
    /// let pool: FixedPool<Modem, NoTimer, 2, 8> = FixedPool::new(Modem, NoTimer);
    /// ```
    ///
    /// A pool for no value, and a resource with hooks, which would not be called, do not compile:
    ///
    /// ```compile_fail
    #[doc = include_str!("doc_setting.txt")]
    /// let pool: FixedPool<Modem, NoTimer, 0, 8> = FixedPool::new(Modem, NoTimer);
    /// ```
    #[must_use]
    pub fn new(resource: R, clock: C) -> Self {
        const {
            assert!(VALUES > 0, "a pool needs room for a value");
            assert!(WAITERS > 0, "a pool needs room for a waiter");
            assert!(R::HOOKS.is_none(), "a pool without a heap calls no hooks");
        };
        let config = FixedConfig {
            acquire_timeout: Some(Duration::from_secs(30)),
            open_timeout: Some(Duration::from_secs(5)),
            close_timeout: Some(Duration::from_secs(5)),
            check_timeout: Some(Duration::from_secs(5)),
            check_every: None,
            open_retry: Retry::new(Backoff::OPENING).max_retries(u32::MAX),
        };
        let state = Lock::new(FixedState::new(Self::kernel(&config, clock.seed())));
        Self {
            resource,
            clock,
            config,
            sends: None,
            state,
        }
    }

    fn kernel(config: &FixedConfig, seed: u64) -> Kernel<crate::kernel::InPlace<VALUES, WAITERS>> {
        let under_way = FixedList::new(OpeningUnderWay::NONE);
        let openings = PoolOpenings::new(under_way, config.open_retry, None, R::EXCLUSIVE, seed);
        let bounds = Bounds {
            min_size: 0,
            max_size: VALUES,
            max_waiters: Some(WAITERS),
            idle_timeout: None,
            acquire_timeout: None,
            was_lowered: false,
        };
        let limits = Limits::new(u32::MAX, None, None);
        Kernel::new(
            FixedList::new(QueueEntry::NONE),
            openings,
            false,
            bounds,
            limits,
            None,
        )
    }

    /// For how long an acquire waits at most, opening and check included. Default 30 s, as in HikariCP; `None` for ever.
    ///
    /// Without a clock there are no timeouts.
    ///
    /// ```
    #[doc = include_str!("doc_setting.txt")]
    /// let pool = FixedPool::<_, _, 1, 4>::new(Modem, NoTimer).acquire_timeout(Duration::from_secs(2));
    /// ```
    #[must_use]
    pub fn acquire_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.config.acquire_timeout = limit.into();
        self
    }

    /// How long an opening may take at most. Default 5 s.
    ///
    /// ```
    #[doc = include_str!("doc_setting.txt")]
    /// let pool = FixedPool::<_, _, 1, 4>::new(Modem, NoTimer).open_timeout(Duration::from_secs(1));
    /// ```
    #[must_use]
    pub fn open_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.config.open_timeout = limit.into();
        self
    }

    /// How long a close may take at most, before it is dropped. Default 5 s.
    ///
    /// ```
    #[doc = include_str!("doc_setting.txt")]
    /// let pool = FixedPool::<_, _, 1, 4>::new(Modem, NoTimer).close_timeout(Duration::from_secs(1));
    /// ```
    #[must_use]
    pub fn close_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.config.close_timeout = limit.into();
        self
    }

    /// How long a check may take at most, before it counts as failed. Default 5 s.
    ///
    /// ```
    #[doc = include_str!("doc_setting.txt")]
    /// let pool = FixedPool::<_, _, 1, 4>::new(Modem, NoTimer).check_timeout(Duration::from_secs(1));
    /// ```
    #[must_use]
    pub fn check_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.config.check_timeout = limit.into();
        self
    }

    /// Has the [Runner](FixedPool::run) check values that lie idle, so often, but no more than once a millisecond. By default they
    /// are not.
    ///
    /// A resource without a [check](LocalResource::CHECKED) cannot ask for it: that does not compile.
    ///
    /// ```
    #[doc = include_str!("doc_setting.txt")]
    /// let pool = FixedPool::<_, _, 1, 4>::new(Modem, NoTimer).check_every(Duration::from_secs(10));
    /// ```
    #[must_use]
    pub fn check_every(mut self, period: Duration) -> Self {
        const { assert!(R::CHECKED, "`check_every` needs a resource with a check") };
        self.config.check_every = Some(period.max(LEAST_PERIOD));
        self
    }

    /// How openings that fail are tried again, and when callers are told; to be said before the pool is used. By default every 0.7 s or so, and callers are told
    /// when their own time is over, or at once of an error that is not worth a retry.
    ///
    /// ```
    #[doc = include_str!("doc_setting.txt")]
    /// let policy = Retry::new(Backoff::exponential(Duration::from_millis(100)));
    /// let pool = FixedPool::<_, _, 1, 4>::new(Modem, NoTimer).open_retry(policy);
    /// ```
    ///
    /// # Panics
    /// If the policy makes no sense, as one that tries again for ever without a delay. See [`Retry::validate`].
    #[must_use]
    pub fn open_retry(mut self, policy: Retry) -> Self {
        assert!(
            policy.validate().is_ok(),
            "the policy of openings makes no sense"
        );
        self.config.open_retry = policy;
        let kernel = Self::kernel(&self.config, self.clock.seed());
        self.state = Lock::new(FixedState::new(kernel));
        self
    }

    /// The resource.
    ///
    /// ```
    #[doc = include_str!("doc_setting.txt")]
    /// let pool = FixedPool::<_, _, 1, 4>::new(Modem, NoTimer);
    /// let Modem = pool.resource();
    /// ```
    #[must_use]
    pub const fn resource(&self) -> &R {
        &self.resource
    }
}

impl<R: LocalResource, C: Clock, const VALUES: usize, const WAITERS: usize> Drop
    for FixedPool<R, C, VALUES, WAITERS>
{
    /// Nothing can await a close any more.
    fn drop(&mut self) {
        self.adjust(|state| state.retire_all(Why::HandlesDropped));
        self.abandon_retired();
    }
}

impl<R: LocalResource, C: Clock, const VALUES: usize, const WAITERS: usize> fmt::Debug
    for FixedPool<R, C, VALUES, WAITERS>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FixedPool")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
