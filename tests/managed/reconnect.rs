//! A value that turns out to be broken is opened anew, once, and nobody loses by it.

use std::cell::Cell;

use futures::future::join_all;
use futures::poll;
use tenure_core::{CallOptions, Ending, ErrorClass, State, Why};

use super::probe::{Did, Gate, Hook, Refused, Step};
use super::recorder::What;
use super::{ManagedWorld, Rig};

on_every_backend! {
    s04_reconnect_reopens_once_however_many_calls_fail,
    s04_reconnect_lets_calls_in_flight_finish,
    s04_reconnect_closes_before_it_reopens,
    s04_no_other_error_reopens,
    s04_a_late_failure_on_an_old_value_changes_nothing,
    s06_what_was_lost_is_opened_again_by_itself,
    s06_a_value_that_hangs_in_its_close_is_replaced_all_the_same,
}

async fn s04_reconnect_reopens_once_however_many_calls_fail<W: ManagedWorld>(world: W) {
    const CALLS: usize = 100;
    let rig = Rig::new(&world, |builder| builder);
    let (all_there, begun) = (Gate::new(), Cell::new(0));
    let calls = join_all((0..CALLS).map(|_| {
        rig.run(CallOptions::named("ask"), |id| {
            begun.set(begun.get() + 1);
            if begun.get() == CALLS {
                all_there.open();
            }
            let passed = all_there.passed();
            Box::pin(async move {
                passed.await;
                match id {
                    1 => Err(Refused(ErrorClass::Reconnect)),
                    id => Ok(id),
                }
            })
        })
    }));
    for answer in rig.soon(calls).await {
        assert_eq!(answer.expect("the new value serves"), 2);
    }
    assert_eq!(rig.probe.begun(Hook::Open), 2);
    assert_eq!(begun.get(), 2 * CALLS, "one attempt on each value");
    let lost = rig.events.transitions().into_iter();
    assert_eq!(lost.filter(|(_, to, _)| *to == State::Error).count(), 1);
    if W::BACKGROUND {
        rig.until("its ending", || {
            rig.events.endings() == [(Ending::Closed, Why::Broken)]
        })
        .await;
    }
    rig.ends_well().await;
}

async fn s04_reconnect_lets_calls_in_flight_finish<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder);
    rig.open().await;
    let gate = Gate::new();
    let mut in_flight = rig.hold(&gate);
    assert!(poll!(in_flight.as_mut()).is_pending());
    let breaks = rig.soon(rig.ask_beyond(1)).await;
    assert_eq!(breaks.expect("the new value serves"), 2);
    rig.wait(3).await;
    assert!(!rig.probe.did(Did::BeginClose(1)), "it is still in use");
    assert_eq!(rig.managed.calls_in_flight(), 1);
    let audit = rig.managed.audit();
    assert_eq!((audit.in_use, audit.idle), (1, 1), "{audit}");
    rig.assert_balanced();
    gate.open();
    assert_eq!(rig.soon(in_flight).await.expect("it finishes"), 1);
    rig.assert_balanced();
    if W::BACKGROUND {
        let closed = || rig.probe.did(Did::EndClose(1));
        rig.until("the old value closed", closed).await;
    }
    assert!(!rig.probe.did(Did::BeginClose(2)));
    rig.ends_well().await;
}

async fn s04_reconnect_closes_before_it_reopens<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder);
    rig.probe
        .next(Hook::Close, [Step::ok().after(rig.ticks(2))]);
    let answer = rig.soon(rig.ask_beyond(1)).await;
    assert_eq!(answer.expect("the new value serves"), 2);
    rig.probe.assert_order(Did::EndClose(1), Did::BeginOpen);
    rig.ends_well().await;
}

async fn s04_no_other_error_reopens<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder);
    let after = ErrorClass::RetryAfter(world.tick());
    for class in [ErrorClass::Retry, ErrorClass::GiveUp, after] {
        let call = rig.refused(CallOptions::named("ask"), class);
        assert!(rig.soon(call).await.is_err());
        assert_eq!(rig.managed.state(), State::Ready, "{class:?}");
    }
    let hang = CallOptions::named("hang").attempt_timeout(world.tick());
    let call = rig.run(hang, |_| Box::pin(std::future::pending()));
    assert!(rig.soon(call).await.is_err());
    assert_eq!(rig.probe.begun(Hook::Open), 1);
    assert_eq!(rig.probe.begun(Hook::Close), 0);
    rig.ends_well().await;
}

async fn s04_a_late_failure_on_an_old_value_changes_nothing<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder);
    rig.open().await;
    let gate = Gate::new();
    let mut late = rig.run(CallOptions::named("late"), |id| {
        let passed = gate.passed();
        Box::pin(async move {
            passed.await;
            match id {
                1 => Err(Refused(ErrorClass::Reconnect)),
                id => Ok(id),
            }
        })
    });
    assert!(poll!(late.as_mut()).is_pending());
    let breaks = rig.soon(rig.ask_beyond(1)).await;
    assert_eq!(breaks.expect("the new value serves"), 2);
    let lost_at = rig.managed.last_error_at();
    let mut watch = rig.managed.watch();
    gate.open();
    assert_eq!(rig.soon(late).await.expect("the new value serves"), 2);
    assert_eq!(rig.managed.state(), State::Ready);
    assert_eq!(rig.managed.last_error_at(), lost_at);
    assert!(
        poll!(Box::pin(watch.changed())).is_pending(),
        "nothing moved"
    );
    assert_eq!(rig.probe.begun(Hook::Open), 2);
    rig.ends_well().await;
}

async fn s06_what_was_lost_is_opened_again_by_itself<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder);
    rig.open().await;
    rig.break_value().await;
    if W::BACKGROUND {
        rig.until("a new value", || rig.probe.did(Did::Open(2)))
            .await;
        rig.until_state(State::Ready).await;
    } else {
        rig.wait(3).await;
        assert_eq!(rig.managed.state(), State::Error);
        let nobody_is_there = [Did::BeginOpen, Did::Open(1)];
        assert_eq!(rig.probe.log(), nobody_is_there);
        rig.assert_balanced();
        assert_eq!(rig.soon(rig.managed.get()).await.expect("it opens").id, 2);
    }
    rig.probe.assert_order(Did::EndClose(1), Did::Open(2));
    rig.ends_well().await;
}

async fn s06_a_value_that_hangs_in_its_close_is_replaced_all_the_same<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder.close_timeout(world.tick() * 2));
    rig.probe.next(Hook::Close, [Step::hang()]);
    let answer = rig.soon(rig.ask_beyond(1)).await;
    assert_eq!(answer.expect("the new value serves"), 2);
    assert_eq!(rig.managed.audit().close_timed_out, 1);
    let whats = rig.events.whats();
    let timed_out = |what: &What| {
        matches!(
            what,
            What::Ended(Ending::CloseTimedOut, Why::Broken, Some(_))
        )
    };
    assert!(whats.iter().any(timed_out), "{whats:?}");
    rig.ends_well().await;
}
