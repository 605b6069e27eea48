//! What calls do while there is no connection.

use tenure_core::connection::WhenDown;
use tenure_core::{OpenError, StopReason, Timer};

use super::*;

on_every_backend! {
    b05_a_call_may_fail_at_once_while_it_waits_to_reconnect,
    b05_a_call_that_fails_at_once_waits_for_the_attempt_under_way,
    b05_a_call_may_wait_to_its_deadline,
    b05_a_call_without_a_deadline_waits_for_one_opening,
    b05_a_call_may_wait_without_a_deadline,
    b05_what_is_not_worth_a_retry_is_told_whatever_they_wait_for,
}

async fn b05_a_call_may_fail_at_once_while_it_waits_to_reconnect<W: ConnectionWorld>(world: W) {
    let pause = world.tick() * 1_000;
    let retry = Retry::new(Backoff::constant(pause).cap(pause));
    let rig = Rig::new(&world, |builder| {
        builder
            .retry(retry)
            .open_retry(retry)
            .when_down(WhenDown::FailAtOnce)
    });
    rig.probe.always(Hook::Open, refuse());
    for _ in 0..5 {
        let error = rig.ask().await.expect_err("there is none");
        assert!(error.open_error().is_some(), "{error}");
    }
    let stats = rig.connection.stats();
    assert_eq!(
        (stats.connects.begun, stats.calls.failed),
        (1, 5),
        "{stats}"
    );
    rig.ends_well().await;
}

async fn b05_a_call_that_fails_at_once_waits_for_the_attempt_under_way<W: ConnectionWorld>(
    world: W,
) {
    let rig = Rig::new(&world, |builder| builder.when_down(WhenDown::FailAtOnce));
    rig.probe
        .next(Hook::Open, [Step::ok().after(world.tick() * 2)]);
    assert_eq!(rig.ask().await.expect("it comes"), 1);
    rig.ends_well().await;
}

async fn b05_a_call_may_wait_to_its_deadline<W: ConnectionWorld>(world: W) {
    let rig = Rig::plain(&world);
    rig.probe.always(Hook::Open, refuse());
    let limit = world.tick() * 30;
    let began_at = world.runtime().now();
    let options = CallOptions::named("ask").deadline(limit);
    let call = rig
        .connection
        .request(options)
        .run(|value| async move { Ok(value.id) });
    let error = soon(&world, call).await.expect_err("there is none");
    assert_eq!(error.reason(), StopReason::Deadline, "{error}");
    // It says why there was none.
    assert!(
        matches!(
            error.open_error(),
            Some(OpenError::TimedOut { last: Some(_), .. })
        ),
        "{error:?}"
    );
    assert!(world.runtime().now() >= began_at + limit);
    // It outlasted an opening whose retries were exhausted.
    assert!(rig.probe.begun(Hook::Open) > 4);
    rig.ends_well().await;
}

async fn b05_a_call_without_a_deadline_waits_for_one_opening<W: ConnectionWorld>(world: W) {
    let rig = Rig::plain(&world);
    rig.probe.always(Hook::Open, refuse());
    let error = rig.ask().await.expect_err("there is none");
    assert!(error.open_error().is_some(), "{error}");
    assert_eq!(rig.probe.begun(Hook::Open), 4);
    rig.ends_well().await;
}

async fn b05_a_call_may_wait_without_a_deadline<W: ConnectionWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder.when_down(WhenDown::Wait));
    rig.probe.next(Hook::Open, (0..9).map(|_| refuse()));
    let options = CallOptions::named("ask").deadline(world.tick() * 6);
    let call = rig
        .connection
        .request(options)
        .run(|value| async move { Ok(value.id) });
    assert_eq!(soon(&world, call).await.expect("it comes in the end"), 1);
    assert_eq!(rig.probe.begun(Hook::Open), 10);
    rig.ends_well().await;
}

async fn b05_what_is_not_worth_a_retry_is_told_whatever_they_wait_for<W: ConnectionWorld>(
    world: W,
) {
    for when_down in [
        WhenDown::FailAtOnce,
        WhenDown::WaitToDeadline,
        WhenDown::Wait,
    ] {
        let rig = Rig::new(&world, |builder| builder.when_down(when_down));
        rig.probe.always(Hook::Open, Step::fail(ErrorClass::GiveUp));
        let error = rig.ask().await.expect_err("the password is wrong");
        assert!(error.open_error().is_some(), "{error}");
        rig.ends_well().await;
    }
}
