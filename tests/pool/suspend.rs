//! A pool that lends nothing for a while.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures::poll;
use tenure_core::{AcquireError, Retry};

use super::PoolWorld;
use super::probe::{Control, Hook, Step};

on_every_backend! {
    b07_a_suspended_pool_lends_nothing,
    b07_who_waits_in_a_suspended_pool_keeps_the_turn,
    b07_a_suspended_pool_says_so_when_the_time_is_over,
    b07_values_that_come_back_to_a_suspended_pool_stay,
    b07_a_suspended_pool_opens_nothing_for_those_who_wait,
    b07_an_opening_that_ends_in_a_suspended_pool_is_kept,
    b07_an_opening_that_fails_in_a_suspended_pool_refuses_nobody,
    b07_a_suspended_pool_can_be_closed,
    b07_suspending_twice_is_ended_by_one_resume,
}

async fn b07_a_suspended_pool_lends_nothing<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(2));
    drop(pool.acquire_many(2).await.expect("values"));
    assert!(!pool.is_suspended());
    pool.suspend();
    assert!(pool.is_suspended());
    assert!(pool.try_acquire().is_none());
    let mut waiter = pin!(pool.acquire());
    assert!(poll!(waiter.as_mut()).is_pending());
    let mut both = pin!(pool.acquire_many(2));
    assert!(poll!(both.as_mut()).is_pending());
    let status = pool.status();
    assert_eq!((status.idle, status.waiting), (2, 2), "{status}");
    pool.resume();
    let Poll::Ready(Ok(lease)) = poll!(waiter.as_mut()) else {
        panic!("there was a value all the time");
    };
    drop(lease);
    assert_eq!(both.await.expect("both").len(), 2);
    assert!(pool.try_acquire().is_some());
    assert_eq!(control.begun(Hook::Open), 2);
    world.ends_clean(&pool, &control).await;
}

async fn b07_who_waits_in_a_suspended_pool_keeps_the_turn<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(1));
    let held = pool.acquire().await.expect("a value");
    let mut first = pin!(pool.acquire());
    assert!(poll!(first.as_mut()).is_pending());
    pool.suspend();
    let mut second = pin!(pool.acquire());
    let mut third = pin!(pool.acquire());
    assert!(poll!(second.as_mut()).is_pending());
    assert!(poll!(third.as_mut()).is_pending());
    drop(held);
    pool.resume();
    assert!(pool.try_acquire().is_none(), "past the queue");
    assert!(poll!(third.as_mut()).is_pending());
    assert!(poll!(second.as_mut()).is_pending());
    drop(first.await.expect("the value"));
    assert!(poll!(third.as_mut()).is_pending());
    drop(second.await.expect("the value"));
    drop(third.await.expect("the value"));
    assert_eq!(control.begun(Hook::Open), 1);
    world.ends_clean(&pool, &control).await;
}

async fn b07_a_suspended_pool_says_so_when_the_time_is_over<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.name("sessions"));
    drop(pool.acquire().await.expect("a value"));
    pool.suspend();
    let (limit, began_at) = (world.tick() * 2, world.now());
    let error = pool.acquire_timeout(limit).await.expect_err("it lends not");
    world.took(began_at, limit);
    let AcquireError::Suspended { pool: name, waited } = &error else {
        panic!("{error}");
    };
    assert!(name.as_str() == "sessions" && *waited >= limit);
    let line = error.to_string();
    assert!(line.starts_with("pool sessions is suspended ("), "{line}");
    pool.resume();
    assert_eq!(pool.acquire().await.expect("the value").id, 1);
    world.ends_clean(&pool, &control).await;
}

async fn b07_values_that_come_back_to_a_suspended_pool_stay<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(2));
    let held = pool.acquire_many(2).await.expect("values");
    let waiter = world.waiter(&pool).await;
    pool.suspend();
    drop(held);
    world.pause(1).await;
    let status = pool.status();
    assert_eq!((status.idle, status.waiting), (2, 1), "{status}");
    assert_eq!(control.closed(), []);
    pool.resume();
    let id = waiter.await.expect("one of them");
    assert!(id == 1 || id == 2, "{id}");
    assert_eq!(control.begun(Hook::Open), 2);
    world.ends_clean(&pool, &control).await;
}

async fn b07_a_suspended_pool_opens_nothing_for_those_who_wait<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool);
    pool.suspend();
    let waiter = world.waiter(&pool).await;
    world.pause(1).await;
    assert_eq!((control.begun(Hook::Open), pool.status().waiting), (0, 1));
    pool.resume();
    assert_eq!(waiter.await.expect("a value"), 1);
    world.ends_clean(&pool, &control).await;
}

async fn b07_an_opening_that_ends_in_a_suspended_pool_is_kept<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.script(Hook::Open, [Step::Held]);
    let pool = world.pool(&control, |pool| pool);
    let waiter = world.waiter(&pool).await;
    world
        .until("the opening began", || control.running(Hook::Open) == 1)
        .await;
    pool.suspend();
    control.let_go(Hook::Open, Step::Succeed);
    world
        .until("the value is idle", || pool.status().idle == 1)
        .await;
    world.pause(1).await;
    assert_eq!(pool.status().waiting, 1, "{}", pool.status());
    pool.resume();
    assert_eq!(waiter.await.expect("the value"), 1);
    assert_eq!(control.begun(Hook::Open), 1);
    world.ends_clean(&pool, &control).await;
}

/// As when a server is switched over: what was under way may fail, and means nothing.
async fn b07_an_opening_that_fails_in_a_suspended_pool_refuses_nobody<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.script(Hook::Open, [Step::Held]);
    let pool = world.pool(&control, |pool| pool.retry(Retry::NEVER));
    let waiter = world.waiter(&pool).await;
    world
        .until("the opening began", || control.running(Hook::Open) == 1)
        .await;
    pool.suspend();
    control.let_go(Hook::Open, Step::Fail("switched over"));
    world
        .until("it has failed", || pool.audit().open_failed == 1)
        .await;
    world.pause(1).await;
    assert_eq!(pool.status().waiting, 1, "{}", pool.status());
    assert_eq!(control.begun(Hook::Open), 1);
    let began_at = world.now();
    pool.resume();
    assert_eq!(waiter.await.expect("a value of the new server"), 1);
    world.took(began_at, Duration::ZERO);
    world.ends_clean(&pool, &control).await;
}

async fn b07_a_suspended_pool_can_be_closed<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool);
    drop(pool.acquire().await.expect("a value"));
    pool.suspend();
    let waiter = world.waiter(&pool).await;
    world.ends_clean(&pool, &control).await;
    let outcome = waiter.await;
    assert!(
        matches!(outcome, Err(AcquireError::Closed { .. })),
        "{outcome:?}"
    );
    pool.resume();
    assert!(pool.acquire().await.is_err() && pool.try_acquire().is_none());
}

async fn b07_suspending_twice_is_ended_by_one_resume<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool);
    pool.resume();
    drop(pool.acquire().await.expect("a value"));
    pool.suspend();
    pool.suspend();
    pool.resume();
    assert!(!pool.is_suspended() && pool.try_acquire().is_some());
    world.ends_clean(&pool, &control).await;
}
