//! Histograms of how long acquires, openings and loans took.

use tenure_core::pool::CheckOnAcquire;

use super::PoolWorld;
use super::probe::{Control, Hook, Step};

on_every_backend! {
    s09_timings_are_kept_where_they_are_asked_for,
    s09_timings_count_waits_and_those_that_failed_too,
    s09_timings_count_openings_and_those_that_failed_too,
    s09_timings_count_loans,
    s09_timings_count_each_of_several_once,
}

async fn s09_timings_are_kept_where_they_are_asked_for<W: PoolWorld>(world: W) {
    for asked in [true, false] {
        let control = Control::default();
        let pool = world.pool(&control, |pool| pool.timings(asked));
        drop(pool.acquire().await.expect("a value"));
        assert_eq!(pool.timings().is_some(), asked);
        world.ends_clean(&pool, &control).await;
    }
}

async fn s09_timings_count_waits_and_those_that_failed_too<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.timings(true).max_size(1));
    let held = pool.acquire().await.expect("a value");
    let timings = pool.timings().expect("they were asked for");
    assert_eq!(timings.waited.count(), 1);
    let limit = world.tick() * 3;
    assert!(pool.acquire_timeout(limit).await.is_err());
    let waited = pool.timings().expect("they were asked for").waited;
    assert_eq!(waited.count(), 2, "one that failed");
    assert!(waited.max() >= limit && waited.sum() >= limit);
    drop(held);
    // An idle value is a wait too, though a short one.
    drop(pool.acquire().await.expect("the value"));
    drop(pool.acquire_owned().await.expect("the value"));
    let waited = pool.timings().expect("they were asked for").waited;
    assert_eq!(waited.count(), 4);
    if W::VIRTUAL_TIME {
        assert!(waited.max() <= limit + world.tick() / 100);
        assert!(waited.quantile(0.5) < world.tick(), "three took no time");
        assert!(waited.quantile(1.0) >= limit);
    }
    world.ends_clean(&pool, &control).await;
}

async fn s09_timings_count_openings_and_those_that_failed_too<W: PoolWorld>(world: W) {
    let control = Control::default();
    let part = world.tick() / 4;
    control.script(Hook::Open, [Step::Fail("not yet"), Step::Slow(part)]);
    control.script(Hook::AfterOpen, [Step::Slow(part)]);
    let pool = world.hooked_pool(&control, |pool| {
        pool.timings(true).retry(world.quick_retries())
    });
    drop(pool.acquire().await.expect("a value"));
    let timings = pool.timings().expect("they were asked for");
    assert_eq!(timings.opened.count(), 2);
    // Its hook belongs to the opening.
    assert!(timings.opened.max() >= part * 2);
    assert!(timings.waited.max() >= timings.opened.max());
    world.ends_clean(&pool, &control).await;
}

async fn s09_timings_count_loans<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.timings(true));
    let lease = pool.acquire().await.expect("a value");
    let used = pool.timings().expect("they were asked for").used;
    assert_eq!(used.count(), 0, "it is still in use");
    world.pause(2).await;
    drop(lease);
    pool.acquire().await.expect("the value").discard();
    drop(pool.acquire_owned().await.expect("a value").detach());
    drop(pool.acquire().await.expect("a value"));
    let used = pool.timings().expect("they were asked for").used;
    assert_eq!(used.count(), 4, "however they ended");
    assert!(used.max() >= world.tick() * 2);
    if W::VIRTUAL_TIME {
        assert_eq!(used.sum(), used.max(), "the others took no time");
    }
    world.ends_clean(&pool, &control).await;
}

/// Checked or not: who asks for two waits once, and has two loans.
async fn s09_timings_count_each_of_several_once<W: PoolWorld>(world: W) {
    for checked in [false, true] {
        let control = Control::default();
        let check = world.tick();
        control.always(Hook::Check, Step::Slow(check));
        control.script(Hook::Check, [Step::Fail("sick")]);
        let pool = world.pool(&control, |pool| {
            let pool = pool.check_every(None).check_on_acquire(if checked {
                CheckOnAcquire::Always
            } else {
                CheckOnAcquire::Never
            });
            pool.timings(true).max_size(2)
        });
        drop(pool.acquire_many(2).await.expect("two values"));
        let timings = pool.timings().expect("they were asked for");
        assert_eq!(timings.used.count(), 2, "checked: {checked}");
        assert_eq!(timings.waited.count(), 1, "checked: {checked}");
        if checked {
            assert!(timings.waited.max() >= check * 2, "with its checks");
        }
        assert!(pool.acquire_many(3).await.is_err());
        assert!(pool.acquire_many(0).await.is_ok());
        world.ends_clean(&pool, &control).await;
    }
}
