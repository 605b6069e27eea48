//! Every way in which something may come for who waits must wake somebody.
//!
//! In each test a pool of one slot has a waiter, and one thing happens.

use tenure_core::AcquireError;

use super::probe::{Condition, Control, Hook, Step};
use super::{PoolOf, PoolWorld};

on_every_backend! {
    s10_waiters_are_woken_on_every_path_of_a_lease,
    s10_waiters_are_woken_on_every_path_of_a_close,
    s10_waiters_are_woken_on_every_path_of_an_opening,
    s10_waiters_are_woken_on_every_path_of_a_check,
    s10_waiters_are_woken_when_the_pool_closes,
    s10_waiters_are_woken_when_the_runner_goes,
    s10_waiters_are_woken_when_another_driver_goes,
    s10_waiters_are_woken_when_a_start_goes,
}

async fn s10_waiters_are_woken_on_every_path_of_a_lease<W: PoolWorld>(world: W) {
    let (_, pool) = single(&world);
    let lease = pool.acquire().await.expect("a value");
    let waiter = world.waiter(&pool).await;
    drop(lease);
    assert_eq!(waiter.await.expect("given back"), 1);

    let mut lease = pool.acquire().await.expect("the value");
    let waiter = world.waiter(&pool).await;
    lease.condition = Condition::Broken;
    drop(lease);
    assert_eq!(waiter.await.expect("replaced, as it came back broken"), 2);

    let lease = pool.acquire().await.expect("the value");
    let waiter = world.waiter(&pool).await;
    lease.discard();
    assert_eq!(waiter.await.expect("replaced, as its user said so"), 3);

    let lease = pool.acquire().await.expect("the value");
    let waiter = world.waiter(&pool).await;
    let _mine = lease.detach();
    assert_eq!(waiter.await.expect("replaced, as it was given away"), 4);

    let lease = pool.acquire().await.expect("the value");
    let (gone, waiter) = (world.waiter(&pool).await, world.waiter(&pool).await);
    drop(lease);
    drop(gone);
    assert_eq!(waiter.await.expect("passed on, or never handed over"), 4);

    let lease = pool.acquire_owned().await.expect("the value");
    let waiter = world.waiter(&pool).await;
    let task = world.task(async move { drop(lease) });
    assert_eq!(waiter.await.expect("given back by another task"), 4);
    task.await;
}

async fn s10_waiters_are_woken_on_every_path_of_a_close<W: PoolWorld>(world: W) {
    let steps = [
        Step::Succeed,
        Step::Fail("it broke"),
        Step::Panic,
        Step::Hang,
    ];
    for step in steps {
        let (control, pool) = single(&world);
        control.script(Hook::Close, [step]);
        let lease = pool.acquire().await.expect("a value");
        let waiter = world.waiter(&pool).await;
        lease.discard();
        let id = waiter.await;
        assert_eq!(id.expect("the slot of the old one"), 2, "{step:?}");

        // The same for a waiter who comes once the close is under way.
        control.script(Hook::Close, [step]);
        pool.acquire().await.expect("the value").discard();
        let waiter = world.waiter(&pool).await;
        let id = waiter.await;
        assert_eq!(id.expect("the slot of the old one"), 3, "{step:?}");
    }
}

async fn s10_waiters_are_woken_on_every_path_of_an_opening<W: PoolWorld>(world: W) {
    let steps = [Step::Fail("not yet"), Step::Panic, Step::Hang];
    for step in steps {
        let (control, pool) = single(&world);
        control.script(Hook::Open, [step, Step::Succeed]);
        let waiter = world.waiter(&pool).await;
        assert_eq!(waiter.await.expect("the next attempt"), 1, "{step:?}");
        assert_eq!(control.begun(Hook::Open), 2);
    }
    let (control, pool) = single(&world);
    control.always(Hook::Open, Step::Fail("never"));
    let (first, second) = (world.waiter(&pool).await, world.waiter(&pool).await);
    for waiter in [first, second] {
        let error = waiter.await.expect_err("no retries are left");
        assert!(matches!(error, AcquireError::BackendDown { .. }), "{error}");
    }
}

