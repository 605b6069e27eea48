//! A stop waits for leases, closes what there is, and reports what it could not close.

use std::time::Duration;

use futures::{join, poll};
use tenure_core::{Ending, Why};

use super::probe::{Control, Hook, Step};
use super::recorder::{Happened, Recorder};
use super::{PoolWorld, assert_all_ended};

on_every_backend! {
    s11_waits_for_leases_until_the_deadline,
    s11_waits_no_longer_than_for_the_last_lease,
    s11_without_a_deadline_waits_for_every_lease,
    s11_idle_values_close_while_others_are_in_use,
    s11_a_value_detached_while_the_pool_drains_has_left,
    s11_closes_all_and_reports_what_was_not_closed,
    s11_one_failing_close_does_not_keep_others_from_closing,
    s11_values_close_side_by_side,
    s11_a_close_gets_no_more_time_than_the_stop,
    s11_without_time_everything_is_abandoned_and_reported,
    s11_a_value_back_after_the_deadline_is_closed_all_the_same,
}

async fn s11_waits_for_leases_until_the_deadline<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool);
    let lease = pool.acquire().await.expect("a value");
    let (limit, began_at) = (world.tick() * 3, world.now());
    let report = world.ends("the stop", pool.shutdown(limit)).await;
    let took = world.now() - began_at;
    assert!(took >= limit, "{took:?}");
    if W::VIRTUAL_TIME {
        assert!(took < limit + world.tick(), "{took:?}");
    }
    assert!(report.took.expect("there is a clock") >= limit);
    assert!(!report.is_clean());
    assert_eq!((report.still_in_use, report.closed), (1, 0), "{report}");
    assert_eq!(control.live(), 1, "its user still has it");
    assert_eq!(lease.id, 1);
}

async fn s11_waits_no_longer_than_for_the_last_lease<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool);
    let (first, second) = join!(pool.acquire(), pool.acquire());
    let gives_back = async {
        world.pause(1).await;
        drop(first);
        world.pause(1).await;
        assert_eq!(pool.status().in_use, 1);
        drop(second);
    };
    let hour = Duration::from_secs(3600);
    let began_at = world.now();
    let both = async { join!(pool.shutdown(hour), gives_back) };
    let (report, ()) = world.ends("the stop", both).await;
    assert!(world.now() - began_at >= world.tick() * 2);
    assert!(report.is_clean() && report.closed == 2, "{report}");
    assert_all_ended(&pool, &control);
}

async fn s11_without_a_deadline_waits_for_every_lease<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool);
    let lease = pool.acquire_owned().await.expect("a value");
    let stop = world.task({
        let pool = pool.clone();
        async move { pool.close().await }
    });
    if W::VIRTUAL_TIME {
        world.sleep(Duration::from_secs(24 * 3600)).await;
    } else {
        world.pause(3).await;
    }
    assert_eq!((control.live(), pool.is_closed()), (1, true));
    drop(lease);
    let report = world.ends("the stop", stop).await;
    assert!(report.is_clean() && report.closed == 1, "{report}");
    assert_all_ended(&pool, &control);
}

async fn s11_idle_values_close_while_others_are_in_use<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool);
    let lease = pool.acquire().await.expect("a value");
    drop(join!(pool.acquire(), pool.acquire()));
    let gives_back = async {
        world
            .until("the idle ones are closed", || control.closed().len() == 2)
            .await;
        assert_eq!(lease.id, 1);
        drop(lease);
    };
    let (report, ()) = join!(pool.close(), gives_back);
    assert!(report.is_clean() && report.closed == 3, "{report}");
    assert_eq!(control.closed().last(), Some(&1));
    assert_all_ended(&pool, &control);
}

async fn s11_a_value_detached_while_the_pool_drains_has_left<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool);
    let lease = pool.acquire().await.expect("a value");
    let mut stop = Box::pin(pool.close());
    assert!(poll!(stop.as_mut()).is_pending());
    drop(lease.detach());
    let report = world.ends("the stop", stop).await;
    assert!(report.is_clean(), "{report}");
    assert_all_ended(&pool, &control);
}

