//! When it opens by itself, and what a stop does to that: B1, and the recovery of S6.

use futures::poll;
use tenure_core::{Backoff, Ending, ErrorClass, OpenError, Retry, Start, State, Why};

use super::probe::{Did, Gate, Hook, Probe, Step};
use super::{ManagedWorld, Rig, every};

on_every_backend! {
    b01_start_modes,
    b01_start_in_background_goes_on_trying,
    b01_stop_during_start_cancels_it,
    b01_stop_between_two_attempts_cancels_the_next,
    b01_stop_of_what_never_started_runs_nothing,
    b01_a_value_that_opens_too_late_is_closed,
    s03_a_waiter_is_woken_by_a_stop,
    s04_what_is_not_worth_a_retry_is_not_tried_again_unasked,
    s06_what_could_not_be_opened_is_tried_again,
    s06_a_runner_does_not_try_for_ever_in_one_poll,
}

async fn b01_start_modes<W: ManagedWorld>(world: W) {
    let lazy = Rig::new(&world, |builder| builder.start(Start::Lazily));
    let eager = Rig::new(&world, |builder| builder.start(Start::InBackground));
    if W::BACKGROUND {
        assert!(
            eager
                .soon(eager.managed.wait_for(State::Ready))
                .await
                .is_ok()
        );
    }
    lazy.wait(3).await;
    assert_eq!(lazy.probe.begun(Hook::Open), 0, "nobody has asked");
    assert_eq!(eager.probe.opened(), usize::from(W::BACKGROUND));
    for rig in [lazy, eager] {
        assert!(rig.soon(rig.managed.open()).await.is_ok());
        assert_eq!(rig.probe.begun(Hook::Open), 1);
        rig.ends_well().await;
    }

    // To fail fast is to await the opening first.
    let fast = Rig::new(&world, |builder| builder.open_retry(Retry::NEVER));
    fast.probe.next(Hook::Open, [Step::fail(ErrorClass::Retry)]);
    let answer = fast.soon(fast.managed.open()).await;
    assert!(
        matches!(answer, Err(OpenError::Failed { .. })),
        "{answer:?}"
    );
    fast.ends_well().await;
}

async fn b01_start_in_background_goes_on_trying<W: ManagedWorld>(world: W) {
    let probe = Probe::default();
    let failing = Step::fail(ErrorClass::Retry);
    probe.next(Hook::Open, [failing.clone(), failing.clone(), failing]);
    let rig = Rig::over(&world, &probe, |builder| {
        builder
            .start(Start::InBackground)
            .retry(every(world.tick()).max_retries(1))
            .open_retry(every(world.tick()).max_retries(1))
    });
    if W::BACKGROUND {
        // Waiting asks for nothing, and the retries of one opening do not get there.
        assert!(rig.soon(rig.managed.wait_for(State::Ready)).await.is_ok());
        assert_eq!(probe.begun(Hook::Open), 4);
    } else {
        rig.wait(5).await;
        assert_eq!(probe.begun(Hook::Open), 0);
    }
    rig.ends_well().await;
}

async fn b01_stop_during_start_cancels_it<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder);
    rig.probe.always(Hook::Open, Step::hang());
    let waiting = rig.getter();
    rig.until("an opening", || rig.probe.begun(Hook::Open) == 1)
        .await;
    let report = rig.soon(rig.managed.shutdown(rig.ticks(4_000))).await;
    assert!(report.is_clean() && report.closed == 0, "{report}");
    let answer = rig.soon(waiting).await;
    assert!(
        matches!(answer, Err(OpenError::Closed { .. })),
        "{answer:?}"
    );
    assert_eq!(rig.managed.state(), State::Closed);
    assert_eq!(rig.managed.audit().open_called_off, 1);
    assert_eq!(rig.probe.begun(Hook::Open), 1);
    rig.ends_well().await;
}

async fn b01_stop_between_two_attempts_cancels_the_next<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| {
        builder.open_retry(every(world.tick() * 4_000))
    });
    rig.probe.next(Hook::Open, [Step::fail(ErrorClass::Retry)]);
    let waiting = rig.getter();
    rig.until("a first failure", || !rig.events.delays().is_empty())
        .await;
    let report = rig.soon(rig.managed.close()).await;
    assert!(report.is_clean(), "{report}");
    let answer = rig.soon(waiting).await;
    assert!(
        matches!(answer, Err(OpenError::Closed { .. })),
        "{answer:?}"
    );
    assert_eq!(rig.probe.begun(Hook::Open), 1);
    rig.ends_well().await;
}

async fn b01_stop_of_what_never_started_runs_nothing<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder);
    let report = rig.soon(rig.managed.shutdown(rig.ticks(4_000))).await;
    assert!(report.is_clean() && report.closed == 0, "{report}");
    assert_eq!(rig.probe.log(), []);
    rig.until("its one transition", || {
        rig.events.transitions() == [(State::Uninitialized, State::Closed, 1)]
    })
    .await;
    rig.ends_well().await;
}

