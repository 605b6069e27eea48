//! A keyed pool whose keys do their background work in several runtimes, of which one ends.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use tenure_core::pool::KeyedPool;
use tenure_core::{EventSink, OwnedLease, Pool, Resource, Timer};
use tenure_sim::{Backend, FaultyResource, Hook, Sim, Task, explore, run};

use super::runtimes::Runtimes;
use super::{Numbers, RunnersSeen, SECOND};
use crate::drawn::{heal, some_time};
use crate::patience::Patience;

/// Key 1 works in runtime 1 and key 2 in runtime 2, and both share one value.
struct Two<R: Resource> {
    sim: Sim,
    runtimes: Runtimes,
    keys: KeyedPool<u64, R, Runtimes>,
    one: Pool<R, Runtimes>,
    two: Pool<R, Runtimes>,
}

impl<R: Resource + Clone> Two<R> {
    async fn set(sim: &Sim, resource: R) -> Self {
        Self::set_heard(sim, resource, Arc::new(|_: &tenure_core::Event<'_>| ())).await
    }

    async fn set_heard(sim: &Sim, resource: R, sink: Arc<dyn EventSink>) -> Self {
        let runtimes = Runtimes::new(sim);
        let pool_for = move |_: &u64| Pool::builder(resource.clone()).events(sink.clone());
        let keys = Pool::keyed(pool_for)
            .max_size(1)
            .build(runtimes.clone())
            .expect("a valid configuration");
        let pool = async |key| keys.pool(&key).expect("the family is open");
        let one = runtimes.within(1, pool(1)).await;
        let two = runtimes.within(2, pool(2)).await;
        // Their Runners have begun.
        sim.sleep(SECOND).await;
        Self {
            sim: sim.clone(),
            runtimes,
            keys,
            one,
            two,
        }
    }

    async fn one_is_lent(&self) -> OwnedLease<R, Runtimes> {
        let lease = self.runtimes.within(1, self.one.acquire_owned()).await;
        lease.expect("a value")
    }

    /// A task in runtime 2 waits for a value of key 2.
    async fn two_waits(&self) -> Task<Duration> {
        let (sim, runtimes, two) = (self.sim.clone(), self.runtimes.clone(), self.two.clone());
        let waits = self.sim.task("waits", async move {
            runtimes.within(2, is_served(&sim, &two)).await
        });
        self.sim.sleep(SECOND / 2).await;
        waits
    }

    async fn two_is_served(&self) -> Duration {
        let served = is_served(&self.sim, &self.two);
        self.runtimes.within(2, served).await
    }
}

/// Acquires, and says how long it took.
async fn is_served<R: Resource>(sim: &Sim, pool: &Pool<R, Runtimes>) -> Duration {
    let began_at = sim.now();
    let lease = pool.acquire_timeout(SECOND * 5).await;
    if let Err(error) = lease {
        panic!("not served: {error}");
    }
    sim.now() - began_at
}

#[test]
fn an_idle_value_of_a_key_whose_runtime_ended_makes_room_for_a_key_in_another() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let world = Two::set(&sim, FaultyResource::new(&backend)).await;
        drop(world.one_is_lent().await);
        world.runtimes.end(1).await;
        assert_eq!(world.two_is_served().await, Duration::ZERO);
        world.keys.close().await;
        backend.assert_accounted();
    });
}

#[test]
fn an_idle_value_that_outlives_its_runtime_makes_room_for_a_key_in_another() {
    run(0, |sim| async move {
        let world = Two::set(&sim, Numbers::default()).await;
        drop(world.one_is_lent().await);
        world.runtimes.end(1).await;
        assert_eq!(world.two_is_served().await, Duration::ZERO);
    });
}

#[test]
fn a_waiter_is_served_once_a_value_comes_back_to_a_key_whose_runtime_ended() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let world = Two::set(&sim, FaultyResource::new(&backend)).await;
        let lease = world.one_is_lent().await;
        let waits = world.two_waits().await;
        world.runtimes.end(1).await;
        drop(lease);
        assert_eq!(waits.await, SECOND / 2);
        world.keys.close().await;
        backend.assert_accounted();
    });
}

#[test]
fn a_waiter_is_served_though_the_runtime_ends_that_closes_a_value_for_it() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let world = Two::set(&sim, FaultyResource::new(&backend)).await;
        backend.set_time(Hook::Close, SECOND);
        drop(world.one_is_lent().await);
        let waits = world.two_waits().await;
        world.runtimes.end(1).await;
        assert_eq!(waits.await, SECOND / 2);
        world.keys.close().await;
        backend.assert_accounted();
    });
}

#[test]
fn a_waiter_whose_own_runner_ends_as_well_is_served() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let world = Two::set(&sim, FaultyResource::new(&backend)).await;
        let lease = world.one_is_lent().await;
        let two = world.two.clone();
        let waits = sim.task("waits elsewhere", {
            let (sim, runtimes) = (sim.clone(), world.runtimes.clone());
            async move { runtimes.within(3, is_served(&sim, &two)).await }
        });
        sim.sleep(SECOND / 2).await;
        world.runtimes.end(1).await;
        world.runtimes.end(2).await;
        drop(lease);
        assert_eq!(waits.await, SECOND / 2);
        world.runtimes.within(3, world.keys.close()).await;
        backend.assert_accounted();
    });
}

