//! What a pool does with values between their loans: what it knows is asked before the next user gets one.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tenure_core::pool::{IdleOrder, PoolBuilder};
use tenure_core::{
    AcquireError, Event, EventKind, EventSink, Instant, LocalResource, Pool, Timer, Why,
};
use tenure_sim::{Backend, Ended, Fault, Faults, FaultyResource, Hook, Sim, run};

#[test]
fn a_value_that_broke_while_it_lay_idle_is_not_lent() {
    for order in [IdleOrder::LatestFirst, IdleOrder::OldestFirst] {
        run(0, |sim| async move {
            let backend = Backend::new(&sim);
            let builder = Pool::builder(FaultyResource::new(&backend)).idle_order(order);
            let pool = builder
                .max_size(4)
                .build(sim.clone())
                .expect("it makes sense");
            drop(pool.acquire_many(4).await.expect("the backend is well"));
            backend.break_all();
            for _ in 0..4 {
                let lease = pool.acquire().await.expect("another");
                assert!(!lease.is_broken());
            }
            assert_eq!(
                backend.opened(),
                5,
                "one is enough for one user after another"
            );
            ends_well(&pool, &backend).await;
        });
    }
}

#[test]
fn a_try_acquire_passes_over_values_that_broke_while_they_lay_idle() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend));
        let pool = builder
            .max_size(4)
            .build(sim.clone())
            .expect("it makes sense");
        let leases = pool.acquire_many(4).await.expect("the backend is well");
        let good = leases
            .iter()
            .map(|lease| lease.id())
            .min()
            .expect("one of four");
        drop(leases);
        for id in backend.live() {
            if id != good {
                backend.break_value(id);
            }
        }
        let lease = pool.try_acquire().expect("one is good");
        assert_eq!(lease.id(), good);
        assert!(pool.try_acquire().is_none());
        drop(lease);
        ends_well(&pool, &backend).await;
    });
}

#[test]
fn of_many_values_none_is_broken() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend));
        let pool = builder
            .max_size(4)
            .build(sim.clone())
            .expect("it makes sense");
        drop(pool.acquire_many(4).await.expect("the backend is well"));
        let live = backend.live();
        backend.break_value(live[0]);
        backend.break_value(live[2]);
        let leases = pool.acquire_many(4).await.expect("four");
        assert!(leases.iter().all(|lease| !lease.is_broken()));
        assert_eq!(backend.opened(), 6);
        drop(leases);
        ends_well(&pool, &backend).await;
    });
}

/// It lay idle while the pool was suspended, and goes to a waiter through the queue.
#[test]
fn a_value_that_broke_before_it_was_handed_to_a_waiter_is_not_lent() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend));
        let pool = builder
            .max_size(1)
            .build(sim.clone())
            .expect("it makes sense");
        drop(pool.acquire().await.expect("the backend is well"));
        pool.suspend();
        let waiter = sim.task("waits", {
            let pool = pool.clone();
            async move { pool.acquire().await.map(|lease| lease.is_broken()) }
        });
        sim.sleep(SECOND).await;
        backend.break_all();
        pool.resume();
        assert!(!waiter.await.expect("another"));
        ends_well(&pool, &backend).await;
    });
}

/// The one whose turn it was is not sent to the end of the queue for it.
#[test]
fn a_waiter_that_is_handed_a_broken_value_keeps_its_turn() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend));
        let pool = builder
            .max_size(1)
            .build(sim.clone())
            .expect("it makes sense");
        drop(pool.acquire().await.expect("the backend is well"));
        pool.suspend();
        let served = Rc::new(RefCell::new(Vec::new()));
        let mut waiters = Vec::new();
        for number in [0, 1, 2] {
            let (world, pool, served) = (sim.clone(), pool.clone(), served.clone());
            waiters.push(sim.task(format!("waiter {number}"), async move {
                let _lease = pool.acquire().await.expect("another");
                served.borrow_mut().push(number);
                world.sleep(SECOND).await;
            }));
            sim.sleep(SECOND).await;
        }
        backend.break_all();
        pool.resume();
        for waiter in waiters {
            waiter.await;
        }
        assert_eq!(*served.borrow(), [0, 1, 2]);
        ends_well(&pool, &backend).await;
    });
}

