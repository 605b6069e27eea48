//! Faults of acquiring from a pool and of giving back.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tenure_core::{AcquireError, Pool, Start};
use tenure_sim::{Backend, Fault, Faults, FaultyResource, Hook, explore};

use super::{SECOND, SEEDS, always, elapsed, odd_time, pool_drawn, pool_ends_well};
use crate::drawn::coin;

/// In a port the timeout counts only while a caller waits for a value to come back: not for the lock,
/// and not while it opens one itself.
#[test]
fn fault_14_acquire_timeout_covers_the_queue_and_the_opening() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        backend.set_time(Hook::Open, SECOND * 25);
        let max_size = 1 + sim.below(3) as usize;
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .open_timeout(None)
            .max_size(max_size);
        let (pool, _) = pool_drawn(&sim, builder);
        let callers = [1, 2, 3, 4, 5].map(|number| {
            let (world, pool) = (sim.clone(), pool.clone());
            let (comes_at, limit) = (odd_time(&sim, 10), odd_time(&sim, 10));
            sim.task(format!("caller {number}"), async move {
                world.sleep(comes_at).await;
                let answer = pool.acquire_timeout(limit).await;
                let Err(AcquireError::OpenPending { waited, .. }) = answer else {
                    panic!("{answer:?}");
                };
                assert_eq!((waited, elapsed(&world)), (limit, comes_at + limit));
            })
        });
        for caller in callers {
            caller.await;
        }
        pool_ends_well(&pool, &backend).await;
    });
}

/// A port opens and checks under the lock of the pool, so that one server that does not answer stops
/// whoever wants to take, give back or close.
#[test]
fn fault_14_slow_opening_or_hung_check_holds_nobody_up() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .max_size(4)
            .open_timeout(None)
            .check_every(SECOND * 10)
            .check_timeout(None);
        let pool = builder.build(sim.clone()).expect("it makes sense");
        let leases = (pool.acquire().await, pool.acquire().await);
        if coin(&sim) {
            backend.set_faults(always(Hook::Open, Fault::Hang));
            let waiter = sim.task("waiter", {
                let pool = pool.clone();
                async move { pool.acquire().await.map(drop) }
            });
            sim.sleep(odd_time(&sim, 10)).await;
            assert!(pool.status().opening > 0);
            drop(leases);
            waiter.await.expect("it takes what comes back");
        } else {
            backend.set_faults(Faults::none().nth(Hook::Check, 1, Fault::Hang));
            drop(leases);
            sim.sleep(SECOND * 13).await;
            assert_eq!(pool.status().checking, 1);
        }

        let held_up_at = elapsed(&sim);
        for _ in 0..10 {
            let leases = (pool.acquire().await, pool.acquire().await);
            assert!(leases.0.is_ok() && leases.1.is_ok());
            sim.yield_now().await;
        }
        pool_ends_well(&pool, &backend).await;
        assert_eq!(elapsed(&sim), held_up_at);
    });
}

/// In a port a release needs the lock that a stranger holds while it opens, and whoever waits for the
/// value waits as long.
#[test]
fn fault_14_release_does_not_wait_for_a_strangers_opening() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .open_timeout(None)
            .max_size(2);
        let (pool, _) = pool_drawn(&sim, builder);
        let lease = pool.acquire().await.expect("the backend is well");
        backend.set_time(Hook::Open, SECOND * 10);
        let waiter = sim.task("waiter", {
            let pool = pool.clone();
            async move { pool.acquire_owned().await }
        });
        let given_back_at = odd_time(&sim, 10);
        sim.sleep(given_back_at).await;
        assert_eq!(pool.status().opening, 1);
        drop(lease);
        let lease = waiter.await.expect("the value that came back");
        assert_eq!((lease.id(), elapsed(&sim)), (1, given_back_at));
        drop(lease);
        pool_ends_well(&pool, &backend).await;
    });
}

/// A port that takes a broken value back notifies nobody: a waiter sleeps on beside the free slot.
#[test]
fn fault_16_loss_of_a_value_wakes_who_waits_for_its_slot() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .max_size(1);
        // Without a limit, so that nothing but a wake-up ends the wait.
        let (pool, _) = pool_drawn(&sim, builder.acquire_timeout(None));
        let lease = pool.acquire().await.expect("the backend is well");
        backend.set_time(Hook::Close, SECOND);
        backend.set_time(Hook::Open, SECOND * 2);
        let waiters = [1, 2, 3].map(|number| {
            let pool = pool.clone();
            sim.task(format!("waiter {number}"), async move {
                pool.acquire().await.map(|lease| lease.id())
            })
        });
        let lost_at = odd_time(&sim, 10);
        sim.sleep(lost_at).await;
        let takes = match sim.below(3) {
            0 => {
                backend.break_value(lease.id());
                drop(lease);
                SECOND * 3
            }
            1 => {
                lease.discard();
                SECOND * 3
            }
            _ => {
                lease.detach().end();
                SECOND * 2
            }
        };
        for waiter in waiters {
            assert_eq!(waiter.await.expect("the new value"), 2);
        }
        assert_eq!(elapsed(&sim), lost_at + takes);
        pool_ends_well(&pool, &backend).await;
    });
}

