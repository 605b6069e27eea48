//! A family of pools under one bound.

mod cancel;
mod operations;
mod scene;

use std::time::Duration;

use tenure_core::Pool;
use tenure_core::pool::KeyedPool;
use tenure_sim::{Backend, Ended, Faults, FaultyResource, Sim, explore, run};

use crate::drawn::{a_limit, backend, coin, heal, retry, some_limit, some_time};
use crate::patience::Patience;

const SECOND: Duration = Duration::from_secs(1);
const KEYS: u64 = 4;

type Family = KeyedPool<u64, FaultyResource, Sim>;

/// At most two values a key, and three in all.
fn family(sim: &Sim, backend: &Backend) -> Family {
    let backend = backend.clone();
    Pool::keyed(move |_: &u64| Pool::builder(FaultyResource::new(&backend)).max_size(2))
        .max_size(3)
        .build(sim.clone())
        .expect("a configuration that makes sense")
}

#[test]
fn b09_each_key_has_its_own_bound() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let family = family(&sim, &backend);
        let leases = [family.acquire(&1).await, family.acquire(&1).await];
        let pool = family.pool(&1).expect("the family is open");
        assert!(pool.acquire_timeout(SECOND).await.is_err());
        assert!(family.acquire(&2).await.is_ok());
        drop(leases);
        family.close().await;
        backend.assert_accounted();
    });
}

#[test]
fn b09_an_idle_value_makes_room_for_another_key() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let family = family(&sim, &backend);
        for key in 0..3 {
            drop(family.acquire(&key).await.expect("a value"));
        }
        assert_eq!(backend.live().len(), 3);
        // No time passes: nobody waits for an idle timeout.
        let began = sim.time_passed();
        let lease = family.acquire(&3).await.expect("a value");
        assert_eq!(sim.time_passed(), began);
        assert_eq!((backend.live().len(), backend.most_live()), (3, 3));
        drop(lease);
        family.close().await;
        backend.assert_accounted();
    });
}

#[test]
fn b09_a_value_that_comes_back_makes_room_for_who_waits_elsewhere() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let family = family(&sim, &backend);
        let mut leases = Vec::new();
        for key in 0..3 {
            leases.push(family.acquire(&key).await.expect("a value"));
        }
        let waits = sim.task("waits", {
            let family = family.clone();
            async move { family.acquire(&3).await.map(|lease| lease.id()) }
        });
        sim.sleep(SECOND).await;
        assert!(!waits.is_over());
        leases.pop();
        assert_eq!(waits.await.expect("a value"), 4);
        assert_eq!(backend.most_live(), 3);
        leases.clear();
        family.close().await;
        backend.assert_accounted();
    });
}

/// Its minimum wanted a place already, without a time at which to look for one again.
#[test]
fn a_waiter_of_a_key_whose_minimum_finds_no_place_is_served_in_time() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let of_pools = backend.clone();
        let pool_for = move |_: &u64| {
            let pool = Pool::builder(FaultyResource::new(&of_pools)).min_size(1);
            pool.check_every(None).idle_timeout(None).max_lifetime(None)
        };
        let family = Pool::keyed(pool_for).max_size(1).forget_after(None);
        let family = family.build(sim.clone()).expect("it makes sense");
        drop(family.acquire(&1).await.expect("a value"));
        let other = family.pool(&2).expect("the family is open");
        sim.sleep(SECOND).await;
        assert_eq!(other.status().size, 0);
        drop(other.acquire_timeout(SECOND).await.expect("the place"));
        drop(other);
        family.close().await;
        backend.assert_accounted();
    });
}

#[test]
fn b09_an_unused_key_is_forgotten() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let family = family(&sim, &backend);
        drop(family.acquire(&1).await.expect("a value"));
        let kept = family.acquire(&2).await.expect("a value");
        // The idle timeout, and the two looks that find the key unused.
        sim.sleep(SECOND * 1_200).await;
        let keys: Vec<_> = family.status().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, [2], "a key in use stays");
        drop(kept);
        family.close().await;
        assert!(family.pool(&1).is_err() && family.acquire(&1).await.is_err());
        assert_eq!(backend.ended(Ended::Closed), 2);
        backend.assert_accounted();
    });
}

