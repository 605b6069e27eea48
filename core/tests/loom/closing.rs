//! Values that end while others want their slots, or while nobody is left.

use std::sync::Arc;

use loom::thread;

use crate::explore::{beside, block_on, cancel_after, in_every_order, join, with_interruptions};
use crate::source::{
    Source, assert_ended, assert_serves, assert_serves_beside, borrow, borrow_unless_closed,
    give_up, pool_closing_beside, pool_of, pool_with_runner,
};

#[test]
fn s09_a_discarded_value_makes_room_for_who_waits() {
    in_every_order(|| {
        let pool = pool_of(1, Source::default());
        let lease = block_on(pool.acquire_owned()).unwrap();
        let discarder = thread::spawn(move || lease.discard());
        borrow(&pool);
        join([discarder]);
        assert_eq!(pool.audit().closed, 1);
        assert_serves(&pool);
    });
}

#[test]
fn s09_a_discarded_value_makes_room_past_the_cancelled() {
    with_interruptions(3, || {
        let pool = pool_of(1, Source::default());
        let lease = block_on(pool.acquire_owned()).unwrap();
        let discarder = thread::spawn(move || lease.discard());
        let cancelled = beside(&pool, give_up);
        borrow(&pool);
        join([discarder, cancelled]);
        assert_eq!(pool.audit().closed, 1);
        assert_serves(&pool);
    });
}

#[test]
fn s09_one_of_two_discarded_values_is_closed_beside_its_successor() {
    with_interruptions(3, || {
        let pool = Arc::new(pool_closing_beside(1, 2, Source::default()).0);
        let lease = || block_on(pool.acquire_owned()).unwrap();
        let leases = [lease(), lease()];
        let discarders = leases.map(|lease| thread::spawn(move || lease.discard()));
        borrow(&pool);
        join(discarders);
        assert_serves_beside(&pool, 1);
    });
}

#[test]
fn s09_whoever_is_served_passes_on_the_work_it_was_woken_for() {
    with_interruptions(3, || {
        let pool = pool_of(2, Source::default());
        let broken = block_on(pool.acquire()).unwrap();
        let good = block_on(pool.acquire()).unwrap();
        // Each keeps what it gets, so that neither is served by the other.
        let waiter = || beside(&pool, |pool| block_on(pool.acquire_owned()).unwrap());
        let waiters = [waiter(), waiter()];
        broken.discard();
        drop(good);
        drop(join(waiters));
        assert_eq!(pool.audit().closed, 1);
        assert_serves(&pool);
    });
}

#[test]
fn p02_a_close_that_is_cut_off_frees_its_slot() {
    with_interruptions(3, || {
        let pool = pool_of(1, Source::slow());
        let lease = block_on(pool.acquire_owned()).unwrap();
        let discarder = thread::spawn(move || lease.discard());
        let cancelled = beside(&pool, give_up);
        borrow(&pool);
        join([discarder, cancelled]);
        assert_eq!(pool.audit().ended(), 1);
        assert_serves(&pool);
    });
}

#[test]
fn p03_a_discarded_value_ends_once_in_a_shutdown() {
    with_interruptions(4, || {
        let pool = pool_of(1, Source::default());
        let lease = block_on(pool.acquire_owned()).unwrap();
        let discarder = thread::spawn(move || lease.discard());
        let waiter = beside(&pool, borrow_unless_closed);
        assert!(block_on(pool.close()).is_clean());
        join([discarder, waiter]);
        assert_ended(&pool);
    });
}

#[test]
fn p03_a_runner_that_is_dropped_leaves_its_work_to_who_waits() {
    with_interruptions(3, || {
        let (pool, runner) = pool_with_runner(1, Source::default());
        let pool = Arc::new(pool);
        let lease = block_on(pool.acquire_owned()).unwrap();
        let discarder = thread::spawn(move || lease.discard());
        let runner = thread::spawn(move || cancel_after(1, runner.run()));
        borrow(&pool);
        join([discarder, runner]);
        assert_eq!(pool.audit().closed, 1);
        assert_serves(&pool);
    });
}

#[test]
fn p03_a_runner_closes_what_is_discarded_and_what_is_left() {
    with_interruptions(2, || {
        let source = Source::default();
        let (pool, runner) = pool_with_runner(1, source.clone());
        let lease = block_on(pool.acquire_owned()).unwrap();
        let discarder = thread::spawn(move || lease.discard());
        let runner = thread::spawn(move || block_on(runner.run()));
        borrow(&pool);
        drop(pool);
        join([discarder, runner]);
        let counts = source.counts();
        assert_eq!((counts.opened, counts.closed, counts.dropped), (2, 2, 2));
    });
}

#[test]
fn p03_a_runner_closes_what_the_last_of_two_handles_leaves() {
    with_interruptions(3, || {
        let source = Source::default();
        let (pool, runner) = pool_with_runner(1, source.clone());
        let lease = block_on(pool.acquire_owned()).unwrap();
        let handle = pool.clone();
        let threads = [
            thread::spawn(move || drop(lease)),
            thread::spawn(move || drop(handle)),
            thread::spawn(move || block_on(runner.run())),
        ];
        drop(pool);
        join(threads);
        let counts = source.counts();
        assert_eq!((counts.opened, counts.closed, counts.dropped), (1, 1, 1));
    });
}

#[test]
fn p03_the_last_of_handles_and_lease_abandons_each_value_once() {
    in_every_order(|| {
        let source = Source::default();
        let (pool, _) = pool_with_runner(2, source.clone());
        let lease = block_on(pool.acquire_owned()).unwrap();
        borrow(&pool);
        let handle = pool.clone();
        let threads = [
            thread::spawn(move || drop(lease)),
            thread::spawn(move || drop(handle)),
        ];
        drop(pool);
        join(threads);
        let counts = source.counts();
        assert_eq!((counts.opened, counts.abandoned, counts.dropped), (2, 2, 2));
    });
}
