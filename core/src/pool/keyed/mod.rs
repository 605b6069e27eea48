//! A pool for each key, under one bound for all.

mod keys;
mod members;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::sync::atomic::Ordering;
use core::task::Poll;
use core::time::Duration;

use super::builder::spawn_runner;
use super::config::default_allowance;
use super::error::AcquireError;
use super::lease::OwnedLease;
use super::quota::{DEFAULT_PATIENCE, Quota};
use super::{Pool, PoolBuilder};
use crate::cleanup::Report;
use crate::config::{ConfigError, above_zero};
use crate::name::Name;
use crate::resource::Resource;
use crate::runtime::{NoTimer, Spawn, Timer};
use crate::sync::Arc;
use members::{Family, FamilyLookup, SpawnForgetter, handles};

/// A [`Pool`] for each key: for each host, tenant or shard, as many as come to be asked for.
///
/// Each key's pool has its own settings and its own maximum; [`max_size`](KeyedPoolBuilder::max_size) bounds
/// them all together. Where that bound is reached, an idle value of one key makes room for one that another
/// key needs, and so does after a time a value that comes back to a
/// [busy key](KeyedPoolBuilder::give_way_after). A key that was not used for a time is forgotten.
///
/// Keys are cloned, compared and dropped under no lock, so a key may be anything that is ordered; one whose `Ord`
/// panics fails the call that compares it, and nothing else.
///
/// For a few keys that are known beforehand and need no common bound, keep a `Pool` for each.
///
/// ```
/// use std::time::Duration;
/// use tenure_core::{Pool, Resource};
/// # use tenure_core::{Instant, Spawn, Timer};
/// # #[derive(Clone)] struct Threads;
/// # impl Timer for Threads { type Sleep = std::future::Pending<()>; fn now(&self) -> Instant { Instant::EPOCH }
/// #     fn sleep_until(&self, _: Instant) -> Self::Sleep { std::future::pending() } }
/// # impl Spawn for Threads { fn spawn<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
/// #     std::thread::spawn(|| futures::executor::block_on(future)); } }
/// # use std::future::Future;
///
/// struct Host(String);
///
/// impl Resource for Host {
///     type Value = String;
///     type Error = std::io::Error;
///     async fn open(&self) -> Result<String, Self::Error> {
///         Ok(format!("session with {}", self.0))
///     }
/// }
///
/// # futures::executor::block_on(async {
/// let hosts = Pool::keyed(|host: &String| Pool::builder(Host(host.clone())).max_size(4))
///     .max_size(20)
///     .build(Threads)?;
/// let session = hosts.acquire(&"db1".to_string()).await?;
/// assert_eq!(*session, "session with db1");
/// drop(session);
/// assert_eq!(hosts.close().await.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap()
/// ```
pub struct KeyedPool<K, R: Resource, T: Timer> {
    family: Arc<Family<K, R, T>>,
}

/// How a [`KeyedPool`] is to be. Made by [`Pool::keyed`].
///
/// ```
/// # use tenure_core::{Pool, Resource};
/// # fn f<R: Resource>(host: fn(&str) -> R) {
/// let builder = Pool::keyed(move |key: &String| Pool::builder(host(key))).max_size(100);
/// # }
/// ```
#[must_use = "a builder does nothing until it is built"]
pub struct KeyedPoolBuilder<F> {
    pool_for: F,
    max_size: usize,
    max_closing_beside: Option<usize>,
    give_way_after: Option<Duration>,
    forget_after: Option<Duration>,
}

