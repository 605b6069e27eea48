//! Bugs of others in whom they serve, and when: generic-pool of Node, `database/sql` of Go, and qp.

use std::cell::RefCell;
use std::rc::Rc;

use tenure_core::{AcquireError, Pool};
use tenure_sim::{Backend, FaultyResource, Hook, Task, explore};

use super::{AT_ONCE, Answer, MS, backend_with, ends_whole, holds_for, queue_up};
use crate::drawn::coin;
use crate::faults::{SEEDS, elapsed, pool_drawn};

/// A request that had timed out stayed in the queue: the resource that came for it was lent to nobody, and never
/// came back.
#[test]
fn generic_pool_who_has_timed_out_is_given_nothing() {
    explore(SEEDS, |sim| async move {
        let backend = backend_with(&sim, Hook::Open, MS * 100);
        let pool = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .max_size(1)
            .build(sim.clone())
            .expect("it makes sense");
        let impatient = pool.acquire_timeout(MS * 20).await;
        assert!(matches!(impatient, Err(AcquireError::OpenPending { .. })));
        assert_eq!((elapsed(&sim), pool.status().waiting), (MS * 20, 0));
        let nobody_waits = coin(&sim);
        if nobody_waits {
            sim.sleep(MS * 81).await;
            assert_eq!((pool.status().idle, pool.status().in_use), (1, 0));
        } else {
            sim.sleep(MS * 30).await;
            let lease = pool.acquire_timeout(MS * 200).await.expect("it comes");
            assert_eq!((elapsed(&sim), lease.id()), (MS * 100, 1));
        }
        ends_whole(&sim, &pool, &backend).await;
        assert_eq!(backend.calls(Hook::Open), 1);
    });
}

/// The repair put the resource back where it saw that the request was dead, and did not go on to the next in the
/// queue, who was alive.
#[test]
fn generic_pool_the_dead_do_not_keep_a_value_from_the_living() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .max_size(1);
        let (pool, _) = pool_drawn(&sim, builder);
        let lease = pool.acquire().await.expect("the backend is well");
        let dead = |number: u32| {
            let pool = pool.clone();
            (format!("dead {number}"), async move {
                let answer: Answer = pool.acquire_owned_timeout(MS * 20).await;
                answer.map(drop)
            })
        };
        let mut waiters = Vec::new();
        for number in 0..3 {
            let (name, waits) = dead(number);
            waiters.push(queue_up(&sim, &pool, &name, waits).await);
        }
        let alive = if coin(&sim) {
            Some(queue_up(&sim, &pool, "alive", holds_for(&sim, &pool, MS)).await)
        } else {
            None
        };
        for waiter in waiters {
            assert!(waiter.await.is_err());
        }
        assert_eq!(elapsed(&sim), MS * 20);
        assert_eq!(pool.status().waiting, usize::from(alive.is_some()));
        sim.sleep(MS * 10).await;
        drop(lease);
        match alive {
            Some(alive) => assert_eq!(alive.await, (MS * 30, 1)),
            None => assert_eq!(pool.status().idle, 1),
        }
        ends_whole(&sim, &pool, &backend).await;
    });
}

/// The waiters are kept in a set from which a random one is served, so that the wait of one has no bound: go
/// issue 31708 measured seven minutes where in order it would have been two.
#[test]
fn database_sql_31708_waiters_are_served_in_the_order_in_which_they_came() {
    const WAITERS: u32 = 100;
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .max_size(1);
        let (pool, _) = pool_drawn(&sim, builder.acquire_timeout(None));
        let lease = pool.acquire().await.expect("the backend is well");
        let served: Rc<RefCell<Vec<u32>>> = Rc::default();
        let mut waiters: Vec<Task<()>> = Vec::new();
        for number in 0..WAITERS {
            let (sim, served) = (sim.clone(), served.clone());
            let holds = holds_for(&sim, &pool, MS * 10);
            let waits = async move {
                let (at, _) = holds.await;
                assert!(at <= MS * 10 * number, "{number} waited until {at:?}");
                served.borrow_mut().push(number);
            };
            waiters.push(queue_up(&sim, &pool, &format!("waiter {number}"), waits).await);
        }
        let leaves = waiters.iter().filter(|_| sim.below(3) == 0);
        let leaves: Vec<_> = leaves.collect();
        drop(lease);
        for waiter in leaves {
            // Some have been served when their turn to leave comes, or are being so.
            sim.sleep(MS * sim.below(20) as u32).await;
            waiter.cancel();
        }
        sim.sleep(MS * 10 * (WAITERS + 1)).await;
        assert!(waiters.iter().all(Task::is_over));
        let served = served.take();
        assert!(served.len() >= 30, "{}", served.len());
        assert!(served.is_sorted(), "{served:?}");
        ends_whole(&sim, &pool, &backend).await;
    });
}

/// Between the last look at what is free and the sleep, what was given back went unnoticed: under contention tasks
/// slept for ever, beside values that lay idle.
#[test]
fn qp_nobody_sleeps_for_ever_under_contention() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        let max_size = 1 + sim.below(4) as usize;
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .max_size(max_size);
        // No timer of ours would wake anybody: a lost wake-up is a deadlock.
        let builder = builder.acquire_timeout(None).idle_timeout(None);
        let (pool, _) = pool_drawn(&sim, builder.check_every(None).max_lifetime(None));
        let users: Vec<_> = (0..20)
            .map(|number| {
                let (sim, pool) = (sim.clone(), pool.clone());
                sim.clone().task(format!("user {number}"), async move {
                    for _ in 0..20 {
                        let lease = pool.acquire().await.expect("its turn comes");
                        for _ in 0..sim.below(3) {
                            sim.yield_now().await;
                        }
                        drop(lease);
                    }
                })
            })
            .collect();
        for user in users {
            user.await;
        }
        assert_eq!(elapsed(&sim), AT_ONCE);
        assert!(backend.opened() <= max_size as u64);
        ends_whole(&sim, &pool, &backend).await;
    });
}
