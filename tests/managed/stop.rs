//! Shutdown: promise 4.

use std::time::Duration;

use futures::future::{join, join_all};
use futures::poll;
use tenure_core::{OpenError, State};

use super::probe::{Did, Gate, Hook, Step};
use super::{ManagedWorld, Rig};

on_every_backend! {
    promise4_shutdown_waits_for_calls_in_flight,
    promise4_shutdown_reports_what_is_still_in_use,
    promise4_shutdown_is_idempotent,
    promise4_concurrent_shutdowns_all_wait,
    promise4_a_cancelled_shutdown_can_be_called_again,
    promise4_a_shutdown_without_time_reports_that,
    promise4_a_close_that_a_waiter_drives_is_finished,
}

async fn promise4_shutdown_waits_for_calls_in_flight<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder);
    rig.open().await;
    let gate = Gate::new();
    let mut call = rig.hold(&gate);
    assert!(poll!(call.as_mut()).is_pending());
    let mut stop = Box::pin(rig.managed.shutdown(rig.ticks(4_000)));
    assert!(poll!(stop.as_mut()).is_pending());
    assert_eq!(rig.managed.state(), State::Closing, "at once");
    let late = rig.soon(rig.managed.get()).await;
    assert!(matches!(late, Err(OpenError::Closed { .. })), "{late:?}");
    rig.wait(3).await;
    assert!(poll!(stop.as_mut()).is_pending() && !rig.probe.did(Did::BeginClose(1)));
    gate.open();
    assert_eq!(rig.soon(call).await.expect("it finishes"), 1);
    let report = rig.soon(stop).await;
    assert!(report.is_clean() && report.closed == 1, "{report}");
    assert_eq!(report.name.as_str(), "probe");
    assert!(report.took >= Some(rig.ticks(3)), "{report}");
    assert_eq!(rig.managed.state(), State::Closed);
    rig.ends_well().await;
}

async fn promise4_shutdown_reports_what_is_still_in_use<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder);
    rig.open().await;
    let gate = Gate::new();
    let mut call = rig.hold(&gate);
    assert!(poll!(call.as_mut()).is_pending());
    let report = rig.soon(rig.managed.shutdown(rig.ticks(2))).await;
    assert_eq!((report.still_in_use, report.closed), (1, 0), "{report}");
    assert!(!report.is_clean() && report.to_string().contains("1 still in use"));
    assert!(report.took >= Some(rig.ticks(2)), "{report}");
    assert_eq!(rig.managed.state(), State::Closing);
    rig.assert_balanced();
    gate.open();
    rig.soon(call).await.expect("it finishes");
    let report = rig.soon(rig.managed.close()).await;
    assert!(
        report.is_clean() && report.closed == 1,
        "the whole of it: {report}"
    );
    rig.ends_well().await;
}

async fn promise4_shutdown_is_idempotent<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder);
    rig.open().await;
    let mut reports = Vec::new();
    for _ in 0..3 {
        let report = rig.soon(rig.managed.shutdown(rig.ticks(4_000))).await;
        reports.push(report.to_string());
        assert!(report.is_clean() && report.closed == 1, "{report}");
        rig.wait(2).await;
    }
    assert!(
        reports.iter().all(|report| *report == reports[0]),
        "{reports:?}"
    );
    assert_eq!(rig.probe.begun(Hook::Close), 1);
    rig.ends_well().await;
}

async fn promise4_concurrent_shutdowns_all_wait<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder.close_timeout(None));
    rig.open().await;
    let gate = Gate::new();
    rig.probe.next(Hook::Close, [Step::ok().at(&gate)]);
    let mut stops = Box::pin(join_all((0..5).map(|_| rig.managed.close())));
    assert!(poll!(stops.as_mut()).is_pending());
    rig.until("a close", || rig.probe.begun(Hook::Close) == 1)
        .await;
    assert!(poll!(stops.as_mut()).is_pending());
    gate.open();
    for report in rig.soon(stops).await {
        assert!(report.is_clean() && report.closed == 1, "{report}");
    }
    assert_eq!(rig.probe.begun(Hook::Close), 1);
    rig.ends_well().await;
}

async fn promise4_a_cancelled_shutdown_can_be_called_again<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder);
    rig.open().await;
    let gate = Gate::new();
    let mut call = rig.hold(&gate);
    assert!(poll!(call.as_mut()).is_pending());
    let mut stop = Box::pin(rig.managed.close());
    assert!(poll!(stop.as_mut()).is_pending());
    drop(stop);
    assert_eq!(rig.managed.state(), State::Closing, "there is no way back");
    gate.open();
    rig.soon(call).await.expect("it finishes");
    let report = rig.soon(rig.managed.close()).await;
    assert!(report.is_clean() && report.closed == 1, "{report}");
    rig.ends_well().await;
}

async fn promise4_a_shutdown_without_time_reports_that<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder);
    rig.open().await;
    let report = rig.soon(rig.managed.shutdown(Duration::ZERO)).await;
    let ended = report.closed + report.close_timed_out + report.abandoned;
    assert_eq!((ended, report.still_in_use), (1, 0), "{report}");
    rig.assert_balanced();
    assert_eq!(rig.managed.state(), State::Closed);
    rig.ends_well().await;
}

async fn promise4_a_close_that_a_waiter_drives_is_finished<W: ManagedWorld>(world: W) {
    let rig = Rig::without_runner(&world, |builder| builder);
    rig.open().await;
    rig.break_value().await;
    rig.probe
        .next(Hook::Close, [Step::ok().after(rig.ticks(2))]);
    // Before it may open a new value, it has to close the old one.
    let mut waiter = Box::pin(rig.managed.get());
    assert!(poll!(waiter.as_mut()).is_pending() && rig.probe.did(Did::BeginClose(1)));
    let both = join(waiter, rig.managed.shutdown(rig.ticks(4_000)));
    let (answer, report) = rig.soon(both).await;
    assert!(
        matches!(answer, Err(OpenError::Closed { .. })),
        "{answer:?}"
    );
    assert!(
        report.is_clean() && report.closed == 1,
        "there was time: {report}"
    );
    rig.ends_well().await;
}
