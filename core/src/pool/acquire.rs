//! Taking values out of a pool.

use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::panic::Location;
use core::pin::pin;
use core::time::Duration;

use super::Pool;
use super::error::AcquireError;
use super::job::{CheckJob, Done, PoolJob};
use super::lease::{Lease, OwnedLease};
use super::loans::LoanStart;
use super::shared::PoolShared;
use super::state::Handed;
use super::validation::found_broken;
use super::waiter::{AcquireRequest, Rejected, Waiting, Within};
use crate::ending::Why;
use crate::kernel::Admission;
use crate::resource::LocalResource;
use crate::runtime::{Clock, Timer};
use crate::sync::Arc;
use crate::time::Instant;

impl<R: LocalResource, C: Clock> Pool<R, C> {
    /// Takes a value: an idle one, else whichever comes first, one that is given back or one newly
    /// opened. Whoever came first is served first.
    ///
    /// Waits for at most the pool's [`acquire_timeout`](super::PoolBuilder::acquire_timeout), if there is a
    /// timer. It covers waiting, opening, checks and hooks together.
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
    /// been handed goes to the next of them. A value under a check or a hook is closed then, since
    /// nobody knows how far that came.
    #[track_caller]
    pub fn acquire(
        &self,
    ) -> impl Future<Output = Result<Lease<'_, R, C>, AcquireError>> + use<'_, R, C> {
        let request = AcquireRequest::new(Within::AsBuilt);
        Waiting::new(&self.shared, request, PoolJob::perform, borrowed)
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
    #[track_caller]
    pub fn acquire_owned(
        &self,
    ) -> impl Future<Output = Result<OwnedLease<R, C>, AcquireError>> + use<'_, R, C> {
        let request = AcquireRequest::new(Within::AsBuilt);
        Waiting::new(&self.shared, request, PoolJob::perform, owned)
    }

