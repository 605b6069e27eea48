//! A maximum that changes while the pool is in use.

use std::pin::pin;
use std::time::Duration;

use futures::future::join_all;
use futures::poll;
use tenure_core::config::ConfigValue;
use tenure_core::{Ending, Why};

use super::PoolWorld;
use super::probe::{Control, Hook, Step};
use super::recorder::{Happened, Recorder};
use crate::worlds::yield_now;

on_every_backend! {
    b07_growing_serves_those_who_wait_at_once,
    b07_shrinking_closes_idle_values_at_once,
    b07_shrinking_closes_lent_values_as_they_come_back,
    b07_a_shrunk_pool_never_lends_more_than_its_new_maximum,
    b07_what_was_being_opened_when_the_pool_shrank_is_surplus,
    b07_a_shrunk_pool_grows_again,
    b07_who_wants_more_than_a_shrunk_pool_may_hold_is_told_at_once,
    b07_a_size_that_makes_no_sense_changes_nothing,
}

const SURPLUS: Happened = Happened::Ended(Ending::Closed, Why::Surplus, None);

async fn b07_growing_serves_those_who_wait_at_once<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(1));
    let held = pool.acquire().await.expect("a value");
    let waiters = [world.waiter(&pool).await, world.waiter(&pool).await];
    world.pause(1).await;
    assert_eq!((pool.status().waiting, control.begun(Hook::Open)), (2, 1));
    let began_at = world.now();
    pool.resize(3).expect("a size that makes sense");
    assert_eq!(pool.status().max_size, 3);
    for outcome in join_all(waiters).await {
        assert_ne!(outcome.expect("a new value"), held.id);
    }
    world.took(began_at, Duration::ZERO);
    assert!(control.most_taken() <= 3);
    drop(held);
    world.ends_clean(&pool, &control).await;
}

async fn b07_shrinking_closes_idle_values_at_once<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    let pool = world.pool(&control, |pool| pool.events(recorder.sink()));
    drop(pool.acquire_many(4).await.expect("values"));
    pool.resize(1).expect("a size that makes sense");
    let status = pool.status();
    assert_eq!((status.max_size, status.idle), (1, 1), "{status}");
    if W::BACKGROUND {
        world
            .until("the others are closed", || pool.status().size == 1)
            .await;
        assert_eq!(recorder.count(|event| *event == SURPLUS), 3);
    } else {
        assert_eq!(status.closing, 3, "{status}");
    }
    let last = pool.try_acquire().expect("the one that is left");
    assert!(pool.acquire_timeout(world.tick()).await.is_err());
    drop(last);
    world.ends_clean(&pool, &control).await;
}

async fn b07_shrinking_closes_lent_values_as_they_come_back<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    let pool = world.pool(&control, |pool| pool.events(recorder.sink()));
    let mut held = pool.acquire_many(3).await.expect("values");
    pool.resize(1).expect("a size that makes sense");
    assert_eq!(pool.status().in_use, 3, "nobody is interrupted");
    assert_eq!(recorder.endings(), 0);
    for left in [2, 1] {
        held.pop();
        let status = pool.status();
        assert_eq!((status.in_use, status.idle), (left, 0), "{status}");
    }
    let last = held.pop().map(|lease| lease.id);
    assert_eq!(pool.status().idle, 1, "it is the one that may stay");
    let id = pool.try_acquire().map(|lease| lease.id);
    assert!(id.is_some() && id == last);
    world.ends_clean(&pool, &control).await;
    assert_eq!(recorder.count(|event| *event == SURPLUS), 2);
}

async fn b07_a_shrunk_pool_never_lends_more_than_its_new_maximum<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(3));
    let mut held = pool.acquire_many(3).await.expect("values");
    pool.resize(1).expect("a size that makes sense");
    let mut waiter = pin!(pool.acquire());
    assert!(poll!(waiter.as_mut()).is_pending());
    for _ in 0..2 {
        held.pop();
        world.pause(1).await;
        assert!(poll!(waiter.as_mut()).is_pending(), "{}", pool.status());
    }
    held.pop();
    let lease = waiter.await.expect("the one that may stay");
    assert_eq!((pool.status().in_use, control.opened()), (1, 3));
    assert!(pool.acquire_timeout(world.tick()).await.is_err());
    drop(lease);
    world.ends_clean(&pool, &control).await;
}

async fn b07_what_was_being_opened_when_the_pool_shrank_is_surplus<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(2));
    let held = pool.acquire().await.expect("a value");
    control.script(Hook::Open, [Step::Held]);
    let waiter = world.waiter(&pool).await;
    world
        .until("the opening began", || control.running(Hook::Open) == 1)
        .await;
    pool.resize(1).expect("a size that makes sense");
    control.let_go(Hook::Open, Step::Succeed);
    world.until("it is open", || pool.audit().opened == 2).await;
    let status = pool.status();
    assert_eq!((status.waiting, status.idle), (1, 0), "{status}");
    drop(held);
    assert_eq!(waiter.await.expect("what came back"), 1);
    world.ends_clean(&pool, &control).await;
    assert_eq!(control.closed().len(), 2);
}

async fn b07_a_shrunk_pool_grows_again<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(2));
    let held = pool.acquire_many(2).await.expect("values");
    pool.resize(1).expect("a size that makes sense");
    pool.resize(2).expect("a size that makes sense");
    drop(held);
    assert_eq!(pool.status().idle, 2, "none is too many any more");
    assert!(pool.acquire_many(2).await.is_ok());
    assert_eq!(control.begun(Hook::Open), 2);
    world.ends_clean(&pool, &control).await;
}

async fn b07_who_wants_more_than_a_shrunk_pool_may_hold_is_told_at_once<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(4));
    let held = pool.acquire().await.expect("a value");
    let mut gathers = pin!(pool.acquire_many(4));
    let mut one = pin!(pool.acquire());
    let mut wants_three = pin!(pool.acquire_many(3));
    let mut wants_two = pin!(pool.acquire_many(2));
    while pool.status().in_use < 4 {
        assert!(poll!(gathers.as_mut()).is_pending());
        yield_now().await;
    }
    assert!(poll!(one.as_mut()).is_pending());
    assert!(poll!(wants_three.as_mut()).is_pending());
    assert!(poll!(wants_two.as_mut()).is_pending());
    pool.resize(2).expect("a size that makes sense");
    for (wanted, told) in [(4, gathers.await), (3, wants_three.await)] {
        let error = told.expect_err("there will never be as many");
        let expected = format!("has 2 values at most, not {wanted}");
        assert!(error.to_string().ends_with(&expected), "{error}");
    }
    let one = one.await.expect("one of those that had been gathered");
    drop((held, one));
    assert_eq!(wants_two.await.expect("as many as there may be").len(), 2);
    world.ends_clean(&pool, &control).await;
}

async fn b07_a_size_that_makes_no_sense_changes_nothing<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.min_size(2).max_size(4));
    pool.start().await.expect("the minimum");
    let error = pool.resize(1).expect_err("it is below the minimum");
    assert_eq!(error.to_string(), "`min_size` (2) is above `max_size` (1)");
    assert_eq!(error.field(), "min_size");
    assert_eq!(error.value(), ConfigValue::Count(2));
    assert_eq!(error.limit(), Some(("max_size", ConfigValue::Count(1))));
    let error = pool.resize(0).expect_err("it is zero");
    assert_eq!(error.to_string(), "`max_size` (0) must be at least 1");
    let status = pool.status();
    assert_eq!((status.max_size, status.idle), (4, 2), "{status}");
    world.ends_clean(&pool, &control).await;
}
