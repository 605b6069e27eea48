//! The keys of a family and their pools, as all handles and background work share them.
//!
//! A key's `Ord`, `Clone` and `Drop` are user code, and so is the function that makes a pool. None runs under a lock:
//! the family's lock guards only which version of the map is the current one, and each key's cell has a lock of its
//! own for its pool. A lookup takes the current map and compares outside. A pool that was shut down is replaced in its
//! cell. A key that is forgotten or removed is marked so in its cell first, which decides who takes its pool; then it
//! is taken out of the map, by whoever comes by.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use core::time::Duration;

use super::keys::{KeyMap, Keyed};
use crate::config::ConfigError;
use crate::drive::LEAST_PERIOD;
use crate::pool::Pool;
use crate::pool::quota::{Quota, restart_lost_runners};
use crate::pool::shared::PoolShared;
use crate::random::Random;
use crate::resource::Resource;
use crate::runtime::Timer;
use crate::sync::{self, Arc, AtomicBool, AtomicUsize, Lock};

/// What all handles of a keyed pool share.
pub(super) struct Family<K, R: Resource, T: Timer> {
    pub(super) make: MakePool<K, R, T>,
    quota: Arc<Quota>,
    /// Spawns the task that forgets unused keys, if any are to be forgotten.
    spawn_forgetter: Option<SpawnForgetter<K, R, T>>,
    /// `true` if that task has ended with its runtime, and no use has seen to it since.
    lost_forgetter: AtomicBool,
    state: Lock<FamilyState<K, R, T>>,
    /// How many handles there are.
    pub(super) handles: AtomicUsize,
}

/// Makes the pool of a key, without a Runner.
pub(super) type MakePool<K, R, T> =
    Box<dyn Fn(&K) -> Result<Pool<R, T>, ConfigError> + Send + Sync>;

pub(super) type SpawnForgetter<K, R, T> = Box<dyn Fn(Forgetter<K, R, T>) + Send + Sync>;

struct FamilyState<K, R: Resource, T: Timer> {
    pools: KeyMap<FamilyKey<K, R, T>>,
    version: u64,
    closed: bool,
    /// Priorities of the map's entries.
    random: Random,
}

/// A key and its pool.
pub(super) struct FamilyKey<K, R: Resource, T: Timer> {
    key: K,
    pool: Lock<KeyState<R, T>>,
}

enum KeyState<R: Resource, T: Timer> {
    Present {
        pool: Pool<R, T>,
        /// `true` if it was asked for since the last look.
        used: bool,
    },
    /// Forgotten or removed: it is on its way out of the map, and never comes back.
    Removed,
}

/// What a lookup finds.
pub(super) enum FamilyLookup<K, R: Resource, T: Timer> {
    Found(Pool<R, T>),
    /// The key is in the map, but its pool was shut down.
    ShutDown(Arc<FamilyKey<K, R, T>>),
    Absent {
        pools: KeyMap<FamilyKey<K, R, T>>,
        version: u64,
    },
}

/// Clones the keys and the handles of their pools. Under no lock but each key's own, and that not for its clone.
pub(super) fn handles<K: Clone, R: Resource, T: Timer>(
    pools: &KeyMap<FamilyKey<K, R, T>>,
) -> Vec<(K, Pool<R, T>)> {
    pools
        .iter()
        .filter_map(|member| Some((member.key.clone(), member.handle()?)))
        .collect()
}

impl<K: Ord, R: Resource, T: Timer> Keyed for FamilyKey<K, R, T> {
    type Key = K;

    fn key(&self) -> &K {
        &self.key
    }
}

impl<K, R: Resource, T: Timer> FamilyKey<K, R, T> {
    fn handle(&self) -> Option<Pool<R, T>> {
        self.pool.with(|state| match state {
            KeyState::Present { pool, .. } => Some(pool.clone()),
            KeyState::Removed => None,
        })
    }

