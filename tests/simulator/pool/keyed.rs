//! A family of pools under one bound.

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
        assert!(family.pool(&1).is_none() && family.acquire(&1).await.is_err());
        assert_eq!(backend.ended(Ended::Closed), 2);
        backend.assert_accounted();
    });
}

#[test]
fn b09_random_families_lose_nothing_and_keep_their_bound() {
    explore(0..3_000, |sim| async move {
        let backend = backend(&sim);
        let most = 1 + sim.below(4) as usize;
        let family = drawn(&sim, &backend, most);
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
        assert!(backend.most_live() <= most, "{} live", backend.most_live());
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

fn drawn(sim: &Sim, backend: &Backend, most: usize) -> Family {
    let (retry, idle) = (retry(sim), some_limit(sim, 20));
    let (open, close) = (a_limit(sim, 5), a_limit(sim, 5));
    let backend = backend.clone();
    let pool_for = move |_: &u64| {
        Pool::builder(FaultyResource::new(&backend))
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
        .forget_after(some_limit(sim, 60))
        .build(sim.clone())
        .expect("a configuration that makes sense")
}

async fn user(sim: Sim, backend: Backend, family: Family) {
    for _ in 0..1 + sim.below(6) {
        let key = sim.below(KEYS);
        match sim.below(8) {
            0 => backend.break_all(),
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