async fn s11_closes_all_and_reports_what_was_not_closed<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    let pool = world.pool(&control, |pool| {
        let pool = pool.name("four").close_timeout(world.tick() * 2);
        pool.events(recorder.sink())
    });
    let in_use = pool.acquire().await.expect("a value");
    drop(join!(pool.acquire(), pool.acquire(), pool.acquire()));
    let steps = [Step::Fail("it would not"), Step::Hang, Step::Succeed];
    control.script(Hook::Close, steps);
    let report = world
        .ends("the stop", pool.shutdown(world.tick() * 50))
        .await;
    assert!(!report.is_clean());
    let counts = [
        report.closed,
        report.close_failed,
        report.close_timed_out,
        report.abandoned,
        report.still_in_use,
    ];
    assert_eq!(counts, [1, 1, 1, 0, 1], "{report}");
    assert_eq!(report.name.as_str(), "four");
    let failures = Vec::from_iter(report.failures.iter().map(ToString::to_string));
    assert_eq!(failures.len(), 2, "{failures:?}");
    assert!(
        failures
            .iter()
            .any(|failure| failure.starts_with("close failed (shutdown): it would not"))
    );
    assert!(
        failures
            .iter()
            .any(|failure| failure.starts_with("close timed out (shutdown)"))
    );
    let line = report.to_string();
    for part in [
        "four: 1 closed",
        "1 failed to close",
        "1 timed out closing",
        "1 still in use",
    ] {
        assert!(line.contains(part), "{line}");
    }
    world
        .until("each ending was reported", || recorder.endings() == 3)
        .await;
    drop(in_use);
}

async fn s11_one_failing_close_does_not_keep_others_from_closing<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.script(Hook::Close, [Step::Fail("no"), Step::Panic]);
    let pool = world.pool(&control, |pool| pool.min_size(6));
    pool.start().await.expect("the minimum");
    let report = world.ends("the stop", pool.close()).await;
    assert_eq!((report.closed, report.close_failed), (4, 2), "{report}");
    assert_eq!(control.closed().len(), 4);
    assert_all_ended(&pool, &control);
}

async fn s11_values_close_side_by_side<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.always(Hook::Close, Step::Held);
    let pool = world.pool(&control, |pool| pool.min_size(5).close_timeout(None));
    pool.start().await.expect("the minimum");
    let lets_go = async {
        world
            .until("all five began", || control.running(Hook::Close) == 5)
            .await;
        for _ in 0..5 {
            control.let_go(Hook::Close, Step::Succeed);
        }
    };
    let (report, ()) = join!(pool.close(), lets_go);
    assert!(report.is_clean() && report.closed == 5, "{report}");
    assert_all_ended(&pool, &control);
}

async fn s11_a_close_gets_no_more_time_than_the_stop<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.always(Hook::Close, Step::Hang);
    let pool = world.pool(&control, |pool| pool.close_timeout(None));
    drop(pool.acquire().await.expect("a value"));
    // Enough for the close to begin, on a slow machine too.
    let (limit, began_at) = (world.tick() * 25, world.now());
    let report = world.ends("the stop", pool.shutdown(limit)).await;
    assert!(world.now() - began_at >= limit);
    assert_eq!(report.close_timed_out, 1, "{report}");
    assert_eq!(report.failures[0].ending, Ending::CloseTimedOut);
    world
        .until("the value is let go of", || control.live() == 0)
        .await;
    assert_eq!(control.cut_off(Hook::Close), 1);
    assert_all_ended(&pool, &control);
}

async fn s11_without_time_everything_is_abandoned_and_reported<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    control.always(Hook::Close, Step::Hang);
    let pool = world.pool(&control, |pool| {
        pool.min_size(3).close_timeout(None).events(recorder.sink())
    });
    pool.start().await.expect("the minimum");
    let report = world.ends("the stop", pool.shutdown(Duration::ZERO)).await;
    // A Runner on another thread may have begun to close some.
    let unclosed = report.abandoned + report.close_timed_out;
    assert_eq!((unclosed, report.failures.len()), (3, 3), "{report}");
    world
        .until("the values are let go of", || control.live() == 0)
        .await;
    let abandoned = control.abandoned();
    // One that the Runner had claimed, and not begun to close, is abandoned too, and counts as cut off.
    let claimed = abandoned.len() as u64 - report.abandoned;
    assert!(claimed <= report.close_timed_out, "{report}");
    assert!(abandoned.iter().all(|(_, why)| *why == Why::Shutdown));
    world
        .until("each ending was reported", || recorder.endings() == 3)
        .await;
    let said = Happened::Ended(Ending::Abandoned, Why::Shutdown, None);
    let told = recorder.count(|event| *event == said);
    assert_eq!(told as u64, report.abandoned);
    assert_all_ended(&pool, &control);
}

async fn s11_a_value_back_after_the_deadline_is_closed_all_the_same<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool);
    let lease = pool.acquire().await.expect("a value");
    let report = pool.shutdown(Duration::ZERO).await;
    assert_eq!(report.still_in_use, 1, "{report}");
    drop(lease);
    if W::BACKGROUND {
        world
            .until("the Runner closed it", || control.closed() == [1])
            .await;
    } else {
        assert_eq!(pool.status().closing, 1, "until somebody drives it");
    }
    let report = world.ends("the second stop", pool.close()).await;
    assert!(report.is_clean() && report.closed == 1, "{report}");
    assert_all_ended(&pool, &control);
}
