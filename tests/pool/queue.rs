//! Those who wait: their order, their hand-off, and what they leave behind.

use std::cell::RefCell;
use std::pin::pin;
use std::rc::Rc;

use futures::future::join_all;
use futures::poll;

use super::PoolWorld;
use super::probe::{Control, Hook, Step};
use crate::worlds::yield_now;

on_every_backend! {
    s10_first_come_first_served,
    s10_first_come_first_served_whichever_value_comes,
    s10_nobody_overtakes_those_who_wait,
    s10_a_value_handed_over_is_nobody_elses,
    s10_cancelled_waiter_passes_its_value_on,
    s10_cancelled_waiters_leave_no_trace,
    s10_waiter_takes_whichever_comes_first,
    s10_spike_opens_no_more_than_it_needs,
    s10_many_waiters_come_and_go,
}

async fn s10_first_come_first_served<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(1));
    let held = pool.acquire().await.expect("a value");
    let served = Rc::new(RefCell::new(Vec::new()));
    let mut tasks = Vec::new();
    for number in 0..8 {
        let (own, served) = (pool.clone(), served.clone());
        tasks.push(world.task(async move {
            let lease = own.acquire().await.expect("a value");
            served.borrow_mut().push(number);
            yield_now().await;
            drop(lease);
        }));
        world
            .until("the waiter stands in the queue", || {
                pool.status().waiting == number + 1
            })
            .await;
    }
    drop(held);
    join_all(tasks).await;
    assert_eq!(*served.borrow(), Vec::from_iter(0..8));
    world.ends_clean(&pool, &control).await;
}

/// A new value goes to the first of those who wait, as one that comes back does.
async fn s10_first_come_first_served_whichever_value_comes<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(2));
    let first = pool.acquire().await.expect("a value");
    control.always(Hook::Open, Step::Held);
    let mut early = pin!(pool.acquire());
    let mut late = pin!(pool.acquire());
    assert!(poll!(early.as_mut()).is_pending());
    assert!(poll!(late.as_mut()).is_pending());
    world
        .until("the opening began", || control.running(Hook::Open) == 1)
        .await;
    drop(first);
    assert!(poll!(late.as_mut()).is_pending(), "the late one overtakes");
    let early = early.await.expect("what came back");
    assert_eq!(early.id, 1);
    // Where the early one drove the opening, it is called off, and the late one begins anew.
    assert!(poll!(late.as_mut()).is_pending());
    world
        .until("an opening is under way", || {
            control.running(Hook::Open) == 1
        })
        .await;
    control.let_go(Hook::Open, Step::Succeed);
    assert_eq!(late.await.expect("what was opened").id, 2);
    drop(early);
    world.ends_clean(&pool, &control).await;
}

async fn s10_nobody_overtakes_those_who_wait<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(1));
    let held = pool.acquire().await.expect("a value");
    let mut first = pin!(pool.acquire());
    let mut second = pin!(pool.acquire());
    assert!(poll!(first.as_mut()).is_pending());
    assert!(poll!(second.as_mut()).is_pending());
    drop(held);
    assert!(pool.try_acquire().is_none(), "past the queue");
    let mut late = pin!(pool.acquire());
    assert!(poll!(late.as_mut()).is_pending());
    assert!(poll!(second.as_mut()).is_pending());
    drop(first.await.expect("the value"));
    assert!(pool.try_acquire().is_none(), "past the queue");
    assert!(poll!(late.as_mut()).is_pending());
    drop(second.await.expect("the value"));
    drop(late.await.expect("the value"));
    assert!(pool.try_acquire().is_some(), "nobody waits any more");
    world.ends_clean(&pool, &control).await;
}

async fn s10_a_value_handed_over_is_nobody_elses<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(1));
    let held = pool.acquire().await.expect("a value");
    let mut waiter = pin!(pool.acquire());
    assert!(poll!(waiter.as_mut()).is_pending());
    drop(held);
    // The only waiter has been answered, so nobody waits; but the value is spoken for.
    assert_eq!(pool.status().waiting, 0);
    assert!(pool.try_acquire().is_none());
    let status = pool.status();
    assert_eq!((status.idle, status.in_use), (0, 1), "{status}");
    assert_eq!(waiter.await.expect("the value").id, 1);
    world.ends_clean(&pool, &control).await;
}