/// A port has nothing that closes what a cancelled caller had begun to open, or has opened and not yet
/// entered.
#[test]
fn fault_21_cancel_during_an_opening_leaks_nothing() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        backend.set_time(Hook::Open, SECOND * 10);
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .open_timeout(None)
            .max_size(1);
        let (pool, has_runner) = pool_drawn(&sim, builder);
        // The last of them is cancelled at the very instant at which the opening ends, or earlier.
        let at_the_end = coin(&sim);
        for round in 1..=3 {
            let caller = sim.task(format!("caller {round}"), {
                let pool = pool.clone();
                async move { pool.acquire().await.map(drop) }
            });
            let whole = if has_runner {
                SECOND * 10 - elapsed(&sim)
            } else {
                SECOND * 10
            };
            let cancelled_after = match round {
                3 if at_the_end => whole,
                _ => odd_time(&sim, 3),
            };
            sim.sleep(cancelled_after).await;
            caller.cancel();
        }
        // With a Runner the opening outlives its callers, and without one it is called off.
        let anew_at = elapsed(&sim) + SECOND * 10;
        let lease = pool.acquire().await.expect("the slot is free");
        let opened = (elapsed(&sim), backend.calls(Hook::Open));
        if has_runner {
            assert_eq!(opened, (SECOND * 10, 1));
        } else if !at_the_end || opened.1 == 4 {
            assert_eq!(opened, (anew_at, 4));
        } else {
            assert_eq!(opened, (anew_at - SECOND * 10, 3));
        }
        assert_eq!((lease.id(), backend.live()), (1, vec![1]));
        assert_eq!((pool.status().size, backend.most_live()), (1, 1));
        drop(lease);
        pool_ends_well(&pool, &backend).await;
    });
}

/// In a port a notified waiter has to get the lock again, and whoever came to it in between takes the
/// value.
#[test]
fn fault_21_late_caller_overtakes_nobody() {
    const TICK: Duration = Duration::from_millis(10);
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .max_size(1);
        let (pool, _) = pool_drawn(&sim, builder);
        let served = Rc::new(RefCell::new(Vec::new()));
        // One comes with each tick, and values come back on ticks: both at once, in either order.
        let callers: Vec<_> = (0..10)
            .map(|number| {
                let (world, pool, served) = (sim.clone(), pool.clone(), served.clone());
                sim.task(format!("caller {number}"), async move {
                    world.sleep(TICK * number).await;
                    let lease = match pool.try_acquire() {
                        Some(lease) => lease,
                        None => pool.acquire().await.expect("it comes back"),
                    };
                    served.borrow_mut().push(number);
                    world.sleep(TICK * world.below(4) as u32).await;
                    drop(lease);
                })
            })
            .collect();
        for caller in callers {
            caller.await;
        }
        assert_eq!(served.take(), Vec::from_iter(0..10));
        pool_ends_well(&pool, &backend).await;
    });
}

/// A port opens the minimum once for every start, whatever is open already.
#[test]
fn fault_21_starting_again_keeps_to_the_maximum() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        backend.set_time(Hook::Open, SECOND / 2);
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .min_size(3)
            .max_size(3)
            .start(Start::Lazily);
        let (pool, _) = pool_drawn(&sim, builder);
        let starters = [1, 2, 3].map(|number| {
            let (world, pool) = (sim.clone(), pool.clone());
            let comes_at = if coin(&sim) {
                Duration::ZERO
            } else {
                odd_time(&sim, 2)
            };
            sim.task(format!("starter {number}"), async move {
                world.sleep(comes_at).await;
                pool.start().await
            })
        });
        for starter in starters {
            starter.await.expect("the backend is well");
        }
        assert_eq!((pool.status().idle, backend.calls(Hook::Open)), (3, 3));
        let leases = [
            pool.acquire().await,
            pool.acquire().await,
            pool.acquire().await,
        ];
        let one_more = pool.acquire_timeout(SECOND).await;
        assert!(matches!(one_more, Err(AcquireError::Exhausted { .. })));
        assert_eq!(backend.most_live(), 3);
        drop(leases);
        pool_ends_well(&pool, &backend).await;
    });
}