/// A minimum of broken values is no minimum: nobody has to ask for one to have it replaced.
#[test]
fn a_value_that_broke_while_it_lay_idle_is_replaced_by_the_sweep() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend))
            .min_size(2)
            .max_size(2)
            .idle_timeout(SECOND * 40)
            .check_every(None);
        let pool = builder.build(sim.clone()).expect("it makes sense");
        pool.start().await.expect("the backend is well");
        sim.sleep(SECOND * 15).await;
        backend.break_all();
        drop(pool.acquire_many(1).await.expect("one that is opened anew"));
        sim.sleep(SECOND * 25).await;
        assert_eq!(backend.ended(Ended::Closed), 2);
        assert_eq!(backend.live().len(), 2);
        ends_well(&pool, &backend).await;
    });
}

#[test]
fn what_replaces_a_broken_value_is_told_as_one_that_ended_broken() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let endings = Arc::new(Mutex::new(Vec::new()));
        let sink: Arc<dyn EventSink> = Arc::new({
            let endings = endings.clone();
            move |event: &Event<'_>| {
                if let EventKind::Ended { why, .. } = event.kind {
                    endings.lock().expect("no panic").push(why);
                }
            }
        });
        let builder = Pool::builder(FaultyResource::new(&backend)).events(sink);
        let pool = builder.build(sim.clone()).expect("it makes sense");
        drop(pool.acquire().await.expect("the backend is well"));
        backend.break_all();
        drop(pool.acquire().await.expect("another"));
        sim.sleep(SECOND).await;
        assert_eq!(*endings.lock().expect("no panic"), [Why::Broken]);
        ends_well(&pool, &backend).await;
    });
}

/// A resource whose `is_broken` does as it is told.
#[derive(Clone, Default)]
struct Moody(Rc<Mood>);

#[derive(Default)]
struct Mood {
    opened: Cell<u64>,
    panics: Cell<bool>,
    /// All values are broken, new ones too.
    all_broken: Cell<bool>,
}

impl LocalResource for Moody {
    type Value = u64;
    type Error = Infallible;

    async fn open(&self) -> Result<u64, Infallible> {
        self.0.opened.set(self.0.opened.get() + 1);
        Ok(self.0.opened.get())
    }

    fn is_broken(&self, _: &mut u64) -> bool {
        if self.0.panics.take() {
            panic!("the question panics");
        }
        self.0.all_broken.get()
    }
}

#[test]
fn a_question_that_panics_before_a_loan_costs_the_value_and_is_told() {
    run(0, |sim| async move {
        let moody = Moody::default();
        let told = Arc::new(Mutex::new(Vec::new()));
        let sink: Arc<dyn EventSink> = Arc::new({
            let told = told.clone();
            move |event: &Event<'_>| {
                if let EventKind::Swallowed { phase, .. } = event.kind {
                    told.lock().expect("no panic").push(phase.to_owned());
                }
            }
        });
        let builder = Pool::builder(moody.clone()).events(sink);
        let pool = builder.build_local(sim.clone()).expect("it makes sense");
        drop(pool.acquire().await.expect("a value"));
        moody.0.panics.set(true);
        assert_eq!(*pool.acquire().await.expect("another"), 2);
        moody.0.panics.set(true);
        assert!(pool.try_acquire().is_none());
        assert_eq!(*told.lock().expect("no panic"), ["is_broken", "is_broken"]);
        pool.close().await;
        assert!(pool.audit().is_balanced());
    });
}

