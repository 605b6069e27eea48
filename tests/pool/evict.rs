//! Calling values in: all of them, or one.

use std::pin::pin;

use futures::poll;
use tenure_core::{Ending, Why};

use super::PoolWorld;
use super::probe::{Control, Hook, Step};
use super::recorder::{Happened, Recorder};

on_every_backend! {
    b07_evict_all_closes_idle_values_now,
    b07_evict_all_closes_lent_values_as_they_come_back,
    b07_evict_all_counts_what_is_being_opened_as_old,
    b07_evict_all_spares_whatever_comes_after,
    b07_evict_all_reaches_a_value_under_its_check,
    b07_evict_all_reaches_what_was_gathered_for_several,
    b07_evict_all_renews_the_minimum,
    b07_an_invalid_value_is_closed_when_it_comes_back,
}

const EVICTED: Happened = Happened::Ended(Ending::Closed, Why::Evicted, None);

async fn b07_evict_all_closes_idle_values_now<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    let pool = world.pool(&control, |pool| pool.max_size(2).events(recorder.sink()));
    drop(pool.acquire_many(2).await.expect("values"));
    pool.evict_all();
    assert_eq!(pool.status().idle, 0, "{}", pool.status());
    assert!(pool.try_acquire().is_none());
    if W::BACKGROUND {
        world
            .until("both were closed", || {
                recorder.count(|event| *event == EVICTED) == 2
            })
            .await;
    } else {
        assert_eq!(pool.status().closing, 2, "{}", pool.status());
    }
    assert_eq!(pool.acquire().await.expect("a new one").id, 3);
    world.ends_clean(&pool, &control).await;
    assert_eq!(recorder.count(|event| *event == EVICTED), 2);
}

async fn b07_evict_all_closes_lent_values_as_they_come_back<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    let pool = world.pool(&control, |pool| pool.max_size(2).events(recorder.sink()));
    let held = pool.acquire_many(2).await.expect("values");
    let waiter = world.waiter(&pool).await;
    pool.evict_all();
    world.pause(1).await;
    assert_eq!((pool.status().in_use, recorder.endings()), (2, 0));
    assert!(held.iter().all(|lease| lease.uses() == 1), "usable as ever");
    drop(held);
    assert_eq!(waiter.await.expect("a new one"), 3);
    world.ends_clean(&pool, &control).await;
    assert_eq!(recorder.count(|event| *event == EVICTED), 2);
}

async fn b07_evict_all_counts_what_is_being_opened_as_old<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    control.script(Hook::Open, [Step::Held]);
    let pool = world.pool(&control, |pool| pool.max_size(1).events(recorder.sink()));
    let waiter = world.waiter(&pool).await;
    world
        .until("the opening began", || control.running(Hook::Open) == 1)
        .await;
    pool.evict_all();
    control.let_go(Hook::Open, Step::Succeed);
    assert_eq!(waiter.await.expect("one that is new"), 2);
    assert_eq!(pool.try_acquire().expect("the new one").id, 2);
    world.ends_clean(&pool, &control).await;
    assert_eq!(recorder.count(|event| *event == EVICTED), 1);
}

async fn b07_evict_all_spares_whatever_comes_after<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    let pool = world.pool(&control, |pool| pool.events(recorder.sink()));
    let old = pool.acquire().await.expect("a value");
    pool.evict_all();
    let new = pool.acquire().await.expect("a value");
    drop(old);
    drop(new);
    let status = pool.status();
    assert_eq!(status.idle, 1, "{status}");
    assert_eq!(pool.acquire().await.expect("the new one").id, 2);
    world.ends_clean(&pool, &control).await;
    assert_eq!(recorder.count(|event| *event == EVICTED), 1);
}

async fn b07_evict_all_reaches_a_value_under_its_check<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    let pool = world.pool(&control, |pool| {
        let pool = pool.check_every(None).check_on_release(true);
        pool.max_size(1).events(recorder.sink())
    });
    control.script(Hook::Check, [Step::Held]);
    drop(pool.acquire().await.expect("a value"));
    let waiter = world.waiter(&pool).await;
    world
        .until("it is checked", || control.running(Hook::Check) == 1)
        .await;
    pool.evict_all();
    control.let_go(Hook::Check, Step::Succeed);
    assert_eq!(waiter.await.expect("a new one"), 2);
    assert_eq!(recorder.count(|event| *event == EVICTED), 1);
    world.ends_clean(&pool, &control).await;
}

/// Whoever waits for several gets none that was there when all were called in.
async fn b07_evict_all_reaches_what_was_gathered_for_several<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    let pool = world.pool(&control, |pool| pool.max_size(2).events(recorder.sink()));
    let mut held = pool.acquire_many(2).await.expect("values");
    let mut both = pin!(pool.acquire_many(2));
    assert!(poll!(both.as_mut()).is_pending());
    held.pop();
    assert!(poll!(both.as_mut()).is_pending(), "it wants another");
    pool.evict_all();
    drop(held);
    let both = world.ends("the wait", both).await.expect("two new ones");
    let ids = Vec::from_iter(both.iter().map(|lease| lease.id));
    assert!(ids.iter().all(|id| *id > 2), "{ids:?}");
    drop(both);
    assert_eq!(pool.status().idle, 2, "{}", pool.status());
    world.ends_clean(&pool, &control).await;
    assert_eq!(recorder.count(|event| *event == EVICTED), 2);
}

async fn b07_evict_all_renews_the_minimum<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.min_size(2));
    pool.start().await.expect("the minimum");
    pool.evict_all();
    if W::BACKGROUND {
        world
            .until("others are idle", || {
                pool.status().idle == 2 && control.closed().len() == 2
            })
            .await;
    } else {
        world.pause(1).await;
        assert_eq!(control.begun(Hook::Open), 2, "nobody does it");
        pool.start().await.expect("the minimum");
    }
    assert!(pool.acquire().await.expect("a new one").id > 2);
    world.ends_clean(&pool, &control).await;
}

async fn b07_an_invalid_value_is_closed_when_it_comes_back<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    let pool = world.pool(&control, |pool| pool.events(recorder.sink()));
    let mut leases = pool.acquire_many(2).await.expect("values");
    let mut stale = leases.pop().expect("one of two");
    let id = stale.id;
    stale.invalidate();
    assert_eq!((stale.id, pool.status().in_use), (id, 2), "usable as ever");
    drop(leases);
    drop(stale);
    assert_eq!(pool.status().idle, 1, "the other one is good");
    let mut owned = pool.acquire_owned().await.expect("the other one");
    assert_ne!(owned.id, id);
    owned.invalidate();
    drop(owned);
    assert_eq!(pool.acquire().await.expect("a new one").id, 3);
    world.ends_clean(&pool, &control).await;
    assert_eq!(recorder.count(|event| *event == EVICTED), 2);
}
