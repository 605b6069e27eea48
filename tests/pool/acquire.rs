//! Taking a value: the maximum, the time it may take, and what becomes of an opening.

use std::pin::pin;

use futures::future::join_all;
use futures::{join, poll};
use tenure_core::AcquireError;

use super::probe::{Condition, Control, Hook, Step};
use super::{PoolWorld, assert_all_ended};
use crate::worlds::yield_now;

on_every_executor! {
    s09_strict_maximum_under_contention,
    s09_values_being_closed_count_for_the_maximum,
    s09_acquire_timeout_covers_waiting_and_opening,
    s09_acquire_timeout_covers_an_opening_that_hangs,
    s09_acquire_timeout_of_the_pool_applies,
    s09_an_idle_value_needs_no_time,
    s09_trying_takes_what_is_idle_and_opens_nothing,
    s09_a_used_value_is_used_again,
    p01_an_opening_outlives_its_cancelled_caller,
    p01_an_opening_outlives_the_timeout_of_its_caller,
    p02_an_acquire_dropped_at_any_await_loses_nothing,
}

async fn s09_strict_maximum_under_contention<W: PoolWorld>(world: W) {
    const MAX: usize = 3;
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(MAX));
    let tasks = (0..24).map(|task| {
        let pool = pool.clone();
        world.task(async move {
            for turn in 0..8 {
                let mut lease = pool.acquire().await.expect("a value in time");
                let (status, audit) = (pool.status(), pool.audit());
                assert!(status.size <= MAX && status.in_use <= MAX, "{status}");
                assert!(audit.is_balanced(), "{audit}");
                if (task + turn) % 5 == 0 {
                    lease.condition = Condition::Broken;
                }
                yield_now().await;
            }
        })
    });
    join_all(tasks.collect::<Vec<_>>()).await;
    assert!(
        control.most_taken() <= MAX,
        "{} at once",
        control.most_taken()
    );
    world.ends_clean(&pool, &control).await;
}

async fn s09_values_being_closed_count_for_the_maximum<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.always(Hook::Close, Step::Held);
    let pool = world.pool(&control, |pool| pool.max_size(1).close_timeout(None));
    pool.acquire().await.expect("a value").discard();
    let waiter = world.waiter(&pool).await;
    world
        .until("the close began", || control.running(Hook::Close) == 1)
        .await;
    world.pause(1).await;
    assert_eq!(control.begun(Hook::Open), 1, "the slot is not free yet");
    assert_eq!(pool.status().closing, 1);
    control.let_go(Hook::Close, Step::Succeed);
    assert_eq!(waiter.await.expect("a value"), 2);
    control.always(Hook::Close, Step::Succeed);
    world.ends_clean(&pool, &control).await;
}

async fn s09_acquire_timeout_covers_waiting_and_opening<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(1));
    let lease = pool.acquire().await.expect("a value");
    control.always(Hook::Open, Step::Hang);
    let limit = world.tick() * 6;
    let began_at = world.now();
    let frees_the_slot_half_way = async {
        world.pause(3).await;
        lease.discard();
    };
    let (outcome, ()) = join!(pool.acquire_timeout(limit), frees_the_slot_half_way);
    let took = world.now() - began_at;
    let Err(AcquireError::OpenPending { waited, .. }) = outcome else {
        panic!("a value came out of an opening that hangs: {outcome:?}");
    };
    assert!(took >= limit && waited >= limit, "{took:?}, {waited:?}");
    if W::VIRTUAL_TIME {
        assert!(took < limit + world.tick(), "the opening had its own time");
    }
    world.ends_clean(&pool, &control).await;
}

async fn s09_acquire_timeout_covers_an_opening_that_hangs<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.always(Hook::Open, Step::Hang);
    let pool = world.pool(&control, |pool| pool);
    let limit = world.tick() * 2;
    let began_at = world.now();
    let outcome = pool.acquire_timeout(limit).await;
    let Err(AcquireError::OpenPending { waited, status, .. }) = outcome else {
        panic!("a value came out of an opening that hangs: {outcome:?}");
    };
    assert!(waited >= limit && world.now() - began_at >= limit);
    assert!(
        status.opening > 0 && status.opening == status.size,
        "{status}"
    );
    world.ends_clean(&pool, &control).await;
}

