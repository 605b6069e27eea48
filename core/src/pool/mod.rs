//! Many interchangeable values, each used by one task at a time.

mod acquire;
mod admin;
mod builder;
mod config;
mod error;
mod family;
mod job;
mod keyed;
mod lease;
mod loans;
mod maintenance;
mod member;
mod operation;
mod quota;
mod release;
mod runner;
mod shared;
mod shutdown;
mod slot;
mod stack;
mod start;
mod state;
mod status;
mod storage;
mod timings;
mod validation;
mod waiter;

use core::sync::atomic::Ordering;

pub use admin::Idle;
pub use builder::PoolBuilder;
pub use error::AcquireError;
pub use keyed::{KeyedPool, KeyedPoolBuilder};
pub use lease::{Lease, OwnedLease};
pub use operation::Operation;
pub use runner::Runner;
pub use stack::IdleOrder;
pub use status::Status;
pub use timings::{Histogram, Timings};
pub use validation::CheckOnAcquire;

use crate::cleanup::Audit;
use crate::drive::ShutsDown;
use crate::held::HeldResource;
use crate::name::Name;
use crate::resource::{BoxError, LocalResource};
use crate::runtime::Clock;
use crate::sync::Arc;
use shared::PoolShared;

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
    shared: Arc<PoolShared<R, C>>,
}

impl<R: LocalResource> Pool<R, crate::runtime::NoTimer> {
    /// Begins to build a pool of `resource`'s values. The runtime comes at the end, with
    /// [`build`](PoolBuilder::build).
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let (pool, _runner) = Pool::builder(Db).max_size(4).build_with_runner(NoTimer)?;
    /// # Ok::<(), ConfigError>(())
    /// ```
    pub fn builder(resource: R) -> PoolBuilder<R>
    where
        R::Error: Into<BoxError>,
    {
        PoolBuilder::new(HeldResource::new(resource))
    }
}

impl<R: LocalResource, C: Clock> Pool<R, C> {
    pub(crate) const fn new(shared: Arc<PoolShared<R, C>>) -> Self {
        Self { shared }
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

    /// How long acquires, openings and loans took so far, if the pool was built with
    /// [`timings`](PoolBuilder::timings) and has a clock.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// let (pool, _runner) = Pool::builder(Db).timings(true).build_with_runner(Virtual::default())?;
    /// drop(pool.acquire().await?);
    /// assert_eq!(pool.timings().unwrap().used.count(), 1);
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// # Ok::<(), ConfigError>(())
    /// ```
    #[must_use]
    pub fn timings(&self) -> Option<Timings> {
        self.shared.timings()
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
        self.shared.look(|kernel| !kernel.is_open())
    }

    /// Begins a shutdown that nothing waits for.
    fn begin_closing(&self) {
        self.shared.begin_closing(crate::ending::Why::Shutdown);
    }

    /// Returns `true` if it has nothing open but what its minimum keeps, and none of that is in use.
    fn is_unused(&self) -> bool {
        self.shared.look(|kernel| {
            let counts = kernel.counts();
            let in_use =
                counts.lent() != 0 || kernel.queue().waiting() > 0 || kernel.starters() > 0;
            !in_use && counts.size() <= kernel.min_size()
        })
    }

    fn is_last_handle(&self) -> bool {
        self.shared.handles.load(Ordering::Acquire) == 1
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
            self.shared.wake_runner();
        }
    }
}

impl<R: LocalResource, C: Clock> core::fmt::Debug for Pool<R, C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.shared.fmt(f)
    }
}