/// Its password has changed, say: the pool of a key is shut down, and the next one is to have the new one.
#[test]
fn a_key_whose_pool_was_shut_down_gets_a_fresh_pool() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let family = family(&sim, &backend);
        drop(family.acquire(&1).await.expect("a value"));
        let old = family.pool(&1).expect("the family is open");
        assert!(old.shutdown(SECOND).await.is_clean());
        assert!(old.acquire().await.is_err());
        let lease = family.acquire(&1).await.expect("a value of a fresh pool");
        assert_eq!(lease.id(), 2);
        // One that is on its way out is as good as closed.
        let draining = family.pool(&1).expect("the family is open");
        let closing = sim.task("closes", async move { draining.close().await });
        sim.yield_now().await;
        assert_eq!(family.acquire(&1).await.expect("a value").id(), 3);
        drop(lease);
        assert!(closing.await.is_clean());
        assert_eq!(family.status().len(), 1);
        family.close().await;
        assert!(family.acquire(&1).await.is_err(), "the family is shut down");
        backend.assert_accounted();
    });
}

#[test]
fn a_removed_key_is_served_to_the_end_by_its_old_pool_and_then_by_a_fresh_one() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let family = family(&sim, &backend);
        assert!(family.remove(&1).is_none(), "there is no such key yet");
        let leases = [family.acquire(&1).await, family.acquire(&1).await];
        let waits = sim.task("waits", {
            let family = family.clone();
            async move { family.acquire(&1).await.map(|lease| lease.id()) }
        });
        sim.sleep(SECOND).await;
        let old = family.remove(&1).expect("it has a pool");
        assert!(family.remove(&1).is_none());
        assert_eq!(family.acquire(&1).await.expect("a fresh one").id(), 3);
        drop(leases);
        assert!(waits.await.is_ok_and(|id| id < 3));
        assert!(old.close().await.is_clean());
        // One that is dropped instead closes what it has.
        drop(family.remove(&1).expect("it has a pool"));
        sim.sleep(SECOND).await;
        assert_eq!((backend.live().len(), family.status().len()), (0, 0));
        family.close().await;
        backend.assert_accounted();
    });
}

#[test]
fn a_key_with_a_minimum_is_forgotten_and_its_values_closed() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let of_pools = backend.clone();
        let pool_for = move |_: &u64| {
            let pool = Pool::builder(FaultyResource::new(&of_pools)).min_size(1);
            pool.max_size(2).idle_timeout(SECOND * 20)
        };
        let family = Pool::keyed(pool_for).forget_after(SECOND * 60);
        let family = family.build(sim.clone()).expect("it makes sense");
        let both = [family.acquire(&1).await, family.acquire(&1).await];
        drop(both);
        let in_use = family.acquire(&2).await.expect("a value");
        sim.sleep(SECOND * 30).await;
        // Beyond the minimum it was idle for too long.
        assert_eq!((backend.live().len(), family.status().len()), (2, 2));
        sim.sleep(SECOND * 120).await;
        assert_eq!((backend.live().len(), family.status().len()), (1, 1));
        drop(in_use);
        sim.sleep(SECOND * 180).await;
        assert_eq!((backend.live().len(), family.status().len()), (0, 0));
        family.close().await;
        backend.assert_accounted();
    });
}

/// A key that some day can't be compared.
#[derive(Clone, PartialEq, Eq)]
struct Fragile(u64);

impl Ord for Fragile {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        assert!(self.0 != 13 && other.0 != 13, "thirteen is compared");
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Fragile {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

#[test]
fn a_key_whose_order_panics_fails_its_own_call_and_no_other() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let of_pools = backend.clone();
        let family = Pool::keyed(move |_: &Fragile| Pool::builder(FaultyResource::new(&of_pools)));
        let family = family.build(sim.clone()).expect("it makes sense");
        drop(family.acquire(&Fragile(1)).await.expect("a value"));
        let look = || family.pool(&Fragile(13)).map(drop);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(look));
        assert!(panicked.is_err());
        drop(family.acquire(&Fragile(1)).await.expect("a value"));
        drop(family.acquire(&Fragile(2)).await.expect("a value"));
        assert_eq!(family.status().len(), 2);
        sim.sleep(SECOND * 1_200).await;
        assert_eq!(family.status().len(), 0, "keys are still forgotten");
        family.close().await;
        backend.assert_accounted();
    });
}

