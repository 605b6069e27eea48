//! Two stacks: a value comes home to one while somebody has just looked into it.

use loom::thread;

use crate::explore::{beside, block_on, in_every_order, join, with_interruptions};
use crate::source::{Source, assert_serves, borrow, give_up, pool_of};

#[test]
fn s10_values_put_back_on_two_stacks_reach_who_enters() {
    in_every_order(|| {
        let pool = pool_of(2, Source::default());
        let leases = [(), ()].map(|()| block_on(pool.acquire_owned()).unwrap());
        let releasers = leases.map(|lease| thread::spawn(move || drop(lease)));
        let lease = block_on(pool.acquire()).unwrap();
        join(releasers);
        drop(lease);
        assert_serves(&pool);
    });
}

#[test]
fn s10_nobody_sleeps_beside_a_value_on_another_stack() {
    with_interruptions(3, || {
        let pool = pool_of(2, Source::default());
        // It does not come back, so that one value has to serve both who enter.
        let kept = block_on(pool.acquire()).unwrap();
        let lease = block_on(pool.acquire_owned()).unwrap();
        let releaser = thread::spawn(move || drop(lease));
        let waiter = beside(&pool, borrow);
        borrow(&pool);
        join([releaser, waiter]);
        drop(kept);
        assert_serves(&pool);
    });
}

#[test]
fn s10_a_value_on_another_stack_passes_the_cancelled() {
    with_interruptions(4, || {
        let pool = pool_of(2, Source::default());
        let kept = block_on(pool.acquire()).unwrap();
        let lease = block_on(pool.acquire_owned()).unwrap();
        let releaser = thread::spawn(move || drop(lease));
        let cancelled = beside(&pool, give_up);
        borrow(&pool);
        join([releaser, cancelled]);
        drop(kept);
        assert_serves(&pool);
    });
}

#[test]
fn p03_the_audit_balances_while_values_move_between_stacks() {
    in_every_order(|| {
        let pool = pool_of(2, Source::default());
        let lease = block_on(pool.acquire_owned()).unwrap();
        drop(block_on(pool.acquire_owned()).unwrap());
        let releaser = thread::spawn(move || drop(lease));
        let taker = beside(&pool, |pool| drop(pool.try_acquire()));
        let audit = pool.audit();
        assert!(audit.is_balanced(), "{audit:?}");
        join([releaser, taker]);
        assert_serves(&pool);
    });
}
