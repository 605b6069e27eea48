//! A stop: what it refuses, whom it wakes, and how often it may be asked for.

use std::task::Poll;
use std::time::Duration;

use futures::{join, poll};
use tenure_core::AcquireError;

use super::probe::{Control, Hook, Step};
use super::recorder::{Happened, Recorder};
use super::{PoolWorld, assert_all_ended};

on_every_backend! {
    s11_stop_refuses_new_and_wakes_waiters_with_closed,
    s11_stop_calls_off_openings,
    s11_stop_calls_off_checks,
    s11_idempotent_concurrent_and_cancel_safe,
    s11_a_stop_that_is_cancelled_is_finished_by_the_next,
    s11_a_second_stop_may_have_less_time,
    s11_an_opening_that_ends_as_the_pool_stops_is_closed,
    s11_an_opening_that_fails_as_the_pool_stops_lets_it_end,
    b01_stop_of_what_never_started_runs_nothing,
}

async fn s11_stop_refuses_new_and_wakes_waiters_with_closed<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.name("the pool").max_size(1));
    let lease = pool.acquire().await.expect("a value");
    let (first, second) = (world.waiter(&pool).await, world.waiter(&pool).await);
    assert!(!pool.is_closed());
    let mut stop = Box::pin(pool.close());
    assert!(poll!(stop.as_mut()).is_pending());
    assert!(pool.is_closed());
    for waiter in [first, second] {
        let error = waiter.await.expect_err("the pool is closed");
        let AcquireError::Closed { pool: name } = &error else {
            panic!("{error}");
        };
        assert_eq!(name.as_str(), "the pool");
    }
    let refused = [
        pool.acquire().await.map(drop),
        pool.acquire_owned().await.map(drop),
        pool.acquire_timeout(world.tick()).await.map(drop),
        pool.start().await,
    ];
    for refusal in refused {
        assert!(matches!(refusal, Err(AcquireError::Closed { .. })));
    }
    assert!(pool.try_acquire().is_none());
    drop(lease);
    assert!(pool.try_acquire().is_none(), "it comes back to be closed");
    assert!(stop.await.is_clean());
    assert!(pool.acquire().await.is_err());
    assert_eq!(control.begun(Hook::Open), 1);
    assert_all_ended(&pool, &control);
}

async fn s11_stop_calls_off_openings<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.always(Hook::Open, Step::Hang);
    let pool = world.pool(&control, |pool| pool.max_size(2));
    let (first, second) = (world.waiter(&pool).await, world.waiter(&pool).await);
    world
        .until("both openings began", || control.running(Hook::Open) == 2)
        .await;
    let report = world.ends("the stop", pool.close()).await;
    assert!(report.is_clean(), "{report}");
    assert!(first.await.is_err() && second.await.is_err());
    assert_eq!(control.cut_off(Hook::Open), 2);
    assert_eq!(pool.audit().open_called_off, 2);
    assert_all_ended(&pool, &control);
}

async fn s11_stop_calls_off_checks<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.always(Hook::Check, Step::Hang);
    let pool = world.pool(&control, |pool| {
        pool.check_every(world.tick() * 2).check_timeout(None)
    });
    drop(pool.acquire().await.expect("a value"));
    if W::BACKGROUND {
        world
            .until("a check hangs", || control.running(Hook::Check) == 1)
            .await;
    }
    let report = world.ends("the stop", pool.close()).await;
    assert!(report.is_clean() && report.closed == 1, "{report}");
    assert_eq!(control.cut_off(Hook::Check), usize::from(W::BACKGROUND));
    assert_all_ended(&pool, &control);
}

async fn s11_idempotent_concurrent_and_cancel_safe<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.always(Hook::Close, Step::Held);
    let pool = world.pool(&control, |pool| pool.close_timeout(None));
    let lease = pool.acquire().await.expect("a value");
    drop(pool.acquire().await.expect("another"));

    let (mut first, mut second) = (Box::pin(pool.close()), Box::pin(pool.close()));
    let mut cancelled = Box::pin(pool.close());
    assert!(poll!(first.as_mut()).is_pending());
    assert!(poll!(cancelled.as_mut()).is_pending());
    assert!(poll!(second.as_mut()).is_pending());
    drop(cancelled);
    drop(lease);
    let lets_go = async {
        for _ in 0..2 {
            world
                .until("a close waits to go on", || control.begun(Hook::Close) == 2)
                .await;
            control.let_go(Hook::Close, Step::Succeed);
        }
    };
    let (first, second, ()) = join!(first, second, lets_go);
    let third = world.ends("the third", pool.close()).await;
    let fourth = pool.shutdown(Duration::ZERO).await;
    for report in [&first, &second, &third, &fourth] {
        assert!(report.is_clean() && report.closed == 2, "{report}");
        assert_eq!(report.took, first.took);
    }
    assert_all_ended(&pool, &control);
}

