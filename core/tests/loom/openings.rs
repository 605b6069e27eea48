//! Openings that are driven by those who wait for them.

use crate::explore::{beside, block_on, cancel_after, in_every_order, join, with_interruptions};
use crate::source::{
    Source, assert_ended, assert_serves, borrow, borrow_unless_closed, give_up, pool_of,
};

#[test]
fn p02_an_opening_called_off_is_begun_again_by_who_waits() {
    in_every_order(|| {
        let pool = pool_of(1, Source::slow());
        let cancelled = beside(&pool, give_up);
        borrow(&pool);
        join([cancelled]);
        assert_serves(&pool);
    });
}

#[test]
fn p02_an_opening_called_off_wakes_one_of_those_who_wait() {
    with_interruptions(3, || {
        let pool = pool_of(1, Source::slow());
        let cancelled = beside(&pool, give_up);
        let waiter = beside(&pool, borrow);
        borrow(&pool);
        join([cancelled, waiter]);
        assert_serves(&pool);
    });
}

#[test]
fn p02_a_start_called_off_leaves_its_opening_to_who_waits() {
    with_interruptions(4, || {
        let pool = pool_of(1, Source::slow());
        let cancelled = beside(&pool, |pool| cancel_after(1, pool.start()));
        borrow(&pool);
        join([cancelled]);
        assert_serves(&pool);
    });
}

#[test]
fn s11_a_shutdown_meets_an_opening_and_one_called_off() {
    with_interruptions(3, || {
        let pool = pool_of(1, Source::slow());
        let cancelled = beside(&pool, give_up);
        let waiter = beside(&pool, borrow_unless_closed);
        block_on(pool.close());
        join([cancelled, waiter]);
        assert_ended(&pool);
    });
}
