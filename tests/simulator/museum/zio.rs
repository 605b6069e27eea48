//! Bugs of ZIO's `ZPool` and `ZKeyedPool`.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use tenure_core::pool::{CheckOnAcquire, KeyedPool};
use tenure_core::{AcquireError, OwnedLease, Pool, Resource, Retry, Start};
use tenure_sim::{Backend, Ended, Fault, Faults, FaultyResource, Hook, Sim, explore, run};

use super::{AT_ONCE, MS, PERSISTENT, backend_with, ends_whole, holds_for, queue_up};
use crate::drawn::coin;
use crate::faults::{SECOND, SEEDS, always, elapsed, pool_drawn, pool_ends_well};

/// An item that was found invalid was put back where it had come from, and taken from there again: once all
/// were invalid, `get` went round for ever.
#[test]
fn zio_6834_an_acquire_ends_where_every_value_is_bad() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .max_size(3)
            .check_on_acquire(CheckOnAcquire::Always)
            .retry(Retry::NEVER);
        let (pool, _) = pool_drawn(&sim, builder);
        let all = pool.acquire_many(3).await;
        drop(all.expect("the backend is well"));
        assert_eq!(pool.status().idle, 3);
        backend.break_all();
        let opens_again = coin(&sim);
        if opens_again {
            let lease = pool.acquire().await.expect("a new one is opened");
            assert_eq!((lease.id(), elapsed(&sim)), (4, AT_ONCE));
        } else {
            backend.set_faults(always(Hook::Open, Fault::Fail));
            let answer = pool.acquire().await;
            assert!(matches!(answer, Err(AcquireError::BackendDown { .. })));
        }
        // That the three are broken is known without a check.
        assert_eq!(backend.calls(Hook::Check) - 3, u64::from(opens_again));
        assert_eq!(elapsed(&sim), AT_ONCE);
        sim.sleep(SECOND * 2).await;
        ends_whole(&sim, &pool, &backend).await;
    });
}

/// An item that was made because somebody asked for it could not be interrupted, as one made in advance could;
/// the close waited for it for ever. Ours are all opened alike, whoever is the reason.
#[test]
fn zio_8537_an_opening_ends_alike_whoever_caused_it() {
    for cause in ["minimum", "acquire", "acquire_many", "resize", "discard"] {
        for closes in [false, true] {
            explore(0..20, |sim| async move {
                let backend = Backend::new(&sim);
                let min_size = usize::from(cause == "minimum");
                let pool = Pool::builder(FaultyResource::hooked(&backend))
                    .max_closing_beside(0)
                    .min_size(min_size)
                    .max_size(1)
                    .acquire_timeout(SECOND * 60)
                    .open_timeout(SECOND * 5)
                    .hook_timeout(SECOND * 5)
                    .retry(PERSISTENT)
                    .start(Start::Lazily)
                    .build(sim.clone())
                    .expect("it makes sense");
                let mut lease = match cause {
                    "resize" | "discard" => pool.acquire_owned().await.ok(),
                    _ => None,
                };
                let calls = backend.calls(Hook::Open);
                let hung = if coin(&sim) {
                    Hook::Open
                } else {
                    Hook::AfterOpen
                };
                backend.set_faults(Faults::none().nth(hung, calls + 1, Fault::Hang));
                let asks = {
                    let pool = pool.clone();
                    async move {
                        match cause {
                            "minimum" => pool.start().await,
                            "acquire_many" => pool.acquire_many(1).await.map(drop),
                            _ => pool.acquire().await.map(drop),
                        }
                    }
                };
                let asks = sim.task("asks", asks);
                sim.sleep(MS).await;
                match cause {
                    "resize" => pool.resize(2).expect("it makes sense"),
                    "discard" => lease.take().into_iter().for_each(OwnedLease::discard),
                    _ => {}
                }
                // An opening that takes longer would not hold up the next.
                let a_while = SECOND / 2;
                sim.sleep(a_while).await;
                assert_eq!(backend.calls(hung), calls + 1, "{cause}");
                // It would serve the one who asks.
                lease.into_iter().for_each(|lease| lease.detach().end());
                if closes {
                    let report = pool.shutdown(SECOND).await;
                    assert!(report.is_clean(), "{cause}, {hung}: {report}");
                    assert_eq!(elapsed(&sim), a_while + MS, "{cause}: it waits for nothing");
                    assert!(matches!(asks.await, Err(AcquireError::Closed { .. })));
                    pool_ends_well(&pool, &backend).await;
                    return;
                }
                asks.await.expect("the next attempt succeeds");
                let began_at = if calls == 0 { AT_ONCE } else { MS };
                let within = match cause {
                    "resize" => MS * 1_050,
                    _ => SECOND * 5,
                };
                assert!(elapsed(&sim) <= began_at + within + MS, "{cause}");
                let cut_off_late = u64::from(hung == Hook::AfterOpen);
                sim.sleep(SECOND * 5).await;
                let discarded = u64::from(cause == "discard");
                assert_eq!(backend.ended(Ended::Closed), cut_off_late + discarded);
                ends_whole(&sim, &pool, &backend).await;
            });
        }
    }
}

