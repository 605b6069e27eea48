//! What a pool without a heap promises, one thing at a time.

use std::time::Duration;

use tenure_core::fixed::{FixedError, FixedPool};
use tenure_core::{Backoff, ErrorClass, Retry};
use tenure_sim::{Backend, Fault, Faults, FaultyResource, Hook, Sim, run};

use super::scene::cut_off;

const SECOND: Duration = Duration::from_secs(1);

fn pool<const VALUES: usize>(
    sim: &Sim,
    backend: &Backend,
) -> &'static FixedPool<FaultyResource, Sim, VALUES, 3> {
    let policy = Retry::new(Backoff::constant(SECOND)).max_retries(1);
    let pool = FixedPool::new(FaultyResource::new(backend), sim.clone())
        .acquire_timeout(SECOND * 30)
        .open_retry(policy);
    Box::leak(Box::new(pool))
}

#[test]
fn whoever_came_first_is_served_first_and_one_too_many_is_refused() {
    run(7, async |sim| {
        let backend = Backend::new(&sim);
        let pool = pool::<1>(&sim, &backend);
        let lease = pool.acquire().await.expect("it opens");
        let served = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        let mut waiters = Vec::new();
        for number in 0..3 {
            let served = served.clone();
            waiters.push(sim.task(format!("{number}"), async move {
                let lease = pool.acquire().await.expect("it is served");
                served.borrow_mut().push(number);
                drop(lease);
            }));
            sim.sleep(SECOND).await;
        }
        let refused = pool.acquire_within(SECOND).await;
        assert!(matches!(refused, Err(FixedError::QueueFull)), "{refused:?}");
        drop(lease);
        for waiter in waiters {
            waiter.await;
        }
        assert_eq!(*served.borrow(), [0, 1, 2]);
        assert_eq!(backend.opened(), 1);
    });
}

#[test]
fn the_first_is_told_the_error_and_the_others_its_class_and_how_many_attempts_failed() {
    run(7, async |sim| {
        let backend = Backend::new(&sim);
        backend.set_faults(Faults::none().one_in(1, Hook::Open, Fault::Fail));
        backend.set_time(Hook::Open, SECOND);
        let pool = pool::<1>(&sim, &backend);
        let waits = || async move { pool.acquire().await.expect_err("nothing opens") };
        let (first, second) = (sim.task("first", waits()), sim.task("second", waits()));
        let told = [first.await, second.await];
        let mut errors = 0;
        for error in told {
            let FixedError::OpenFailed {
                error,
                class,
                attempts,
                ..
            } = error
            else {
                panic!("{error}");
            };
            errors += usize::from(error.is_some());
            assert_eq!((class, attempts), (ErrorClass::Retry, 2));
        }
        assert_eq!(errors, 1);
    });
}

#[test]
fn a_value_whose_operation_was_cut_off_is_checked_before_the_next_gets_it() {
    run(7, async |sim| {
        let backend = Backend::new(&sim);
        let pool = pool::<1>(&sim, &backend);
        let mut lease = pool.acquire().await.expect("it opens");
        cut_off(&mut lease).await;
        drop(lease);
        let checks = backend.calls(Hook::Check);
        drop(pool.acquire().await.expect("it is served"));
        assert_eq!(backend.calls(Hook::Check), checks + 1);
        assert_eq!(backend.opened(), 1);

        let mut lease = pool.acquire().await.expect("it lies idle");
        cut_off(&mut lease).await;
        drop(lease);
        let next = backend.calls(Hook::Check) + 1;
        backend.set_faults(Faults::none().nth(Hook::Check, next, Fault::Fail));
        drop(pool.acquire().await.expect("another is opened"));
        assert_eq!(backend.opened(), 2);
    });
}

#[test]
fn a_runner_checks_what_lies_idle_and_opens_for_who_waits() {
    run(7, async |sim| {
        let backend = Backend::new(&sim);
        let pool = FixedPool::<_, _, 2, 3>::new(FaultyResource::new(&backend), sim.clone())
            .check_every(SECOND);
        let pool: &'static _ = Box::leak(Box::new(pool));
        let runner = sim.task("runner", async move { pool.run().await });
        let (first, second) = (pool.acquire().await, pool.acquire().await);
        assert!(first.is_ok() && second.is_ok());
        drop((first, second));
        sim.sleep(SECOND * 5).await;
        let checks = backend.calls(Hook::Check);
        assert!((6..=12).contains(&checks), "{checks}");
        assert!(pool.shutdown(SECOND).await);
        runner.await;
        backend.assert_accounted();
    });
}

#[test]
fn a_timeout_holds_while_every_value_is_in_use() {
    run(7, async |sim| {
        let backend = Backend::new(&sim);
        let pool = pool::<1>(&sim, &backend);
        let _lease = pool.acquire().await.expect("it opens");
        let began = sim.time_passed();
        let refused = pool.acquire_within(SECOND).await.err();
        assert!(matches!(refused, Some(FixedError::TimedOut)), "{refused:?}");
        assert_eq!(sim.time_passed() - began, SECOND);
    });
}
