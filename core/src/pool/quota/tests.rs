//! The quota by itself, without pools.

use alloc::vec::Vec;

use super::*;
use crate::random::Random;

const PATIENCE: Duration = Duration::from_millis(100);

fn at(ms: u64) -> Instant {
    Instant::EPOCH + Duration::from_millis(ms)
}

/// A pool with so many places that wants so many more.
fn busy(places: usize, wanted: usize, served_at: Instant) -> QuotaStanding {
    QuotaStanding {
        wanted,
        waits: wanted > 0,
        places,
        served_at,
        ..QuotaStanding::default()
    }
}

#[test]
fn a_pool_with_a_share_that_serves_nobody_is_helped_in_the_end() {
    let quota = Quota::new(2, 0, Some(PATIENCE));
    let (one, other) = (quota.join(), quota.join());
    for id in [one, other] {
        quota.update(id, busy(0, 1, at(0)), at(0));
        assert!(quota.take(id, Some(at(0))));
    }
    quota.update(one, busy(1, 3, at(990)), at(990));
    quota.update(other, busy(1, 1, at(20)), at(1_000));
    for now in [1_000, 1_100, 1_400] {
        quota.update(one, busy(1, 3, at(now)), at(now));
        assert!(!quota.gives_way(one, Some(at(0)), at(now)), "at {now} ms");
    }
    assert!(quota.gives_way(one, Some(at(0)), at(1_500)));
    // The place is for the one that was helped, and not for the one that has nothing now.
    quota.update(one, busy(0, 3, at(1_500)), at(1_500));
    quota.give_back(1);
    assert!(!quota.take(one, Some(at(1_500))));
    assert!(quota.take(other, Some(at(1_500))));
}

/// A pool as the quota may see it: what it holds, and what it wants.
#[derive(Clone, Copy, Default)]
struct Modelled {
    id: u64,
    places: usize,
    leaving: usize,
    wanted: usize,
    waits: bool,
    idle: usize,
    minimum: usize,
}

impl Modelled {
    fn standing(&self) -> QuotaStanding {
        QuotaStanding {
            wanted: self.wanted,
            waits: self.waits && self.wanted > 0,
            places: self.places,
            leaving: self.leaving,
            donor: match self.idle {
                0 => Donor::None,
                _ if self.places > self.minimum => Donor::Willing,
                _ => Donor::Reluctant,
            },
            ..QuotaStanding::default()
        }
    }
}

/// Compares all sums and orders with what follows from the members.
fn assert_balanced(quota: &Quota, pools: &[Modelled], seed: u64) {
    quota.state.with(|state| {
        let held: usize = pools.iter().map(|pool| pool.places + pool.leaving).sum();
        assert_eq!(held + state.free, quota.most, "seed {seed}: places");
        let standings = || state.members.values().map(|member| member.standing);
        let leaving: usize = standings().map(|it| it.leaving).sum();
        let wanted: usize = standings().map(|it| it.wanted).sum();
        let by_waiters = standings().filter(|it| it.waits);
        assert_eq!(state.leaving, leaving, "seed {seed}");
        assert_eq!(state.wanted, wanted, "seed {seed}");
        let by_waiters: usize = by_waiters.map(|it| it.wanted).sum();
        assert_eq!(state.wanted_by_waiters, by_waiters, "seed {seed}");
        let blocked = state.members.values().filter(|it| it.blocked);
        assert_eq!(state.blocked, blocked.count(), "seed {seed}");
        for (id, member) in &state.members {
            let demands = member.demand.map(|demand| state.demands.get(&demand));
            assert_eq!(demands.is_some(), member.standing.wanted > 0, "seed {seed}");
            assert!(demands.is_none_or(|at| at == Some(id)), "seed {seed}");
            let donates = member.donates.map(|donor| state.donors.get(&donor));
            assert!(donates.is_none_or(|at| at == Some(id)), "seed {seed}");
        }
        let demands = state.members.values().filter(|it| it.demand.is_some());
        assert_eq!(state.demands.len(), demands.count(), "seed {seed}");
        let donors = state.members.values().filter(|it| it.donates.is_some());
        assert_eq!(state.donors.len(), donors.count(), "seed {seed}");
    });
}

/// Pools that want, get, give way and leave as it comes: nothing is lost, and whoever is told of a place gets it.
#[test]
fn whatever_pools_do_the_places_balance_and_none_stays_free_beside_a_demand() {
    for seed in 0..400 {
        let mut random = Random::seeded(seed);
        let mut below = |n: usize| random.next_u64() as usize % n;
        let most = 1 + below(6);
        let quota = Quota::new(most, 0, Some(PATIENCE));
        let mut pools = Vec::new();
        let mut now = 0;
        for _ in 0..300 {
            now += below(40) as u64;
            if pools.len() < 5 && below(4) == 0 {
                let minimum = below(2);
                pools.push(Modelled {
                    id: quota.join(),
                    minimum,
                    ..Modelled::default()
                });
            }
            if pools.is_empty() {
                continue;
            }
            let index = below(pools.len());
            let pool = &mut pools[index];
            match below(7) {
                0 => (pool.wanted, pool.waits) = (below(4), below(3) > 0),
                1 if pool.wanted > 0 => {
                    let may = quota.allowance(pool.id) > 0;
                    assert_eq!(quota.take(pool.id, Some(at(now))), may, "seed {seed}");
                    pool.places += usize::from(may);
                    pool.wanted -= usize::from(may);
                }
                2 if pool.leaving > 0 => {
                    pool.leaving -= 1;
                    quota.give_back(1);
                }
                3 if pool.idle > 0 => pool.idle -= 1,
                4 if pool.idle < pool.places => {
                    let gives = quota.gives_way(pool.id, Some(at(now / 2)), at(now));
                    pool.places -= usize::from(gives);
                    pool.leaving += usize::from(gives);
                    pool.idle += usize::from(!gives);
                }
                5 if below(8) == 0 => {
                    let gone = pools.swap_remove(index);
                    quota.leave(gone.id, gone.places + gone.leaving);
                    assert_balanced(&quota, &pools, seed);
                    continue;
                }
                _ => {
                    let places = pool.places;
                    if places > pool.minimum && pool.idle > 0 && quota.asks_for_room(pool.id) {
                        pool.places -= 1;
                        pool.leaving += 1;
                        pool.idle -= 1;
                    }
                }
            }
            let pool = pools[index];
            quota.update(pool.id, pool.standing(), at(now));
            assert_balanced(&quota, &pools, seed);
            // Somebody may have any place that is free.
            let wants = pools.iter().any(|pool| pool.wanted > 0);
            let free = quota.state.with(|state| state.free);
            let may = pools
                .iter()
                .any(|pool| quota.allowance(pool.id) > 0 && pool.wanted > 0);
            assert_eq!(may, wants && free > 0, "seed {seed}");
        }
    }
}