async fn s10_cancelled_waiter_passes_its_value_on<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(1));
    let held = pool.acquire().await.expect("a value");
    let mut first = Box::pin(pool.acquire());
    let mut second = Box::pin(pool.acquire());
    let mut third = Box::pin(pool.acquire());
    assert!(poll!(first.as_mut()).is_pending());
    assert!(poll!(second.as_mut()).is_pending());
    assert!(poll!(third.as_mut()).is_pending());
    drop(held);
    drop(first);
    drop(second);
    assert_eq!(third.await.expect("what the others had").id, 1);
    assert_eq!(control.begun(Hook::Open), 1);

    let held = pool.acquire().await.expect("the value");
    let mut last = Box::pin(pool.acquire());
    assert!(poll!(last.as_mut()).is_pending());
    drop(held);
    drop(last);
    assert_eq!(pool.status().idle, 1, "nobody is left to take it");
    assert!(pool.try_acquire().is_some());
    world.ends_clean(&pool, &control).await;
}

async fn s10_cancelled_waiters_leave_no_trace<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(1));
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0]] {
        let held = pool.acquire().await.expect("the value");
        let mut waiters = Vec::from_iter((0..3).map(|_| Some(Box::pin(pool.acquire()))));
        for waiter in waiters.iter_mut().flatten() {
            assert!(poll!(waiter.as_mut()).is_pending());
        }
        for (gone, number) in order.into_iter().enumerate() {
            assert_eq!(pool.status().waiting, 3 - gone);
            waiters[number] = None;
        }
        assert_eq!(pool.status().waiting, 0);
        drop(held);
        assert!(pool.try_acquire().is_some(), "in order {order:?}");
    }
    assert_eq!(control.begun(Hook::Open), 1);
    world.ends_clean(&pool, &control).await;
}

async fn s10_waiter_takes_whichever_comes_first<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(2));
    let held = pool.acquire().await.expect("a value");
    control.script(Hook::Open, [Step::Held]);
    let waiter = world.waiter(&pool).await;
    world
        .until("the opening began", || control.running(Hook::Open) == 1)
        .await;
    drop(held);
    assert_eq!(waiter.await.expect("what came back"), 1);
    if W::BACKGROUND {
        control.let_go(Hook::Open, Step::Succeed);
        world
            .until("the opening ended too", || pool.status().idle == 2)
            .await;
    } else {
        world
            .until("its own opening is off", || {
                control.cut_off(Hook::Open) == 1
            })
            .await;
    }
    world.ends_clean(&pool, &control).await;
}

async fn s10_spike_opens_no_more_than_it_needs<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(10));
    let held = pool.acquire().await.expect("a value");
    control.always(Hook::Open, Step::Held);
    let mut waiters = Vec::new();
    for _ in 0..3 {
        waiters.push(world.waiter(&pool).await);
    }
    world
        .until("each has its opening", || control.running(Hook::Open) == 3)
        .await;
    drop(held);
    // What the first got comes back, and serves the others one by one.
    for waiter in waiters {
        assert_eq!(waiter.await.expect("what came back"), 1);
    }
    world.pause(1).await;
    assert_eq!(control.begun(Hook::Open), 4);
    control.always(Hook::Open, Step::Succeed);
    world.ends_clean(&pool, &control).await;
}

async fn s10_many_waiters_come_and_go<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(2));
    let held = [pool.acquire().await, pool.acquire().await];
    let mut waiters = Vec::new();
    for _ in 0..50 {
        let mut waiter = Box::pin(pool.acquire());
        assert!(poll!(waiter.as_mut()).is_pending());
        waiters.push(waiter);
    }
    drop(held);
    let mut served = 0;
    for (number, mut waiter) in waiters.into_iter().enumerate() {
        match number % 3 {
            0 => drop(waiter),
            1 => {
                let _ = poll!(waiter.as_mut());
                served += 1;
            }
            _ => {
                drop(waiter.await.expect("a value"));
                served += 1;
            }
        }
        assert!(pool.audit().is_balanced(), "{}", pool.audit());
    }
    assert_eq!(served, 33);
    let status = pool.status();
    assert_eq!((status.idle, status.waiting), (2, 0), "{status}");
    world.ends_clean(&pool, &control).await;
}
