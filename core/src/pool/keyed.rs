//! A pool for each key, under one bound for all.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::Poll;
use core::time::Duration;

use super::builder::spawn_runner;
use super::error::AcquireError;
use super::lease::OwnedLease;
use super::quota::Quota;
use super::{Pool, PoolBuilder};
use crate::cleanup::Report;
use crate::config::{ConfigError, above_zero};
use crate::name::Name;
use crate::resource::Resource;
use crate::runtime::{NoTimer, Spawn, Timer};
use crate::sync::{self, Arc, AtomicUsize, Lock};
use crate::work::LEAST_PERIOD;

/// A [`Pool`] for each key: for each host, tenant or shard, as many as come to be asked for.
///
/// Each key's pool has its own settings and its own maximum; [`max_size`](KeyedPoolBuilder::max_size) bounds
/// them all together. Where that bound is reached, an idle value of one key makes room for one that another
/// key needs. A key that nobody has used for a time is forgotten.
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
    shared: Arc<Shared<K, R, T>>,
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
    forget_after: Option<Duration>,
}

struct Shared<K, R: Resource, T: Timer> {
    make: MakePool<K, R, T>,
    family: Lock<Family<K, R, T>>,
    /// How many handles there are.
    handles: AtomicUsize,
    quota: Arc<Quota>,
    /// Spawns the task that forgets unused keys, if any are to be forgotten.
    spawn_forgetter: Option<SpawnForgetter<K, R, T>>,
    /// `true` while that task is there.
    has_forgetter: AtomicBool,
}

type SpawnForgetter<K, R, T> = Box<dyn Fn(Forgetter<K, R, T>) + Send + Sync>;

type MakePool<K, R, T> = Box<dyn Fn(&K) -> Result<Pool<R, T>, ConfigError> + Send + Sync>;

struct Family<K, R: Resource, T: Timer> {
    pools: BTreeMap<K, Member<R, T>>,
    closed: bool,
}

struct Member<R: Resource, T: Timer> {
    pool: Pool<R, T>,
    /// Whether it was asked for since the last look.
    used: bool,
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

