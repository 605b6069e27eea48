//! Values that come back broken, and closes that go wrong.

use futures::poll;
use tenure_core::{Ending, Why};

use super::probe::{Condition, Control, Hook, Step};
use super::recorder::{Happened, Recorder};
use super::{PoolWorld, assert_all_ended};

on_every_backend! {
    s10_broken_value_is_replaced_in_background,
    s10_broken_value_is_not_handed_out_again,
    s10_release_never_waits,
    s10_hanging_close_times_out_and_frees_its_slot,
    s10_hanging_close_holds_up_no_other,
    s10_failing_close_frees_its_slot,
    s10_a_close_that_a_waiter_needs_is_finished_before_it_takes_its_value,
    s10_a_close_never_outlasts_the_waiter_that_drives_it,
}

async fn s10_broken_value_is_replaced_in_background<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(1).min_size(1));
    pool.start().await.expect("the minimum");
    let mut lease = pool.acquire().await.expect("a value");
    lease.condition = Condition::Broken;
    drop(lease);
    if W::BACKGROUND {
        world
            .until("another value is idle", || pool.status().idle == 1)
            .await;
        assert_eq!(control.closed(), [1]);
        assert_eq!(control.opened(), 2);
    } else {
        world.pause(2).await;
        assert_eq!(pool.status().closing, 1, "until somebody needs the slot");
        assert_eq!(control.begun(Hook::Close), 0);
    }
    assert_eq!(pool.acquire().await.expect("a new value").id, 2);
    assert_eq!(control.closed(), [1]);
    world.ends_clean(&pool, &control).await;
}

async fn s10_broken_value_is_not_handed_out_again<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(2));
    for round in 1..=10 {
        let mut lease = pool.acquire().await.expect("a value");
        assert_eq!((lease.condition, lease.id), (Condition::Good, round));
        lease.condition = Condition::Broken;
    }
    assert!(control.most_taken() <= 2);
    world.ends_clean(&pool, &control).await;
}

/// A release is no future, so it can't await; nor does it meet a lock that somebody holds while they
/// open, check or close.
async fn s10_release_never_waits<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| {
        let pool = pool.max_size(8).check_every(world.tick() * 2);
        pool.check_timeout(None).close_timeout(None)
    });
    drop(pool.acquire().await.expect("a value"));
    control.script(Hook::Check, [Step::Hang]);
    if W::BACKGROUND {
        world
            .until("a check hangs", || control.running(Hook::Check) == 1)
            .await;
    }
    let mut leases = Vec::new();
    for _ in 0..5 {
        leases.push(pool.acquire().await.expect("a value"));
    }
    let mut next = || leases.pop().expect("one of five");
    control.always(Hook::Open, Step::Hang);
    control.always(Hook::Close, Step::Hang);
    let mut stranger = Box::pin(pool.acquire());
    assert!(poll!(stranger.as_mut()).is_pending());
    next().discard();
    world.pause(1).await;

    next().discard();
    next().condition = Condition::Broken;
    let mine = next().detach();
    drop(next());
    let status = pool.status();
    assert_eq!((status.closing, status.in_use), (3, 1), "{status}");
    drop(stranger.await.expect("what came back"));
    drop(mine);
    // Enough for the Runner to let go of what it checks, on a slow machine too.
    let report = pool.shutdown(world.tick() * 25).await;
    assert_eq!(report.still_in_use, 0, "{report}");
}

async fn s10_hanging_close_times_out_and_frees_its_slot<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    control.script(Hook::Close, [Step::Hang]);
    let limit = world.tick() * 3;
    let pool = world.pool(&control, |pool| {
        let pool = pool.max_size(1).close_timeout(limit);
        pool.events(recorder.sink())
    });
    let began_at = world.now();
    pool.acquire().await.expect("a value").discard();
    let lease = pool.acquire().await.expect("the slot is free again");
    assert_eq!(lease.id, 2);
    assert!(world.now() - began_at >= limit);
    assert_eq!(pool.audit().close_timed_out, 1);
    assert_eq!((control.cut_off(Hook::Close), control.live()), (1, 1));
    world
        .until("it was reported", || recorder.endings() == 1)
        .await;
    let ended = recorder.records().into_iter().find(|record| {
        matches!(
            record.happened,
            Happened::Ended(Ending::CloseTimedOut, Why::Broken, Some(_))
        )
    });
    assert!(ended.is_some(), "{:?}", recorder.happened());
    drop(lease);
    world.ends_clean(&pool, &control).await;
}