async fn s09_acquire_timeout_of_the_pool_applies<W: PoolWorld>(world: W) {
    let control = Control::default();
    let limit = world.tick() * 2;
    let pool = world.pool(&control, |pool| pool.max_size(1).acquire_timeout(limit));
    // An opening may need more time where that is real.
    let held = pool.acquire_timeout(world.tick() * 1_000).await;
    let held = held.expect("a value");
    let began_at = world.now();
    assert!(pool.acquire().await.is_err());
    assert!(pool.acquire_owned().await.is_err());
    assert!(world.now() - began_at >= limit * 2);
    drop(held);
    assert!(pool.acquire().await.is_ok());
    world.ends_clean(&pool, &control).await;
}

async fn s09_an_idle_value_needs_no_time<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool);
    drop(pool.acquire().await.expect("a value"));
    let zero = std::time::Duration::ZERO;
    assert_eq!(pool.acquire_timeout(zero).await.expect("the value").id, 1);
    let owned = pool.acquire_owned_timeout(zero).await;
    assert_eq!(owned.expect("the value").id, 1);
    world.ends_clean(&pool, &control).await;
}

async fn s09_trying_takes_what_is_idle_and_opens_nothing<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool);
    assert!(pool.try_acquire().is_none());
    world.pause(1).await;
    assert_eq!(control.begun(Hook::Open), 0);
    drop(pool.acquire().await.expect("a value"));
    let taken = pool.try_acquire().expect("the idle value");
    assert!(pool.try_acquire().is_none());
    drop(taken);
    world.ends_clean(&pool, &control).await;
}

async fn s09_a_used_value_is_used_again<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool);
    for _ in 0..100 {
        assert_eq!(pool.acquire().await.expect("the value").id, 1);
    }
    assert_eq!(control.begun(Hook::Open), 1);
    world.ends_clean(&pool, &control).await;
}

async fn p01_an_opening_outlives_its_cancelled_caller<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.script(Hook::Open, [Step::Held]);
    let pool = world.pool(&control, |pool| pool);
    let caller = world.waiter(&pool).await;
    world
        .until("the opening began", || control.running(Hook::Open) == 1)
        .await;
    drop(caller);
    world
        .until("the caller has left", || pool.status().waiting == 0)
        .await;
    if W::BACKGROUND {
        control.let_go(Hook::Open, Step::Succeed);
        world
            .until("the value is idle", || pool.status().idle == 1)
            .await;
        assert_eq!(pool.acquire().await.expect("the value").id, 1);
        assert_eq!(control.begun(Hook::Open), 1);
    } else {
        assert_eq!(control.cut_off(Hook::Open), 1);
        assert_eq!(pool.audit().open_called_off, 1);
        assert_eq!(pool.acquire().await.expect("a new opening").id, 1);
        assert_eq!(control.begun(Hook::Open), 2);
    }
    world.ends_clean(&pool, &control).await;
}

async fn p01_an_opening_outlives_the_timeout_of_its_caller<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.script(Hook::Open, [Step::Held]);
    let pool = world.pool(&control, |pool| pool.max_size(1));
    let patient = world.waiter(&pool).await;
    world
        .until("the opening began", || control.running(Hook::Open) == 1)
        .await;
    assert!(pool.acquire_timeout(world.tick()).await.is_err());
    control.let_go(Hook::Open, Step::Succeed);
    assert_eq!(patient.await.expect("the value"), 1);
    world.ends_clean(&pool, &control).await;
}

/// Whatever await an acquire is dropped at: waiting, driving an opening, driving a close, or with a
/// value already handed over.
async fn p02_an_acquire_dropped_at_any_await_loses_nothing<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(1));
    for polls in 0..12 {
        for ends_with in [Condition::Good, Condition::Broken] {
            let slow = Step::Slow(world.tick() / 8);
            control.always(Hook::Open, slow);
            control.always(Hook::Close, slow);
            {
                let mut acquire = pin!(pool.acquire());
                for _ in 0..polls {
                    if let std::task::Poll::Ready(lease) = poll!(acquire.as_mut()) {
                        lease.expect("a value").condition = ends_with;
                        break;
                    }
                    world.sleep(world.tick() / 16).await;
                }
            }
            let audit = pool.audit();
            assert!(audit.is_balanced(), "after {polls} polls: {audit}");
            let mut lease = pool.acquire().await.expect("the slot is not lost");
            lease.condition = ends_with;
        }
    }
    assert!(control.most_taken() <= 1);
    pool.close().await;
    assert_all_ended(&pool, &control);
}
