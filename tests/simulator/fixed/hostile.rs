//! A resource that does what it should not.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tenure_core::fixed::{FixedError, FixedPool};
use tenure_core::{LocalResource, Why};
use tenure_sim::{Sim, run};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Deeds {
    opened: Cell<u32>,
    fails: Cell<u32>,
    panics_when_asked: Cell<bool>,
    is_always_broken: Cell<bool>,
    first_close_hangs: Cell<bool>,
    closed: RefCell<Vec<u32>>,
    abandoned: RefCell<Vec<u32>>,
}

struct Hostile(Rc<Deeds>);

impl LocalResource for Hostile {
    type Value = u32;
    type Error = &'static str;

    async fn open(&self) -> Result<u32, &'static str> {
        let fails = self.0.fails.get();
        if fails > 0 {
            self.0.fails.set(fails - 1);
            return Err("no");
        }
        self.0.opened.set(self.0.opened.get() + 1);
        Ok(self.0.opened.get())
    }

    async fn close(&self, value: u32, _: Why) -> Result<(), &'static str> {
        if self.0.first_close_hangs.take() {
            std::future::pending::<()>().await;
        }
        self.0.closed.borrow_mut().push(value);
        Ok(())
    }

    fn is_broken(&self, _: &mut u32) -> bool {
        assert!(!self.0.panics_when_asked.take(), "asked");
        self.0.is_always_broken.get()
    }

    fn abandon(&self, value: u32, _: Why) {
        self.0.abandoned.borrow_mut().push(value);
    }
}

fn pool<const VALUES: usize>(sim: &Sim) -> (Rc<Deeds>, FixedPool<Hostile, Sim, VALUES, 2>) {
    let deeds = Rc::new(Deeds::default());
    let pool = FixedPool::new(Hostile(deeds.clone()), sim.clone());
    (deeds, pool)
}

#[test]
fn a_value_is_not_lost_whose_resource_panics_when_it_is_asked() {
    run(7, async |sim| {
        let (deeds, pool) = pool::<1>(&sim);
        drop(pool.acquire().await.expect("it opens"));
        deeds.panics_when_asked.set(true);
        {
            let mut acquire = pin!(pool.acquire());
            poll_fn(|cx| {
                let polled = catch_unwind(AssertUnwindSafe(|| acquire.as_mut().poll(cx)));
                assert!(polled.is_err());
                Poll::Ready(())
            })
            .await;
        }
        assert_eq!(*pool.acquire().await.expect("another is opened"), 2);
        assert!(pool.shutdown(SECOND).await);
        assert_eq!(*deeds.closed.borrow(), [1, 2]);
    });
}

#[test]
fn values_that_are_broken_as_soon_as_they_are_open_are_not_opened_on_and_on() {
    run(7, async |sim| {
        let (deeds, pool) = pool::<1>(&sim);
        deeds.is_always_broken.set(true);
        let refused = pool.acquire_within(SECOND * 10).await.err();
        assert!(matches!(refused, Some(FixedError::TimedOut)), "{refused:?}");
        assert!(deeds.opened.get() <= 101, "{}", deeds.opened.get());
    });
}

#[test]
fn by_default_openings_are_tried_until_the_time_of_the_caller_is_over() {
    run(7, async |sim| {
        let (deeds, pool) = pool::<1>(&sim);
        deeds.fails.set(10);
        assert_eq!(*pool.acquire().await.expect("the eleventh opens"), 1);
    });
}

#[test]
fn a_close_that_hangs_keeps_a_shutdown_from_no_other() {
    run(7, async |sim| {
        let (deeds, pool) = pool::<2>(&sim);
        let (first, second) = (pool.acquire().await, pool.acquire().await);
        assert!(first.is_ok() && second.is_ok());
        drop((first, second));
        deeds.first_close_hangs.set(true);
        assert!(pool.shutdown(SECOND).await, "it is cut off within its time");
        assert_eq!(
            (deeds.closed.borrow().len(), deeds.abandoned.borrow().len()),
            (1, 0)
        );
    });
}

#[test]
fn a_close_for_which_a_shutdown_has_no_time_is_cut_off_and_the_pool_is_closed() {
    run(7, async |sim| {
        let (deeds, pool) = pool::<1>(&sim);
        drop(pool.acquire().await.expect("it opens"));
        deeds.first_close_hangs.set(true);
        let _ = pool.shutdown(Duration::ZERO).await;
        assert!(pool.shutdown(SECOND).await);
        assert_eq!(
            (deeds.closed.borrow().len(), deeds.abandoned.borrow().len()),
            (0, 0)
        );
    });
}
