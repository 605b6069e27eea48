//! How long values live, and how often they are lent.

use std::collections::HashSet;
use std::time::Duration;

use futures::poll;
use tenure_core::pool::PoolBuilder;
use tenure_core::{Ending, LocalResource, Pool, Why};

use super::PoolWorld;
use super::probe::Control;
use super::recorder::{Happened, Recorder};

on_every_backend! {
    b07_no_value_lives_for_longer_than_it_may,
    b07_values_opened_together_end_apart,
    b07_a_value_in_use_is_closed_when_it_comes_back,
    b07_a_value_that_is_always_busy_ends_too,
    b07_the_minimum_is_renewed,
    b07_values_live_for_half_an_hour_by_default,
    b07_values_live_for_ever_where_that_is_asked_for,
    b07_no_value_is_lent_more_often_than_it_may,
    b07_a_value_that_nobody_came_for_was_not_lent,
    b07_a_lease_knows_the_age_of_its_value,
    b07_lifetimes_and_uses_are_above_zero,
}

const MINUTE: Duration = Duration::from_secs(60);
const TOO_OLD: Happened = Happened::Ended(Ending::Closed, Why::TooOld, None);

/// A pool that looks after nothing but how long its values live.
fn living<R: LocalResource>(pool: PoolBuilder<R>, longest: Duration) -> PoolBuilder<R> {
    pool.max_lifetime(longest).idle_timeout(None)
}

async fn b07_no_value_lives_for_longer_than_it_may<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    let longest = world.tick() * 8;
    let pool = world.pool(&control, |pool| {
        let pool = living(pool, longest).check_every(None);
        pool.events(recorder.sink())
    });
    drop(pool.acquire().await.expect("a value"));
    if W::BACKGROUND {
        world
            .until("it was closed", || recorder.endings() == 1)
            .await;
        let records = recorder.records();
        let at = |which: &Happened| {
            let record = records.iter().find(|record| record.happened == *which);
            record.and_then(|record| record.at).expect("it happened")
        };
        let lived = at(&TOO_OLD) - at(&Happened::Opened(1));
        assert!(lived >= longest - longest / 10, "{lived:?}");
        if W::VIRTUAL_TIME {
            assert!(lived <= longest + longest / 4, "{lived:?}");
        }
        assert_eq!(pool.acquire().await.expect("another").id, 2);
    } else {
        world.pause(12).await;
        // So short a life is looked at by whoever asks.
        assert_eq!(pool.acquire().await.expect("another").id, 2);
    }
    world.ends_clean(&pool, &control).await;
}

async fn b07_values_opened_together_end_apart<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    let longest = world.tick() * 8;
    let pool = world.pool(&control, |pool| {
        let pool = living(pool, longest).check_every(None);
        pool.events(recorder.sink())
    });
    let began_at = world.now();
    drop(pool.acquire_many(8).await.expect("values"));
    if W::BACKGROUND {
        world
            .until("all were closed", || recorder.endings() == 8)
            .await;
        let mut moments = HashSet::new();
        for record in recorder.records() {
            if record.happened == TOO_OLD {
                let at = record.at.expect("there is a clock");
                assert!(at - began_at >= longest - longest / 10);
                moments.insert(at);
            }
        }
        assert!(!moments.is_empty());
        if W::VIRTUAL_TIME {
            assert!(moments.len() > 1, "all of them ended at one instant");
        }
    } else {
        world.pause(12).await;
        assert_eq!((pool.status().idle, recorder.endings()), (8, 0));
    }
    world.ends_clean(&pool, &control).await;
}

async fn b07_a_value_in_use_is_closed_when_it_comes_back<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    let longest = world.tick() * 4;
    let pool = world.pool(&control, |pool| {
        let pool = living(pool, longest).check_every(None);
        pool.events(recorder.sink())
    });
    let lease = pool.acquire().await.expect("a value");
    world.pause(6).await;
    assert_eq!((lease.id, recorder.endings()), (1, 0), "it is in use");
    drop(lease);
    if W::BACKGROUND {
        if W::VIRTUAL_TIME {
            assert_eq!(pool.status().idle, 0, "{}", pool.status());
        }
        world
            .until("it was closed", || recorder.happened().contains(&TOO_OLD))
            .await;
        assert_eq!(pool.acquire().await.expect("another").id, 2);
    } else {
        assert_eq!(pool.acquire().await.expect("another").id, 2);
    }
    world.ends_clean(&pool, &control).await;
}

async fn b07_a_value_that_is_always_busy_ends_too<W: PoolWorld>(world: W) {
    let control = Control::default();
    let longest = world.tick() * 8;
    let pool = world.pool(&control, |pool| {
        living(pool, longest).check_every(None).max_size(1)
    });
    let (began_at, mut turns) = (world.now(), 0);
    loop {
        let lease = pool.acquire().await.expect("a value");
        if lease.id > 1 || turns == 40 {
            break;
        }
        world.pause(1).await;
        turns += 1;
    }
    if W::BACKGROUND && W::VIRTUAL_TIME {
        let at_most = longest + longest / 4 + world.tick();
        assert!(world.now() - began_at <= at_most, "after {turns} turns");
    }
    world
        .until("it was closed", || control.closed().contains(&1))
        .await;
    world.ends_clean(&pool, &control).await;
}

