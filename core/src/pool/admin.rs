//! Directing a pool at run time: starting it, resizing it, holding it, calling values in, ending it.

use core::time::Duration;

use super::Pool;
use super::error::AcquireError;
use super::shared::PoolShared;
use super::state::IdleFate;
use super::validation::Asked;
use super::{shutdown, start};
use crate::cleanup::Report;
use crate::config::{ConfigError, above_zero, at_most};
use crate::ending::Why;
use crate::kernel::{Generation, Limits};
use crate::resource::LocalResource;
use crate::runtime::{Clock, Timer};
use crate::time::Instant;

impl<R: LocalResource, C: Clock> Pool<R, C> {
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
    /// [`close_timeout`](super::PoolBuilder::close_timeout) of each value: it waits for every lease.
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

    /// Changes the maximum. Where it grows, those who wait get more values at once. Where it shrinks, idle
    /// values are closed at once and the others as they come back; nobody who has a value is interrupted.
    /// Whoever waits for [more](Pool::acquire_many) than there may be now is told so.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// let leases = pool.acquire_many(3).await?;
    /// pool.resize(2)?;
    /// drop(leases);
    /// assert_eq!((pool.status().idle, pool.status().closing), (2, 1));
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// If it is zero, or below the minimum.
    pub fn resize(&self, max_size: usize) -> Result<(), ConfigError> {
        above_zero("max_size", max_size)?;
        at_most(
            "min_size",
            self.shared.config.min_size,
            "max_size",
            max_size,
        )?;
        let shared = &self.shared;
        let allowance = shared.config.allowance(max_size);
        shared.transact(|transaction| {
            transaction.kernel().resize(max_size, allowance);
            if transaction.kernel().is_open() {
                let mut surplus = transaction.kernel().surplus();
                // Those that have been idle for longest, of the stacks that come first.
                transaction.sort_out_idle(|_| {
                    surplus = surplus.checked_sub(1)?;
                    Some(IdleFate::Ends(Why::Surplus))
                });
                transaction.refuse_who_want_too_many();
            }
        });
        Ok(())
    }

    /// Lends nothing until [`resume`](Pool::resume): whoever asks waits, until their own time is over. What is
    /// on loan stays so. For the length of a switch-over of the server, say.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// pool.suspend();
    /// assert!(pool.try_acquire().is_none());
    /// pool.resume();
    /// pool.acquire().await?;
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    pub fn suspend(&self) {
        self.shared
            .transact(|transaction| transaction.kernel().suspend());
    }

    /// Ends a [`suspend`](Pool::suspend): those who wait are served, first come, first served, and what is
    /// opened for them is tried at once, whatever failed before.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// pool.suspend();
    /// pool.resume();
    /// assert!(!pool.is_suspended());
    /// ```
    pub fn resume(&self) {
        self.shared.transact(|transaction| {
            transaction.kernel().resume();
            transaction.serve_from_idle();
        });
    }

    /// Whether it is [suspended](Pool::suspend).
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// pool.suspend();
    /// assert!(pool.is_suspended());
    /// ```
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        self.shared.look(|kernel| kernel.is_suspended())
    }

    /// Calls all values in that are open now, or being opened: idle ones are closed at once, and what an
    /// [`acquire_many`](Pool::acquire_many) under way has got so far; the others as they come back; nobody is
    /// interrupted. New ones take their places as they are needed. For when the server has moved, or one
    /// connection has shown that it was restarted.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// drop(pool.acquire().await?);
    /// pool.evict_all();
    /// assert_eq!(pool.acquire().await?.uses(), 1);
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    pub fn evict_all(&self) {
        self.shared
            .evict(|limits| limits.generation = limits.generation.next());
    }

    /// Keeps those of the idle values for which `keeps` says so, and closes the others. What is in use is
    /// not asked about.
    ///
    /// The predicate runs under no lock; meanwhile these values are not idle, and whoever needs one
    /// waits.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// drop(pool.acquire_many(2).await?);
    /// pool.retain(|_session, idle| idle.uses > 1);
    /// assert_eq!((pool.status().idle, pool.status().closing), (0, 2));
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Panics
    /// If `keeps` panics. The value that it was asked about is closed then, those after it are kept.
    pub fn retain(&self, mut keeps: impl FnMut(&mut R::Value, Idle) -> bool) {
        let shared = &self.shared;
        let now = shared.now();
        let mut asked = Asked::take(shared, Why::NotRetained, |_| true);
        while let Some(slot) = asked.next() {
            let idle = Idle {
                age: now.map(|now| now - slot.life.opened_at),
                uses: slot.life.uses,
            };
            let kept = keeps(&mut slot.value, idle);
            asked.settle(kept);
        }
    }
}

/// What [`Pool::retain`] says of an idle value.
///
/// ```
/// use tenure_core::pool::Idle;
/// # use std::time::Duration;
/// fn is_young(idle: Idle) -> bool {
///     idle.age.is_none_or(|age| age < Duration::from_secs(600))
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Idle {
    /// How long ago it was opened, if the pool has a clock.
    pub age: Option<Duration>,
    /// How many times it was lent.
    pub uses: u32,
}

impl<R: LocalResource, T: Timer> Pool<R, T> {
    /// Calls in the values that were opened before `instant`, as [`evict_all`](Pool::evict_all) does all. Called again,
    /// by another who found the same, it does no more than is left to do.
    ///
    /// When the server was restarted, each user of an old connection finds out by an error of its own. Were each
    /// to evict all, the eighth would close what the seven before it had opened anew. Here is what to do instead:
    ///
    /// ```
    /// # use tenure_core::{Instant, Lease, Pool, Resource, Timer};
    /// # struct Gone;
    /// # trait Ask { fn ask(&mut self) -> impl Future<Output = Result<(), Gone>>; }
    /// # impl Ask for String { async fn ask(&mut self) -> Result<(), Gone> { Ok(()) } }
    /// # async fn f<R: Resource<Value = String>, T: Timer>(pool: Pool<R, T>, timer: T) -> Result<(), tenure_core::BoxError> {
    /// let mut lease = pool.acquire().await?;
    /// if let Err(Gone) = lease.ask().await {
    ///     // Only the first who finds out evicts: to all others it is said that their value was called in.
    ///     if !lease.is_revoked() {
    ///         pool.evict_opened_before(timer.now());
    ///     }
    ///     lease.discard();
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Where it is not known that the whole server was restarted, and the connection may just be too old, name the
    /// time at which the bad one was opened: `pool.evict_opened_before(opened_at)`, with
    /// [`Lease::opened_at`](crate::Lease::opened_at). What was opened after it stays.
    ///
    /// A value counts as opened when its opening ended, so one that is being opened meanwhile is kept.
    pub fn evict_opened_before(&self, instant: Instant) {
        self.shared.evict(|limits| limits.evict_before(instant));
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

impl<R: LocalResource, C: Clock> PoolShared<R, C> {
    /// Calls in the values that the limits forbid from now on: idle ones at once, the others as they come back.
    fn evict(&self, forbid: impl FnOnce(&mut Limits)) {
        self.transact(|transaction| {
            if transaction.kernel().is_open() {
                transaction.call_in(Why::Evicted, forbid);
            }
        });
    }

    /// Returns `true` if a value of that kind is not wanted any more.
    pub(super) fn has_revoked(&self, generation: Generation, opened_at: Instant) -> bool {
        self.look(|kernel| kernel.has_revoked(generation, opened_at))
    }
}