async fn s10_waiters_are_woken_on_every_path_of_a_check<W: PoolWorld>(world: W) {
    for (step, id) in [
        (Step::Succeed, 1),
        (Step::Fail("sick"), 2),
        (Step::Panic, 2),
        (Step::Hang, 2),
    ] {
        let control = Control::default();
        control.script(Hook::Check, [Step::Held]);
        let pool = world.pool(&control, |pool| {
            let (every, limit) = (world.tick() * 4, world.tick() * 10);
            pool.max_size(1).check_every(every).check_timeout(limit)
        });
        drop(pool.acquire().await.expect("a value"));
        if !W::BACKGROUND {
            world.pause(6).await;
            assert_eq!(control.begun(Hook::Check), 0, "nobody does checks");
            return;
        }
        world
            .until("the check began", || control.running(Hook::Check) == 1)
            .await;
        let waiter = world.waiter(&pool).await;
        control.let_go(Hook::Check, step);
        assert_eq!(waiter.await.expect("a value"), id, "{step:?}");
    }
}

async fn s10_waiters_are_woken_when_the_pool_closes<W: PoolWorld>(world: W) {
    let (_, pool) = single(&world);
    let lease = pool.acquire().await.expect("a value");
    let waiter = world.waiter(&pool).await;
    let shutdown = world.task({
        let pool = pool.clone();
        async move { pool.close().await }
    });
    let error = waiter.await.expect_err("the pool is closed");
    assert!(matches!(error, AcquireError::Closed { .. }), "{error}");
    drop(lease);
    assert!(shutdown.await.is_clean());
}

async fn s10_waiters_are_woken_when_the_runner_goes<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.script(Hook::Open, [Step::Hang]);
    let (pool, runner) = world.by_hand(&control, |pool| pool.max_size(1));
    let runner = world.task(runner.run());
    let waiter = world.waiter(&pool).await;
    world
        .until("the opening began", || control.running(Hook::Open) == 1)
        .await;
    drop(runner);
    assert_eq!(waiter.await.expect("opened by the waiter itself"), 1);
    assert_eq!(control.cut_off(Hook::Open), 1);
}

async fn s10_waiters_are_woken_when_another_driver_goes<W: PoolWorld>(world: W) {
    let control = Control::default();
    let (pool, runner) = world.by_hand(&control, |pool| pool.max_size(1).close_timeout(None));
    drop(runner);

    control.script(Hook::Open, [Step::Hang]);
    let (driver, waiter) = (world.waiter(&pool).await, world.waiter(&pool).await);
    assert_eq!(control.running(Hook::Open), 1);
    drop(driver);
    assert_eq!(waiter.await.expect("opened by the next"), 1);

    control.script(Hook::Close, [Step::Hang]);
    pool.acquire().await.expect("the value").discard();
    let (driver, waiter) = (world.waiter(&pool).await, world.waiter(&pool).await);
    world
        .until("the close began", || control.running(Hook::Close) == 1)
        .await;
    drop(driver);
    assert_eq!(waiter.await.expect("in the slot that is free now"), 2);
    assert_eq!(pool.audit().abandoned, 1, "its close was cut off");
}

async fn s10_waiters_are_woken_when_a_start_goes<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.script(Hook::Open, [Step::Hang]);
    let (pool, runner) = world.by_hand(&control, |pool| pool.max_size(1).min_size(1));
    drop(runner);
    let start = world.task({
        let pool = pool.clone();
        async move { pool.start().await }
    });
    world
        .until("the opening began", || control.running(Hook::Open) == 1)
        .await;
    let waiter = world.waiter(&pool).await;
    drop(start);
    assert_eq!(waiter.await.expect("opened by the waiter itself"), 1);
}

/// A pool of one slot, whose openings and closes have little time.
fn single<W: PoolWorld>(world: &W) -> (Control, PoolOf<W>) {
    let control = Control::default();
    let limit = world.tick() * 2;
    let pool = world.pool(&control, |pool| {
        let pool = pool.max_size(1).retry(world.quick_retries());
        pool.open_timeout(limit).close_timeout(limit)
    });
    (control, pool)
}