impl<R: Resource> Pool<R, NoTimer> {
    /// Begins to build a pool for each key: see [`KeyedPool`]. `pool_for` says how the pool of a key is to be;
    /// the runtime is the family's.
    ///
    /// ```
    /// # use tenure_core::{Pool, Resource};
    /// # fn f<R: Resource>(host: fn(&str) -> R) {
    /// let builder = Pool::keyed(move |key: &String| Pool::builder(host(key)));
    /// # }
    /// ```
    pub fn keyed<K, F>(pool_for: F) -> KeyedPoolBuilder<F>
    where
        F: Fn(&K) -> PoolBuilder<R> + Send + Sync + 'static,
    {
        KeyedPoolBuilder {
            pool_for,
            max_size: 100,
            max_closing_beside: None,
            give_way_after: Some(DEFAULT_PATIENCE),
            forget_after: Some(Duration::from_secs(300)),
        }
    }
}

impl<F> KeyedPoolBuilder<F> {
    /// How many values may be open at once over all keys. Default 100.
    pub const fn max_size(mut self, values: usize) -> Self {
        self.max_size = values;
        self
    }

    /// How many values that were [found broken](crate::Why::is_of_broken_value) may be closed beside their successors, above
    /// the maximum of the family, so that no key waits for a dead peer. By default a quarter of that maximum, and at least 1; 0
    /// keeps it strictly. No key has more than its own
    /// [allowance](PoolBuilder::max_closing_beside).
    ///
    /// ```
    /// # use tenure_core::{Pool, Resource};
    /// # fn f<R: Resource>(host: fn(&str) -> R) {
    /// let builder = Pool::keyed(move |key: &String| Pool::builder(host(key)));
    /// let strict = builder.max_size(20).max_closing_beside(0);
    /// # }
    /// ```
    pub const fn max_closing_beside(mut self, values: usize) -> Self {
        self.max_closing_beside = Some(values);
        self
    }

    /// For how long the waiters of one key are passed over by busy keys once the family's maximum is reached.
    /// Default 100 ms; with `None`, no value that is in use ever gives way.
    ///
    /// A busy key hands each value that comes back to its own next waiter, so that it is not closed in vain. A key
    /// that has fewer values, and has waited for longer than this, gets the place of the next value that comes
    /// back to the other: it is closed, and a value of the key that waited is opened. Keys that have as many values
    /// as others are helped after five times as long, and only if none of their waiters was served meanwhile.
    /// The longest waiting key comes first. What was opened serves for at least as long as this time itself, so
    /// that of loans of a tenth of it at most one in ten costs an opening; so it is also how long a key's turn
    /// lasts where more keys are busy than values may be open.
    ///
    /// A [minimum](PoolBuilder::min_size) is no reservation: it is kept while other keys' waiters find places
    /// otherwise, and gives way like busy values. With `None`, its idle values still do, after 100 ms, and so do values
    /// that a caller of [`acquire_many`](Pool::acquire_many) has gathered while it waits for the rest.
    ///
    /// HikariCP, pgx, bb8, deadpool and sqlx have no keys: a pool for each tenant has a bound of its own, and all
    /// together have none. Apache Commons Pool and http4s's blaze client have both bounds, and make room for a key
    /// by closing idle objects of others alone; blaze gives a connection that comes back to the next request for
    /// the same host. 100 ms is five times a usual handshake, and short beside the patience of a user.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tenure_core::{Pool, Resource};
    /// # fn f<R: Resource>(host: fn(&str) -> R) {
    /// let builder = Pool::keyed(move |key: &String| Pool::builder(host(key)));
    /// let builder = builder.give_way_after(Duration::from_millis(500));
    /// # }
    /// ```
    pub fn give_way_after(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.give_way_after = time.into();
        self
    }

    /// How long a key may go without being asked for, and without a value beyond its minimum, before its pool is
    /// dropped, and with it what its minimum kept open; at most twice as long. Default 300 s; `None` keeps all.
    pub fn forget_after(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.forget_after = time.into();
        self
    }

