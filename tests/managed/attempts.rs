//! How often, for how long and after what an opening is tried: S4 and S5.

use std::error::Error;
use std::time::Duration;

use tenure_core::{Backoff, ErrorClass, OpenError, Retry, State, StopReason};

use super::probe::{Hook, Probe, Refused, Step};
use super::recorder::What;
use super::{ManagedWorld, Rig, every};

on_every_backend! {
    s04_retries_as_the_policy_says,
    s04_gives_up_when_the_policy_says,
    s04_error_classes,
    s04_open_timeout_cuts_an_attempt_off,
    s04_a_panic_is_an_attempt_that_failed,
    s05_the_policys_own_limits_bind_openings_too,
}

async fn s04_retries_as_the_policy_says<W: ManagedWorld>(world: W) {
    let delay = world.tick() * 2;
    let rig = Rig::new(&world, |builder| builder.open_retry(every(delay)));
    let failing = Step::fail(ErrorClass::Retry);
    rig.probe.next(Hook::Open, [failing.clone(), failing]);
    let asked_at = rig.now();
    rig.soon(rig.managed.open())
        .await
        .expect("the third attempt opens it");
    let times = rig.probe.times(Hook::Open);
    assert_eq!(times.len(), 3);
    // The probe writes an attempt down a moment after it began.
    let mut earliest = asked_at;
    for began_at in &times[1..] {
        earliest = earliest + delay;
        assert!(*began_at >= earliest, "{times:?} since {asked_at:?}");
        assert!(!W::VIRTUAL_TIME || *began_at == earliest, "{times:?}");
    }
    assert_delays::<W>(&rig.events.delays(), &[Some(delay), Some(delay)]);
    assert_eq!(
        rig.managed.audit().open_failed,
        0,
        "the opening as a whole succeeded"
    );
    rig.ends_well().await;
}

/// A delay is what is left of it since the start of the attempt: exact where time stands still.
fn assert_delays<W: ManagedWorld>(told: &[Option<Duration>], expected: &[Option<Duration>]) {
    if W::VIRTUAL_TIME {
        return assert_eq!(told, expected);
    }
    assert_eq!(told.len(), expected.len());
    for (told, expected) in told.iter().zip(expected) {
        assert_eq!(told.is_some(), expected.is_some());
        assert!(told <= expected, "{told:?} of {expected:?}");
    }
}

async fn s04_gives_up_when_the_policy_says<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| {
        builder
            .retry(every(world.tick()))
            .open_retry(every(world.tick()))
    });
    rig.probe.always(Hook::Open, Step::fail(ErrorClass::Retry));
    let error = rig
        .soon(rig.managed.open())
        .await
        .expect_err("it never opens");
    let OpenError::Failed { name, failure } = &error else {
        panic!("{error}");
    };
    assert_eq!(name.as_str(), "probe");
    assert_eq!(failure.attempts, 4, "three retries, the first not counted");
    assert_eq!(failure.stopped, Some(StopReason::Attempts));
    let elapsed = failure.elapsed.expect("there is a clock");
    assert!(elapsed >= rig.ticks(3), "{elapsed:?}");
    assert!(error.source().is_some());
    // It is told as the last attempt fails, a moment before the opening is over.
    rig.until_state(State::Error).await;
    assert_eq!(rig.managed.audit().open_failed, 1);
    assert_eq!(
        rig.events.delays().last(),
        Some(&None),
        "the last one says so"
    );
    let last = rig.managed.last_error().expect("it has failed");
    assert!(last.downcast_ref::<Refused>().is_some());
    rig.ends_well().await;
}

async fn s04_error_classes<W: ManagedWorld>(world: W) {
    let (short, cap) = (world.tick(), world.tick() * 4);
    let policy = Retry::new(Backoff::constant(short).cap(cap));
    for (class, delay) in [
        (ErrorClass::Retry, Some(short)),
        (ErrorClass::Reconnect, Some(short)),
        (ErrorClass::GiveUp, None),
        (
            ErrorClass::RetryAfter(world.tick() * 3),
            Some(world.tick() * 3),
        ),
        (ErrorClass::RetryAfter(Duration::ZERO), Some(short)),
        (ErrorClass::RetryAfter(cap), Some(cap)),
        (ErrorClass::RetryAfter(cap + short), None),
        (ErrorClass::RetryAfter(Duration::MAX), None),
    ] {
        let rig = Rig::new(&world, |builder| builder.retry(policy).open_retry(policy));
        rig.probe.next(Hook::Open, [Step::fail(class)]);
        let asked_at = rig.now();
        let opened = rig.soon(rig.managed.open()).await;
        assert_eq!(opened.is_ok(), delay.is_some(), "{class:?}");
        assert_delays::<W>(&rig.events.delays(), &[delay]);
        if let (Some(delay), [_, second]) = (delay, &rig.probe.times(Hook::Open)[..]) {
            assert!(*second - asked_at >= delay, "{class:?}");
        }
        rig.ends_well().await;
    }
}

async fn s04_open_timeout_cuts_an_attempt_off<W: ManagedWorld>(world: W) {
    let limit = world.tick() * 2;
    let rig = Rig::new(&world, |builder| builder.open_timeout(limit));
    rig.probe.next(Hook::Open, [Step::hang(), Step::ok()]);
    let asked_at = rig.now();
    rig.soon(rig.managed.open())
        .await
        .expect("the second attempt opens it");
    let times = rig.probe.times(Hook::Open);
    assert!(times[1] - asked_at >= limit, "{asked_at:?}, {times:?}");
    // The pace was kept by then.
    let timed_out = What::OpenFailed(
        1,
        format!("timed out after {limit:?}"),
        Some(Duration::ZERO),
    );
    assert_eq!(rig.events.count(&timed_out), 1, "{:?}", rig.events.whats());
    rig.ends_well().await;
}

async fn s04_a_panic_is_an_attempt_that_failed<W: ManagedWorld>(world: W) {
    let probe = Probe::default();
    probe.next(Hook::Open, [Step::panic(), Step::ok()]);
    let rig = Rig::over(&world, &probe, |builder| builder);
    rig.soon(rig.managed.open())
        .await
        .expect("the second attempt opens it");
    let whats = rig.events.whats();
    let told = whats.iter().any(|what| {
        matches!(what, What::OpenFailed(1, error, Some(_)) if error.contains("as the script says"))
    });
    assert!(told, "{whats:?}");
    rig.ends_well().await;
}

async fn s05_the_policys_own_limits_bind_openings_too<W: ManagedWorld>(world: W) {
    let limit = world.tick() * 2;
    let policy = every(world.tick()).max_retries(1).attempt_timeout(limit);
    let rig = Rig::new(&world, |builder| builder.retry(policy).open_retry(policy));
    rig.probe.always(Hook::Open, Step::hang());
    let answer = rig.soon(rig.managed.open()).await;
    let Err(OpenError::Failed { failure, .. }) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(failure.attempts, 2);
    assert!(failure.elapsed >= Some(limit * 2));
    // Both attempts began, and both have to be seen to end.
    assert_eq!(rig.events.count(&What::OpenBegan(2)), 1);
    assert_eq!(rig.events.delays(), [Some(Duration::ZERO), None]);
    rig.ends_well().await;
}
