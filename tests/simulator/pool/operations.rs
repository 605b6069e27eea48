//! Every operation of a pool that takes time.

use tenure_core::{Lease, Timer};
use tenure_sim::{FaultyResource, Sim};

use super::scene::Scene;
use crate::trouble::TIMEOUT;

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
    /// Ends a lease whose value is broken.
    Discard,
    /// Takes a value out for good.
    Detach,
    Start,
    Close,
    Shutdown,
    /// The background work, by hand.
    Run,
}

impl Operation {
    pub(super) const ALL: [Self; 12] = [
        Self::Acquire,
        Self::AcquireTimeout,
        Self::AcquireOwned,
        Self::AcquireOwnedTimeout,
        Self::TryAcquire,
        Self::GiveBack,
        Self::Discard,
        Self::Detach,
        Self::Start,
        Self::Close,
        Self::Shutdown,
        Self::Run,
    ];

    pub(super) async fn perform(self, scene: &Scene) {
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

async fn use_it(sim: &Sim, lease: Lease<'_, FaultyResource, Sim>) {
    assert!(lease.ask().is_ok() || lease.is_broken());
    sim.yield_now().await;
    drop(lease);
}