    /// Takes the pool out for good, if `meant` says so of it and of whether it was used.
    pub(super) fn take_if(
        &self,
        meant: impl FnOnce(&Pool<R, T>, &mut bool) -> bool,
    ) -> Option<Pool<R, T>> {
        self.pool.with(|state| {
            let KeyState::Present { pool, used } = state else {
                return None;
            };
            if !meant(pool, used) {
                return None;
            }
            match core::mem::replace(state, KeyState::Removed) {
                KeyState::Present { pool, .. } => Some(pool),
                KeyState::Removed => None,
            }
        })
    }
}

impl<K, R: Resource, T: Timer> Family<K, R, T> {
    pub(super) fn new(
        make: MakePool<K, R, T>,
        quota: Arc<Quota>,
        spawn_forgetter: Option<SpawnForgetter<K, R, T>>,
        seed: u64,
    ) -> Arc<Self> {
        Arc::new(Self {
            make,
            quota,
            spawn_forgetter,
            lost_forgetter: AtomicBool::new(false),
            state: Lock::new(FamilyState {
                pools: KeyMap::new(),
                version: 0,
                closed: false,
                random: Random::seeded(seed),
            }),
            handles: AtomicUsize::new(1),
        })
    }

    /// Returns the map as it is now.
    pub(super) fn pools(&self) -> KeyMap<FamilyKey<K, R, T>> {
        self.state.with(|state| state.pools.clone())
    }

    /// Makes no more pools from here on, and returns those that there are.
    pub(super) fn close(&self) -> KeyMap<FamilyKey<K, R, T>> {
        self.state.with(|state| {
            state.closed = true;
            state.pools.clone()
        })
    }

    /// Takes out all pools, to be dropped.
    pub(super) fn take_pools(&self) -> KeyMap<FamilyKey<K, R, T>> {
        self.state.with(|state| {
            state.version += 1;
            core::mem::replace(&mut state.pools, KeyMap::new())
        })
    }

    /// Makes this the map, if none has come after the version that it was made from.
    fn exchange(&self, version: u64, mut pools: KeyMap<FamilyKey<K, R, T>>) -> bool {
        // What is replaced is dropped outside the lock, and keys with it.
        self.state.with(|state| {
            let current = state.version == version && !state.closed;
            if current {
                core::mem::swap(&mut state.pools, &mut pools);
                state.version += 1;
            }
            current
        })
    }

    fn current(&self) -> (KeyMap<FamilyKey<K, R, T>>, u64, bool) {
        self.state
            .with(|state| (state.pools.clone(), state.version, state.closed))
    }

    pub(super) fn spawn_forgetter(this: &Arc<Self>) {
        if let Some(spawn) = &this.spawn_forgetter {
            spawn(Forgetter::new(this));
        }
    }

    /// Restarts what background work of the family has ended with its runtime. Every pool takes part in making
    /// room for the others, so one that nobody uses is not left without a Runner.
    pub(super) fn restart_lost_work(this: &Arc<Self>) {
        restart_lost_runners(&this.quota);
        // Read first, for all threads share it and it is seldom set.
        let lost = &this.lost_forgetter;
        if lost.load(Ordering::Acquire) && lost.swap(false, Ordering::AcqRel) {
            // The user's spawner: what it panics with is told by the pools, which it spawns as well.
            let _ = sync::contain(|| Self::spawn_forgetter(this));
        }
    }
}

impl<K: Ord + Clone, R: Resource, T: Timer> Family<K, R, T> {
    /// Looks for the pool of a key; `None` once the family is shut down.
    pub(super) fn look_up(&self, key: &K) -> Option<FamilyLookup<K, R, T>> {
        loop {
            let (pools, version, closed) = self.current();
            if closed {
                return None;
            }
            let Some(member) = pools.find(key) else {
                return Some(FamilyLookup::Absent { pools, version });
            };
            let found = member.pool.with(|state| match state {
                KeyState::Present { pool, used } => {
                    *used = true;
                    Some((!pool.is_closed()).then(|| pool.clone()))
                }
                KeyState::Removed => None,
            });
            match found {
                Some(Some(pool)) => return Some(FamilyLookup::Found(pool)),
                Some(None) => return Some(FamilyLookup::ShutDown(member.clone())),
                // Another thread is about to take it out.
                None => self.unlink(member),
            }
        }
    }

