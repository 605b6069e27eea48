//! What the error of a call tells: S5, B2 and promise 7.

use std::error::Error;
use std::future::{pending, ready};
use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use tenure_core::retry::Ended;
use tenure_core::{CallOptions, ErrorClass, OpenError, StopReason};

use super::probe::{Hook, Refused, Step};
use super::{ManagedWorld, Rig, every};

on_every_backend! {
    s05_error_tells_attempts_elapsed_operation_cause,
    s05_a_timeout_does_not_hide_what_the_operation_said,
    s05_a_failed_reopening_does_not_hide_what_the_operation_said,
    s05_an_opening_that_failed_is_not_retried_by_the_call,
    s05_a_panic_goes_to_the_caller,
    b02_history_tells_every_attempt,
}

async fn s05_error_tells_attempts_elapsed_operation_cause<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder.name("users"));
    let user = 7;
    let named = CallOptions::named(format!("load user {user}"));
    let error = rig.soon(rig.refused(named, ErrorClass::Retry)).await;
    let error = error.expect_err("it is refused");
    assert_eq!(error.operation(), "load user 7");
    assert_eq!(
        (error.attempts(), error.reason()),
        (4, StopReason::Attempts)
    );
    assert!(error.elapsed() >= rig.ticks(3));
    assert!(error.was_begun() && !error.is_timeout() && error.open_error().is_none());
    let refused = Refused(ErrorClass::Retry);
    assert_eq!(error.downcast_ref::<Refused>(), Some(&refused));
    let cause = error.cause().expect("it answered");
    assert_eq!(cause.to_string(), refused.to_string());
    let source = error.source().expect("it has a source");
    assert_eq!(source.downcast_ref::<Refused>(), Some(&refused));
    let text = error.to_string();
    for part in ["users", "load user 7", "4 attempts", "no retries are left"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    rig.ends_well().await;
}

async fn s05_a_timeout_does_not_hide_what_the_operation_said<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder);
    rig.open().await;
    let mut first = true;
    let options = CallOptions::named("ask").deadline(rig.ticks(100));
    let call = rig.run(options, |_| {
        if std::mem::take(&mut first) {
            Box::pin(ready(Err(Refused(ErrorClass::Retry))))
        } else {
            Box::pin(pending())
        }
    });
    let error = rig.soon(call).await.expect_err("it is out of time");
    assert!(error.is_timeout());
    let said = Refused(ErrorClass::Retry);
    assert_eq!(error.downcast_ref::<Refused>(), Some(&said));
    rig.ends_well().await;
}

async fn s05_a_failed_reopening_does_not_hide_what_the_operation_said<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder);
    rig.probe.next(Hook::Open, [Step::ok()]);
    rig.probe.always(Hook::Open, Step::fail(ErrorClass::GiveUp));
    let call = rig.refused(CallOptions::named("ask"), ErrorClass::Reconnect);
    let error = rig.soon(call).await.expect_err("it does not open again");
    let reopening = error.open_error();
    assert!(
        matches!(reopening, Some(OpenError::Failed { .. })),
        "{error}"
    );
    let said = Refused(ErrorClass::Reconnect);
    assert_eq!(error.downcast_ref::<Refused>(), Some(&said), "{error:?}");
    rig.ends_well().await;
}

async fn s05_an_opening_that_failed_is_not_retried_by_the_call<W: ManagedWorld>(world: W) {
    let policy = every(world.tick() * 2).max_retries(2);
    let rig = Rig::new(&world, |builder| builder.retry(policy).open_retry(policy));
    rig.probe.always(Hook::Open, Step::fail(ErrorClass::Retry));
    let error = rig.soon(rig.ask(Ok)).await.expect_err("it does not open");
    assert_eq!(error.attempts(), 1);
    let Some(OpenError::Failed { failure, .. }) = error.open_error() else {
        panic!("{error}");
    };
    assert_eq!(failure.attempts, 3, "three, not nine");
    let opening = error.source().expect("the opening's error");
    assert!(opening.source().is_some(), "the chain is whole");
    rig.ends_well().await;
}

async fn s05_a_panic_goes_to_the_caller<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder);
    rig.open().await;
    let panics = rig.ask(|_| panic!("as a bug does"));
    let caught = AssertUnwindSafe(panics).catch_unwind();
    assert!(rig.soon(caught).await.is_err());
    assert!(!rig.managed.in_use());
    assert_eq!(rig.soon(rig.ask(Ok)).await.expect("it is as before"), 1);
    rig.ends_well().await;
}

async fn b02_history_tells_every_attempt<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder);
    let call = rig.refused(CallOptions::named("ask"), ErrorClass::Retry);
    let error = rig.soon(call).await.expect_err("it is refused");
    let history = error.history();
    let numbers: Vec<_> = history.iter().map(|attempt| attempt.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    let tick = Some(rig.ticks(1));
    let delays: Vec<_> = history
        .iter()
        .map(|attempt| attempt.next.retry_in())
        .collect();
    assert_eq!(delays, [tick, tick, tick, None]);
    for pair in history.windows(2) {
        assert!(
            pair[1].elapsed >= pair[0].elapsed + rig.ticks(1),
            "{history:?}"
        );
        assert_eq!(pair[0].ended, Ended::Failed);
    }
    rig.ends_well().await;
}
