//! Looking through the idle values, and keeping some.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Context;

use futures::task::noop_waker;
use tenure_core::{Ending, Why};

use super::PoolWorld;
use super::probe::Control;
use super::recorder::{Happened, Recorder};

on_every_backend! {
    b07_retain_keeps_what_the_predicate_says,
    b07_retain_tells_how_old_a_value_is_and_how_often_it_was_lent,
    b07_retain_asks_about_idle_values_alone,
    b07_retain_runs_the_predicate_under_no_lock,
    b07_a_panic_in_the_predicate_loses_nothing,
    b07_retain_gives_what_it_keeps_to_who_waits,
    b07_retain_asks_nothing_of_a_closed_pool,
}

async fn b07_retain_keeps_what_the_predicate_says<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    let pool = world.pool(&control, |pool| pool.events(recorder.sink()));
    drop(pool.acquire_many(4).await.expect("values"));
    pool.retain(|value, _| value.id % 2 == 0);
    assert_eq!(pool.status().idle, 2, "{}", pool.status());
    let kept = [pool.try_acquire(), pool.try_acquire()];
    let mut ids = Vec::from_iter(kept.iter().flatten().map(|lease| lease.id));
    ids.sort_unstable();
    assert_eq!(ids, [2, 4]);
    drop(kept);
    world.ends_clean(&pool, &control).await;
    let ended = Happened::Ended(Ending::Closed, Why::NotRetained, None);
    assert_eq!(recorder.count(|event| *event == ended), 2);
}

async fn b07_retain_tells_how_old_a_value_is_and_how_often_it_was_lent<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool);
    let asked_at = world.now();
    let older = pool.acquire().await.expect("a value");
    world.pause(2).await;
    let younger = pool.acquire().await.expect("a value");
    drop(younger);
    drop(older);
    // The one that came back last is lent first.
    drop(pool.acquire().await.expect("the older"));
    world.pause(1).await;
    let mut told = Vec::new();
    pool.retain(|value, idle| {
        told.push((value.id, idle.uses, idle.age.expect("there is a clock")));
        true
    });
    told.sort_unstable();
    let [(1, 2, older), (2, 1, younger)] = told[..] else {
        panic!("{told:?}");
    };
    assert!(older >= world.tick() * 3 && older <= world.now() - asked_at);
    assert!(younger >= world.tick() && younger < older, "{told:?}");
    assert_eq!(pool.status().idle, 2);
    world.ends_clean(&pool, &control).await;
}

async fn b07_retain_asks_about_idle_values_alone<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool);
    let mut held = pool.acquire_many(2).await.expect("values");
    let in_use = held.pop().expect("one of two");
    drop(held);
    let mut asked = Vec::new();
    pool.retain(|value, _| {
        asked.push(value.id);
        false
    });
    assert_eq!(asked.len(), 1);
    assert_ne!(asked[0], in_use.id);
    let id = in_use.id;
    drop(in_use);
    assert_eq!(pool.try_acquire().expect("it was not asked about").id, id);
    world.ends_clean(&pool, &control).await;
}

async fn b07_retain_runs_the_predicate_under_no_lock<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool);
    drop(pool.acquire_many(3).await.expect("values"));
    let mut kept = 0;
    pool.retain(|_, _| {
        let status = pool.status();
        assert_eq!((status.checking, status.idle), (3 - kept, kept), "{status}");
        assert!(status.audit.is_balanced(), "{}", status.audit);
        // What was kept can be had again already, by the predicate too.
        assert_eq!(pool.try_acquire().is_some(), kept > 0);
        kept += 1;
        true
    });
    assert_eq!(pool.status().idle, 3);
    world.ends_clean(&pool, &control).await;
}

async fn b07_a_panic_in_the_predicate_loses_nothing<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool);
    drop(pool.acquire_many(4).await.expect("values"));
    let mut asked = Vec::new();
    let panics = catch_unwind(AssertUnwindSafe(|| {
        pool.retain(|value, _| {
            asked.push(value.id);
            assert!(asked.len() < 2, "the predicate panics");
            false
        });
    }));
    assert!(panics.is_err());
    // The first was refused, the second ends by the panic, and the others are kept unasked.
    let status = pool.status();
    assert_eq!((asked.len(), status.idle), (2, 2), "{status}");
    assert!(status.audit.is_balanced(), "{}", status.audit);
    assert_eq!(status.checking, 0, "{status}");
    let kept = pool.try_acquire().expect("the pool goes on");
    assert!(!asked.contains(&kept.id));
    drop(kept);
    world.ends_clean(&pool, &control).await;
}

async fn b07_retain_gives_what_it_keeps_to_who_waits<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(1));
    drop(pool.acquire().await.expect("a value"));
    let mut waiter = Box::pin(pool.acquire());
    let mut waits = false;
    pool.retain(|_, _| {
        // While it is asked about, the value is not idle.
        let waker = noop_waker();
        let mut context = Context::from_waker(&waker);
        waits = waiter.as_mut().poll(&mut context).is_pending();
        true
    });
    assert!(waits, "a value was lent while it was asked about");
    assert_eq!(pool.status().idle, 0, "{}", pool.status());
    let outcome = world.ends("the waiter", waiter).await;
    assert_eq!(outcome.expect("what was kept").id, 1);
    world.ends_clean(&pool, &control).await;
}

async fn b07_retain_asks_nothing_of_a_closed_pool<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool);
    drop(pool.acquire().await.expect("a value"));
    world.ends_clean(&pool, &control).await;
    pool.retain(|_, _| panic!("there is nothing to ask about"));
}
