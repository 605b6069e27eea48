//! Every way in which a value ends: promise 3.

use std::time::Duration;

use futures::poll;
use tenure_core::{Ending, ErrorClass, State, Why};

use super::probe::{Did, Hook, Step};
use super::{ManagedWorld, Rig, soon};

on_every_backend! {
    promise3_a_close_that_fails_or_panics_is_counted,
    promise3_a_close_that_hangs_is_cut_off,
    promise3_a_close_outlasts_no_shutdown,
    promise3_a_close_that_was_dropped_counts_as_abandoned,
    promise3_a_runner_that_ends_loses_no_value,
    promise3_the_last_handle_ends_an_opening_too,
}

/// Where time is virtual, with the numbers that users meet.
mod in_virtual_time {
    use super::*;

    where_time_is_virtual! {
        promise3_a_close_gets_five_seconds_by_default,
    }

    async fn promise3_a_close_gets_five_seconds_by_default<W: ManagedWorld>(world: W) {
        let rig = Rig::new(&world, |builder| builder);
        rig.open().await;
        rig.probe.next(Hook::Close, [Step::hang()]);
        let report = rig.managed.shutdown(Duration::from_secs(30)).await;
        assert_eq!(report.close_timed_out, 1, "{report}");
        assert_eq!(report.took, Some(Duration::from_secs(5)), "{report}");
        rig.ends_well().await;
    }
}

async fn promise3_a_close_that_fails_or_panics_is_counted<W: ManagedWorld>(world: W) {
    for (step, said) in [
        (Step::fail(ErrorClass::Retry), "refused (Retry)"),
        (Step::panic(), "panicked: as the script says"),
    ] {
        let rig = Rig::new(&world, |builder| builder);
        rig.open().await;
        rig.probe.next(Hook::Close, [step]);
        let report = rig.soon(rig.managed.close()).await;
        assert_eq!((report.close_failed, report.closed), (1, 0), "{report}");
        let [failure] = &report.failures[..] else {
            panic!("{report:?}");
        };
        assert_eq!(
            (failure.ending, failure.why),
            (Ending::CloseFailed, Why::Shutdown)
        );
        let cause = failure.cause.as_ref().expect("it said something");
        assert_eq!(cause.to_string(), said);
        assert_eq!(rig.probe.begun(Hook::Close), 1, "a close is not retried");
        assert_eq!(rig.managed.audit().close_failed, 1);
        rig.ends_well().await;
    }
}

async fn promise3_a_close_that_hangs_is_cut_off<W: ManagedWorld>(world: W) {
    let limit = world.tick() * 2;
    let rig = Rig::new(&world, |builder| builder.close_timeout(limit));
    rig.open().await;
    rig.probe.next(Hook::Close, [Step::hang()]);
    let report = rig.soon(rig.managed.close()).await;
    assert_eq!((report.close_timed_out, report.closed), (1, 0), "{report}");
    assert!(report.took >= Some(limit), "{report}");
    assert!(rig.probe.did(Did::EndClose(1)), "it is not left running");
    assert_eq!(rig.managed.state(), State::Closed);
    rig.ends_well().await;
}

async fn promise3_a_close_outlasts_no_shutdown<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder.close_timeout(None));
    rig.open().await;
    rig.probe.next(Hook::Close, [Step::hang()]);
    let report = rig.soon(rig.managed.shutdown(rig.ticks(4))).await;
    assert!(!report.is_clean() && report.closed == 0, "{report}");
    let ended = report.close_timed_out + report.abandoned;
    assert_eq!(ended, 1, "{report}");
    rig.assert_balanced();
    rig.until_state(State::Closed).await;
    // A Runner hears of it, and lets go of the close as well.
    rig.until("the value dropped", || rig.probe.alive() == 0)
        .await;
    rig.ends_well().await;
}

async fn promise3_a_close_that_was_dropped_counts_as_abandoned<W: ManagedWorld>(world: W) {
    let rig = Rig::without_runner(&world, |builder| builder);
    rig.open().await;
    rig.probe.next(Hook::Close, [Step::hang()]);
    let mut stop = Box::pin(rig.managed.close());
    assert!(poll!(stop.as_mut()).is_pending());
    assert_eq!(rig.managed.audit().closing, 1);
    drop(stop);
    assert_eq!(rig.managed.audit().abandoned, 1);
    rig.assert_balanced();
    let report = rig.soon(rig.managed.close()).await;
    assert_eq!((report.abandoned, report.closed), (1, 0), "{report}");
    rig.ends_well().await;
}

async fn promise3_a_runner_that_ends_loses_no_value<W: ManagedWorld>(world: W) {
    let (rig, runner) = Rig::with_runner(&world, |builder| builder.close_timeout(None));
    let mut work = Box::pin(runner.run());
    let mut open = Box::pin(rig.managed.open());
    while poll!(open.as_mut()).is_pending() {
        assert!(poll!(work.as_mut()).is_pending());
    }
    drop(open);
    rig.break_value().await;
    rig.probe.next(Hook::Close, [Step::hang()]);
    assert!(poll!(work.as_mut()).is_pending() && rig.probe.did(Did::BeginClose(1)));
    drop(work);
    assert_eq!(rig.managed.audit().abandoned, 1);
    rig.assert_balanced();
    assert_eq!(rig.soon(rig.managed.get()).await.expect("it opens").id, 2);
    rig.ends_well().await;
}

async fn promise3_the_last_handle_ends_an_opening_too<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder);
    rig.probe.always(Hook::Open, Step::hang());
    let mut open = Box::pin(rig.managed.open());
    assert!(poll!(open.as_mut()).is_pending());
    rig.until("an opening", || rig.probe.begun(Hook::Open) == 1)
        .await;
    let mut watch = rig.managed.watch();
    drop(open);
    let Rig { managed, probe, .. } = rig;
    drop(managed);
    let mut last = None;
    while let Some(change) = soon(&world, watch.changed()).await {
        last = Some(change.to);
    }
    assert_eq!(last, Some(State::Closed));
    assert_eq!(probe.opened(), 0);
}
