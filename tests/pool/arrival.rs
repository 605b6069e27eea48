//! Whichever comes first, and who may wait at all.

use std::pin::pin;
use std::task::Poll;

use futures::future::join_all;
use futures::poll;
use tenure_core::AcquireError;
use tenure_core::pool::IdleOrder;

use super::probe::{Control, Hook, Step};
use super::{PoolOf, PoolWorld};

on_every_backend! {
    b06_an_opening_beats_a_value_that_stays_out,
    b06_a_value_that_comes_back_beats_a_slow_opening,
    b06_a_spike_opens_one_for_each_up_to_the_maximum,
    b06_an_opening_outlives_its_cancelled_caller_and_its_hook_does_too,
    b06_a_detached_value_makes_room_for_who_waits,
    b06_no_more_wait_than_may,
    b06_who_is_served_at_once_does_not_wait,
    b06_the_latest_value_is_lent_first,
    b06_the_oldest_value_is_lent_first_where_that_is_asked_for,
}

async fn b06_an_opening_beats_a_value_that_stays_out<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(2));
    let held = pool.acquire().await.expect("a value");
    control.script(Hook::Open, [Step::Held]);
    let waiter = world.waiter(&pool).await;
    world
        .until("the opening began", || control.running(Hook::Open) == 1)
        .await;
    control.let_go(Hook::Open, Step::Succeed);
    assert_eq!(waiter.await.expect("what was opened"), 2);
    assert_eq!(held.id, 1);
    drop(held);
    world.ends_clean(&pool, &control).await;
}

/// The same with hooks: what comes back is cleaned up and made ready before it is lent.
async fn b06_a_value_that_comes_back_beats_a_slow_opening<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.hooked_pool(&control, |pool| pool.max_size(2));
    let held = pool.acquire().await.expect("a value");
    control.script(Hook::Open, [Step::Held]);
    let waiter = world.waiter(&pool).await;
    world
        .until("the opening began", || control.running(Hook::Open) == 1)
        .await;
    drop(held);
    if W::BACKGROUND {
        assert_eq!(waiter.await.expect("what came back"), 1);
        control.let_go(Hook::Open, Step::Succeed);
        world
            .until("the opening ended too", || pool.status().idle == 2)
            .await;
    } else {
        // The waiter is at its opening, and nobody else cleans up.
        control.let_go(Hook::Open, Step::Succeed);
        assert_eq!(waiter.await.expect("what was opened"), 2);
    }
    assert_eq!(control.begun(Hook::Open), 2);
    world.ends_clean(&pool, &control).await;
}

async fn b06_a_spike_opens_one_for_each_up_to_the_maximum<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.always(Hook::Open, Step::Held);
    let pool = world.pool(&control, |pool| pool.max_size(4));
    let mut waiters = Vec::new();
    for number in 1..=7 {
        waiters.push(world.waiter(&pool).await);
        let opening = number.min(4);
        world
            .until("each has its opening, up to the maximum", || {
                control.running(Hook::Open) == opening
            })
            .await;
    }
    for _ in 0..4 {
        control.let_go(Hook::Open, Step::Succeed);
    }
    for outcome in join_all(waiters).await {
        outcome.expect("a value");
    }
    assert_eq!(control.begun(Hook::Open), 4);
    world.ends_clean(&pool, &control).await;
}

async fn b06_an_opening_outlives_its_cancelled_caller_and_its_hook_does_too<W: PoolWorld>(
    world: W,
) {
    let control = Control::default();
    control.script(Hook::AfterOpen, [Step::Held]);
    let pool = world.hooked_pool(&control, |pool| pool);
    let caller = world.waiter(&pool).await;
    world
        .until("the value is open, and not ready", || {
            control.running(Hook::AfterOpen) == 1
        })
        .await;
    let status = pool.status();
    assert_eq!((status.opening, status.checking), (0, 1), "{status}");
    assert!(status.audit.is_balanced(), "{}", status.audit);
    drop(caller);
    world
        .until("the caller has left", || pool.status().waiting == 0)
        .await;
    if W::BACKGROUND {
        control.let_go(Hook::AfterOpen, Step::Succeed);
        world
            .until("the value is idle", || pool.status().idle == 1)
            .await;
        assert_eq!(pool.acquire().await.expect("the value").id, 1);
        assert_eq!(control.begun(Hook::Open), 1);
    } else {
        let audit = pool.audit();
        assert_eq!((audit.opened, audit.open_called_off), (1, 1), "{audit}");
        assert_eq!(audit.closing, 1, "nobody knows how far its hook came");
        assert_eq!(pool.acquire().await.expect("a new value").id, 2);
    }
    world.ends_clean(&pool, &control).await;
}