/// The caller's time ends the search, and what is opened for it does not go round as fast as it can.
#[test]
fn values_that_are_broken_as_soon_as_they_are_open_are_not_opened_in_a_loop() {
    run(0, |sim| async move {
        let moody = Moody::default();
        moody.0.all_broken.set(true);
        let pool = Pool::builder(moody.clone());
        let pool = pool.build_local(sim.clone()).expect("it makes sense");
        let error = pool.acquire_timeout(SECOND).await.map(drop);
        error.expect_err("none is good");
        let opened = moody.0.opened.get();
        assert!(
            (2..=12).contains(&opened),
            "{opened} opened within a second"
        );
        pool.close().await;
        assert!(pool.audit().is_balanced());
    });
}

#[test]
fn a_value_used_a_moment_ago_is_not_checked_again_for_its_next_user() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend));
        let pool = builder.build(sim.clone()).expect("it makes sense");
        drop(pool.acquire().await.expect("the backend is well"));
        for _ in 0..2_000 {
            sim.sleep(MILLI).await;
            drop(pool.acquire().await.expect("the value"));
        }
        assert_eq!(backend.calls(Hook::Check), 0);
        ends_well(&pool, &backend).await;
    });
}

/// By default, for a resource that has a check: a value that lay idle for half a second is checked before anybody
/// gets it, one that lay idle for half of that is not.
#[test]
fn a_value_that_lay_idle_is_checked_before_its_next_loan() {
    for background in [true, false] {
        run(0, |sim| async move {
            let backend = Backend::new(&sim);
            let builder = Pool::builder(FaultyResource::new(&backend)).check_every(None);
            let pool = pool_with(&sim, builder, background);
            drop(pool.acquire().await.expect("the backend is well"));
            let mut checks = 0;
            for idle in [249, 100, 500, 1, 500, 249, 5_000, 100_000, 1, 249, 501] {
                sim.sleep(MILLI * idle).await;
                drop(pool.acquire().await.expect("the value"));
                checks += u64::from(idle >= 500);
                assert_eq!(backend.calls(Hook::Check), checks, "idle for {idle} ms");
            }
            ends_well(&pool, &backend).await;
        });
    }
}

#[test]
fn a_value_that_died_while_it_lay_idle_is_found_by_the_check_before_its_loan() {
    for background in [true, false] {
        run(0, |sim| async move {
            let backend = Backend::new(&sim);
            let builder = Pool::builder(FaultyResource::new(&backend)).check_every(None);
            let pool = pool_with(&sim, builder, background);
            drop(pool.acquire_many(3).await.expect("the backend is well"));
            sim.sleep(MILLI * 500).await;
            backend.set_faults(Faults::none().nth(Hook::Check, 1, Fault::Fail));
            let lease = pool.acquire().await.expect("the next idle one");
            assert_eq!((backend.calls(Hook::Check), backend.opened()), (2, 3));
            drop(lease);
            ends_well(&pool, &backend).await;
        });
    }
}

#[test]
fn a_try_acquire_passes_over_what_has_to_be_checked_and_takes_what_was_just_used() {
    for order in [IdleOrder::LatestFirst, IdleOrder::OldestFirst] {
        for background in [true, false] {
            run(0, |sim| async move {
                let backend = Backend::new(&sim);
                let builder = Pool::builder(FaultyResource::new(&backend))
                    .idle_order(order)
                    .check_every(None);
                let pool = pool_with(&sim, builder, background);
                drop(pool.acquire_many(3).await.expect("the backend is well"));
                assert!(pool.try_acquire().is_some());
                sim.sleep(SECOND).await;
                assert!(pool.try_acquire().is_none(), "all have to be checked");
                drop(pool.acquire().await.expect("one of them"));
                let first = pool.try_acquire().expect("the one that was just used");
                assert!(pool.try_acquire().is_none());
                drop(first);
                // Seen idle by a sweep, and not for so long that it has to be checked.
                sim.sleep(MILLI * 240).await;
                assert!(pool.try_acquire().is_some());
                ends_well(&pool, &backend).await;
            });
        }
    }
}

