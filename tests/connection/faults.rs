//! Faults of the original in its network resource, each by its number.

use futures::future::join;
use futures::poll;

use super::*;

on_every_backend! {
    fault_11_an_error_of_the_application_leaves_the_calls_in_flight_alone,
    fault_11_a_failed_reconnect_does_not_hide_the_first_error,
    fault_11_retries_do_not_multiply_with_reconnects,
    fault_12_statistics_need_no_help,
    fault_13_nothing_outlives_the_close,
}

async fn fault_11_an_error_of_the_application_leaves_the_calls_in_flight_alone<
    W: ConnectionWorld,
>(
    world: W,
) {
    let rig = Rig::plain(&world);
    rig.open().await;
    let gate = Gate::new();
    let held = rig.connection.call("hold", |value| {
        let passed = gate.passed();
        async move {
            passed.await;
            Ok(value.id)
        }
    });
    let mut held = Box::pin(held);
    assert!(poll!(held.as_mut()).is_pending());
    rig.refused(ErrorClass::GiveUp).await;
    assert_eq!(
        rig.connection.connection_state(),
        ConnectionState::Connected
    );
    gate.open();
    assert_eq!(soon(&world, held).await.expect("it finishes"), 1);
    assert_eq!(rig.probe.opened(), 1);
    rig.ends_well().await;
}

async fn fault_11_a_failed_reconnect_does_not_hide_the_first_error<W: ConnectionWorld>(world: W) {
    let rig = Rig::plain(&world);
    rig.open().await;
    rig.probe.always(Hook::Open, Step::fail(ErrorClass::GiveUp));
    let call = rig.connection.call("ask", |_| async {
        Err::<(), _>(Refused(ErrorClass::Reconnect))
    });
    let error = soon(&world, call).await.expect_err("it is refused");
    assert!(error.downcast_ref::<Refused>().is_some(), "{error}");
    assert!(
        error.open_error().is_some(),
        "and why there is no other: {error}"
    );
    rig.ends_well().await;
}

async fn fault_11_retries_do_not_multiply_with_reconnects<W: ConnectionWorld>(world: W) {
    let pause = world.tick();
    let retry = Retry::new(Backoff::constant(pause).cap(pause)).max_retries(2);
    let rig = Rig::new(&world, |builder| builder.retry(retry).open_retry(retry));
    let call = rig.connection.call("ask", |_| async {
        Err::<(), _>(Refused(ErrorClass::Reconnect))
    });
    let error = soon(&world, call).await.expect_err("it is refused");
    assert_eq!(error.attempts(), 3);
    assert!(rig.probe.begun(Hook::Open) <= 4);
    rig.ends_well().await;
}

async fn fault_12_statistics_need_no_help<W: ConnectionWorld>(world: W) {
    // The probe knows of no statistics.
    let rig = Rig::plain(&world);
    rig.probe.next(Hook::Open, [refuse()]);
    rig.ask().await.expect("it answers");
    let stats = rig.connection.stats();
    assert_eq!(
        (stats.connects.begun, stats.connects.refused),
        (2, 1),
        "{stats}"
    );
    assert_eq!(
        (stats.calls.succeeded, stats.last_failure.is_some()),
        (1, true),
        "{stats}"
    );
    rig.ends_well().await;
}

async fn fault_13_nothing_outlives_the_close<W: ConnectionWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder.check_every(world.tick()));
    rig.open().await;
    rig.probe.always(Hook::Open, refuse());
    let closing = rig.connection.close();
    let (report, _) = soon(&world, join(closing, rig.connection.reconnect())).await;
    assert!(report.is_clean(), "{report}");
    let (checks, opens) = (rig.probe.begun(Hook::Check), rig.probe.begun(Hook::Open));
    wait(&world, 8).await;
    assert_eq!(rig.probe.begun(Hook::Check), checks);
    assert_eq!(rig.probe.begun(Hook::Open), opens);
    rig.ends_well().await;
}
