//! Checks in the background: S6, B4, and fault 28.

use std::time::Duration;

use futures::poll;
use tenure_core::{CallOptions, Ending, ErrorClass, State, Why};

use super::probe::{Did, Hook, Step};
use super::recorder::What;
use super::{ManagedWorld, Rig};

on_every_backend! {
    f28_the_check_that_is_written_is_the_check_that_runs,
    s06_degraded_and_back_in_the_background,
    s06_erroring_or_panicking_check_does_not_end_checking,
    s06_reopened_after_k_failures,
    s06_check_is_never_under_a_lock,
    s06_checks_do_not_overlap,
    b04_initial_delay,
    b04_just_used_is_not_checked,
    b04_a_degraded_value_is_checked_though_used,
}

/// Where time is virtual, with the numbers that users meet.
mod in_virtual_time {
    use super::*;

    where_time_is_virtual! {
        s06_a_check_gets_five_seconds_by_default,
        b04_checks_are_jittered,
        b04_what_is_used_all_day_is_never_checked,
    }

    async fn s06_a_check_gets_five_seconds_by_default<W: ManagedWorld>(world: W) {
        let rig = Rig::new(&world, |builder| builder);
        rig.open().await;
        rig.probe.next(Hook::Check, [Step::hang()]);
        let before = rig.now();
        assert!(rig.managed.check().await.is_err());
        assert_eq!(rig.now() - before, Duration::from_secs(5));
        rig.ends_well().await;
    }

    async fn b04_checks_are_jittered<W: ManagedWorld>(world: W) {
        let interval = Duration::from_secs(60);
        let rig = Rig::new(&world, |builder| builder.check_every(interval));
        rig.open().await;
        rig.wait(60 * 100).await;
        let mut times = rig.probe.times(Hook::Check);
        times.insert(0, rig.managed.initialized_at().expect("it is open"));
        let gaps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.len() >= 99, "{}", gaps.len());
        assert!(
            gaps.iter()
                .all(|gap| *gap <= interval && *gap >= interval * 9 / 10),
            "{gaps:?}"
        );
        let differ = gaps.iter().filter(|gap| **gap != gaps[0]).count();
        assert!(differ > 90, "{gaps:?}");
        rig.ends_well().await;
    }

    async fn b04_what_is_used_all_day_is_never_checked<W: ManagedWorld>(world: W) {
        let rig = Rig::new(&world, |builder| {
            builder.check_every(Duration::from_secs(60))
        });
        for _ in 0..24 * 60 {
            rig.ask(Ok).await.expect("it serves");
            rig.wait(59).await;
        }
        assert_eq!(rig.probe.begun(Hook::Check), 0);
        rig.wait(2).await;
        assert_eq!(rig.probe.begun(Hook::Check), 1, "left alone, it is");
        rig.ends_well().await;
    }
}

async fn f28_the_check_that_is_written_is_the_check_that_runs<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder.check_every(world.tick()));
    rig.open().await;
    if W::BACKGROUND {
        rig.until("three checks", || rig.probe.begun(Hook::Check) >= 3)
            .await;
    } else {
        rig.wait(5).await;
        assert_eq!(
            rig.probe.begun(Hook::Check),
            0,
            "only what is asked for runs"
        );
        assert!(rig.soon(rig.managed.check()).await.is_ok());
        assert_eq!(rig.events.count(&What::CheckPassed), 1);
    }
    assert!(rig.probe.did(Did::EndCheck(1)));
    rig.ends_well().await;
}

async fn s06_degraded_and_back_in_the_background<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| {
        builder
            .check_every(world.tick())
            .fail_after(2)
            .recover_after(2)
            .reopen_after(None)
    });
    let failing = Step::fail(ErrorClass::Retry);
    rig.probe.next(Hook::Check, [failing.clone(), failing]);
    let mut watch = rig.managed.watch();
    rig.open().await;
    if W::BACKGROUND {
        use State::{Degraded, Initializing, Ready};
        for state in [Initializing, Ready, Degraded, Ready] {
            assert_eq!(rig.soon(watch.changed()).await.expect("a change").to, state);
        }
        assert!(rig.probe.begun(Hook::Check) >= 4);
    } else {
        rig.wait(10).await;
        assert_eq!(rig.probe.begun(Hook::Check), 0);
        assert_eq!(rig.managed.state(), State::Ready);
    }
    rig.ends_well().await;
}

async fn s06_erroring_or_panicking_check_does_not_end_checking<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| {
        builder
            .check_every(world.tick())
            .check_timeout(world.tick() * 2)
            .reopen_after(None)
    });
    let bad = [Step::fail(ErrorClass::GiveUp), Step::panic(), Step::hang()];
    rig.probe.next(Hook::Check, bad);
    rig.open().await;
    if W::BACKGROUND {
        rig.until("a fifth check", || rig.probe.begun(Hook::Check) >= 5)
            .await;
    } else {
        for passes in [false, false, false, true, true] {
            assert_eq!(rig.soon(rig.managed.check()).await.is_ok(), passes);
        }
    }
    rig.until_state(State::Ready).await;
    let errors: Vec<_> = rig
        .events
        .whats()
        .into_iter()
        .filter_map(|what| match what {
            What::CheckFailed(error) => Some(error),
            _ => None,
        })
        .collect();
    assert_eq!(
        errors[..2],
        ["refused (GiveUp)", "panicked: as the script says"]
    );
    assert!(errors[2].starts_with("timed out after"), "{errors:?}");
    rig.ends_well().await;
}