async fn s10_hanging_close_holds_up_no_other<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.script(Hook::Close, [Step::Hang]);
    let pool = world.pool(&control, |pool| pool.max_size(3).close_timeout(None));
    let (first, second) = futures::join!(pool.acquire(), pool.acquire());
    first.expect("a value").discard();
    if W::BACKGROUND {
        world
            .until("its close hangs", || control.running(Hook::Close) == 1)
            .await;
    }
    second.expect("a value").discard();
    let in_time = pool.shutdown(world.tick() * 4);
    if W::BACKGROUND {
        world
            .until("the other is closed", || control.closed() == [2])
            .await;
    }
    let report = in_time.await;
    assert_eq!(control.closed(), [2]);
    assert_eq!(report.close_timed_out, 1, "{report}");
    world
        .until("the Runner has let go of it", || control.live() == 0)
        .await;
    assert_all_ended(&pool, &control);
}

async fn s10_failing_close_frees_its_slot<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    control.script(Hook::Close, [Step::Fail("it would not")]);
    let pool = world.pool(&control, |pool| pool.max_size(1).events(recorder.sink()));
    pool.acquire().await.expect("a value").discard();
    assert_eq!(pool.acquire().await.expect("the slot").id, 2);
    assert_eq!(pool.audit().close_failed, 1);
    let error = Some("it would not".to_owned());
    let ended = Happened::Ended(Ending::CloseFailed, Why::Broken, error);
    world
        .until("it was reported", || recorder.happened().contains(&ended))
        .await;
    world.ends_clean(&pool, &control).await;
}

/// Without a Runner the waiter drives the close; what comes back meanwhile must not cut it off.
async fn s10_a_close_that_a_waiter_needs_is_finished_before_it_takes_its_value<W: PoolWorld>(
    world: W,
) {
    let control = Control::default();
    control.script(Hook::Close, [Step::Held]);
    let pool = world.pool(&control, |pool| pool.max_size(2).close_timeout(None));
    let (first, second) = futures::join!(pool.acquire(), pool.acquire());
    first.expect("a value").discard();
    let waiter = world.waiter(&pool).await;
    world
        .until("the close began", || control.running(Hook::Close) == 1)
        .await;
    drop(second);
    world.pause(1).await;
    assert_eq!(control.cut_off(Hook::Close), 0);
    control.let_go(Hook::Close, Step::Succeed);
    assert_eq!(waiter.await.expect("what came back"), 2);
    world
        .until("the close ended", || control.closed() == [1])
        .await;
    world.ends_clean(&pool, &control).await;
}

async fn s10_a_close_never_outlasts_the_waiter_that_drives_it<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.script(Hook::Open, [Step::Succeed]);
    if W::BACKGROUND {
        control.script(Hook::Open, [Step::Hang]);
    }
    control.script(Hook::Close, [Step::Hang]);
    let pool = world.pool(&control, |pool| pool.max_size(1).close_timeout(None));
    pool.acquire().await.expect("a value").discard();
    let limit = world.tick() * 2;
    let began_at = world.now();
    let waits = world.ends("the wait", pool.acquire_timeout(limit));
    assert!(waits.await.is_err());
    assert!(world.now() - began_at >= limit);
    if !W::BACKGROUND {
        assert_eq!(pool.audit().close_timed_out, 1);
        assert_eq!(pool.acquire().await.expect("the slot").id, 2);
    }
    let report = pool.shutdown(world.tick()).await;
    assert_eq!(report.still_in_use, 0, "{report}");
    world
        .until("the Runner has let go of it", || control.live() == 0)
        .await;
    assert_all_ended(&pool, &control);
}
