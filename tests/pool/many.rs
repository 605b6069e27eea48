//! Several values at once: all of them or none, and no two callers that wait for each other's part.

use std::pin::pin;
use std::task::Poll;

use futures::future::join_all;
use futures::poll;
use tenure_core::pool::CheckOnAcquire;
use tenure_core::{AcquireError, Retry};

use super::PoolWorld;
use super::probe::{Control, Hook, Step};
use crate::worlds::yield_now;

on_every_backend! {
    b06_many_takes_what_is_idle_and_opens_the_rest,
    b06_many_gets_all_or_none,
    b06_many_that_is_dropped_hands_on_what_it_had,
    b06_two_callers_who_want_all_never_deadlock,
    b06_many_are_served_in_their_turn,
    b06_more_than_there_may_be_are_refused_at_once,
    b06_none_are_had_at_once,
    b06_many_are_checked_each,
    b06_many_give_back_what_they_had_when_the_backend_is_down,
    b06_many_may_be_as_many_as_a_resize_allows,
}

async fn b06_many_takes_what_is_idle_and_opens_the_rest<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(5));
    drop(pool.acquire().await.expect("a value"));
    let leases = pool.acquire_many(3).await.expect("three values");
    let mut ids = Vec::from_iter(leases.iter().map(|lease| lease.id));
    ids.sort_unstable();
    assert_eq!(ids, [1, 2, 3]);
    assert_eq!(control.begun(Hook::Open), 3);
    let status = pool.status();
    assert_eq!((status.in_use, status.idle), (3, 0), "{status}");
    drop(leases);
    world.ends_clean(&pool, &control).await;
}

async fn b06_many_gets_all_or_none<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(3));
    let held = pool.acquire().await.expect("a value");
    let (limit, began_at) = (world.tick() * 2, world.now());
    let error = pool.acquire_many_timeout(3, limit).await;
    let error = error.expect_err("one of them is out");
    world.took(began_at, limit);
    let AcquireError::Exhausted { status, .. } = &error else {
        panic!("{error}");
    };
    assert!(status.audit.is_balanced(), "{}", status.audit);
    let status = pool.status();
    assert_eq!((status.in_use, status.waiting), (1, 0), "{status}");
    let two = pool.acquire_many(2).await.expect("the others are free");
    drop((held, two));
    world.ends_clean(&pool, &control).await;
}

async fn b06_many_that_is_dropped_hands_on_what_it_had<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(2));
    let mut held = pool.acquire_many(2).await.expect("all");
    let mut all = Box::pin(pool.acquire_many(2));
    assert!(poll!(all.as_mut()).is_pending());
    let mut one = pin!(pool.acquire());
    assert!(poll!(one.as_mut()).is_pending());
    let back = held.pop().map(|lease| lease.id);
    assert!(poll!(all.as_mut()).is_pending(), "it wants another");
    assert!(poll!(one.as_mut()).is_pending(), "it is not its turn");
    let status = pool.status();
    assert_eq!((status.in_use, status.waiting), (2, 2), "{status}");
    drop(all);
    let one = one.await.expect("what the other had");
    assert_eq!(Some(one.id), back);
    drop((one, held));
    world.ends_clean(&pool, &control).await;
}

async fn b06_two_callers_who_want_all_never_deadlock<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(3));
    let tasks = (0..2).map(|_| {
        let pool = pool.clone();
        world.task(async move {
            for turn in 0..40 {
                let mut leases = pool.acquire_many(3).await.expect("all, in time");
                assert_eq!(leases.len(), 3);
                yield_now().await;
                if turn % 8 == 0 {
                    leases.pop().expect("one of three").discard();
                }
                // They come back one by one.
                while leases.pop().is_some() {
                    yield_now().await;
                }
            }
        })
    });
    let tasks = Vec::from_iter(tasks);
    world.ends("the two", join_all(tasks)).await;
    assert!(control.most_taken() <= 3);
    world.ends_clean(&pool, &control).await;
}

async fn b06_many_are_served_in_their_turn<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(2));
    let mut held = pool.acquire_many(2).await.expect("all");
    let mut early = pin!(pool.acquire());
    let mut all = pin!(pool.acquire_many(2));
    let mut late = pin!(pool.acquire());
    assert!(poll!(early.as_mut()).is_pending());
    assert!(poll!(all.as_mut()).is_pending());
    assert!(poll!(late.as_mut()).is_pending());
    held.pop();
    let early = early.await.expect("it came first");
    held.pop();
    assert!(poll!(all.as_mut()).is_pending());
    assert!(poll!(late.as_mut()).is_pending(), "it came last");
    assert!(pool.try_acquire().is_none(), "past the queue");
    drop(early);
    let all = all.await.expect("both");
    assert!(poll!(late.as_mut()).is_pending());
    drop(all);
    drop(late.await.expect("in its turn"));
    world.ends_clean(&pool, &control).await;
}

async fn b06_more_than_there_may_be_are_refused_at_once<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.name("sessions").max_size(3));
    let Poll::Ready(Err(error)) = poll!(pin!(pool.acquire_many(4))) else {
        panic!("it is not refused at once");
    };
    assert!(
        matches!(
            &error,
            AcquireError::TooMany {
                wanted: 4,
                max_size: 3,
                ..
            }
        ),
        "{error}"
    );
    let line = error.to_string();
    assert_eq!(line, "pool sessions has 3 values at most, not 4");
    assert_eq!(control.begun(Hook::Open), 0);
    world.ends_clean(&pool, &control).await;
}

async fn b06_none_are_had_at_once<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(1));
    let held = pool.acquire().await.expect("a value");
    let Poll::Ready(Ok(none)) = poll!(pin!(pool.acquire_many(0))) else {
        panic!("there is nothing to wait for");
    };
    assert!(none.is_empty());
    drop((none, held));
    world.ends_clean(&pool, &control).await;
}

async fn b06_many_are_checked_each<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.script(Hook::Check, [Step::Fail("sick")]);
    let pool = world.pool(&control, |pool| {
        pool.check_every(None)
            .check_on_acquire(CheckOnAcquire::Always)
            .max_size(2)
    });
    let leases = pool.acquire_many(2).await.expect("two good ones");
    assert_eq!(leases.len(), 2);
    assert!(leases.iter().all(|lease| lease.uses() == 1));
    assert_eq!(control.begun(Hook::Check), 3);
    let [sick] = control.closed()[..] else {
        panic!("one was sick: {:?}", control.closed());
    };
    assert!(leases.iter().all(|lease| lease.id != sick));
    drop(leases);
    world.ends_clean(&pool, &control).await;
}

async fn b06_many_give_back_what_they_had_when_the_backend_is_down<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(2).retry(Retry::NEVER));
    drop(pool.acquire().await.expect("a value"));
    control.always(Hook::Open, Step::Fail("down"));
    let error = pool.acquire_many(2).await.expect_err("it is down");
    assert!(matches!(error, AcquireError::BackendDown { .. }), "{error}");
    assert_eq!(pool.status().idle, 1);
    assert_eq!(pool.try_acquire().expect("what it had").id, 1);
    world.ends_clean(&pool, &control).await;
}

async fn b06_many_may_be_as_many_as_a_resize_allows<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(1));
    assert!(pool.acquire_many(2).await.is_err());
    let held = pool.acquire().await.expect("a value");
    pool.resize(3).expect("a size that makes sense");
    let more = pool.acquire_many(2).await.expect("there is room now");
    drop((held, more));
    world.ends_clean(&pool, &control).await;
}