    /// Puts a new pool to where a lookup found none. Hands it back if another was faster.
    pub(super) fn put(
        &self,
        key: &K,
        lookup: FamilyLookup<K, R, T>,
        new: Pool<R, T>,
    ) -> Result<Pool<R, T>, Pool<R, T>> {
        let fresh = KeyState::Present {
            pool: new.clone(),
            used: true,
        };
        match lookup {
            FamilyLookup::Found(_) => return Err(new),
            FamilyLookup::ShutDown(member) => {
                let replaced = member.pool.with(|state| match state {
                    KeyState::Present { pool, .. } if pool.is_closed() => {
                        Ok(core::mem::replace(state, fresh))
                    }
                    _ => Err(fresh),
                });
                // Either is dropped here, outside the lock.
                if replaced.is_err() {
                    return Err(new);
                }
                // A shutdown of the family that came meanwhile may have missed it.
                if self.state.with(|state| state.closed) {
                    new.begin_closing();
                }
            }
            FamilyLookup::Absent { pools, version } => {
                let member = Arc::new(FamilyKey {
                    key: key.clone(),
                    pool: Lock::new(fresh),
                });
                let priority = self.state.with(|state| state.random.next_u64());
                if !self.exchange(version, pools.with(member, priority)) {
                    return Err(new);
                }
            }
        }
        if new.shared.opens_by_itself() {
            PoolShared::respawn_if_lost(&new.shared);
        }
        Ok(new)
    }

    /// Takes a key out of the map whose pool was taken before.
    pub(super) fn unlink(&self, member: &Arc<FamilyKey<K, R, T>>) {
        loop {
            let (pools, version, closed) = self.current();
            let found = pools.find(&member.key);
            let is_there = found.is_some_and(|found| Arc::ptr_eq(found, member));
            if closed || !is_there || self.exchange(version, pools.without(&member.key)) {
                return;
            }
        }
    }

    /// Drops the pools that were not asked for since the last look and hold nothing but their minimum.
    fn forget_unused(&self) {
        for member in self.pools().iter() {
            let forgotten = member.take_if(|pool, used| {
                !core::mem::take(used) && pool.is_last_handle() && pool.is_unused()
            });
            if let Some(pool) = forgotten {
                self.unlink(member);
                // Outside the lock: with its last handle the pool ends.
                drop(pool);
            }
        }
    }
}

/// Looks from time to time which keys are not used any more, for as long as the family has a handle.
pub(super) struct Forgetter<K, R: Resource, T: Timer> {
    family: Arc<Family<K, R, T>>,
}

impl<K, R: Resource, T: Timer> Forgetter<K, R, T> {
    fn new(family: &Arc<Family<K, R, T>>) -> Self {
        Self {
            family: family.clone(),
        }
    }
}

impl<K: Ord + Clone, R: Resource, T: Timer> Forgetter<K, R, T> {
    pub(super) async fn run(self, timer: T, every: Duration) {
        let every = every.max(LEAST_PERIOD);
        while self.family.handles.load(Ordering::Acquire) > 0 {
            timer.sleep_until(timer.now() + every).await;
            // A key's `Ord` may panic. What is left undone is done at the next look.
            let _ = sync::contain(|| self.family.forget_unused());
        }
    }
}

impl<K, R: Resource, T: Timer> Drop for Forgetter<K, R, T> {
    /// Spawns nothing: where a runtime drops its tasks, there is none to spawn on.
    fn drop(&mut self) {
        self.family.lost_forgetter.store(true, Ordering::Release);
    }
}