/// A process that was frozen, or a Runner that had no turn: nobody knows how long the values lay idle.
#[test]
fn after_a_frozen_process_values_are_checked_once_the_runner_has_had_a_turn() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend)).check_every(None);
        let pool = builder.build(sim.clone()).expect("it makes sense");
        drop(pool.acquire().await.expect("the backend is well"));
        sim.sleep(MILLI).await;
        sim.jump(SECOND * 60);
        sim.sleep(MILLI).await;
        drop(pool.acquire().await.expect("the value"));
        assert_eq!(backend.calls(Hook::Check), 1);
        ends_well(&pool, &backend).await;
    });
}

/// Nothing wakes a program whose pool is idle, but what is due: here the checks of every ten minutes.
#[test]
fn no_sweep_wakes_an_idle_pool() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend))
            .min_size(2)
            .idle_timeout(None)
            .max_lifetime(None)
            .check_every(SECOND * 600);
        let pool = builder.build(sim.clone()).expect("it makes sense");
        pool.start().await.expect("the backend is well");
        drop(pool.acquire().await.expect("a value"));
        sim.sleep(SECOND).await;
        let steps = sim.steps();
        sim.sleep(SECOND * 500).await;
        assert!(sim.steps() - steps <= 3, "{} steps", sim.steps() - steps);
        let checks = backend.calls(Hook::Check);
        sim.sleep(SECOND * 6_000).await;
        let (steps, checks) = (sim.steps() - steps, backend.calls(Hook::Check) - checks);
        assert!((20..=24).contains(&checks), "{checks} checks");
        assert!(steps <= 10 * checks, "{steps} steps for {checks} checks");
        ends_well(&pool, &backend).await;
    });
}

#[test]
fn no_sweep_wakes_a_pool_that_waits_for_its_last_lease_to_come_back() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let pool = Pool::builder(FaultyResource::new(&backend));
        let pool = pool.build(sim.clone()).expect("it makes sense");
        let lease = pool.acquire_owned().await.expect("the backend is well");
        let close = sim.task("close", {
            let pool = pool.clone();
            async move { drop(pool.close().await) }
        });
        sim.sleep(SECOND).await;
        let steps = sim.steps();
        sim.sleep(SECOND * 1_000).await;
        assert!(sim.steps() - steps <= 2, "{} steps", sim.steps() - steps);
        drop(lease);
        close.await;
        ends_well(&pool, &backend).await;
    });
}

/// What is due of a value that came back while nothing was swept is done in its time.
#[test]
fn what_comes_back_to_a_pool_at_rest_is_looked_after() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend))
            .idle_timeout(SECOND * 100)
            .max_lifetime(SECOND * 3_600)
            .check_every(None);
        let pool = builder.build(sim.clone()).expect("it makes sense");
        let lease = pool.acquire().await.expect("the backend is well");
        sim.sleep(SECOND * 1_000).await;
        drop(lease);
        sim.sleep(SECOND * 99).await;
        assert_eq!(backend.live().len(), 1, "not early");
        sim.sleep(SECOND * 26).await;
        assert_eq!(backend.live().len(), 0, "at most a quarter late");
        let old = pool.acquire().await.expect("another");
        sim.sleep(SECOND * 4_000).await;
        drop(old);
        assert_eq!(pool.status().idle, 0, "past its life as it comes back");
        ends_well(&pool, &backend).await;
    });
}

#[test]
fn a_leak_is_told_though_the_pool_was_at_rest_when_the_loan_began() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let leaks = Arc::new(Mutex::new(0));
        let sink: Arc<dyn EventSink> = Arc::new({
            let leaks = leaks.clone();
            move |event: &Event<'_>| {
                let leaked = matches!(event.kind, EventKind::Leaked { .. });
                *leaks.lock().expect("no panic") += u32::from(leaked);
            }
        });
        let builder = Pool::builder(FaultyResource::new(&backend))
            .leak_after(SECOND * 40)
            .idle_timeout(None)
            .events(sink);
        let pool = builder.build(sim.clone()).expect("it makes sense");
        drop(pool.acquire().await.expect("the backend is well"));
        sim.sleep(SECOND * 100).await;
        let lease = pool.acquire().await.expect("the value");
        sim.sleep(SECOND * 39).await;
        assert_eq!(*leaks.lock().expect("no panic"), 0);
        sim.sleep(SECOND * 12).await;
        assert_eq!(*leaks.lock().expect("no panic"), 1);
        drop(lease);
        ends_well(&pool, &backend).await;
    });
}