async fn b07_the_minimum_is_renewed<W: PoolWorld>(world: W) {
    let control = Control::default();
    let longest = world.tick() * 4;
    let pool = world.pool(&control, |pool| {
        living(pool, longest).check_every(None).min_size(2)
    });
    pool.start().await.expect("the minimum");
    if W::BACKGROUND {
        world
            .until("both have had their day", || {
                [1, 2].iter().all(|id| control.closed().contains(id))
            })
            .await;
        world
            .until("others are idle", || pool.status().idle == 2)
            .await;
    } else {
        world.pause(8).await;
        assert_eq!((pool.status().idle, control.opened()), (2, 2));
    }
    world.ends_clean(&pool, &control).await;
}

async fn b07_values_live_for_half_an_hour_by_default<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.idle_timeout(None));
    drop(pool.acquire().await.expect("a value"));
    if W::VIRTUAL_TIME && W::BACKGROUND {
        world.sleep(MINUTE * 26).await;
        assert_eq!(control.closed(), [], "it is not a tenth early yet");
        world.sleep(MINUTE * 5).await;
        assert_eq!(control.closed(), [1]);
    }
    world.ends_clean(&pool, &control).await;
}

async fn b07_values_live_for_ever_where_that_is_asked_for<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| {
        let pool = pool.idle_timeout(None).check_every(None);
        pool.max_lifetime(None)
    });
    drop(pool.acquire().await.expect("a value"));
    if W::VIRTUAL_TIME {
        world.sleep(MINUTE * 60 * 24 * 7).await;
    } else {
        world.pause(4).await;
    }
    assert_eq!(pool.acquire().await.expect("the value").id, 1);
    world.ends_clean(&pool, &control).await;
}

async fn b07_no_value_is_lent_more_often_than_it_may<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    let pool = world.pool(&control, |pool| {
        let pool = pool.max_size(1).max_uses(3);
        pool.events(recorder.sink())
    });
    for (id, uses) in [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2)] {
        let lease = pool.acquire().await.expect("a value");
        assert_eq!((lease.id, lease.uses()), (id, uses));
    }
    let used_up = Happened::Ended(Ending::Closed, Why::UsedUp, None);
    assert_eq!(recorder.count(|event| *event == used_up), 1);
    // Whoever waits is not lent what is used up either.
    let third = pool.acquire().await.expect("a value");
    let waiter = world.waiter(&pool).await;
    assert_eq!((third.id, third.uses()), (2, 3));
    drop(third);
    assert_eq!(waiter.await.expect("another value"), 3);
    world.ends_clean(&pool, &control).await;
}

async fn b07_a_value_that_nobody_came_for_was_not_lent<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(1).max_uses(2));
    let held = pool.acquire().await.expect("a value");
    let mut first = Box::pin(pool.acquire());
    let mut second = Box::pin(pool.acquire());
    assert!(poll!(first.as_mut()).is_pending());
    assert!(poll!(second.as_mut()).is_pending());
    drop(held);
    drop(first);
    drop(second);
    let lease = pool.try_acquire().expect("what they were handed");
    assert_eq!((lease.id, lease.uses()), (1, 2));
    drop(lease);
    world.ends_clean(&pool, &control).await;
}

async fn b07_a_lease_knows_the_age_of_its_value<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool);
    let asked_at = world.now();
    let lease = pool.acquire_owned().await.expect("a value");
    world.pause(2).await;
    let age = lease.age().expect("there is a clock");
    assert!(age >= world.tick() * 2, "{age:?}");
    assert!(age <= world.now() - asked_at, "{age:?}");
    drop(lease);
    let lease = pool.try_acquire().expect("the value");
    assert!(lease.age() >= Some(world.tick() * 2), "since it was opened");
    assert_eq!(lease.uses(), 2);
    drop(lease);
    world.ends_clean(&pool, &control).await;
}

async fn b07_lifetimes_and_uses_are_above_zero<W: PoolWorld>(world: W) {
    let refused = |set: fn(PoolBuilder<W::Probe>) -> PoolBuilder<W::Probe>| {
        let probe = world.probe(&Control::default());
        let error = world.build(set(Pool::builder(probe))).map(drop);
        error.expect_err("it makes no sense").to_string()
    };
    let said = refused(|pool| pool.max_lifetime(Duration::ZERO));
    assert_eq!(said, "`max_lifetime` (0ns) must be above zero");
    let said = refused(|pool| pool.max_uses(0));
    assert_eq!(said, "`max_uses` (0) must be at least 1");
    let said = refused(|pool| pool.max_waiters(0));
    assert_eq!(said, "`max_waiters` (0) must be at least 1");
    let said = refused(|pool| pool.hook_timeout(Duration::ZERO));
    assert_eq!(said, "`hook_timeout` (0ns) must be above zero");
    let said = refused(|pool| pool.leak_after(Duration::ZERO));
    assert_eq!(said, "`leak_after` (0ns) must be above zero");
}
