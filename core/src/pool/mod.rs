//! Many interchangeable values, each used by one task at a time.

mod acquire;
mod builder;
mod error;
mod job;
mod lease;
mod openings;
mod queue;
mod runner;
mod shared;
mod shutdown;
mod slot;
mod stack;
mod start;
mod status;
mod upkeep;

use core::sync::atomic::Ordering;
use core::time::Duration;

pub use builder::PoolBuilder;
pub use error::AcquireError;
pub use lease::{Lease, OwnedLease};
pub use runner::Runner;
pub use status::Status;

use crate::cleanup::{Audit, Report};
use crate::name::Name;
use crate::resource::LocalResource;
use crate::runtime::{Clock, Timer};
use crate::sync::Arc;
use crate::work::Wakes;
use shared::Shared;

/// A pool of values that are expensive to open: connections, sessions, worker processes.
///
/// It opens values on demand up to a strict maximum, keeps a minimum warm, lends each value to one
/// task at a time in the order in which they asked, checks and trims idle ones, replaces broken ones,
/// and closes every one of them.
///
/// Cloning a pool is cheap and gives another handle on the same one. When the last handle is
/// dropped without a [`shutdown`](Pool::shutdown), the Runner closes what is left; where there is no
/// Runner, values are abandoned, and counted as such.
///
/// For one value that all tasks share, use [`Managed`](crate::Managed) instead.
///
/// ```
/// use tenure_core::{NoTimer, Pool, Resource};
///
/// struct Sessions;
/// # #[derive(Debug)] struct Session; impl Session { async fn ask(&self, q: &str) -> usize { q.len() } }
///
/// impl Resource for Sessions {
///     type Value = Session;
///     type Error = std::io::Error;
///
///     async fn open(&self) -> Result<Session, Self::Error> {
///         Ok(Session)
///     }
/// }
///
/// # futures::executor::block_on(async {
/// // With a runtime: `Pool::builder(Sessions).build(Tokio::current())`.
/// let (pool, _runner) = Pool::builder(Sessions).max_size(4).build_with_runner(NoTimer)?;
/// let session = pool.acquire().await?;
/// assert_eq!(session.ask("how long?").await, 9);
/// drop(session);
/// let report = pool.close().await;
/// assert!(report.is_clean() && pool.audit().is_balanced());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap()
/// ```
pub struct Pool<R: LocalResource, C: Clock> {
    shared: Arc<Shared<R, C>>,
}

impl<R: LocalResource> Pool<R, crate::NoTimer> {
    /// Begins to build a pool of `resource`'s values. The runtime comes at the end, with
    /// [`build`](PoolBuilder::build).
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let (pool, _runner) = Pool::builder(Db).max_size(4).build_with_runner(NoTimer)?;
    /// # Ok::<(), ConfigError>(())
    /// ```
    pub fn builder(resource: R) -> PoolBuilder<R> {
        PoolBuilder::new(resource)
    }
}

impl<R: LocalResource, C: Clock> Pool<R, C> {
    pub(crate) const fn new(shared: Arc<Shared<R, C>>) -> Self {
        Self { shared }
    }

