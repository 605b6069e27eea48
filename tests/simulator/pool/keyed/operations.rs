//! Every operation of a keyed pool that takes time, or that changes which keys there are.

use tenure_core::{OwnedLease, Timer};
use tenure_sim::{FaultyResource, Sim};

use super::scene::{OTHER, OWN, Scene};
use crate::trouble::{HOOK_TIME, TIMEOUT};

/// What a task does with a keyed pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Acquire,
    /// Acquires of both keys, one after the other, while it holds nothing.
    AcquireOfBoth,
    AcquireOwned,
    AcquireTimeout,
    TryAcquire,
    /// Takes all that the family may have, for one key at once.
    AcquireMany,
    /// Gives back a lease of the other key that was taken before.
    GiveBack,
    Discard,
    Detach,
    /// Takes the other key out, and drops its pool.
    Remove,
    /// Takes the other key out, and shuts its pool down.
    RemoveAndShutdown,
    CloseKey,
    ShutdownKey,
    /// Closes both keys, one after the other, and uses fresh ones.
    CloseAndUseAgain,
    Close,
    Shutdown,
    EvictAll,
    Start,
    /// Uses both keys, and waits until they are forgotten.
    BeForgotten,
    /// The runtime of the background work ends with the operation, wherever that is dropped.
    EndRuntime,
}

impl Operation {
    pub(super) const ALL: [Self; 20] = [
        Self::Acquire,
        Self::AcquireOfBoth,
        Self::AcquireOwned,
        Self::AcquireTimeout,
        Self::TryAcquire,
        Self::AcquireMany,
        Self::GiveBack,
        Self::Discard,
        Self::Detach,
        Self::Remove,
        Self::RemoveAndShutdown,
        Self::CloseKey,
        Self::ShutdownKey,
        Self::CloseAndUseAgain,
        Self::Close,
        Self::Shutdown,
        Self::EvictAll,
        Self::Start,
        Self::BeForgotten,
        Self::EndRuntime,
    ];

    pub(super) async fn perform(self, scene: &Scene) {
        let (sim, family) = (&scene.sim, &scene.family);
        match self {
            Self::Acquire => {
                if let Ok(lease) = family.acquire(&OWN).await {
                    use_it(sim, lease).await;
                }
            }
            Self::AcquireOfBoth => {
                for key in [OWN, OTHER] {
                    if let Ok(lease) = family.acquire(&key).await {
                        use_it(sim, lease).await;
                    }
                }
            }
            Self::AcquireOwned => {
                if let Ok(pool) = family.pool(&OWN) {
                    let lease = pool.acquire_owned().await;
                    sim.yield_now().await;
                    drop(lease);
                }
            }
            Self::AcquireTimeout => {
                let began_at = sim.now();
                if let Ok(pool) = family.pool(&OWN) {
                    let lease = pool.acquire_timeout(TIMEOUT).await;
                    assert!(sim.now() - began_at <= TIMEOUT);
                    sim.yield_now().await;
                    drop(lease);
                }
            }
            Self::TryAcquire => {
                for key in [OTHER, OWN] {
                    if let Ok(pool) = family.pool(&key) {
                        let lease = pool.try_acquire();
                        sim.yield_now().await;
                        drop(lease);
                    }
                }
            }
            Self::AcquireMany => {
                if let Ok(pool) = family.pool(&OWN) {
                    let leases = pool.acquire_many(scene.most).await;
                    sim.yield_now().await;
                    drop(leases);
                }
            }
            Self::GiveBack => {
                let lease = scene.lent.take();
                sim.yield_now().await;
                drop(lease);
            }
            Self::Discard => {
                let lease = scene.lent.take();
                sim.yield_now().await;
                if let Some(lease) = lease {
                    lease.discard();
                }
            }
            Self::Detach => {
                let lease = scene.lent.take();
                sim.yield_now().await;
                if let Some(lease) = lease {
                    lease.detach().end();
                }
            }
            Self::Remove => {
                let removed = family.remove(&OTHER);
                sim.yield_now().await;
                drop(removed);
                sim.yield_now().await;
            }
            Self::RemoveAndShutdown => {
                if let Some(pool) = family.remove(&OTHER) {
                    let began_at = sim.now();
                    let _ = pool.shutdown(TIMEOUT).await;
                    assert!(sim.now() - began_at <= TIMEOUT);
                }
            }
            Self::CloseKey => {
                if let Ok(pool) = family.pool(&OTHER) {
                    let _ = pool.close().await;
                }
            }
            Self::ShutdownKey => {
                if let Ok(pool) = family.pool(&OTHER) {
                    let began_at = sim.now();
                    let _ = pool.shutdown(TIMEOUT).await;
                    assert!(sim.now() - began_at <= TIMEOUT);
                }
            }
            Self::CloseAndUseAgain => {
                for key in [OTHER, OWN] {
                    if let Ok(pool) = family.pool(&key) {
                        let _ = pool.close().await;
                    }
                    if let Ok(lease) = family.acquire(&key).await {
                        use_it(sim, lease).await;
                    }
                }
            }
            Self::Close => drop(family.close().await),
            Self::Shutdown => {
                let began_at = sim.now();
                let _ = family.shutdown(TIMEOUT).await;
                assert!(sim.now() - began_at <= TIMEOUT);
            }
            Self::EvictAll => {
                for key in [OTHER, OWN] {
                    sim.yield_now().await;
                    if let Ok(pool) = family.pool(&key) {
                        pool.evict_all();
                    }
                }
                sim.yield_now().await;
            }
            Self::Start => {
                if let Ok(pool) = family.pool(&OWN) {
                    drop(pool.start().await);
                }
            }
            Self::BeForgotten => {
                for key in [OWN, OTHER] {
                    if let Ok(lease) = family.acquire(&key).await {
                        use_it(sim, lease).await;
                    }
                }
                sim.sleep(HOOK_TIME * 12).await;
            }
            Self::EndRuntime => {
                let ended = Ended(sim);
                sim.sleep(HOOK_TIME * 4).await;
                drop(ended);
                sim.yield_now().await;
            }
        }
    }
}

async fn use_it(sim: &Sim, lease: OwnedLease<FaultyResource, Sim>) {
    assert!(lease.ask().is_ok() || lease.is_broken());
    sim.yield_now().await;
    drop(lease);
}

/// Ends the runtime of the background work when it is dropped.
struct Ended<'s>(&'s Sim);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.end_runtime();
    }
}
