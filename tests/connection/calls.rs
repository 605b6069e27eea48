//! Calls over a connection: which errors reconnect, and what becomes of the others.

use std::cell::Cell;

use futures::future::{join, join_all};
use futures::poll;
use tenure_core::group::LocalLifecycle;
use tenure_core::{Group, StopReason, Timer};

use super::*;

on_every_executor! {
    s07_a_connection_error_reconnects_once_however_many_calls_fail_on_it,
    s07_calls_in_flight_on_the_old_connection_finish_and_then_it_is_closed,
    s07_what_must_not_be_done_twice_reconnects_and_is_not_repeated,
    s07_errors_of_the_application_never_reconnect,
    s07_one_call_may_say_by_itself_what_is_a_connection_error,
    s07_reconnect_by_hand_joins_one_that_is_under_way,
    s07_errors_name_the_connection_and_its_address_without_the_password,
    b05_what_was_opened_before_a_sibling_found_out_is_lost,
    s07_a_connection_is_a_member_of_a_group,
    s07_a_setting_that_makes_no_sense_is_named,
}

async fn s07_a_connection_error_reconnects_once_however_many_calls_fail_on_it<
    W: ConnectionWorld,
>(
    world: W,
) {
    let rig = Rig::plain(&world);
    let gate = Gate::new();
    let asked = Cell::new(0);
    let calls = (0..20).map(|_| {
        let (passed, asked) = (gate.clone(), &asked);
        rig.connection.call("ask", move |value| {
            let passed = passed.passed();
            asked.set(asked.get() + 1);
            async move {
                passed.await;
                match value.id {
                    1 => Err(Refused(ErrorClass::Reconnect)),
                    id => Ok(id),
                }
            }
        })
    });
    let open = async {
        until(&world, "all have the first connection", || {
            asked.get() == 20
        })
        .await;
        gate.open();
    };
    let (answers, ()) = soon(&world, join(join_all(calls), open)).await;
    assert!(
        answers.iter().all(|answer| matches!(answer, Ok(2))),
        "{answers:?}"
    );
    let stats = rig.connection.stats();
    assert_eq!(
        (stats.connects.begun, stats.connects.reconnects),
        (2, 1),
        "{stats}"
    );
    assert_eq!(
        (stats.calls.succeeded, stats.calls.retries),
        (20, 20),
        "{stats}"
    );
    rig.ends_well().await;
}

async fn s07_calls_in_flight_on_the_old_connection_finish_and_then_it_is_closed<
    W: ConnectionWorld,
>(
    world: W,
) {
    let rig = Rig::plain(&world);
    let gate = Gate::new();
    let held = rig.connection.call("hold", |value| {
        let passed = gate.passed();
        async move {
            passed.await;
            Ok(value.id)
        }
    });
    let mut held = Box::pin(held);
    rig.open().await;
    assert!(poll!(held.as_mut()).is_pending());
    rig.refused(ErrorClass::Reconnect).await;
    assert_eq!(rig.ask().await.expect("there is a new one"), 2);
    assert_eq!(rig.probe.begun(Hook::Close), 0, "the old one is in use");
    gate.open();
    assert_eq!(soon(&world, held).await.expect("it finishes"), 1);
    if W::BACKGROUND {
        until(&world, "the old one is closed", || {
            rig.probe.begun(Hook::Close) == 1
        })
        .await;
    }
    rig.ends_well().await;
}

async fn s07_what_must_not_be_done_twice_reconnects_and_is_not_repeated<W: ConnectionWorld>(
    world: W,
) {
    let rig = Rig::plain(&world);
    rig.open().await;
    let asked = Cell::new(0);
    let call = rig.connection.call("add", |_| {
        asked.set(asked.get() + 1);
        async { Err::<(), _>(Refused(ErrorClass::ReconnectOnly)) }
    });
    let error = soon(&world, call).await.expect_err("it is refused");
    assert_eq!(error.reason(), StopReason::GivenUp);
    assert_eq!(asked.get(), 1);
    // Who comes next has another connection.
    assert_eq!(rig.ask().await.expect("it answers"), 2);
    let stats = rig.connection.stats();
    assert_eq!(stats.connects.reconnects, 1, "{stats}");
    assert_eq!(stats.calls.retries, 0, "{stats}");
    rig.ends_well().await;
}

async fn s07_errors_of_the_application_never_reconnect<W: ConnectionWorld>(world: W) {
    let rig = Rig::plain(&world);
    rig.open().await;
    for class in [ErrorClass::Retry, ErrorClass::GiveUp] {
        for _ in 0..10 {
            rig.refused(class).await;
        }
    }
    assert_eq!(rig.ask().await.expect("it is there"), 1);
    assert_eq!(rig.probe.opened(), 1);
    assert_eq!(rig.connection.stats().calls.failed, 20);
    rig.ends_well().await;
}