    /// Takes a value: an idle one, else whichever comes first, one that is given back or one newly
    /// opened. Whoever came first is served first.
    ///
    /// Waits for at most the pool's [`acquire_timeout`](PoolBuilder::acquire_timeout), if there is a
    /// timer. It covers waiting and opening together.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// let lease = pool.acquire().await?;
    /// assert_eq!(*lease, "session");
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`AcquireError`] says whether the pool was exhausted, its backend down, or the pool closed.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: its place goes to those behind it, and a value that it had
    /// been handed goes to the next of them.
    pub async fn acquire(&self) -> Result<Lease<'_, R, C>, AcquireError> {
        if let Some(lease) = self.try_acquire() {
            return Ok(lease);
        }
        let timeout = self.shared.config.acquire_timeout;
        let slot = acquire::wait_for_value(&self.shared, timeout).await?;
        Ok(Lease::new(&self.shared, slot))
    }

    /// Like [`acquire`](Pool::acquire), but the lease keeps the pool alive and can move to other
    /// tasks.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// let lease = pool.acquire_owned().await?;
    /// let task = async move { lease.len() };
    /// assert_eq!(task.await, 7);
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`acquire`](Pool::acquire).
    ///
    /// # Cancel safety
    /// As [`acquire`](Pool::acquire).
    pub async fn acquire_owned(&self) -> Result<OwnedLease<R, C>, AcquireError> {
        let slot = match self.shared.take_idle() {
            Some(slot) => slot,
            None => {
                let timeout = self.shared.config.acquire_timeout;
                acquire::wait_for_value(&self.shared, timeout).await?
            }
        };
        Ok(OwnedLease::new(self.shared.clone(), slot))
    }

    /// Takes an idle value, if there is one and nobody waits for it. Never opens one.
    ///
    /// ```
    /// # use tenure_core::{NoTimer, Pool, Resource};
    /// # struct Text;
    /// # impl Resource for Text {
    /// #     type Value = String;
    /// #     type Error = std::io::Error;
    /// #     async fn open(&self) -> Result<String, Self::Error> { Ok(String::new()) }
    /// # }
    /// # futures::executor::block_on(async {
    /// let (pool, _runner) = Pool::builder(Text).build_with_runner(NoTimer)?;
    /// assert!(pool.try_acquire().is_none());
    /// drop(pool.acquire().await?);
    /// assert!(pool.try_acquire().is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap()
    /// ```
    #[inline]
    pub fn try_acquire(&self) -> Option<Lease<'_, R, C>> {
        self.shared
            .take_idle()
            .map(|slot| Lease::new(&self.shared, slot))
    }

    /// Opens the minimum and waits until it is open: for a program that should not come up without.
    ///
    /// Called again, or beside another call, it does no more than is missing. It has no limit of its
    /// own: on a backend whose values fail their checks as soon as they are open, it waits until
    /// [`with_timeout`](crate::with_timeout) ends it.
    ///
    /// # Errors
    /// [`AcquireError::BackendDown`] when the retries are exhausted, [`AcquireError::Closed`] when the
    /// pool is closed.
    ///
    /// # Cancel safety
    /// Dropping the future keeps what was opened. Openings that it drove itself, because there is no
    /// Runner, are called off.
    ///
    /// ```
    /// # use tenure_core::{NoTimer, Pool, Resource};
    /// # struct Text;
    /// # impl Resource for Text {
    /// #     type Value = String;
    /// #     type Error = std::io::Error;
    /// #     async fn open(&self) -> Result<String, Self::Error> { Ok(String::new()) }
    /// # }
    /// # futures::executor::block_on(async {
    /// let (pool, _runner) = Pool::builder(Text).min_size(3).build_with_runner(NoTimer)?;
    /// pool.start().await?;
    /// assert_eq!(pool.status().idle, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap()
    /// ```
    pub async fn start(&self) -> Result<(), AcquireError> {
        start::start_pool(&self.shared).await
    }

    /// Shuts the pool down like [`shutdown`](Pool::shutdown), with no limit but the
    /// [`close_timeout`](PoolBuilder::close_timeout) of each value: it waits for every lease.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// drop(pool.acquire().await?);
    /// assert_eq!(pool.close().await.closed, 1);
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Cancel safety
    /// As [`shutdown`](Pool::shutdown).
    pub async fn close(&self) -> Report {
        shutdown::close_pool(&self.shared, None).await
    }

    /// How the pool stands now. Never waits.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// let lease = pool.acquire().await?;
    /// assert_eq!((pool.status().in_use, pool.status().idle), (1, 0));
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// How many values were opened, and where each of them is. It balances at any moment.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// drop(pool.acquire().await?.detach());
    /// assert_eq!((pool.audit().opened, pool.audit().detached), (1, 1));
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn audit(&self) -> Audit {
        self.shared.audit()
    }

    /// The pool's name.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// assert_eq!(pool.name().as_str(), "db");
    /// ```
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.shared.reporter.name
    }

    /// Whether a shutdown has begun.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// pool.close().await;
    /// assert!(pool.is_closed());
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared
            .queue
            .with(|queue| queue.phase != shared::Phase::Open)
    }

    /// The resource whose values these are.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let Db = pool.resource();
    /// ```
    #[must_use]
    pub fn resource(&self) -> &R {
        &self.shared.resource
    }
}