async fn s11_a_stop_that_is_cancelled_is_finished_by_the_next<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.script(Hook::Close, [Step::Held]);
    let pool = world.pool(&control, |pool| pool.close_timeout(None));
    drop(join!(pool.acquire(), pool.acquire()));
    let mut stop = Box::pin(pool.close());
    assert!(poll!(stop.as_mut()).is_pending());
    world
        .until("the closes began", || control.begun(Hook::Close) == 2)
        .await;
    drop(stop);
    assert!(pool.is_closed(), "it goes on closing");
    if W::BACKGROUND {
        control.let_go(Hook::Close, Step::Succeed);
    }
    let report = world.ends("the second stop", pool.close()).await;
    // Without a Runner the cancelled stop drove the close, which thus was cut off.
    let abandoned = u64::from(!W::BACKGROUND);
    assert_eq!(report.abandoned, abandoned, "{report}");
    assert_eq!(report.closed, 2 - abandoned, "{report}");
    assert_all_ended(&pool, &control);
}

async fn s11_a_second_stop_may_have_less_time<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool);
    let lease = pool.acquire().await.expect("a value");
    let mut patient = Box::pin(pool.close());
    assert!(poll!(patient.as_mut()).is_pending());
    let report = world.ends("the hasty", pool.shutdown(world.tick())).await;
    assert_eq!(report.still_in_use, 1, "{report}");
    assert!(poll!(patient.as_mut()).is_pending(), "it still waits");
    drop(lease);
    let report = world.ends("the patient", patient).await;
    assert!(report.is_clean() && report.closed == 1, "{report}");
    assert_all_ended(&pool, &control);
}

/// The value is there, but the pool was closed while it was on its way.
async fn s11_an_opening_that_ends_as_the_pool_stops_is_closed<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    control.script(Hook::Open, [Step::Held]);
    let pool = world.pool(&control, |pool| pool.events(recorder.sink()));
    let mut waiter = Box::pin(pool.acquire());
    assert!(poll!(waiter.as_mut()).is_pending());
    world
        .until("the opening began", || control.running(Hook::Open) == 1)
        .await;
    let mut stop = Box::pin(pool.close());
    // The opening is told before whoever drives it looks at the pool again.
    control.let_go(Hook::Open, Step::Succeed);
    let stopped = poll!(stop.as_mut());
    assert!(waiter.await.is_err() || control.opened() == 1);
    let report = match stopped {
        Poll::Ready(report) => report,
        Poll::Pending => world.ends("the stop", stop).await,
    };
    assert!(report.is_clean(), "{report}");
    assert_eq!(control.closed().len() as u64, control.opened());
    assert_all_ended(&pool, &control);
    let began = recorder.count(|event| matches!(event, Happened::OpenBegan(_)));
    assert_eq!(began, 1);
    world
        .until("what became of it was reported", || {
            let ends =
                |event: &Happened| matches!(event, Happened::Opened(_) | Happened::OpenCalledOff);
            recorder.count(ends) == 1
        })
        .await;
}

async fn s11_an_opening_that_fails_as_the_pool_stops_lets_it_end<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.script(Hook::Open, [Step::Held]);
    let pool = world.pool(&control, |pool| pool);
    let mut waiter = Box::pin(pool.acquire());
    assert!(poll!(waiter.as_mut()).is_pending());
    world
        .until("the opening began", || control.running(Hook::Open) == 1)
        .await;
    let mut stop = Box::pin(pool.close());
    control.let_go(Hook::Open, Step::Fail("down"));
    let stopped = poll!(stop.as_mut());
    assert!(waiter.await.is_err());
    let report = match stopped {
        Poll::Ready(report) => report,
        Poll::Pending => world.ends("the stop", stop).await,
    };
    assert!(report.is_clean(), "{report}");
    assert_all_ended(&pool, &control);
}

async fn b01_stop_of_what_never_started_runs_nothing<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool);
    let report = world.ends("the stop", pool.shutdown(world.tick())).await;
    assert!(report.is_clean() && report.closed == 0, "{report}");
    let (opened, closed) = (control.begun(Hook::Open), control.begun(Hook::Close));
    assert_eq!((opened, closed), (0, 0));
    world.ends_clean(&pool, &control).await;
}