async fn s07_one_call_may_say_by_itself_what_is_a_connection_error<W: ConnectionWorld>(world: W) {
    let rig = Rig::plain(&world);
    rig.open().await;
    // What the resource calls a connection error is none to this call, and the contrary.
    let once = || {
        rig.connection
            .request(CallOptions::named("once").max_retries(0))
    };
    let call = once()
        .classify(|_| ErrorClass::GiveUp)
        .run(|_| async { Err::<(), _>(Refused(ErrorClass::Reconnect)) });
    soon(&world, call).await.expect_err("it is refused");
    assert_eq!(rig.ask().await.expect("it is there"), 1);
    let call = once()
        .classify(|_| ErrorClass::Reconnect)
        .run(|_| async { Err::<(), _>(Refused(ErrorClass::GiveUp)) });
    soon(&world, call).await.expect_err("it is refused");
    assert_eq!(rig.ask().await.expect("there is a new one"), 2);
    rig.ends_well().await;
}

async fn s07_reconnect_by_hand_joins_one_that_is_under_way<W: ConnectionWorld>(world: W) {
    let rig = Rig::plain(&world);
    rig.open().await;
    let gate = Gate::new();
    rig.probe.next(Hook::Open, [Step::ok().at(&gate)]);
    let open = async {
        until(&world, "one is under way", || {
            rig.probe.begun(Hook::Open) == 2
        })
        .await;
        gate.open();
    };
    let reconnects = join(rig.connection.reconnect(), rig.connection.reconnect());
    let ((first, second), ()) = soon(&world, join(reconnects, open)).await;
    first.and(second).expect("it connects");
    assert_eq!(rig.probe.opened(), 2);
    assert_eq!(rig.connection.stats().connects.reconnects, 1);
    rig.ends_well().await;
}

async fn s07_errors_name_the_connection_and_its_address_without_the_password<W: ConnectionWorld>(
    world: W,
) {
    let rig = Rig::plain(&world);
    assert_eq!(rig.connection.address().as_str(), "probe://***@peer:1");
    let error = rig.refused(ErrorClass::GiveUp).await.to_string();
    assert!(
        error.starts_with("probe at probe://***@peer:1: refused failed"),
        "{error}"
    );
    rig.probe.always(Hook::Open, Step::fail(ErrorClass::GiveUp));
    let error = soon(&world, rig.connection.reconnect())
        .await
        .expect_err("it is refused");
    assert!(
        error
            .to_string()
            .starts_with("probe at probe://***@peer:1: "),
        "{error}"
    );
    rig.ends_well().await;
}

async fn b05_what_was_opened_before_a_sibling_found_out_is_lost<W: ConnectionWorld>(world: W) {
    let (old, new) = (Rig::plain(&world), Rig::plain(&world));
    old.open().await;
    wait(&world, 1).await;
    let found_out_at = world.runtime().now();
    wait(&world, 1).await;
    new.open().await;
    assert!(old.connection.lose_if_opened_before(found_out_at));
    assert!(!new.connection.lose_if_opened_before(found_out_at));
    assert_eq!(old.ask().await.expect("it reconnects"), 2);
    assert_eq!(new.ask().await.expect("it is there"), 1);
    old.ends_well().await;
    new.ends_well().await;
}

async fn s07_a_connection_is_a_member_of_a_group<W: ConnectionWorld>(world: W) {
    let rig = Rig::plain(&world);
    let group = Group::local_builder("service").add("peer", rig.connection.clone());
    let group = group.build_local(world.runtime()).expect("a graph");
    soon(&world, group.start()).await.expect("it connects");
    assert_eq!(LocalLifecycle::state(&rig.connection), State::Ready);
    let member: Handle<W> = group.get("peer").expect("it is a connection");
    assert_eq!(member.connection_state(), ConnectionState::Connected);
    assert!(soon(&world, group.close()).await.is_clean());
    rig.ends_well().await;
}

async fn s07_a_setting_that_makes_no_sense_is_named<W: ConnectionWorld>(world: W) {
    let probe = Probe::default();
    let builder = Connection::builder("peer", world.resource(&probe)).doubt_after(0);
    let error = builder
        .build_with_runner(world.runtime())
        .map(drop)
        .expect_err("it makes no sense");
    assert!(error.to_string().contains("doubt_after"), "{error}");
}