    /// Builds the family. The background work of each key is spawned as the key comes to be used.
    ///
    /// # Errors
    /// If the maximum or the time is zero. A mistake in the settings of a key shows when it is asked for.
    pub fn build<K, R, T>(self, runtime: T) -> Result<KeyedPool<K, R, T>, ConfigError>
    where
        K: Ord + Clone + Send + Sync + 'static,
        R: Resource,
        T: Timer<Sleep: Send + 'static> + Spawn + Send + Sync + 'static,
        F: Fn(&K) -> PoolBuilder<R> + Send + Sync + 'static,
    {
        above_zero("max_size", self.max_size)?;
        for (field, time) in [
            ("give_way_after", self.give_way_after),
            ("forget_after", self.forget_after),
        ] {
            if let Some(time) = time {
                above_zero(field, time)?;
            }
        }
        let most_beside = self
            .max_closing_beside
            .unwrap_or_else(|| default_allowance(self.max_size));
        let quota = Quota::new(self.max_size, most_beside, self.give_way_after);
        let (pool_for, clock, bound) = (self.pool_for, runtime.clone(), quota.clone());
        // No Runner is spawned before the pool is known to the family: two callers may make one at once.
        let make = move |key: &K| {
            let builder = pool_for(key);
            let (pool, _runner) =
                builder.build_in_family(clock.clone(), Some(bound.clone()), Some(spawn_runner))?;
            pool.join_family();
            Ok(pool)
        };
        let seed = runtime.entropy();
        let spawn_forgetter = self.forget_after.map(|every| -> SpawnForgetter<K, R, T> {
            Box::new(move |forgetter| runtime.spawn(forgetter.run(runtime.clone(), every)))
        });
        let family = Family::new(Box::new(make), quota, spawn_forgetter, seed);
        Family::spawn_forgetter(&family);
        Ok(KeyedPool { family })
    }
}

