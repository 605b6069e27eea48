//! Every operation of a pool that takes time.

use tenure_core::{Lease, Timer};
use tenure_sim::{FaultyResource, Sim};

use super::scene::Scene;
use crate::trouble::{HOOK_TIME, TIMEOUT};

/// What a task does with a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Acquire,
    AcquireTimeout,
    AcquireOwned,
    AcquireOwnedTimeout,
    /// Tries, and gives back what it got a step later.
    TryAcquire,
    /// Gives back a lease that was taken before.
    GiveBack,
    /// Runs an operation on a value, which may be cut off.
    RunInLease,
    /// Ends a lease whose value is broken.
    Discard,
    /// Takes a value out for good.
    Detach,
    /// Has a value closed once it is given back.
    Invalidate,
    /// Takes all there may be, at once.
    AcquireMany,
    AcquireManyTimeout,
    /// Changes the maximum, and changes it back.
    Resize,
    /// Lends nothing for a while.
    Suspend,
    EvictAll,
    Retain,
    Start,
    Close,
    Shutdown,
    /// The background work, by hand.
    Run,
}

impl Operation {
    pub(super) const ALL: [Self; 20] = [
        Self::Acquire,
        Self::AcquireTimeout,
        Self::AcquireOwned,
        Self::AcquireOwnedTimeout,
        Self::TryAcquire,
        Self::GiveBack,
        Self::RunInLease,
        Self::Discard,
        Self::Detach,
        Self::Invalidate,
        Self::AcquireMany,
        Self::AcquireManyTimeout,
        Self::Resize,
        Self::Suspend,
        Self::EvictAll,
        Self::Retain,
        Self::Start,
        Self::Close,
        Self::Shutdown,
        Self::Run,
    ];

    pub(super) async fn perform<const HOOKED: bool>(self, scene: &Scene<HOOKED>) {
        let (sim, pool) = (&scene.sim, &scene.pool);
        match self {
            Self::Acquire => {
                if let Ok(lease) = pool.acquire().await {
                    use_it(sim, lease).await;
                }
            }
            Self::AcquireTimeout => {
                let began_at = sim.now();
                if let Ok(lease) = pool.acquire_timeout(TIMEOUT).await {
                    assert!(sim.now() - began_at <= TIMEOUT);
                    use_it(sim, lease).await;
                }
            }
            Self::AcquireOwned => {
                let lease = pool.acquire_owned().await;
                sim.yield_now().await;
                drop(lease);
            }
            Self::AcquireOwnedTimeout => {
                let lease = pool.acquire_owned_timeout(TIMEOUT).await;
                sim.yield_now().await;
                drop(lease);
            }
            Self::TryAcquire => {
                let lease = pool.try_acquire();
                sim.yield_now().await;
                drop(lease);
            }
            Self::GiveBack => {
                let lease = scene.lent.take();
                sim.yield_now().await;
                drop(lease);
            }
            Self::RunInLease => {
                let lease = pool.acquire().await;
                if let Ok(mut lease) = lease {
                    let is_good = lease.run(async |value| {
                        sim.sleep(HOOK_TIME).await;
                        value.ask().is_ok() || value.is_broken()
                    });
                    assert!(is_good.await);
                }
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
            Self::Invalidate => {
                let lease = scene.lent.take();
                sim.yield_now().await;
                if let Some(mut lease) = lease {
                    lease.invalidate();
                }
            }
            Self::AcquireMany => {
                let leases = pool.acquire_many(scene.max_size).await;
                sim.yield_now().await;
                drop(leases);
            }
            Self::AcquireManyTimeout => {
                let leases = pool.acquire_many_timeout(scene.max_size, TIMEOUT).await;
                sim.yield_now().await;
                drop(leases);
            }
            Self::Resize => {
                let changed_back = Resized(scene);
                for max_size in [scene.max_size + 1, 1] {
                    pool.resize(max_size).expect("a maximum that makes sense");
                    sim.sleep(HOOK_TIME).await;
                }
                drop(changed_back);
            }
            Self::Suspend => {
                let resumed = Resumed(scene);
                pool.suspend();
                sim.sleep(HOOK_TIME).await;
                drop(resumed);
            }
            Self::EvictAll => {
                sim.yield_now().await;
                pool.evict_all();
                sim.yield_now().await;
            }
            Self::Retain => {
                sim.yield_now().await;
                pool.retain(|value, _| !value.is_broken());
                pool.retain(|_, _| false);
                sim.yield_now().await;
            }
            Self::Start => drop(pool.start().await),
            Self::Close => drop(pool.close().await),
            Self::Shutdown => {
                let began_at = sim.now();
                let _ = pool.shutdown(TIMEOUT).await;
                assert!(sim.now() - began_at <= TIMEOUT);
            }
            Self::Run => {
                let runner = scene.runner.take();
                if let Some(runner) = runner {
                    runner.run().await;
                }
            }
        }
    }
}

async fn use_it<const HOOKED: bool>(sim: &Sim, lease: Lease<'_, FaultyResource<HOOKED>, Sim>) {
    assert!(lease.ask().is_ok() || lease.is_broken());
    sim.yield_now().await;
    drop(lease);
}

/// A maximum that was changed is changed back, whatever ends the operation.
struct Resized<'s, const HOOKED: bool>(&'s Scene<HOOKED>);

impl<const HOOKED: bool> Drop for Resized<'_, HOOKED> {
    fn drop(&mut self) {
        let resized = self.0.pool.resize(self.0.max_size);
        resized.expect("the maximum that it was built with");
    }
}

/// A pool that was suspended is resumed, whatever ends the operation.
struct Resumed<'s, const HOOKED: bool>(&'s Scene<HOOKED>);

impl<const HOOKED: bool> Drop for Resumed<'_, HOOKED> {
    fn drop(&mut self) {
        self.0.pool.resume();
    }
}
