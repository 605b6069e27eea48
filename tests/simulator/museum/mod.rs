//! Bugs that other pools had, or have: each test is named after the pool and the number of the report, and
//! shows that ours is not among them. What has no number was seen by running the pool in question.
//!
//! One report is missing: nothing could be found of bb8 #175, and what is not known cannot be tested.

mod backon;
mod bb8;
mod commons_pool;
mod deadpool_mobc;
mod hikaricp;
mod orders;
mod pgx;
mod sqlx_counts;
mod sqlx_ends;
mod sqlx_waits;
mod zio;

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tenure_core::{
    AcquireError, Backoff, Event, EventKind, OwnedLease, Pool, Resource, Retry, Why,
};
use tenure_sim::{Backend, FaultyResource, Hook, Sim, Task};

use crate::drawn::heal;
use crate::faults::{SECOND, elapsed, pool_ends_well};

const MS: Duration = Duration::from_millis(1);
const AT_ONCE: Duration = Duration::ZERO;

/// Openings are tried again and again, a millisecond apart.
const PERSISTENT: Retry =
    Retry::new(Backoff::constant(Duration::from_millis(1))).max_retries(u32::MAX);

type Answer<const HOOKED: bool = false> =
    Result<OwnedLease<FaultyResource<HOOKED>, Sim>, AcquireError>;

/// A backend that is well, and takes this long for one of its hooks.
fn backend_with(sim: &Sim, hook: Hook, takes: Duration) -> Backend {
    let backend = Backend::new(sim);
    backend.set_time(hook, takes);
    backend
}

/// Has a task ask, and waits until it stands in the queue.
async fn queue_up<R: Resource, T: 'static>(
    sim: &Sim,
    pool: &Pool<R, Sim>,
    name: &str,
    asks: impl Future<Output = T> + 'static,
) -> Task<T> {
    let before = pool.status().waiting;
    let task = sim.task(name, asks);
    while pool.status().waiting == before {
        sim.yield_now().await;
    }
    task
}

/// Acquires, holds for so long, gives back, and says when it was served and with which value.
fn holds_for<const HOOKED: bool>(
    sim: &Sim,
    pool: &Pool<FaultyResource<HOOKED>, Sim>,
    time: Duration,
) -> impl Future<Output = (Duration, u64)> + use<HOOKED> {
    let (sim, pool) = (sim.clone(), pool.clone());
    async move {
        let lease = pool.acquire_owned().await.expect("its turn comes");
        let served = (elapsed(&sim), lease.id());
        sim.sleep(time).await;
        drop(lease);
        served
    }
}

/// What a lost slot, and a slot too many, would both fail: with nothing wrong any more, as many as there may
/// be are served at once, and one more is not. Then the pool is closed, and every value has ended once.
async fn ends_whole<R: Resource>(sim: &Sim, pool: &Pool<R, Sim>, backend: &Backend) {
    heal(backend);
    let max_size = pool.status().max_size;
    let asked_at = elapsed(sim);
    let mut leases = Vec::new();
    while leases.len() < max_size {
        let lease = pool.acquire_timeout(SECOND).await;
        leases
            .push(lease.unwrap_or_else(|error| panic!("{} of {max_size}: {error}", leases.len())));
    }
    assert_eq!(elapsed(sim), asked_at, "somebody had to wait");
    let one_more = pool.acquire_timeout(SECOND).await;
    let Err(AcquireError::Exhausted { waited, status, .. }) = one_more else {
        panic!("more than {max_size} are lent");
    };
    assert_eq!((waited, status.in_use), (SECOND, max_size));
    assert_eq!((status.size, status.opening), (max_size, 0), "{status}");
    assert_eq!(pool.status().waiting, 0);
    drop(leases);
    assert!(backend.most_live() <= max_size);
    pool_ends_well(pool, backend).await;
}

/// Why values ended, in their order.
#[derive(Clone, Debug, Default)]
struct Endings(Arc<Mutex<Vec<Why>>>);

impl Endings {
    fn sink(&self) -> Arc<dyn tenure_core::EventSink> {
        let whys = self.0.clone();
        Arc::new(move |event: &Event<'_>| {
            if let EventKind::Ended { why, .. } = event.kind {
                whys.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(why);
            }
        })
    }

    fn seen(&self) -> Vec<Why> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
