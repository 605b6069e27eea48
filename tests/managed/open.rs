//! One opening, however many want it: S3.

use std::time::Duration;

use futures::future::{join_all, select};
use futures::poll;
use tenure_core::{ErrorClass, OpenError, State};

use super::probe::{Gate, Hook, Refused, Step};
use super::recorder::What;
use super::{ManagedWorld, Rig};

on_every_executor! {
    s03_many_callers_one_open,
    s03_each_caller_has_its_own_timeout,
    s03_failing_open_is_one_attempt_for_all,
    s03_open_is_idempotent,
    s03_opening_outlives_its_caller,
    s03_without_runner_the_next_caller_starts_anew,
    s03_without_runner_the_last_caller_calls_it_off,
    s03_a_runner_that_ends_hands_its_opening_on,
    s03_a_caller_out_of_time_learns_what_kept_it_waiting,
    s03_a_caller_without_time_gets_what_is_open,
}

async fn s03_many_callers_one_open<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder);
    rig.probe.next(Hook::Open, [Step::ok().after(rig.ticks(2))]);
    let callers = join_all((0..20).map(|_| rig.getter()));
    for got in rig.soon(callers).await {
        assert_eq!(got.expect("it opens"), 1);
    }
    assert_eq!(rig.probe.begun(Hook::Open), 1);
    rig.ends_well().await;
}

async fn s03_each_caller_has_its_own_timeout<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder);
    let gate = Gate::new();
    rig.probe.next(Hook::Open, [Step::ok().at(&gate)]);
    // The patient one comes first: without a Runner it is the one that drives.
    let mut patient = Box::pin(rig.managed.get_timeout(Duration::MAX));
    assert!(poll!(patient.as_mut()).is_pending());
    let impatient = [1, 3].map(|ticks| {
        let managed = rig.managed.clone();
        let limit = rig.ticks(ticks);
        async move { (limit, managed.open_timeout(limit).await) }
    });
    for (limit, answer) in rig.soon(join_all(impatient)).await {
        let error = answer.expect_err("it is not open yet");
        let OpenError::Pending {
            waited, under_way, ..
        } = &error
        else {
            panic!("{error}");
        };
        assert!(*waited >= limit, "{waited:?}");
        assert!(!W::VIRTUAL_TIME || *waited == limit, "{waited:?}");
        assert!(under_way.is_some(), "no attempt has failed");
        assert!(error.to_string().contains("probe"), "{error}");
    }
    assert_eq!(rig.managed.state(), State::Initializing);
    gate.open();
    assert_eq!(rig.soon(patient).await.expect("it opens").id, 1);
    assert_eq!(rig.probe.begun(Hook::Open), 1);
    rig.ends_well().await;
}

async fn s03_failing_open_is_one_attempt_for_all<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder);
    let gate = Gate::new();
    rig.probe.next(
        Hook::Open,
        [Step::fail(ErrorClass::GiveUp).at(&gate), Step::ok()],
    );
    let mut callers = Box::pin(join_all((0..5).map(|_| rig.managed.open())));
    assert!(poll!(callers.as_mut()).is_pending(), "all wait");
    gate.open();
    for answer in rig.soon(callers).await {
        let Err(OpenError::Failed { failure, .. }) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(failure.attempts, 1);
        let cause = failure.cause.downcast_ref::<Refused>();
        assert_eq!(cause, Some(&Refused(ErrorClass::GiveUp)));
    }
    assert_eq!(rig.probe.begun(Hook::Open), 1, "one attempt, not five");
    rig.until_state(State::Error).await;
    // Whoever comes later gets an attempt of its own.
    assert!(rig.soon(rig.managed.open()).await.is_ok());
    assert_eq!(rig.probe.begun(Hook::Open), 2);
    rig.ends_well().await;
}

async fn s03_open_is_idempotent<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder);
    for _ in 0..3 {
        rig.open().await;
        assert_eq!(rig.soon(rig.managed.get()).await.expect("it is open").id, 1);
        assert_eq!(rig.managed.try_get().expect("it is open").id, 1);
    }
    assert_eq!(rig.probe.begun(Hook::Open), 1);
    rig.ends_well().await;
}