#[test]
fn b09_random_families_lose_nothing_and_keep_their_bound() {
    explore(0..3_000, |sim| async move {
        let backend = backend(&sim);
        let most = 1 + sim.below(4) as usize;
        let beside = sim.below(3) as usize;
        let family = drawn(&sim, &backend, most, beside);
        let users: Vec<_> = (0..2 + sim.below(6))
            .map(|number| {
                let user = user(sim.clone(), backend.clone(), family.clone());
                sim.task(format!("user {number}"), user)
            })
            .collect();
        for user in users {
            user.await;
        }
        heal(&backend);
        for key in 0..KEYS {
            // Openings that began before may still fail, each once.
            let mut refused = 0;
            while let Err(error) = family.acquire(&key).await {
                refused += 1;
                assert!(refused <= most + 1, "{error}");
            }
        }
        let live = backend.most_live();
        assert!(live <= most + beside, "{live} live");
        if coin(&sim) {
            for (_, report) in family.close().await {
                assert_eq!(report.still_in_use, 0, "{report}");
            }
        }
        drop(family);
        // Twice, since a clock that jumps may wake this task before those that close.
        sim.sleep(SECOND * 60).await;
        sim.sleep(SECOND * 60).await;
        backend.assert_accounted();
    });
}

fn drawn(sim: &Sim, backend: &Backend, most: usize, beside: usize) -> Family {
    let (retry, idle) = (retry(sim), some_limit(sim, 20));
    let (open, close) = (a_limit(sim, 5), a_limit(sim, 5));
    let backend = backend.clone();
    let minimum = sim.below(3);
    let pool_for = move |key: &u64| {
        Pool::builder(FaultyResource::new(&backend))
            .min_size(usize::from(*key < minimum))
            .max_size(2)
            .retry(retry)
            .idle_timeout(idle)
            .check_every(None)
            .open_timeout(open)
            .close_timeout(close)
            .acquire_timeout(SECOND * 600)
    };
    Pool::keyed(pool_for)
        .max_size(most)
        .max_closing_beside(beside)
        .give_way_after(some_limit(sim, 2))
        .forget_after(some_limit(sim, 60))
        .build(sim.clone())
        .expect("a configuration that makes sense")
}

async fn user(sim: Sim, backend: Backend, family: Family) {
    for _ in 0..1 + sim.below(6) {
        let key = sim.below(KEYS);
        match sim.below(10) {
            0 => backend.break_all(),
            2 => drop(family.remove(&key)),
            3 => {
                let pool = family.pool(&key).expect("the family is open");
                // Without a limit, at the end of which closes are cut off that hold a place no more.
                drop(Patience::drawn(&sim).wait(&sim, pool.close()).await);
            }
            4 => {
                let pool = family.pool(&key).expect("the family is open");
                let gathered = Patience::drawn(&sim).wait(&sim, pool.acquire_many(2)).await;
                if let Some(Ok(leases)) = gathered {
                    sim.sleep(some_time(&sim, 200)).await;
                    drop(leases);
                }
            }
            1 => backend.set_faults(if coin(&sim) {
                Faults::none()
            } else {
                Faults::drawn(&sim)
            }),
            _ => {
                let patience = Patience::drawn(&sim);
                if let Some(Ok(lease)) = patience.wait(&sim, family.acquire(&key)).await {
                    sim.sleep(some_time(&sim, 2_000)).await;
                    match sim.below(8) {
                        0 => lease.discard(),
                        1 => lease.detach().end(),
                        _ => drop(lease),
                    }
                }
            }
        }
        sim.sleep(some_time(&sim, 2_000)).await;
    }
}
