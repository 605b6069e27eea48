//! A pool that is closed under those who use it.

use loom::thread;

use crate::explore::{beside, block_on, cancel_after, in_every_order, join, with_interruptions};
use crate::source::{Source, assert_ended, borrow, borrow_unless_closed, pool_of};

#[test]
fn s11_a_shutdown_waits_for_a_lease_that_comes_back() {
    in_every_order(|| {
        let pool = pool_of(1, Source::default());
        let lease = block_on(pool.acquire_owned()).unwrap();
        let releaser = thread::spawn(move || drop(lease));
        assert!(block_on(pool.close()).is_clean());
        assert_eq!(pool.audit().closed, 1);
        join([releaser]);
        assert_ended(&pool);
    });
}

#[test]
fn s11_a_shutdown_meets_one_who_takes_an_idle_value() {
    in_every_order(|| {
        let pool = pool_of(1, Source::default());
        borrow(&pool);
        let user = beside(&pool, borrow_unless_closed);
        assert!(block_on(pool.close()).is_clean());
        assert_eq!(pool.audit().closed, 1);
        join([user]);
        assert_ended(&pool);
    });
}

#[test]
fn s11_a_shutdown_meets_one_who_opens_a_value() {
    with_interruptions(5, || {
        let pool = pool_of(1, Source::default());
        let user = beside(&pool, borrow_unless_closed);
        assert!(block_on(pool.close()).is_clean());
        join([user]);
        assert_ended(&pool);
    });
}

#[test]
fn s11_a_shutdown_meets_a_hand_off() {
    with_interruptions(4, || {
        let pool = pool_of(1, Source::default());
        let lease = block_on(pool.acquire_owned()).unwrap();
        let releaser = thread::spawn(move || drop(lease));
        let waiter = beside(&pool, borrow_unless_closed);
        assert!(block_on(pool.close()).is_clean());
        join([releaser, waiter]);
        assert_ended(&pool);
    });
}

#[test]
fn s11_two_shutdowns_and_one_of_them_cancelled() {
    with_interruptions(3, || {
        let pool = pool_of(1, Source::slow());
        let lease = block_on(pool.acquire_owned()).unwrap();
        let releaser = thread::spawn(move || drop(lease));
        let cancelled = beside(&pool, |pool| cancel_after(1, pool.close()));
        block_on(pool.close());
        join([releaser, cancelled]);
        assert_ended(&pool);
    });
}