async fn s03_opening_outlives_its_caller<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder);
    let gate = Gate::new();
    rig.probe.next(Hook::Open, [Step::ok().at(&gate)]);
    let mut caller = Box::pin(rig.managed.get());
    assert!(poll!(caller.as_mut()).is_pending());
    drop(caller);
    gate.open();
    if W::BACKGROUND {
        let ready = rig.soon(rig.managed.wait_for(State::Ready)).await;
        assert!(ready.is_ok());
        assert_eq!(rig.probe.begun(Hook::Open), 1);
        assert_eq!(rig.managed.audit().open_called_off, 0);
    } else {
        assert_eq!(rig.managed.state(), State::Uninitialized);
        assert_eq!(rig.probe.opened(), 0);
        assert_eq!(rig.managed.audit().open_called_off, 1);
    }
    rig.ends_well().await;
}

async fn s03_without_runner_the_next_caller_starts_anew<W: ManagedWorld>(world: W) {
    let rig = Rig::without_runner(&world, |builder| builder);
    rig.probe.next(Hook::Open, [Step::hang(), Step::ok()]);
    let mut first = Box::pin(rig.managed.get());
    assert!(poll!(first.as_mut()).is_pending());
    let mut second = Box::pin(rig.managed.get());
    assert!(poll!(second.as_mut()).is_pending());
    assert_eq!(rig.probe.begun(Hook::Open), 1, "the first one drives");
    drop(first);
    let value = rig.soon(second).await.expect("it opens");
    assert_eq!(value.id, 1);
    assert_eq!(rig.probe.begun(Hook::Open), 2);
    assert_eq!(rig.managed.audit().open_called_off, 1);
    assert_eq!(rig.events.count(&What::OpenCalledOff), 1);
    drop(value);
    rig.ends_well().await;
}

async fn s03_without_runner_the_last_caller_calls_it_off<W: ManagedWorld>(world: W) {
    let rig = Rig::without_runner(&world, |builder| builder);
    rig.probe.next(Hook::Open, [Step::hang()]);
    let answer = rig.soon(rig.managed.open_timeout(rig.ticks(1))).await;
    assert!(matches!(answer, Err(OpenError::Pending { .. })));
    assert_eq!(rig.managed.state(), State::Uninitialized);
    rig.wait(3).await;
    assert_eq!(rig.probe.begun(Hook::Open), 1, "nobody drives it");
    assert!(rig.soon(rig.managed.open()).await.is_ok());
    rig.ends_well().await;
}

async fn s03_a_runner_that_ends_hands_its_opening_on<W: ManagedWorld>(world: W) {
    let (rig, runner) = Rig::with_runner(&world, |builder| builder);
    rig.probe.next(Hook::Open, [Step::hang(), Step::ok()]);
    let mut caller = Box::pin(rig.managed.get());
    let mut work = Box::pin(runner.run());
    assert!(poll!(caller.as_mut()).is_pending());
    assert_eq!(rig.probe.begun(Hook::Open), 0, "it is left to the Runner");
    assert!(poll!(work.as_mut()).is_pending());
    assert_eq!(rig.probe.begun(Hook::Open), 1);
    drop(work);
    assert_eq!(rig.soon(caller).await.expect("it opens").id, 1);
    assert_eq!(rig.probe.begun(Hook::Open), 2);
    rig.ends_well().await;
}

async fn s03_a_caller_out_of_time_learns_what_kept_it_waiting<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder);
    let failing = Step::fail(ErrorClass::Retry);
    rig.probe.next(Hook::Open, [failing, Step::hang()]);
    let mut patient = Box::pin(rig.managed.get());
    assert!(poll!(patient.as_mut()).is_pending());
    let second_attempt = rig.until("a second attempt", || rig.probe.begun(Hook::Open) == 2);
    select(Box::pin(second_attempt), patient.as_mut()).await;
    let answer = rig.soon(rig.managed.open_timeout(rig.ticks(1))).await;
    // The first attempt failed before this caller came.
    assert!(
        matches!(answer, Err(OpenError::Pending { .. })),
        "{answer:?}"
    );
    drop(patient);
    rig.ends_well().await;
}

async fn s03_a_caller_without_time_gets_what_is_open<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder);
    let gate = Gate::new();
    rig.probe.next(Hook::Open, [Step::ok().at(&gate)]);
    assert!(rig.managed.try_get().is_none());
    let nothing = rig.soon(rig.managed.get_timeout(Duration::ZERO)).await;
    assert!(matches!(
        nothing,
        Err(OpenError::TimedOut { .. } | OpenError::Pending { .. })
    ));
    gate.open();
    rig.open().await;
    let value = rig.soon(rig.managed.get_timeout(Duration::ZERO)).await;
    assert_eq!(value.expect("it is open").id, 1);
    rig.ends_well().await;
}
