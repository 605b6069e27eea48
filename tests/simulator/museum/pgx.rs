//! Bugs of pgx and of puddle, its pool.

use tenure_core::{AcquireError, Pool};
use tenure_sim::{Ended, Fault, FaultyResource, Hook, explore};

use super::{AT_ONCE, Answer, MS, PERSISTENT, backend_with, ends_whole};
use crate::drawn::coin;
use crate::faults::{SECOND, SEEDS, always, elapsed, pool_drawn};

/// An opening that failed sent its error while it held the lock, to a caller whose time had come at that instant
/// and who wanted the lock to say so: all hung for ever.
#[test]
fn pgx_1354_an_opening_that_ends_as_its_caller_leaves() {
    explore(SEEDS, |sim| async move {
        let backend = backend_with(&sim, Hook::Open, MS * 10);
        let fails = coin(&sim);
        if fails {
            backend.set_faults(always(Hook::Open, Fault::Fail));
        }
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .max_size(2)
            .acquire_timeout(MS * 10)
            .retry(PERSISTENT);
        let (pool, has_runner) = pool_drawn(&sim, builder);
        let callers: Vec<_> = (0..6)
            .map(|number| {
                let pool = pool.clone();
                let asks = async move { pool.acquire_owned().await };
                sim.task(format!("caller {number}"), asks)
            })
            .collect();
        let mut leases = Vec::new();
        for caller in callers {
            let answer: Answer = caller.await;
            match answer {
                Ok(lease) => leases.push(lease),
                Err(AcquireError::BackendDown { .. }) => assert!(fails),
                Err(error) => {
                    // The one opening may have ended in that very moment, for those before it in the queue.
                    let pending = matches!(error, AcquireError::OpenPending { .. });
                    let in_use = matches!(error, AcquireError::Exhausted { .. });
                    assert!(pending || in_use, "{error}");
                }
            }
            assert_eq!(elapsed(&sim), MS * 10);
        }
        assert!(leases.is_empty() || !fails);
        sim.sleep(MS).await;
        let (status, lent) = (pool.status(), leases.len());
        assert_eq!((status.waiting, status.in_use), (0, lent), "{status}");
        if !fails && has_runner {
            assert_eq!(status.idle + lent, 2, "each is with a caller, or idle");
        }
        assert!(status.audit.is_balanced(), "{status}");
        drop(leases);
        sim.sleep(SECOND).await;
        ends_whole(&sim, &pool, &backend).await;
    });
}

/// A slot was free as soon as the close of its connection had begun, and closes took long: the more queries were
/// cancelled, the more connections there were, until the server refused them all.
#[test]
fn pgx_2425_closes_that_take_long_do_not_pile_up() {
    explore(0..30, |sim| async move {
        let backend = backend_with(&sim, Hook::Close, SECOND);
        let hangs = coin(&sim);
        if hangs {
            backend.set_faults(always(Hook::Close, Fault::Hang));
        }
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .max_size(3)
            .close_timeout(SECOND * 2)
            .broken_close_timeout(SECOND * 2)
            .acquire_timeout(None);
        let (pool, has_runner) = pool_drawn(&sim, builder);
        let users: Vec<_> = (0..30)
            .map(|number| {
                let (sim, pool) = (sim.clone(), pool.clone());
                sim.clone().task(format!("user {number}"), async move {
                    for _ in 0..2 {
                        let lease = pool.acquire().await.expect("its turn comes");
                        sim.sleep(MS * 10).await;
                        lease.discard();
                        let status = pool.status();
                        assert!(status.size <= 3 && status.closing > 0, "{status}");
                    }
                })
            })
            .collect();
        for user in users {
            user.await;
        }
        assert_eq!((backend.opened(), backend.most_live()), (60, 3));
        let a_turn = MS * 10 + SECOND * if hangs { 2 } else { 1 };
        if has_runner {
            // Twenty rounds of three, and the closes of the last are not waited for.
            assert_eq!(elapsed(&sim), a_turn * 19 + MS * 10);
        }
        backend.set_faults(tenure_sim::Faults::none());
        backend.set_time(Hook::Close, AT_ONCE);
        sim.sleep(SECOND * 5).await;
        let cut_off = backend.ended(Ended::CloseCutOff);
        assert_eq!(pool.audit().close_timed_out, cut_off);
        assert!(!hangs || cut_off >= 57, "{cut_off}");
        ends_whole(&sim, &pool, &backend).await;
    });
}