impl<R: LocalResource, T: Timer> Pool<R, T> {
    /// Takes a value like [`acquire`](Pool::acquire), waiting for at most `timeout` in all.
    ///
    /// It does not exist on a pool without a timer:
    ///
    /// ```compile_fail
    /// # use tenure_core::{NoTimer, Pool, Resource};
    /// # async fn f<R: Resource>(pool: Pool<R, NoTimer>) {
    /// pool.acquire_timeout(core::time::Duration::from_secs(1)).await;
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`acquire`](Pool::acquire).
    ///
    /// # Cancel safety
    /// As [`acquire`](Pool::acquire).
    pub async fn acquire_timeout(
        &self,
        timeout: Duration,
    ) -> Result<Lease<'_, R, T>, AcquireError> {
        if let Some(lease) = self.try_acquire() {
            return Ok(lease);
        }
        let slot = acquire::wait_for_value(&self.shared, Some(timeout)).await?;
        Ok(Lease::new(&self.shared, slot))
    }

    /// Takes a value like [`acquire_owned`](Pool::acquire_owned), waiting for at most `timeout` in
    /// all.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// let lease = pool.acquire_owned_timeout(Duration::from_secs(1)).await?;
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`acquire`](Pool::acquire).
    ///
    /// # Cancel safety
    /// As [`acquire`](Pool::acquire).
    pub async fn acquire_owned_timeout(
        &self,
        timeout: Duration,
    ) -> Result<OwnedLease<R, T>, AcquireError> {
        let slot = match self.shared.take_idle() {
            Some(slot) => slot,
            None => acquire::wait_for_value(&self.shared, Some(timeout)).await?,
        };
        Ok(OwnedLease::new(self.shared.clone(), slot))
    }

    /// Shuts the pool down: refuses whoever asks from now on, wakes all who wait with
    /// [`AcquireError::Closed`], closes idle values at once and the others as they come back, and says
    /// what was not closed when `within` is over.
    ///
    /// Closes under way when the time is over are dropped, and values that wait to be closed are
    /// given to [`abandon`](crate::Resource::abandon).
    ///
    /// Called again, it waits for what is left and reports the whole. Concurrent callers all wait.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// let report = pool.shutdown(Duration::from_secs(10)).await;
    /// assert!(report.is_clean());
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the future leaves the pool closing; call it again to wait for the end. A close that
    /// this future drove itself, because there is no Runner, counts as abandoned.
    pub async fn shutdown(&self, within: Duration) -> Report {
        shutdown::close_pool(&self.shared, Some(within)).await
    }
}

impl<R: LocalResource, C: Clock> Clone for Pool<R, C> {
    fn clone(&self) -> Self {
        self.shared.handles.fetch_add(1, Ordering::Relaxed);
        Self {
            shared: self.shared.clone(),
        }
    }
}

impl<R: LocalResource, C: Clock> Drop for Pool<R, C> {
    fn drop(&mut self) {
        if self.shared.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            let mut wakes = Wakes::default();
            self.shared
                .queue
                .with(|queue| wakes.push(queue.runner.take_waker()));
            self.shared.wake(wakes);
        }
    }
}

impl<R: LocalResource, C: Clock> core::fmt::Debug for Pool<R, C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.shared.fmt(f)
    }
}