/// An invalid item was replaced only to keep the minimum: with a minimum of zero, whoever waited for it slept
/// for ever.
#[test]
fn zio_8820_who_waits_for_a_value_that_ends_gets_a_new_one() {
    for end in ["discard", "detach", "broken", "hook", "check"] {
        explore(0..50, |sim| async move {
            let backend = Backend::new(&sim);
            let builder = Pool::builder(FaultyResource::hooked(&backend))
                .max_closing_beside(0)
                .max_size(1)
                .check_on_release(true)
                .acquire_timeout(None);
            let (pool, _) = pool_drawn(&sim, builder);
            let lease = pool.acquire_owned().await.expect("the backend is well");
            backend.set_time(Hook::Open, MS * 10);
            let mut waiters = Vec::new();
            for _ in 0..5 {
                let waits = holds_for(&sim, &pool, SECOND);
                waiters.push(queue_up(&sim, &pool, "waiter", waits).await);
            }
            match end {
                "discard" => lease.discard(),
                "detach" => lease.detach().end(),
                "broken" => {
                    backend.break_all();
                    drop(lease);
                }
                "hook" => {
                    backend.set_faults(Faults::none().nth(Hook::AfterRelease, 1, Fault::Fail));
                    drop(lease);
                }
                _ => {
                    backend.set_faults(Faults::none().nth(Hook::Check, 1, Fault::Fail));
                    drop(lease);
                }
            }
            for (turn, waiter) in (0..).zip(waiters) {
                let (served_at, value) = waiter.await;
                assert_eq!((served_at, value), (MS * 10 + SECOND * turn, 2), "{end}");
            }
            assert_eq!((backend.opened(), backend.most_live()), (2, 1));
            ends_whole(&sim, &pool, &backend).await;
        });
    }
}

/// An interruption in the middle of an opening skipped the finalizers of what had been opened so far: it stayed
/// open, and no pool knew of it.
#[test]
fn zio_9152_an_opening_that_is_cut_off_leaves_nothing_half_open() {
    for end in ["dropped", "closed", "timed out", "panicked"] {
        explore(0..50, |sim| async move {
            let halves = Halves {
                sim: sim.clone(),
                tokens: Arc::default(),
                panics: end == "panicked",
            };
            let builder = Pool::builder(halves.clone())
                .max_closing_beside(0)
                .retry(Retry::NEVER);
            let builder = match end {
                "timed out" => builder.open_timeout(MS * 15),
                _ => builder,
            };
            let (pool, has_runner) = pool_drawn(&sim, builder);
            let asks = sim.task("asks", {
                let pool = pool.clone();
                async move { pool.acquire_owned().await.map(drop) }
            });
            sim.sleep(MS * 12).await;
            assert_eq!((halves.open(), pool.status().opening), (1, 1));
            match end {
                "dropped" => asks.cancel(),
                "closed" => assert!(pool.shutdown(SECOND).await.is_clean()),
                _ => assert!(matches!(asks.await, Err(AcquireError::BackendDown { .. }))),
            }
            sim.yield_now().await;
            // A Runner goes on for the next who comes.
            let goes_on = end == "dropped" && has_runner;
            assert_eq!(halves.open(), usize::from(goes_on), "{end}");
            sim.sleep(SECOND).await;
            assert_eq!(halves.open(), pool.status().idle, "{end}");
            assert_eq!(pool.status().size, usize::from(goes_on), "{end}");
            assert!(pool.close().await.is_clean());
            assert_eq!(halves.open(), 0, "{end}");
        });
    }
}

