//! What a pool does with values between their loans: what it knows is asked before the next user gets one.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tenure_core::EventKind;
use tenure_core::pool::IdleOrder;
use tenure_core::{Event, EventSink, LocalResource, Pool, Why};
use tenure_sim::{Backend, Ended, FaultyResource, Sim, run};

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

const SECOND: Duration = Duration::from_secs(1);

async fn ends_well(pool: &Pool<FaultyResource, Sim>, backend: &Backend) {
    pool.close().await;
    assert!(pool.audit().is_balanced(), "{}", pool.audit());
    backend.assert_accounted();
}