/// A value that is idle while its pool loses its Runner is not lent for good after that.
#[test]
fn a_value_that_lay_idle_as_the_runner_left_is_checked_before_its_next_loan() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend)).check_every(None);
        let (pool, runner) = builder
            .build_with_runner(sim.clone())
            .expect("it makes sense");
        let runner = sim.task("runner", runner.run());
        drop(pool.acquire().await.expect("the backend is well"));
        runner.cancel();
        sim.sleep(MILLI * 500).await;
        drop(pool.acquire().await.expect("the value"));
        assert_eq!(backend.calls(Hook::Check), 1);
        ends_well(&pool, &backend).await;
    });
}

/// Eight users find out, one after the other, that the server was restarted.
#[test]
fn values_opened_after_a_restart_outlive_those_who_find_out_later() {
    for recipe in ["before now, unless revoked", "before its own opening"] {
        run(0, |sim| async move {
            let backend = Backend::new(&sim);
            let builder = Pool::builder(FaultyResource::new(&backend)).max_size(16);
            let pool = builder.build(sim.clone()).expect("it makes sense");
            let mut old = pool.acquire_many(8).await.expect("the backend is well");
            sim.sleep(SECOND).await;
            backend.break_all();
            while let Some(lease) = old.pop() {
                assert!(lease.is_broken());
                let opened_at = lease.opened_at().expect("there is a clock");
                if recipe == "before its own opening" {
                    pool.evict_opened_before(opened_at);
                } else if !lease.is_revoked() {
                    pool.evict_opened_before(sim.now());
                }
                drop(lease);
                drop(pool.acquire().await.expect("a fresh one"));
                sim.sleep(MILLI * 10).await;
            }
            assert_eq!(backend.opened(), 9, "{recipe}: one fresh value is enough");
            ends_well(&pool, &backend).await;
        });
    }
}

#[test]
fn an_eviction_of_old_values_closes_idle_ones_at_once_and_others_as_they_come_back() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend)).max_size(4);
        let pool = builder.build(sim.clone()).expect("it makes sense");
        let mut old = pool.acquire_many(2).await.expect("the backend is well");
        sim.sleep(SECOND).await;
        let restarted_at = sim.now();
        let young = pool.acquire().await.expect("a third");
        let (young_id, old_id) = (young.id(), old[0].id());
        drop(old.pop());
        pool.evict_opened_before(restarted_at);
        pool.evict_opened_before(Instant::EPOCH);
        assert_eq!((pool.status().idle, pool.status().closing), (0, 1));
        assert!(old[0].is_revoked() && !young.is_revoked());
        sim.sleep(SECOND).await;
        drop((old, young));
        sim.sleep(SECOND).await;
        assert_eq!(backend.live(), [young_id], "{old_id} was old");
        // Its limits are looked at anew by a sweep, which must not forget what was called in.
        sim.sleep(SECOND * 200).await;
        assert_eq!(pool.acquire().await.expect("the young one").id(), young_id);
        ends_well(&pool, &backend).await;
    });
}

#[test]
fn an_acquire_of_many_under_way_gives_up_what_was_opened_before() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend)).max_size(2);
        let pool = builder.build(sim.clone()).expect("it makes sense");
        let held = pool.acquire_many(2).await.expect("the backend is well");
        let both = sim.task("both", {
            let pool = pool.clone();
            async move {
                pool.acquire_many(2)
                    .await
                    .expect("both")
                    .iter()
                    .map(|lease| lease.id())
                    .max()
            }
        });
        sim.sleep(SECOND).await;
        let mut held = held.into_iter();
        drop(held.next());
        pool.evict_opened_before(sim.now());
        drop(held.next());
        assert_eq!(both.await, Some(4));
        ends_well(&pool, &backend).await;
    });
}

