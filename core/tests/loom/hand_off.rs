//! A value that is given back while others wait for it.

use loom::thread;

use crate::explore::{beside, block_on, cancel_after, in_every_order, join, with_interruptions};
use crate::source::{Source, assert_serves, borrow, give_up, pool_of};

#[test]
fn s10_a_value_passes_the_cancelled_and_reaches_who_waits() {
    in_every_order(|| hand_off_past_one_cancelled_after(1));
}

#[test]
fn s10_a_value_passes_who_is_cancelled_after_another_look() {
    with_interruptions(5, || hand_off_past_one_cancelled_after(2));
}

fn hand_off_past_one_cancelled_after(polls: usize) {
    let pool = pool_of(1, Source::default());
    let lease = block_on(pool.acquire()).unwrap();
    let waiter = beside(&pool, borrow);
    let cancelled = beside(&pool, move |pool| {
        cancel_after(polls, pool.acquire());
    });
    drop(lease);
    join([waiter, cancelled]);
    assert_serves(&pool);
}

#[test]
fn s10_two_values_reach_two_who_wait() {
    with_interruptions(3, || {
        let pool = pool_of(2, Source::default());
        let lease = block_on(pool.acquire()).unwrap();
        let other = block_on(pool.acquire_owned()).unwrap();
        let releaser = thread::spawn(move || drop(other));
        let waiters = [beside(&pool, borrow), beside(&pool, borrow)];
        drop(lease);
        join([releaser]);
        join(waiters);
        assert_serves(&pool);
    });
}

#[test]
fn s10_two_values_pass_the_cancelled_and_reach_who_waits() {
    with_interruptions(3, || {
        let pool = pool_of(2, Source::default());
        let lease = block_on(pool.acquire()).unwrap();
        let other = block_on(pool.acquire_owned()).unwrap();
        let releaser = thread::spawn(move || drop(other));
        let waiters = [beside(&pool, borrow), beside(&pool, give_up)];
        drop(lease);
        join([releaser]);
        join(waiters);
        assert_serves(&pool);
    });
}