    /// Takes several values at once: all of them or none. Whoever came first is served first, and gathers
    /// what comes back until it has all; so two callers never wait for each other's part.
    ///
    /// A task that holds values of the pool already can still wait for itself.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// let leases = pool.acquire_many(3).await?;
    /// assert_eq!((leases.len(), pool.status().in_use), (3, 3));
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`acquire`](Pool::acquire), and [`AcquireError::TooMany`] if the pool may not hold as many.
    ///
    /// # Cancel safety
    /// As [`acquire`](Pool::acquire).
    #[track_caller]
    pub fn acquire_many(
        &self,
        values: usize,
    ) -> impl Future<Output = Result<Vec<Lease<'_, R, C>>, AcquireError>> + use<'_, R, C> {
        self.gather(
            values,
            self.shared.config.acquire_timeout,
            Location::caller(),
        )
    }

    /// Takes an idle value, if there is one and nobody waits for it. Never opens one.
    ///
    /// A value that has to be [checked](super::PoolBuilder::check_on_acquire) before it is lent is passed over, since
    /// that takes time. So a pool that checks every value, or runs a [hook](crate::Resource::before_acquire) before
    /// it lends one, gives none here. One that is known to be [broken](crate::Resource::is_broken) is closed.
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
    #[track_caller]
    pub fn try_acquire(&self) -> Option<Lease<'_, R, C>> {
        if self.shared.prepares() {
            return None;
        }
        loop {
            let mut slot = PoolShared::try_take(&self.shared)?;
            match self.shared.unfit_to_lend(&mut slot, Instant::MAX, None) {
                None => {
                    let start = LoanStart::at(Location::caller());
                    return Some(Lease::new(&self.shared, slot, start));
                }
                Some(why) => self.shared.retire(slot, why),
            }
        }
    }

    /// The same for somebody else, who asked there.
    pub(super) async fn acquire_owned_at(
        &self,
        asked_at: &'static Location<'static>,
    ) -> Result<OwnedLease<R, C>, AcquireError> {
        let within = Within::AsBuilt;
        let request = AcquireRequest { within, asked_at };
        Waiting::new(&self.shared, request, PoolJob::perform, owned).await
    }

    async fn gather(
        &self,
        values: usize,
        within: Option<Duration>,
        asked_at: &'static Location<'static>,
    ) -> Result<Vec<Lease<'_, R, C>>, AcquireError> {
        let shared = &self.shared;
        let began_at = shared.time_that_counts();
        let gathered = self.gather_untimed(values, within, asked_at).await;
        if let Some(began_at) = began_at {
            shared.record_wait(began_at);
        }
        gathered
    }

    async fn gather_untimed(
        &self,
        values: usize,
        within: Option<Duration>,
        asked_at: &'static Location<'static>,
    ) -> Result<Vec<Lease<'_, R, C>>, AcquireError> {
        let shared = &self.shared;
        if values == 0 {
            return Ok(Vec::new());
        }
        // More than can be counted as waited for, and than there can be.
        let Ok(wanted) = u32::try_from(values) else {
            return Err(shared.adjust(|transaction| {
                let refused = if transaction.kernel().is_open() {
                    Admission::TooMany
                } else {
                    Admission::Closed
                };
                transaction.refusal(refused, values)
            }));
        };
        let until = shared
            .now()
            .zip(within)
            .map_or(Instant::MAX, |(now, within)| now + within);
        let within = Within::Limit(within);
        let request = AcquireRequest { within, asked_at };
        let waiting = Waiting::new(shared, request, PoolJob::perform, many_borrowed);
        let mut leases = waiting.for_many(wanted).await?;
        // One is made ready as it is taken.
        if values > 1 {
            let mut ready = Vec::with_capacity(values);
            // Taken from the end, so that what is left stays a lease and goes back if this is dropped.
            while let Some(lease) = leases.pop() {
                ready.push(self.prepare(lease, until, asked_at).await?);
            }
            leases = ready;
        }
        Ok(leases)
    }

    /// Makes a value ready that was taken unprepared, or takes another in its place.
    async fn prepare<'p>(
        &'p self,
        lease: Lease<'p, R, C>,
        until: Instant,
        asked_at: &'static Location<'static>,
    ) -> Result<Lease<'p, R, C>, AcquireError> {
        let shared = &self.shared;
        let (mut rejected, mut unfit) = (None, None);
        if let Some(mut slot) = lease.into_slot() {
            if let Some(why) = shared.unfit_to_lend(&mut slot, Instant::MAX, None) {
                if why == Why::Broken {
                    rejected = Some(Rejected::another(None, Duration::ZERO, found_broken()));
                }
                unfit = Some(CheckJob::claim_unfit(shared, slot, why));
            } else {
                let checks = shared.checks_before_lending(&slot.life);
                if !checks && !shared.prepares() {
                    return Ok(Lease::new(shared, slot, LoanStart::at(asked_at)));
                }
                let since = shared.now().unwrap_or_default();
                match CheckJob::claim_lent(shared, slot, until, checks)
                    .perform()
                    .await
                {
                    Done::Ready(slot) => {
                        return Ok(Lease::new(shared, slot, LoanStart::at(asked_at)));
                    }
                    Done::Unfit(cause, job) => {
                        let took = shared.now().map_or(Duration::ZERO, |now| now - since);
                        rejected = Some(Rejected::another(None, took, cause));
                        unfit = Some(job);
                    }
                    Done::Nothing => {}
                }
            }
        }
        let left = (until != Instant::MAX)
            .then(|| shared.now().map(|now| until - now))
            .flatten();
        let within = Within::Limit(left);
        let request = AcquireRequest { within, asked_at };
        let another = Waiting::new(shared, request, PoolJob::perform, borrowed);
        let mut another = pin!(another.once_more(rejected));
        poll_fn(|cx| {
            let polled = another.as_mut().poll(cx);
            drop(unfit.take());
            polled
        })
        .await
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
    #[track_caller]
    pub fn acquire_timeout(
        &self,
        timeout: Duration,
    ) -> impl Future<Output = Result<Lease<'_, R, T>, AcquireError>> + use<'_, R, T> {
        let request = AcquireRequest::new(Within::Limit(Some(timeout)));
        Waiting::new(&self.shared, request, PoolJob::perform, borrowed)
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
    #[track_caller]
    pub fn acquire_owned_timeout(
        &self,
        timeout: Duration,
    ) -> impl Future<Output = Result<OwnedLease<R, T>, AcquireError>> + use<'_, R, T> {
        let request = AcquireRequest::new(Within::Limit(Some(timeout)));
        Waiting::new(&self.shared, request, PoolJob::perform, owned)
    }

    /// Takes several values like [`acquire_many`](Pool::acquire_many), waiting for at most `timeout` in
    /// all.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// let leases = pool.acquire_many_timeout(2, Duration::from_secs(1)).await?;
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`acquire_many`](Pool::acquire_many).
    ///
    /// # Cancel safety
    /// As [`acquire`](Pool::acquire).
    #[track_caller]
    pub fn acquire_many_timeout(
        &self,
        values: usize,
        timeout: Duration,
    ) -> impl Future<Output = Result<Vec<Lease<'_, R, T>>, AcquireError>> + use<'_, R, T> {
        self.gather(values, Some(timeout), Location::caller())
    }
}

#[inline(always)]
fn borrowed<'p, R: LocalResource, C: Clock>(
    pool: &'p Arc<PoolShared<R, C>>,
    handed: Handed<R::Value>,
    start: LoanStart,
) -> Lease<'p, R, C> {
    match handed {
        Handed::One(slot) => Lease::new(pool, slot, start),
        Handed::Many(_) => unreachable!("one was asked for"),
    }
}

#[inline(always)]
fn owned<R: LocalResource, C: Clock>(
    pool: &Arc<PoolShared<R, C>>,
    handed: Handed<R::Value>,
    start: LoanStart,
) -> OwnedLease<R, C> {
    match handed {
        Handed::One(slot) => OwnedLease::new(pool.clone(), slot, start),
        Handed::Many(_) => unreachable!("one was asked for"),
    }
}

fn many_borrowed<'p, R: LocalResource, C: Clock>(
    pool: &'p Arc<PoolShared<R, C>>,
    handed: Handed<R::Value>,
    start: LoanStart,
) -> Vec<Lease<'p, R, C>> {
    let lease = |slot| Lease::new(pool, slot, start);
    match handed {
        Handed::One(slot) => alloc::vec![lease(slot)],
        Handed::Many(slots) => slots.into_iter().map(lease).collect(),
    }
}
