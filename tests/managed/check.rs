//! Checks that are asked for, and what they do to the state: S6 and B1.

use futures::poll;
use tenure_core::{CheckError, ErrorClass, State};

use super::probe::{Did, Gate, Hook, Step};
use super::{ManagedWorld, Rig};

on_every_backend! {
    s06_degraded_and_back_by_thresholds,
    s06_check_timeout_counts_as_failure,
    s06_never_reopened_if_so_built,
    s06_a_check_that_is_dropped_counts_as_none,
    s06_there_may_be_nothing_to_check,
    b01_late_check_of_an_old_value_changes_nothing,
}

async fn s06_degraded_and_back_by_thresholds<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| {
        builder.fail_after(2).recover_after(3).reopen_after(None)
    });
    rig.open().await;
    use State::{Degraded, Ready};
    for (place, (passes, state)) in [
        (false, Ready),
        (true, Ready),
        (false, Ready),
        (false, Degraded),
        (true, Degraded),
        (true, Degraded),
        (false, Degraded),
        (true, Degraded),
        (true, Degraded),
        (true, Ready),
        (false, Ready),
    ]
    .into_iter()
    .enumerate()
    {
        if !passes {
            rig.probe.next(Hook::Check, [Step::fail(ErrorClass::Retry)]);
        }
        let verdict = rig.soon(rig.managed.check()).await;
        assert_eq!(verdict.is_ok(), passes, "{place}");
        assert_eq!(rig.managed.state(), state, "{place}");
        assert!(rig.managed.is_usable(), "{place}");
        assert_eq!(rig.soon(rig.managed.get()).await.expect("it is open").id, 1);
    }
    rig.ends_well().await;
}

async fn s06_check_timeout_counts_as_failure<W: ManagedWorld>(world: W) {
    let limit = world.tick() * 2;
    let rig = Rig::new(&world, |builder| builder.check_timeout(limit));
    rig.open().await;
    rig.probe.next(Hook::Check, [Step::hang()]);
    let before = rig.now();
    let error = rig
        .soon(rig.managed.check())
        .await
        .expect_err("it is out of time");
    assert!(rig.now() - before >= limit);
    let CheckError::Failed { cause, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(cause.to_string(), format!("timed out after {limit:?}"));
    assert_eq!(rig.managed.state(), State::Degraded);
    assert!(rig.probe.did(Did::EndCheck(1)), "it is not left running");
    rig.ends_well().await;
}

async fn s06_never_reopened_if_so_built<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder.reopen_after(None));
    rig.open().await;
    rig.probe
        .always(Hook::Check, Step::fail(ErrorClass::Reconnect));
    for _ in 0..20 {
        assert!(rig.soon(rig.managed.check()).await.is_err());
        assert_eq!(rig.managed.state(), State::Degraded);
    }
    assert_eq!(rig.probe.begun(Hook::Open), 1);
    rig.ends_well().await;
}

async fn s06_a_check_that_is_dropped_counts_as_none<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder);
    rig.open().await;
    rig.probe.next(Hook::Check, [Step::hang()]);
    let mut check = Box::pin(rig.managed.check());
    assert!(poll!(check.as_mut()).is_pending());
    drop(check);
    assert_eq!(rig.managed.state(), State::Ready);
    assert!(rig.managed.last_error().is_none());
    assert!(rig.soon(rig.managed.check()).await.is_ok());
    rig.ends_well().await;
}

async fn s06_there_may_be_nothing_to_check<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder);
    let answer = rig.soon(rig.managed.check()).await;
    assert!(
        matches!(answer, Err(CheckError::NotOpen { .. })),
        "{answer:?}"
    );
    assert_eq!(rig.managed.state(), State::Uninitialized);
    assert_eq!(rig.probe.log(), [], "a check opens nothing");
    rig.ends_well().await;
}

async fn b01_late_check_of_an_old_value_changes_nothing<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder.fail_after(1));
    rig.open().await;
    let gate = Gate::new();
    rig.probe
        .next(Hook::Check, [Step::fail(ErrorClass::Retry).at(&gate)]);
    let mut late = Box::pin(rig.managed.check());
    assert!(poll!(late.as_mut()).is_pending());
    let breaks = rig.ask_beyond(1);
    assert_eq!(rig.soon(breaks).await.expect("the new value serves"), 2);
    let before = (rig.managed.last_error_at(), rig.managed.initialized_at());
    let said = rig.managed.last_error().map(|error| error.to_string());
    gate.open();
    assert!(
        rig.soon(late).await.is_err(),
        "whoever asked gets the verdict"
    );
    assert_eq!(
        rig.managed.state(),
        State::Ready,
        "but it is not the new value's"
    );
    let after = (rig.managed.last_error_at(), rig.managed.initialized_at());
    assert_eq!(after, before);
    assert_eq!(
        rig.managed.last_error().map(|error| error.to_string()),
        said
    );
    rig.ends_well().await;
}
