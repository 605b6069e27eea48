//! Faults of what a pool keeps, and of its end.

use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;

use tenure_core::{AcquireError, LocalResource, Pool, SpawnLocal};
use tenure_sim::{Backend, Ended, Fault, Faults, FaultyResource, Hook, Sim, explore};

use super::{SECOND, SEEDS, elapsed, odd_time, pool_drawn, pool_ends_well};
use crate::drawn::coin;

/// A port compares the idle time with the age of the value: what is used all day is closed as often as
/// what nobody needs.
#[test]
fn fault_15_idle_time_counts_from_the_last_use() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .idle_timeout(SECOND * 30)
            .check_every(None);
        let pool = builder.build(sim.clone()).expect("it makes sense");
        for _ in 0..15 {
            let lease = pool.acquire().await.expect("the backend is well");
            assert_eq!(lease.id(), 1);
            // Held for longer than the timeout now and then, and never idle for as long.
            sim.sleep(odd_time(&sim, 60)).await;
            drop(lease);
            sim.sleep(odd_time(&sim, 29)).await;
        }
        drop(pool.acquire().await);
        sim.sleep(SECOND * 29).await;
        assert_eq!(backend.live(), [1]);
        // What is timed is never early, and at most a quarter late.
        sim.sleep(SECOND + SECOND * 30 / 4).await;
        assert_eq!((backend.live(), backend.opened()), (vec![], 1));
        pool_ends_well(&pool, &backend).await;
    });
}

/// In a port a stop notifies nobody who waits, and a waiter without a timeout waits for ever.
#[test]
fn fault_19_stop_wakes_all_who_wait() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .max_size(1);
        let (pool, _) = pool_drawn(&sim, builder.acquire_timeout(None));
        let lease = pool.acquire().await.expect("the backend is well");
        let stopped_at = odd_time(&sim, 10);
        let waiters = [1, 2, 3, 4, 5].map(|number| {
            let (world, pool) = (sim.clone(), pool.clone());
            sim.task(format!("waiter {number}"), async move {
                let answer = pool.acquire().await;
                assert!(matches!(answer, Err(AcquireError::Closed { .. })));
                assert_eq!(elapsed(&world), stopped_at);
            })
        });
        sim.sleep(stopped_at).await;
        let stop = sim.task("stop", {
            let pool = pool.clone();
            async move { pool.close().await }
        });
        for waiter in waiters {
            waiter.await;
        }
        let late = pool.acquire().await;
        assert!(matches!(late, Err(AcquireError::Closed { .. })));
        drop(lease);
        assert!(stop.await.is_clean());
        pool_ends_well(&pool, &backend).await;
    });
}

/// A port closes all that it has, in use or not, and the user's next word to the value fails.
#[test]
fn fault_19_stop_leaves_values_to_their_users() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend)).max_closing_beside(0);
        let (pool, _) = pool_drawn(&sim, builder);
        let held_for = odd_time(&sim, 10);
        let user = sim.task("user", {
            let lease = pool.acquire_owned().await.expect("the backend is well");
            let sleep = sim.sleep(held_for);
            async move {
                sleep.await;
                lease.ask()
            }
        });
        drop(pool.acquire().await);
        let report = pool.shutdown(SECOND * 5).await;
        let in_time = held_for < SECOND * 5;
        assert_eq!(elapsed(&sim), held_for.min(SECOND * 5));
        assert_eq!(report.closed, 1 + u64::from(in_time), "{report}");
        assert_eq!(report.still_in_use, u64::from(!in_time), "{report}");

        user.await.expect("nobody closed it under its user");
        assert_eq!(pool.close().await.closed, 2);
        assert_eq!(elapsed(&sim), held_for);
        pool_ends_well(&pool, &backend).await;
    });
}

/// A port stops stopping at the first cleanup that raises: what comes behind it stays open.
#[test]
fn fault_19_stop_goes_on_after_a_failure() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        let bad = Faults::none()
            .nth(Hook::Close, 1, Fault::Fail)
            .nth(Hook::Close, 2, Fault::Panic)
            .nth(Hook::Close, 3, Fault::Hang)
            .nth(Hook::Close, 4, Fault::Hang);
        backend.set_faults(bad);
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .min_size(7);
        let (pool, _) = pool_drawn(&sim, builder.close_timeout(SECOND * 5));
        pool.start().await.expect("the backend is well");
        let report = pool.close().await;
        assert_eq!(report.closed, 3, "{report}");
        assert_eq!(
            (report.close_failed, report.close_timed_out),
            (2, 2),
            "{report}"
        );
        assert_eq!(report.failures.len(), 4, "each is named");
        assert_eq!(
            report.took,
            Some(SECOND * 5),
            "one that hangs delays no other"
        );
        assert_eq!(backend.ended(Ended::Closed), 3);
        pool_ends_well(&pool, &backend).await;
    });
}

/// A port keeps its values by their ids: those of one id count as one, and the maximum is never reached.
#[test]
fn fault_20_values_that_nothing_tells_apart_count_each() {
    const MAX_SIZE: usize = 3;
    explore(SEEDS, |sim| async move {
        let twins = Twins::new(&sim);
        let (pool, runner) = Pool::builder(twins.clone())
            .max_closing_beside(0)
            .max_size(MAX_SIZE)
            .build_with_runner(sim.clone())
            .expect("it makes sense");
        if coin(&sim) {
            sim.spawn_local(runner.run());
        }
        let users = [1, 2, 3, 4, 5, 6, 7, 8].map(|number| {
            let (world, pool) = (sim.clone(), pool.clone());
            sim.task(format!("user {number}"), async move {
                for _ in 0..5 {
                    let lease = pool.acquire().await.expect("one comes back");
                    world.sleep(odd_time(&world, 1)).await;
                    if coin(&world) {
                        lease.discard();
                    }
                }
            })
        });
        for user in users {
            user.await;
        }
        assert_eq!(twins.most_live(), MAX_SIZE);
        assert!(pool.close().await.is_clean());
        assert_eq!((twins.live(), pool.audit().live()), (0, 0));
        assert!(pool.audit().is_balanced());
    });
}

/// Opens one and the same value again and again, and counts how often it is out.
#[derive(Clone, Debug)]
struct Twins {
    sim: Sim,
    count: Rc<Count>,
}

#[derive(Debug, Default)]
struct Count {
    twin: Rc<()>,
    most: Cell<usize>,
}

impl Twins {
    fn new(sim: &Sim) -> Self {
        Self {
            sim: sim.clone(),
            count: Rc::default(),
        }
    }

    /// Openings under way included.
    fn live(&self) -> usize {
        Rc::strong_count(&self.count.twin) - 1
    }

    fn most_live(&self) -> usize {
        self.count.most.get()
    }
}

impl LocalResource for Twins {
    type Value = Rc<()>;
    type Error = Infallible;

    async fn open(&self) -> Result<Rc<()>, Infallible> {
        let twin = self.count.twin.clone();
        self.count.most.set(self.most_live().max(self.live()));
        self.sim.sleep(SECOND).await;
        Ok(twin)
    }
}
