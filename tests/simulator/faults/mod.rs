//! The faults of the Python original, by their numbers. A literal port of it would fail each of these
//! tests; the first sentence above each says how.
//!
//! Where an order of steps matters, it is drawn from a seed, and so is whether there is a Runner.

mod acquire;
mod health;
mod lifecycle;
mod pool;
mod reconnect;
mod retry;
mod scope;

use std::ops::Range;
use std::time::Duration;

use tenure_core::managed::ManagedBuilder;
use tenure_core::pool::PoolBuilder;
use tenure_core::{Instant, Managed, Pool, Resource, SpawnLocal, Timer};
use tenure_sim::{Backend, Fault, Faults, Hook, Sim};

use crate::drawn::coin;

pub(crate) const SEEDS: Range<u64> = 0..100;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the world has lasted.
pub(crate) fn elapsed(sim: &Sim) -> Duration {
    sim.now() - Instant::EPOCH
}

/// A time below `most` seconds that falls on no whole millisecond, and so never on the instant at which
/// something else is due.
pub(crate) fn odd_time(sim: &Sim, most: u64) -> Duration {
    Duration::from_micros(500 + 1_000 * sim.below(most * 1_000))
}

pub(crate) fn always(hook: Hook, fault: Fault) -> Faults {
    Faults::none().one_in(1, hook, fault)
}

/// The pool, and whether it has a Runner.
pub(crate) fn pool_drawn<R: Resource>(sim: &Sim, builder: PoolBuilder<R>) -> (Pool<R, Sim>, bool) {
    let (pool, runner) = builder
        .build_with_runner(sim.clone())
        .expect("a configuration that makes sense");
    let has_runner = coin(sim);
    if has_runner {
        sim.spawn_local(runner.run());
    }
    (pool, has_runner)
}

/// The resource, and whether it has a Runner.
fn managed_drawn<R: Resource<Value: Clone>>(
    sim: &Sim,
    builder: ManagedBuilder<R>,
) -> (Managed<R, Sim>, bool) {
    let (managed, runner) = builder
        .build_with_runner(sim.clone())
        .expect("a configuration that makes sense");
    let has_runner = coin(sim);
    if has_runner {
        sim.spawn_local(runner.run());
    }
    (managed, has_runner)
}

/// Closes the pool; afterwards every value has ended, and once.
pub(crate) async fn pool_ends_well<R: Resource>(pool: &Pool<R, Sim>, backend: &Backend) {
    let report = pool.close().await;
    let audit = pool.audit();
    assert!(audit.is_balanced() && audit.live() == 0, "{audit}");
    assert_eq!(report.still_in_use, 0, "{report}");
    backend.assert_accounted();
}

/// Closes the resource; afterwards every value has ended, and once.
async fn managed_ends_well<R: Resource<Value: Clone>>(
    managed: &Managed<R, Sim>,
    backend: &Backend,
) {
    let report = managed.close().await;
    let audit = managed.audit();
    assert!(audit.is_balanced() && audit.live() == 0, "{audit}");
    assert_eq!(report.still_in_use, 0, "{report}");
    backend.assert_accounted();
}