async fn b01_a_value_that_opens_too_late_is_closed<W: ManagedWorld>(world: W) {
    let rig = Rig::without_runner(&world, |builder| builder);
    let gate = Gate::new();
    rig.probe.next(Hook::Open, [Step::ok().at(&gate)]);
    let mut caller = Box::pin(rig.managed.get());
    assert!(poll!(caller.as_mut()).is_pending());
    let mut stop = Box::pin(rig.managed.close());
    assert!(poll!(stop.as_mut()).is_pending());
    gate.open();
    // The caller still drives its opening, which now has a result that nobody may use.
    let answer = rig.soon(caller).await;
    assert!(
        matches!(answer, Err(OpenError::Closed { .. })),
        "{answer:?}"
    );
    let report = rig.soon(stop).await;
    assert_eq!(report.closed, rig.probe.opened() as u64, "{report}");
    assert!(report.is_clean(), "{report}");
    for ending in rig.events.endings() {
        assert_eq!(ending, (Ending::Closed, Why::OpenedTooLate));
    }
    rig.ends_well().await;
}

async fn s03_a_waiter_is_woken_by_a_stop<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder);
    rig.probe.always(Hook::Open, Step::hang());
    let waiting: Vec<_> = (0..10).map(|_| rig.getter()).collect();
    rig.until("an opening", || rig.probe.begun(Hook::Open) == 1)
        .await;
    rig.soon(rig.managed.close()).await;
    for answer in rig.soon(futures::future::join_all(waiting)).await {
        assert!(
            matches!(answer, Err(OpenError::Closed { .. })),
            "{answer:?}"
        );
    }
    rig.ends_well().await;
}

async fn s04_what_is_not_worth_a_retry_is_not_tried_again_unasked<W: ManagedWorld>(world: W) {
    let probe = Probe::default();
    probe.always(Hook::Open, Step::fail(ErrorClass::GiveUp));
    let rig = Rig::over(&world, &probe, |builder| {
        builder
            .start(Start::InBackground)
            .retry(every(world.tick()))
            .open_retry(every(world.tick()))
    });
    let mut asked = usize::from(W::BACKGROUND);
    if W::BACKGROUND {
        rig.until_state(State::Error).await;
    }
    for _ in 0..2 {
        // A day, where that costs nothing.
        rig.wait(if W::VIRTUAL_TIME { 24 * 60 * 60 } else { 20 })
            .await;
        assert_eq!(rig.probe.begun(Hook::Open), asked);
        assert!(rig.soon(rig.managed.open()).await.is_err());
        asked += 1;
        assert_eq!(rig.probe.begun(Hook::Open), asked, "asking is worth one");
    }
    rig.ends_well().await;
}

async fn s06_what_could_not_be_opened_is_tried_again<W: ManagedWorld>(world: W) {
    let longest = world.tick() * 4;
    let rig = Rig::new(&world, |builder| {
        builder.open_retry(Retry::new(Backoff::constant(world.tick()).cap(longest)).max_retries(0))
    });
    rig.probe.next(Hook::Open, [Step::fail(ErrorClass::Retry)]);
    assert!(rig.soon(rig.managed.open()).await.is_err());
    if W::BACKGROUND {
        assert!(rig.soon(rig.managed.wait_for(State::Ready)).await.is_ok());
        let times = rig.probe.times(Hook::Open);
        // By itself it is in no hurry, jitter of a tenth apart.
        let waited = times[1] - times[0];
        assert!(waited >= world.tick() * 9 / 10, "{waited:?}");
    } else {
        rig.wait(10).await;
        assert_eq!(rig.probe.begun(Hook::Open), 1, "nobody has asked");
        assert!(rig.soon(rig.managed.open()).await.is_ok());
    }
    assert_eq!(rig.probe.begun(Hook::Open), 2);
    rig.ends_well().await;
}

async fn s06_a_runner_does_not_try_for_ever_in_one_poll<W: ManagedWorld>(world: W) {
    let (rig, runner) = Rig::with_runner(&world, |builder| {
        let at_once = Backoff::constant(std::time::Duration::ZERO);
        builder
            .start(Start::InBackground)
            .open_retry(Retry::new(at_once).max_retries(0))
    });
    let failing = Step::fail(ErrorClass::Retry);
    rig.probe.next(Hook::Open, vec![failing; 1_000]);
    let mut work = Box::pin(runner.run());
    assert!(poll!(work.as_mut()).is_pending());
    let attempts = rig.probe.begun(Hook::Open);
    assert!(attempts < 100, "{attempts} attempts, and nobody else ran");
    drop(work);
    assert!(!rig.probe.did(Did::Open(1)));
    rig.ends_well().await;
}
