//! A keyed pool: its keys, and the function that makes a pool.

use tenure_core::{Pool, Retry};
use tenure_sim::run;

use super::MOMENT;
use super::lookout::Lookout;
use super::nosy::Nosy;

#[test]
fn no_lock_of_a_family_is_held_over_its_keys() {
    run(0, |sim| async move {
        let lookout = Lookout::default();
        let of_pools = lookout.clone();
        let backoff = lookout.backoff();
        let pool_for = move |_: &NosyKey| {
            of_pools.look("making a pool");
            Pool::builder(Nosy::<false>(of_pools.clone()))
                .retry(Retry::new(backoff))
                .events(of_pools.sink())
        };
        let family = Pool::keyed(pool_for)
            .max_size(3)
            .forget_after(MOMENT * 400)
            .build(sim.clone())
            .expect("a valid configuration");
        lookout.looks_at({
            let (family, lookout) = (family.clone(), lookout.clone());
            // It makes a key of its own, and so compares, clones and drops as well.
            move || drop((family.pool(&NosyKey(9, lookout.clone())), family.status()))
        });
        let key = |number| NosyKey(number, lookout.clone());
        for number in [3, 1, 2, 4, 1] {
            let (one, family) = (key(number), family.clone());
            let acquire = lookout
                .clone()
                .wakes(async move { family.acquire(&one).await });
            drop(acquire.await.expect("a value"));
        }
        // Three keys have all places, and another waits for one.
        let mut leases = Vec::new();
        for number in [1, 2, 4] {
            leases.push(family.acquire(&key(number)).await.expect("a value"));
        }
        let waits = sim.task("waits", {
            let (one, family) = (key(5), family.clone());
            let acquire = async move { family.acquire(&one).await.map(drop) };
            lookout.clone().wakes(acquire)
        });
        sim.sleep(MOMENT * 20).await;
        drop(leases);
        waits.await.expect("a value");
        drop(family.remove(&key(3)).expect("it has a pool"));
        let shut = family.pool(&key(1)).expect("the family is open");
        shut.close().await;
        drop(
            family
                .acquire(&key(1))
                .await
                .expect("a value of a fresh pool"),
        );
        drop(shut);
        sim.sleep(MOMENT * 2_000).await;
        drop(family.acquire(&key(1)).await.expect("a value"));
        // The Runners and the task that forgets keys end, and the next use spawns them.
        sim.end_runtime();
        sim.yield_now().await;
        drop(family.acquire(&key(2)).await.expect("a value"));
        let reports = family.close().await;
        drop(reports);
        lookout.forget();
        drop(family);
        lookout.saw_nothing_locked(&[
            "making a pool",
            "order of a key",
            "clone of a key",
            "drop of a key",
            "open",
            "close",
            "backoff",
            "drop of a value",
            "drop of an error",
            "sink",
            "wake",
            "clone of a waker",
            "drop of a waker",
        ]);
    });
}

/// A key that has the holder looked at whenever something is done with it.
struct NosyKey(u64, Lookout);

impl Clone for NosyKey {
    fn clone(&self) -> Self {
        self.1.look("clone of a key");
        Self(self.0, self.1.clone())
    }
}

impl Drop for NosyKey {
    fn drop(&mut self) {
        self.1.look("drop of a key");
    }
}

impl Ord for NosyKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.1.look("order of a key");
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for NosyKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for NosyKey {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for NosyKey {}
