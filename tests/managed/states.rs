//! States, and what can be read without awaiting: S1 and S2.

use futures::poll;
use tenure_core::{CallOptions, CheckError, ErrorClass, Managed, OpenError, Retry, State, Timer};

use super::probe::{Did, Gate, Hook, Step};
use super::recorder::What;
use super::{ManagedWorld, Rig, every};

on_every_backend! {
    s01_every_move_is_in_the_table,
    s01_closed_is_final,
    s02_times_and_flags_without_awaiting,
    s02_last_error_is_the_latest_attempts,
    s02_names_never_show_a_password,
    s02_errors_and_operations_never_show_a_password,
}

async fn s01_every_move_is_in_the_table<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| {
        builder
            .reopen_after(3)
            .retry(every(world.tick()).max_retries(1))
            .open_retry(every(world.tick()).max_retries(1))
    });
    let failing = Step::fail(ErrorClass::Retry);
    rig.probe
        .next(Hook::Open, [failing.clone(), failing.clone(), Step::ok()]);
    assert!(rig.soon(rig.managed.open()).await.is_err());
    assert!(rig.soon(rig.managed.open()).await.is_ok());
    rig.probe.next(
        Hook::Check,
        [
            failing.clone(),
            Step::ok(),
            failing.clone(),
            failing.clone(),
            failing,
        ],
    );
    for _ in 0..5 {
        let _ = rig.soon(rig.managed.check()).await;
    }
    assert!(rig.soon(rig.managed.open()).await.is_ok());
    rig.soon(rig.managed.close()).await;
    rig.until("the end in the events", || {
        rig.events
            .transitions()
            .last()
            .is_some_and(|(_, to, _)| *to == State::Closed)
    })
    .await;
    let moves = rig.events.transitions();
    let mut before = State::Uninitialized;
    for (place, (from, to, number)) in moves.iter().enumerate() {
        assert_eq!((*from, *number), (before, place as u64 + 1), "{moves:?}");
        assert!(from.can_go(*to), "{from} -> {to}");
        before = *to;
    }
    let path: Vec<_> = moves.iter().map(|(_, to, _)| *to).collect();
    use State::{Closed, Closing, Degraded, Error, Initializing, Ready};
    assert_eq!(
        path,
        [
            Initializing,
            Error,
            Initializing,
            Ready,
            Degraded,
            Ready,
            Degraded,
            Error,
            Initializing,
            Ready,
            Closing,
            Closed,
        ]
    );
    rig.ends_well().await;
}

async fn s01_closed_is_final<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder);
    rig.open().await;
    let gate = Gate::new();
    rig.probe
        .next(Hook::Check, [Step::fail(ErrorClass::Retry).at(&gate)]);
    let mut late = Box::pin(rig.managed.check());
    assert!(poll!(late.as_mut()).is_pending());
    rig.soon(rig.managed.close()).await;
    let log = rig.probe.log();
    // A verdict that comes late changes nothing.
    gate.open();
    assert!(rig.soon(late).await.is_err());
    for answer in [
        rig.soon(rig.managed.open()).await,
        rig.soon(rig.managed.get()).await.map(drop),
        rig.soon(rig.managed.open_timeout(rig.ticks(1))).await,
    ] {
        assert!(
            matches!(answer, Err(OpenError::Closed { .. })),
            "{answer:?}"
        );
    }
    assert!(rig.managed.try_get().is_none());
    let checked = rig.soon(rig.managed.check()).await;
    assert!(
        matches!(checked, Err(CheckError::NotOpen { .. })),
        "{checked:?}"
    );
    let error = rig.soon(rig.ask(Ok)).await.expect_err("it is closed");
    assert!(
        matches!(error.open_error(), Some(OpenError::Closed { .. })),
        "{error}"
    );
    rig.wait(3).await;
    assert_eq!(rig.managed.state(), State::Closed);
    let log_after = rig.probe.log();
    assert_eq!(log_after[..log.len()], log);
    assert_eq!(
        log_after[log.len()..],
        [Did::EndCheck(1)],
        "nothing else ran"
    );
    rig.ends_well().await;
}