async fn b06_a_detached_value_makes_room_for_who_waits<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(1));
    let lease = pool.acquire().await.expect("a value");
    let waiter = world.waiter(&pool).await;
    let mine = lease.detach();
    assert_eq!(waiter.await.expect("a new value"), 2);
    assert_eq!((mine.id, pool.audit().detached), (1, 1));
    assert_eq!(pool.status().size, 1);
    drop(mine);
    world.ends_clean(&pool, &control).await;
}

async fn b06_no_more_wait_than_may<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| {
        pool.name("sessions").max_size(1).max_waiters(2)
    });
    let held = pool.acquire().await.expect("a value");
    let mut first = Box::pin(pool.acquire());
    let mut second = Box::pin(pool.acquire());
    assert!(poll!(first.as_mut()).is_pending());
    assert!(poll!(second.as_mut()).is_pending());
    for _ in 0..2 {
        let Poll::Ready(Err(error)) = poll!(pin!(pool.acquire())) else {
            panic!("it is not refused at once");
        };
        let AcquireError::QueueFull { status, .. } = &error else {
            panic!("{error}");
        };
        let stood = (status.waiting, status.in_use, status.idle);
        assert_eq!(stood, (2, 1, 0), "{status}");
        let line = error.to_string();
        assert!(
            line.starts_with("too many wait for pool sessions (1 of 1: "),
            "{line}"
        );
    }
    assert!(poll!(pin!(pool.acquire_owned())).is_ready());
    assert!(poll!(pin!(pool.acquire_many(1))).is_ready());
    drop(first);
    let mut third = pin!(pool.acquire());
    assert!(poll!(third.as_mut()).is_pending(), "there is room again");
    assert!(poll!(pin!(pool.acquire())).is_ready());
    drop(held);
    drop(second.await.expect("in its turn"));
    drop(third.await.expect("in its turn"));
    world.ends_clean(&pool, &control).await;
}

async fn b06_who_is_served_at_once_does_not_wait<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(3).max_waiters(1));
    // Openings are waited for, one after another.
    let leases = [
        pool.acquire().await.expect("a value"),
        pool.acquire().await.expect("a value"),
        pool.acquire().await.expect("a value"),
    ];
    drop(leases);
    let leases = join_all((0..3).map(|_| pool.acquire())).await;
    assert!(leases.iter().all(Result::is_ok), "{leases:?}");
    drop(leases);
    world.ends_clean(&pool, &control).await;
}

/// Takes three values, gives them back in another order, and says in which order they are lent then.
async fn order_of<W: PoolWorld>(pool: &PoolOf<W>) -> Vec<u64> {
    let mut leases = pool.acquire_many(3).await.expect("three values");
    leases.sort_by_key(|lease| lease.id);
    for back in [1, 1, 0] {
        drop(leases.remove(back));
    }
    let mut again = Vec::new();
    for _ in 0..3 {
        again.push(pool.try_acquire().expect("an idle value"));
    }
    again.iter().map(|lease| lease.id).collect()
}

async fn b06_the_latest_value_is_lent_first<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool);
    assert_eq!(order_of::<W>(&pool).await, [1, 3, 2]);
    world.ends_clean(&pool, &control).await;
}

async fn b06_the_oldest_value_is_lent_first_where_that_is_asked_for<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.idle_order(IdleOrder::OldestFirst));
    assert_eq!(order_of::<W>(&pool).await, [2, 3, 1]);
    world.ends_clean(&pool, &control).await;
}