/// The same of a value that is open, and not yet ready: it is closed, not just dropped.
#[test]
fn zio_9152_a_value_that_is_cut_off_before_it_is_ready_is_closed() {
    explore(SEEDS, |sim| async move {
        let backend = backend_with(&sim, Hook::AfterOpen, MS * 20);
        let builder = Pool::builder(FaultyResource::hooked(&backend)).max_closing_beside(0);
        let (pool, _) = pool_drawn(&sim, builder);
        let asks = sim.task("asks", holds_for(&sim, &pool, MS));
        sim.sleep(MS * 10).await;
        asks.cancel();
        sim.yield_now().await;
        assert!(pool.shutdown(SECOND).await.is_clean());
        assert_eq!((backend.opened(), backend.ended(Ended::Closed)), (1, 1));
        pool_ends_well(&pool, &backend).await;
    });
}

/// An invalidated item was noted in the sub-pool of every key, to be struck off when it came by; where it never
/// came by, it stayed.
#[test]
fn zio_9306_a_keyed_pool_keeps_nothing_of_what_has_ended() {
    run(0, |sim| async move {
        let halves = Halves {
            sim: sim.clone(),
            tokens: Arc::default(),
            panics: false,
        };
        let pools: KeyedPool<u64, Halves, Sim> = {
            let halves = halves.clone();
            Pool::keyed(move |_: &u64| {
                Pool::builder(halves.clone())
                    .max_closing_beside(0)
                    .max_size(2)
            })
            .max_size(4)
            .forget_after(SECOND * 60)
            .build(sim.clone())
            .expect("it makes sense")
        };
        for round in 0..1_000 {
            let mut lease = pools.acquire(&(round % 50)).await.expect("it opens");
            match sim.below(3) {
                0 => lease.discard(),
                1 => drop(lease.detach()),
                _ => {
                    lease.invalidate();
                    drop(lease);
                }
            }
            sim.sleep(MS).await;
            assert_eq!(halves.open(), 0, "round {round}");
        }
        sim.sleep(SECOND * 600).await;
        assert_eq!(pools.status().len(), 0, "the keys are forgotten as well");
        pools.close().await;
    });
}

/// The same of those who asked, and were dropped, timed out or refused: nothing of them stays in the queue.
#[test]
fn zio_9306_a_pool_keeps_nothing_of_those_who_left() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .max_size(1);
        let (pool, _) = pool_drawn(&sim, builder.check_every(None));
        let lease = pool.acquire().await.expect("the backend is well");
        let counted = Arc::new(Nobody);
        let waker = Waker::from(counted.clone());
        let mut cx = Context::from_waker(&waker);
        for round in 0..10_000 {
            let mut one = pin!(pool.acquire());
            let mut other = pin!(pool.acquire_timeout(MS));
            assert!(one.as_mut().poll(&mut cx).is_pending());
            assert!(other.as_mut().poll(&mut cx).is_pending());
            assert_eq!(pool.status().waiting, 2, "round {round}");
        }
        assert_eq!(pool.status().waiting, 0);
        // Ours, and that of `waker`.
        assert_eq!(Arc::strong_count(&counted), 2);
        drop(lease);
        ends_whole(&sim, &pool, &backend).await;
    });
}

/// Opens in two steps, after the first of which there is something to be lost.
#[derive(Clone)]
struct Halves {
    sim: Sim,
    /// Behind another, so that clones of the resource do not count.
    tokens: Arc<Tokens>,
    panics: bool,
}

/// Every value is a clone of the one token.
#[derive(Default)]
struct Tokens {
    token: Arc<()>,
}

impl Halves {
    fn open(&self) -> usize {
        Arc::strong_count(&self.tokens.token) - 1
    }
}

impl Resource for Halves {
    type Value = Arc<()>;
    type Error = Infallible;

    async fn open(&self) -> Result<Arc<()>, Infallible> {
        let token = self.tokens.token.clone();
        self.sim.sleep(MS * 15).await;
        if self.panics {
            std::panic::resume_unwind(Box::new("open panics by plan"));
        }
        self.sim.sleep(MS * 5).await;
        Ok(token)
    }
}

struct Nobody;

impl Wake for Nobody {
    fn wake(self: Arc<Self>) {}
}