async fn s02_times_and_flags_without_awaiting<W: ManagedWorld>(world: W) {
    let before = world.runtime().now();
    let rig = Rig::new(&world, |builder| builder.open_retry(Retry::NEVER));
    let managed = &rig.managed;
    let flags = || {
        (
            managed.is_initialized(),
            managed.is_usable(),
            managed.is_healthy(),
        )
    };
    assert_eq!(flags(), (false, false, false));
    assert!(managed.created_at() >= Some(before));
    assert_eq!(
        (managed.initialized_at(), managed.last_error_at()),
        (None, None)
    );
    assert!(managed.last_error().is_none() && !managed.in_use());

    rig.probe.next(Hook::Open, [Step::fail(ErrorClass::GiveUp)]);
    assert!(rig.soon(managed.open()).await.is_err());
    assert_eq!(flags(), (false, false, false));
    let failed_at = managed.last_error_at();
    assert!(failed_at >= managed.created_at());
    assert_eq!(managed.initialized_at(), None);

    rig.wait(1).await;
    rig.soon(managed.open()).await.expect("it opens");
    assert_eq!(flags(), (true, true, true));
    assert!(managed.initialized_at() > failed_at);
    assert_eq!(managed.last_error_at(), failed_at);

    rig.wait(1).await;
    rig.probe.next(Hook::Check, [Step::fail(ErrorClass::Retry)]);
    assert!(rig.soon(managed.check()).await.is_err());
    assert_eq!(flags(), (true, true, false));
    assert!(managed.last_error_at() > managed.initialized_at());

    let gate = Gate::new();
    let mut call = rig.hold(&gate);
    assert!(poll!(call.as_mut()).is_pending());
    assert!(managed.in_use() && managed.calls_in_flight() == 1);
    gate.open();
    rig.soon(call).await.expect("it answers");
    assert!(!managed.in_use());

    rig.soon(managed.close()).await;
    assert_eq!(flags(), (false, false, false));
    rig.ends_well().await;
}

async fn s02_last_error_is_the_latest_attempts<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder);
    rig.probe
        .next(Hook::Open, [Step::fail(ErrorClass::Retry), Step::hang()]);
    let waiting = rig.getter();
    rig.until("a second attempt", || rig.probe.begun(Hook::Open) == 2)
        .await;
    let last = rig
        .managed
        .last_error()
        .expect("the first attempt has failed");
    assert_eq!(last.to_string(), "refused (Retry)");
    assert!(rig.managed.last_error_at().is_some());
    drop(waiting);
    rig.ends_well().await;
}

async fn s02_names_never_show_a_password<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| {
        builder.name("postgres://app:s3cret@db/users")
    });
    rig.probe.next(Hook::Open, [Step::fail(ErrorClass::GiveUp)]);
    assert_eq!(rig.managed.name().as_str(), "postgres://***@db/users");
    let refused = rig
        .soon(rig.managed.open())
        .await
        .expect_err("it is refused");
    let unchecked = rig
        .soon(rig.managed.check())
        .await
        .expect_err("it is not open");
    let call = rig.refused(CallOptions::named("ask"), ErrorClass::GiveUp);
    let asked = rig.soon(call).await.expect_err("it is refused");
    let watch = rig.managed.watch();
    let debug = format!("{:?} {watch:?}", rig.managed);
    let report = rig.soon(rig.managed.close()).await;
    let late = rig
        .soon(rig.managed.open())
        .await
        .expect_err("it is closed");
    let never = rig
        .managed
        .wait_for(State::Ready)
        .await
        .expect_err("it is closed");
    let mut shown = vec![
        debug,
        format!("{refused} {refused:?}"),
        format!("{unchecked} {unchecked:?}"),
        format!("{asked} {asked:?}"),
        format!("{report} {report:?}"),
        format!("{late} {late:?}"),
        format!("{never} {never:?}"),
    ];
    shown.extend(
        rig.events
            .all()
            .iter()
            .map(|seen| format!("{} {}", seen.name, seen.line)),
    );
    for text in shown {
        assert!(
            text.contains("***@db") && !text.contains("s3cret"),
            "{text}"
        );
    }
    // Without a name it is called after its type, and no two are alike.
    let names = [(); 2].map(|()| {
        let unnamed = Managed::builder(world.resource(&rig.probe));
        let (managed, _runner) = unnamed.build_with_runner(world.runtime()).expect("valid");
        managed.name().to_string()
    });
    assert!(
        names[0] != names[1] && names[0].contains("Probe-"),
        "{names:?}"
    );
    rig.ends_well().await;
}

async fn s02_errors_and_operations_never_show_a_password<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder.open_retry(Retry::NEVER));
    let operation = String::from("copy from ftp://app:s3cret@host/data");
    let call = rig.refused(CallOptions::named(operation), ErrorClass::GiveUp);
    let error = rig.soon(call).await.expect_err("it is refused");
    assert!(!error.to_string().contains("s3cret"), "{error}");
    assert!(!error.operation().contains("s3cret"), "{error}");
    rig.until("the event", || {
        let whats = rig.events.whats();
        whats
            .iter()
            .any(|what| matches!(what, What::CallFailed(..)))
    })
    .await;
    for seen in rig.events.all() {
        assert!(!seen.line.contains("s3cret"), "{}", seen.line);
    }
    rig.ends_well().await;
}