    /// How long a key may go without being asked for, and without a value, before its pool is dropped; at
    /// most twice as long. Default 300 s; `None` keeps all.
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
        if let Some(time) = self.forget_after {
            above_zero("forget_after", time)?;
        }
        let (quota, pool_for) = (Quota::new(self.max_size), self.pool_for);
        let (spawner, bound) = (runtime.clone(), quota.clone());
        let make = move |key: &K| {
            let builder = pool_for(key);
            let (pool, runner) = builder.build_in_family(
                spawner.clone(),
                Some(bound.clone()),
                Some(spawn_runner),
            )?;
            spawner.spawn(runner.run());
            Ok(pool)
        };
        let spawn_forgetter = self.forget_after.map(|time| {
            let spawn: SpawnForgetter<K, R, T> = Box::new(move |forgetter| {
                runtime.spawn(forgetter.run(runtime.clone(), time));
            });
            spawn
        });
        let shared = Arc::new(Shared {
            make: Box::new(make),
            family: Lock::new(Family {
                pools: BTreeMap::new(),
                closed: false,
            }),
            handles: AtomicUsize::new(1),
            quota,
            spawn_forgetter,
            has_forgetter: AtomicBool::new(false),
        });
        if let Some(spawn) = &shared.spawn_forgetter {
            spawn(Forgetter::new(&shared));
        }
        Ok(KeyedPool { shared })
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
    /// As [`Pool::acquire`]; [`AcquireError::Closed`] once the family is shut down.
    ///
    /// # Panics
    /// If the settings that the builder's function gave for this key make no sense.
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
        async move {
            match pool {
                Some(pool) => pool.acquire_owned_at(location).await,
                None => {
                    let pool = Name::generated::<R>();
                    Err(AcquireError::Closed { pool })
                }
            }
        }
    }

    /// The pool of this key, which is made if there is none yet; `None` once the family is shut down. While
    /// you keep it, the key is not forgotten.
    ///
    /// # Panics
    /// As [`acquire`](KeyedPool::acquire).
    #[track_caller]
    pub fn pool(&self, key: &K) -> Option<Pool<R, T>> {
        self.shared.restart_lost_work();
        let found = self.shared.family.with(|family| family.find(key));
        if let Some(found) = found {
            return found;
        }
        // Made outside the lock, since that is user code. Whoever is second drops what it has made.
        let made = match (self.shared.make)(key) {
            Ok(pool) => pool,
            Err(error) => panic!("the settings for this key make no sense: {error}"),
        };
        let key = key.clone();
        self.shared.family.with(|family| match family.find(&key) {
            Some(found) => found,
            None => {
                let (pool, used) = (made.clone(), true);
                family.pools.insert(key, Member { pool, used });
                Some(made)
            }
        })
    }

    /// The keys that have a pool, each with how it stands.
    #[must_use]
    pub fn status(&self) -> Vec<(K, super::Status)> {
        let pools = self.shared.family.with(|family| family.handles());
        let status = |(key, pool): (K, Pool<R, T>)| (key, pool.status());
        pools.into_iter().map(status).collect()
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
        let pools = self.shared.family.with(|family| {
            family.closed = true;
            family.handles()
        });
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

impl<K: Ord + Clone, R: Resource, T: Timer> Family<K, R, T> {
    /// The pool of this key; nothing inside, if there are to be none any more.
    fn find(&mut self, key: &K) -> Option<Option<Pool<R, T>>> {
        if self.closed {
            return Some(None);
        }
        let member = self.pools.get_mut(key)?;
        member.used = true;
        Some(Some(member.pool.clone()))
    }

    fn handles(&self) -> Vec<(K, Pool<R, T>)> {
        let handle = |(key, member): (&K, &Member<R, T>)| (key.clone(), member.pool.clone());
        self.pools.iter().map(handle).collect()
    }

    /// Takes out the pools that were not asked for since the last look and hold nothing.
    fn forget_unused(&mut self) -> Vec<Member<R, T>> {
        let unused = |member: &Member<R, T>| {
            !member.used && member.pool.is_last_handle() && member.pool.status().size == 0
        };
        let keys: Vec<_> = self
            .pools
            .iter()
            .filter(|(_, member)| unused(member))
            .map(|(key, _)| key.clone())
            .collect();
        for member in self.pools.values_mut() {
            member.used = false;
        }
        keys.iter()
            .filter_map(|key| self.pools.remove(key))
            .collect()
    }
}

impl<K, R: Resource, T: Timer> Shared<K, R, T> {
    /// Restarts what background work of the family has ended with its runtime. Every pool takes part in making
    /// room for the others, so one that nobody uses is not left without a Runner.
    fn restart_lost_work(self: &Arc<Self>) {
        if !self.quota.claim_lost_work() {
            return;
        }
        let pools = self.family.with(|family| {
            let pools = family.pools.values();
            pools.map(|member| member.pool.clone()).collect::<Vec<_>>()
        });
        for pool in &pools {
            pool.shared.respawn_if_lost();
        }
        if let Some(spawn) = &self.spawn_forgetter {
            let is_there = self.has_forgetter.load(Ordering::Acquire);
            if !is_there {
                // The user's spawner: what it panics with is told by the pools, which it spawns as well.
                let _ = sync::contain(|| spawn(Forgetter::new(self)));
            }
        }
    }
}

/// Looks from time to time which keys are not used any more, for as long as the family has a handle.
struct Forgetter<K, R: Resource, T: Timer> {
    shared: Arc<Shared<K, R, T>>,
}

impl<K, R: Resource, T: Timer> Forgetter<K, R, T> {
    fn new(shared: &Arc<Shared<K, R, T>>) -> Self {
        shared.has_forgetter.store(true, Ordering::Release);
        Self {
            shared: shared.clone(),
        }
    }
}

impl<K: Ord + Clone, R: Resource, T: Timer> Forgetter<K, R, T> {
    async fn run(self, timer: T, every: Duration) {
        let every = every.max(LEAST_PERIOD);
        while self.shared.handles.load(Ordering::Acquire) > 0 {
            timer.sleep_until(timer.now() + every).await;
            let forgotten = self.shared.family.with(Family::forget_unused);
            // Outside the lock: with its last handle each pool ends.
            drop(forgotten);
        }
    }
}

impl<K, R: Resource, T: Timer> Drop for Forgetter<K, R, T> {
    /// Spawns nothing: where a runtime drops its tasks, there is none to spawn on.
    fn drop(&mut self) {
        self.shared.has_forgetter.store(false, Ordering::Release);
        self.shared.quota.note_lost_work();
    }
}

impl<K, R: Resource, T: Timer> Clone for KeyedPool<K, R, T> {
    fn clone(&self) -> Self {
        self.shared.handles.fetch_add(1, Ordering::Relaxed);
        Self {
            shared: self.shared.clone(),
        }
    }
}

impl<K, R: Resource, T: Timer> Drop for KeyedPool<K, R, T> {
    fn drop(&mut self) {
        if self.shared.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            let pools = self
                .shared
                .family
                .with(|family| core::mem::take(&mut family.pools));
            drop(pools);
        }
    }
}

impl<K, R: Resource, T: Timer> core::fmt::Debug for KeyedPool<K, R, T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let keys = self.shared.family.with(|family| family.pools.len());
        f.debug_struct("KeyedPool")
            .field("keys", &keys)
            .finish_non_exhaustive()
    }
}

impl<F> core::fmt::Debug for KeyedPoolBuilder<F> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("KeyedPoolBuilder")
            .field("max_size", &self.max_size)
            .field("forget_after", &self.forget_after)
            .finish_non_exhaustive()
    }
}