/// Twice is once, and thrice: no number of calls makes the value one of another generation.
#[test]
fn a_value_that_is_invalidated_twice_is_closed_like_one_that_is_invalidated_once() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let pool = Pool::builder(FaultyResource::new(&backend));
        let pool = pool.build(sim.clone()).expect("it makes sense");
        for calls in [1, 2, 3, 65_536] {
            let mut lease = pool.acquire().await.expect("a value");
            for _ in 0..calls {
                lease.invalidate();
            }
            assert!(lease.is_revoked());
            drop(lease);
            assert_eq!(
                (pool.status().idle, pool.status().closing),
                (0, 1),
                "{calls} calls"
            );
            sim.sleep(SECOND).await;
        }
        let mut lease = pool.acquire().await.expect("a value");
        lease.invalidate();
        lease.invalidate();
        pool.evict_all();
        drop(lease);
        assert_eq!(pool.status().idle, 0, "nor does an eviction meanwhile");
        ends_well(&pool, &backend).await;
    });
}

#[test]
fn an_error_for_too_many_values_says_how_many_were_asked_for() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let pool = Pool::builder(FaultyResource::new(&backend)).max_size(3);
        let pool = pool.build(sim.clone()).expect("it makes sense");
        for asked in [4, u32::MAX as usize, u32::MAX as usize + 1, usize::MAX] {
            match pool.acquire_many(asked).await.map(drop) {
                Err(AcquireError::TooMany {
                    wanted, max_size, ..
                }) => {
                    assert_eq!((wanted, max_size), (asked, 3));
                }
                other => panic!("{other:?}"),
            }
        }
        pool.close().await;
        let refused = pool.acquire_many(usize::MAX).await.map(drop);
        assert!(matches!(refused, Err(AcquireError::Closed { .. })));
        backend.assert_accounted();
    });
}

#[test]
fn the_holder_of_a_lease_hears_that_its_value_was_revoked() {
    for cause in ["evict_all", "evict_opened_before", "shutdown"] {
        run(0, |sim| async move {
            let backend = Backend::new(&sim);
            let pool = Pool::builder(FaultyResource::new(&backend));
            let pool = pool.build(sim.clone()).expect("it makes sense");
            let lease = pool.acquire_owned().await.expect("a value");
            let heard = sim.task("hears", {
                let (sim, revoked) = (sim.clone(), lease.revoked());
                async move {
                    revoked.await;
                    sim.time_passed()
                }
            });
            sim.sleep(SECOND).await;
            assert!(!lease.is_revoked() && !heard.is_over());
            let closing = pool.clone();
            let end = match cause {
                "evict_all" => {
                    pool.evict_all();
                    None
                }
                "evict_opened_before" => {
                    pool.evict_opened_before(sim.now());
                    None
                }
                _ => Some(sim.task("close", async move { drop(closing.close().await) })),
            };
            assert_eq!(heard.await, SECOND, "{cause}");
            assert!(lease.is_revoked());
            // Who asks later is told at once.
            lease.revoked().await;
            drop(lease);
            if let Some(end) = end {
                end.await;
            }
            ends_well(&pool, &backend).await;
        });
    }
}

fn pool_with(
    sim: &Sim,
    builder: PoolBuilder<FaultyResource>,
    background: bool,
) -> Pool<FaultyResource, Sim> {
    let (pool, runner) = builder
        .build_with_runner(sim.clone())
        .expect("it makes sense");
    if background {
        drop(sim.task("runner", runner.run()));
    }
    pool
}

const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

async fn ends_well(pool: &Pool<FaultyResource, Sim>, backend: &Backend) {
    pool.close().await;
    assert!(pool.audit().is_balanced(), "{}", pool.audit());
    backend.assert_accounted();
}