impl<K, R, T> KeyedPool<K, R, T>
where
    K: Ord + Clone,
    R: Resource,
    T: Timer,
{
    /// Takes a value of this key, as [`Pool::acquire_owned`] does.
    ///
    /// # Errors
    /// As [`Pool::acquire`]; [`AcquireError::FamilyExhausted`] when the family has as many values open as it may
    /// have, [`AcquireError::InvalidSettings`] when the builder's function gave invalid settings for this key, and
    /// [`AcquireError::Closed`] once the family is shut down.
    ///
    /// # Cancel safety
    /// As [`Pool::acquire`].
    #[track_caller]
    pub fn acquire<'a>(
        &'a self,
        key: &K,
    ) -> impl Future<Output = Result<OwnedLease<R, T>, AcquireError>> + use<'a, K, R, T> {
        let location = core::panic::Location::caller();
        let pool = self.pool(key);
        async move { pool?.acquire_owned_at(location).await }
    }

    /// Returns the pool of this key, which is made if there is none yet. While the handle is kept, the key is not
    /// forgotten.
    ///
    /// # Errors
    /// [`AcquireError::InvalidSettings`] when the builder's function gave invalid settings for this key, and
    /// [`AcquireError::Closed`] once the family is shut down.
    pub fn pool(&self, key: &K) -> Result<Pool<R, T>, AcquireError> {
        let family = &self.family;
        Family::restart_lost_work(family);
        let mut made = None;
        loop {
            let lookup = family.look_up(key).ok_or_else(closed::<R>)?;
            if let FamilyLookup::Found(pool) = lookup {
                return Ok(pool);
            }
            let new = match made.take() {
                Some(new) => new,
                None => {
                    let new = (family.make)(key);
                    new.map_err(|error| AcquireError::InvalidSettings { error })?
                }
            };
            // The slower of two callers drops what it made, unless it makes use of it in the next round.
            match family.put(key, lookup, new) {
                Ok(pool) => return Ok(pool),
                Err(unused) => made = Some(unused),
            }
        }
    }

    /// Takes a key out of the family, and returns its pool; `None` if it has none. Whoever asks for the key next
    /// gets a fresh pool, made by the builder's function: for when a tenant's password has changed, say.
    ///
    /// Nothing is interrupted: what is on loan stays so, and waiters are served. Shut the pool down to end it in an
    /// orderly way, or drop it, which closes what is idle at once and the rest as it comes back. Its values count
    /// towards the family's maximum until they are closed.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tenure_core::{Report, Resource, Timer, pool::KeyedPool};
    /// # async fn f<R: Resource, T: Timer>(tenants: KeyedPool<String, R, T>) -> Option<Report> {
    /// let pool = tenants.remove(&"acme".to_string())?;
    /// let report = pool.shutdown(Duration::from_secs(5)).await;
    /// # Some(report)
    /// # }
    /// ```
    pub fn remove(&self, key: &K) -> Option<Pool<R, T>> {
        let pools = self.family.pools();
        let found = pools.find(key)?;
        let pool = found.take_if(|_, _| true)?;
        self.family.unlink(found);
        Some(pool)
    }

    /// The keys that have a pool, each with how it stands.
    #[must_use]
    pub fn status(&self) -> Vec<(K, super::Status)> {
        let status = |(key, pool): (K, Pool<R, T>)| (key, pool.status());
        let handles = handles(&self.family.pools());
        handles.into_iter().map(status).collect()
    }

    /// Shuts all pools down, as [`Pool::close`] does, at once. Says for each key what became of its values.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the pools closing; call it again to wait for the end.
    pub async fn close(&self) -> Vec<(K, Report)> {
        self.end(async |pool| pool.close().await).await
    }

    /// Shuts all pools down, as [`Pool::shutdown`] does, at once and with the same time for each.
    ///
    /// # Cancel safety
    /// As [`close`](KeyedPool::close).
    pub async fn shutdown(&self, within: Duration) -> Vec<(K, Report)> {
        self.end(async move |pool| pool.shutdown(within).await)
            .await
    }

    async fn end(&self, close: impl AsyncFn(&Pool<R, T>) -> Report) -> Vec<(K, Report)> {
        let pools = handles(&self.family.close());
        let close = &close;
        let mut closings: Vec<_> = pools
            .iter()
            .map(|(_, pool)| (Box::pin(close(pool)), None))
            .collect();
        poll_fn(|cx| {
            for (closing, report) in &mut closings {
                if report.is_none() {
                    if let Poll::Ready(closed) = Pin::new(closing).poll(cx) {
                        *report = Some(closed);
                    }
                }
            }
            let all = closings.iter().all(|(_, report)| report.is_some());
            if all { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        let reports: Vec<_> = closings
            .into_iter()
            .filter_map(|(_, report)| report)
            .collect();
        pools.into_iter().map(|(key, _)| key).zip(reports).collect()
    }
}

fn closed<R>() -> AcquireError {
    AcquireError::Closed {
        pool: Name::generated::<R>(),
    }
}

impl<K, R: Resource, T: Timer> Clone for KeyedPool<K, R, T> {
    fn clone(&self) -> Self {
        self.family.handles.fetch_add(1, Ordering::Relaxed);
        Self {
            family: self.family.clone(),
        }
    }
}

impl<K, R: Resource, T: Timer> Drop for KeyedPool<K, R, T> {
    fn drop(&mut self) {
        if self.family.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            // Outside the lock: with its last handle each pool ends, and keys are dropped.
            drop(self.family.take_pools());
        }
    }
}

impl<K, R: Resource, T: Timer> core::fmt::Debug for KeyedPool<K, R, T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("KeyedPool")
            .field("keys", &self.family.pools().len())
            .finish_non_exhaustive()
    }
}

impl<F> core::fmt::Debug for KeyedPoolBuilder<F> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("KeyedPoolBuilder")
            .field("max_size", &self.max_size)
            .field("max_closing_beside", &self.max_closing_beside)
            .field("give_way_after", &self.give_way_after)
            .field("forget_after", &self.forget_after)
            .finish_non_exhaustive()
    }
}
