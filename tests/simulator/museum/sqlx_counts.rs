//! Bugs of sqlx in its counts.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use tenure_core::Pool;
use tenure_core::pool::Status;
use tenure_sim::{Backend, FaultyResource, Sim, explore, run};

use super::{AT_ONCE, ends_whole};
use crate::faults::{SEEDS, elapsed, pool_drawn};

/// A release pushed the connection, gave its permit back, and only then counted it as idle. Who took it in
/// between subtracted first: the count went below zero, and a loop over it spun.
#[test]
fn sqlx_a_release_has_counted_its_value_when_it_wakes_who_waits() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .max_size(1);
        let pool = builder.build(sim.clone()).expect("it makes sense");
        let lease = pool.acquire().await.expect("the backend is well");
        let looks = Arc::new(Looks {
            pool: pool.clone(),
            seen: Mutex::default(),
        });
        let waker = Waker::from(looks.clone());
        let mut cx = Context::from_waker(&waker);
        let mut acquire = pin!(pool.acquire());
        assert!(acquire.as_mut().poll(&mut cx).is_pending());
        drop(lease);
        let seen = std::mem::take(&mut *looks.seen.lock().unwrap_or_else(PoisonError::into_inner));
        let [status] = seen[..] else {
            panic!("it is woken once: {seen:?}");
        };
        assert_eq!((status.size, status.in_use), (1, 1), "{status}");
        assert_eq!((status.idle, status.waiting), (0, 0), "{status}");
        let Poll::Ready(Ok(lease)) = acquire.as_mut().poll(&mut cx) else {
            panic!("it was woken for nothing");
        };
        drop(lease);
        ends_whole(&sim, &pool, &backend).await;
    });
}

/// The same at every step of a crowd that takes, gives back and resizes at one instant.
#[test]
fn sqlx_the_counts_add_up_at_every_step() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .max_size(2);
        let (pool, _) = pool_drawn(&sim, builder);
        let users: Vec<_> = (0..6)
            .map(|number| {
                let (sim, pool) = (sim.clone(), pool.clone());
                sim.clone().task(format!("user {number}"), async move {
                    for _ in 0..10 {
                        let tried = pool.try_acquire();
                        let lease = match tried {
                            Some(lease) => lease,
                            None => pool.acquire().await.expect("one comes back"),
                        };
                        sim.yield_now().await;
                        match sim.below(4) {
                            0 => lease.discard(),
                            _ => drop(lease),
                        }
                        if sim.below(8) == 0 {
                            let most = 1 + sim.below(2) as usize;
                            pool.resize(most).expect("it makes sense");
                        }
                    }
                })
            })
            .collect();
        while !users.iter().all(tenure_sim::Task::is_over) {
            sim.yield_now().await;
            let status = pool.status();
            let Status {
                size,
                idle,
                in_use,
                opening,
                checking,
                closing,
                ..
            } = status;
            assert_eq!(
                size,
                idle + in_use + opening + checking + closing,
                "{status}"
            );
            assert!(size <= 2 && status.audit.is_balanced(), "{status}");
        }
        assert_eq!(elapsed(&sim), AT_ONCE);
        pool.resize(2).expect("it makes sense");
        ends_whole(&sim, &pool, &backend).await;
    });
}

/// A waker that looks at the pool.
struct Looks {
    pool: Pool<FaultyResource, Sim>,
    seen: Mutex<Vec<Status>>,
}

impl Wake for Looks {
    fn wake(self: Arc<Self>) {
        let status = self.pool.status();
        assert!(self.pool.try_acquire().is_none(), "it is not for others");
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.push(status);
    }
}