#[test]
fn a_waiter_behind_one_that_goes_with_its_runtime_is_served() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let world = Two::set(&sim, FaultyResource::new(&backend)).await;
        let lease = world.one_is_lent().await;
        let mut goes = Box::pin(world.runtimes.within(2, world.two.acquire()));
        let polled = goes.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        let two = world.two.clone();
        let waits = sim.task("waits elsewhere", {
            let (sim, runtimes) = (sim.clone(), world.runtimes.clone());
            async move { runtimes.within(3, is_served(&sim, &two)).await }
        });
        sim.sleep(SECOND / 2).await;
        // It is not polled again, and no other task is there to see to what has ended.
        world.runtimes.end(2).await;
        world.runtimes.end(1).await;
        drop(goes);
        drop(lease);
        assert_eq!(waits.await, SECOND / 2);
        world.runtimes.within(3, world.keys.close()).await;
        backend.assert_accounted();
    });
}

#[test]
fn a_removed_key_whose_runtime_ended_makes_room() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let world = Two::set(&sim, FaultyResource::new(&backend)).await;
        drop(world.one_is_lent().await);
        let removed = world.keys.remove(&1).expect("it has a pool");
        world.runtimes.end(1).await;
        // As the next use of any key does.
        let two = async || world.keys.pool(&2).expect("the family is open");
        drop(world.runtimes.within(2, two()).await);
        assert_eq!(world.two_is_served().await, Duration::ZERO);
        drop(removed);
        world.keys.close().await;
        backend.assert_accounted();
    });
}

#[test]
fn a_shutdown_of_a_key_that_was_dropped_goes_on_in_another_runtime() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let world = Two::set(&sim, FaultyResource::new(&backend)).await;
        let lease = world.one_is_lent().await;
        let closing = Patience::Polls(1).wait(&sim, world.one.close());
        assert!(world.runtimes.within(1, closing).await.is_none());
        world.runtimes.end(1).await;
        let waits = world.two_waits().await;
        drop(lease);
        assert_eq!(waits.await, SECOND / 2);
        world.keys.close().await;
        world.one.close().await;
        backend.assert_accounted();
    });
}

#[test]
fn a_runner_that_can_spawn_no_other_does_not_try_again_and_again() {
    run(0, |sim| async move {
        let (backend, runners) = (Backend::new(&sim), RunnersSeen::default());
        let world = Two::set_heard(&sim, FaultyResource::new(&backend), runners.sink()).await;
        let lease = world.one_is_lent().await;
        let waits = world.two_waits().await;
        sim.refuse_tasks(true);
        world.runtimes.end(1).await;
        let steps = sim.steps();
        sim.sleep(SECOND).await;
        assert!(sim.steps() < steps + 20, "{} steps", sim.steps() - steps);
        sim.refuse_tasks(false);
        drop(lease);
        // The next use of any key.
        drop(
            world
                .runtimes
                .within(2, async { world.keys.pool(&2) })
                .await,
        );
        assert!(waits.await < SECOND * 2);
        assert_eq!(runners.all(), ["ended", "restarted"]);
        world.keys.close().await;
        backend.assert_accounted();
    });
}

#[test]
fn random_families_in_runtimes_that_end_lose_nothing_and_serve_every_key() {
    explore(0..1_000, |sim| async move {
        let backend = Backend::new(&sim);
        for hook in [Hook::Open, Hook::Close] {
            backend.set_time(hook, some_time(&sim, 20));
        }
        let runtimes = Runtimes::new(&sim);
        let (most, resource) = (1 + sim.below(3) as usize, FaultyResource::new(&backend));
        let beside = sim.below(2) as usize;
        let pool_for = move |_: &u64| {
            let pool = Pool::builder(resource.clone()).max_size(2);
            pool.acquire_timeout(SECOND * 30)
        };
        let keys = Pool::keyed(pool_for)
            .max_size(most)
            .max_closing_beside(beside)
            .build(runtimes.clone())
            .expect("a valid configuration");
        let users: Vec<_> = (0..1 + sim.below(4))
            .map(|runtime| {
                let user = user(sim.clone(), runtimes.clone(), keys.clone(), runtime);
                let (within, name) = (runtimes.clone(), format!("user {runtime}"));
                sim.task(name, async move { within.within(runtime, user).await })
            })
            .collect();
        for runtime in 0..sim.below(1 + users.len() as u64) {
            sim.sleep(some_time(&sim, 500)).await;
            runtimes.end(runtime).await;
        }
        for user in users {
            user.await;
        }
        heal(&backend);
        for key in 0..3 {
            let pool = async { keys.pool(&key).expect("the family is open") };
            let pool = runtimes.within(9, pool).await;
            runtimes.within(9, is_served(&sim, &pool)).await;
        }
        for (_, report) in runtimes.within(9, keys.close()).await {
            assert_eq!(report.still_in_use, 0, "{report}");
        }
        let live = backend.most_live();
        assert!(
            live <= most + beside,
            "{live} live of {most}, {beside} beside"
        );
        backend.assert_accounted();
    });
}

/// Uses keys by handles that it keeps, so that no lookup of a key restarts what was lost.
async fn user(
    sim: Sim,
    runtimes: Runtimes,
    keys: KeyedPool<u64, FaultyResource, Runtimes>,
    runtime: u64,
) {
    let pool = |key| keys.pool(&key).expect("the family is open");
    let pools = [pool(0), pool(1), pool(2)];
    for _ in 0..1 + sim.below(6) {
        let pool = &pools[sim.below(3) as usize];
        let acquire = pool.acquire();
        match Patience::drawn(&sim).wait(&sim, acquire).await {
            Some(Ok(lease)) => {
                sim.sleep(some_time(&sim, 200)).await;
                drop(lease);
            }
            // In an ended runtime no Runner can be spawned.
            Some(Err(error)) => assert!(runtimes.has_ended(runtime), "not served: {error}"),
            None => {}
        }
        sim.sleep(some_time(&sim, 200)).await;
    }
}