async fn s06_reopened_after_k_failures<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| {
        builder.check_every(world.tick()).reopen_after(3)
    });
    rig.probe
        .next(Hook::Check, vec![Step::fail(ErrorClass::Retry); 3]);
    rig.open().await;
    if W::BACKGROUND {
        rig.until("a new value", || rig.probe.did(Did::Open(2)))
            .await;
    } else {
        for state in [State::Degraded, State::Degraded, State::Error] {
            assert!(rig.soon(rig.managed.check()).await.is_err());
            assert_eq!(rig.managed.state(), state);
        }
        assert_eq!(rig.soon(rig.managed.get()).await.expect("it opens").id, 2);
    }
    let log = rig.probe.log();
    let checks = log.iter().filter(|did| **did == Did::BeginCheck(1)).count();
    assert_eq!(checks, 3, "{log:?}");
    rig.probe.assert_order(Did::EndClose(1), Did::BeginOpen);
    assert_eq!(rig.events.endings(), [(Ending::Closed, Why::CheckFailed)]);
    rig.until_state(State::Ready).await;
    rig.ends_well().await;
}

async fn s06_check_is_never_under_a_lock<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| {
        builder.check_every(world.tick()).check_timeout(None)
    });
    rig.probe.next(Hook::Check, [Step::hang()]);
    rig.open().await;
    let mut check = Box::pin(rig.managed.check());
    if W::BACKGROUND {
        rig.until("a check", || rig.probe.begun(Hook::Check) == 1)
            .await;
    } else {
        assert!(poll!(check.as_mut()).is_pending());
    }
    // While it hangs, all else goes on.
    assert_eq!(rig.soon(rig.managed.get()).await.expect("it is open").id, 1);
    assert_eq!(rig.soon(rig.ask(Ok)).await.expect("it serves"), 1);
    assert!(rig.soon(rig.managed.check()).await.is_ok());
    assert_eq!(rig.managed.state(), State::Ready);
    rig.assert_balanced();
    let breaks = rig.ask_beyond(1);
    assert_eq!(rig.soon(breaks).await.expect("the new value serves"), 2);
    drop(check);
    rig.ends_well().await;
}

async fn s06_checks_do_not_overlap<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| {
        builder.check_every(world.tick()).check_timeout(None)
    });
    rig.probe
        .always(Hook::Check, Step::ok().after(world.tick() * 3));
    rig.open().await;
    let wanted = if W::BACKGROUND { 4 } else { 0 };
    rig.wait(5).await;
    rig.until("some checks", || rig.probe.begun(Hook::Check) >= wanted)
        .await;
    let log = rig.probe.log();
    let checks = log
        .into_iter()
        .filter(|did| matches!(did, Did::BeginCheck(_) | Did::EndCheck(_)));
    for (place, did) in checks.enumerate() {
        let expected = if place % 2 == 0 {
            Did::BeginCheck(1)
        } else {
            Did::EndCheck(1)
        };
        assert_eq!(did, expected);
    }
    rig.ends_well().await;
}

async fn b04_initial_delay<W: ManagedWorld>(world: W) {
    let delay = world.tick() * 10;
    let patient = Rig::new(&world, |builder| {
        builder.check_every(world.tick()).initial_delay(delay)
    });
    let prompt = Rig::new(&world, |builder| {
        builder
            .check_every(world.tick() * 4_000)
            .initial_delay(Duration::ZERO)
    });
    for rig in [&patient, &prompt] {
        rig.open().await;
        if W::BACKGROUND {
            rig.until("a check", || rig.probe.begun(Hook::Check) > 0)
                .await;
        }
    }
    if W::BACKGROUND {
        let opened_at = patient.managed.initialized_at().expect("it is open");
        let waited = patient.probe.times(Hook::Check)[0] - opened_at;
        assert!(waited >= delay, "checked after {waited:?} already");
    }
    patient.ends_well().await;
    prompt.ends_well().await;
}

async fn b04_just_used_is_not_checked<W: ManagedWorld>(world: W) {
    let every = world.tick() * 20;
    let rig = Rig::new(&world, |builder| builder.check_every(every));
    rig.open().await;
    rig.wait(10).await;
    let mut used_at = rig.now();
    let call = rig.ask(|id| {
        used_at = rig.now();
        Ok(id)
    });
    rig.soon(call).await.expect("it serves");
    // What failed is no evidence of health, and puts nothing off.
    let once = CallOptions::named("ask").max_retries(0);
    let refused = rig.soon(rig.refused(once, ErrorClass::GiveUp)).await;
    assert!(refused.is_err());
    if W::BACKGROUND {
        rig.until("a check", || {
            rig.probe.times(Hook::Check).last() >= Some(&used_at)
        })
        .await;
        let times = rig.probe.times(Hook::Check);
        let next = times
            .into_iter()
            .find(|at| *at >= used_at)
            .expect("a check");
        assert!(next - used_at >= every, "{:?}", next - used_at);
    } else {
        rig.wait(25).await;
        assert_eq!(rig.probe.begun(Hook::Check), 0);
    }
    rig.ends_well().await;
}

async fn b04_a_degraded_value_is_checked_though_used<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder.check_every(world.tick() * 4));
    rig.open().await;
    rig.probe.next(Hook::Check, [Step::fail(ErrorClass::Retry)]);
    assert!(rig.soon(rig.managed.check()).await.is_err());
    assert_eq!(rig.managed.state(), State::Degraded);
    let mut rounds = 0;
    while W::BACKGROUND && rig.managed.state() == State::Degraded {
        rig.soon(rig.ask(Ok)).await.expect("it serves");
        rig.wait(1).await;
        rounds += 1;
        assert!(rounds < 4_000, "nobody checks it");
    }
    assert_eq!(rig.managed.is_healthy(), W::BACKGROUND);
    rig.ends_well().await;
}
