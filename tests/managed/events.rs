//! What the event sink is told: promise 7, and the balance of promise 3 at every step.

use std::sync::{Arc, Mutex};

use futures::future::join_all;
use tenure_core::{Ending, ErrorClass, Event, State, Why};

use super::probe::{Did, Hook, Step};
use super::recorder::What;
use super::{Handle, ManagedWorld, Rig, every};

on_every_backend! {
    promise7_a_whole_life_is_told,
    promise7_transitions_are_numbered_without_gaps,
    promise7_every_attempt_that_began_is_seen_to_end,
    promise7_attempts_are_numbered_within_an_opening,
    promise7_events_say_whose_and_when_in_one_line,
    promise5_a_sink_that_panics_disturbs_nobody,
}

/// A sink is `Send`, so that it can hold a handle only where handles are.
mod on_threads {
    use super::*;

    where_values_are_send! {
        promise3_the_audit_balances_at_every_event,
    }

    async fn promise3_the_audit_balances_at_every_event<W>(world: W)
    where
        W: ManagedWorld<Probe: Send + Sync, Mark: Send + Sync>,
        Handle<W>: Send + Sync,
    {
        let handle: Arc<Mutex<Option<Handle<W>>>> = Arc::default();
        let unbalanced: Arc<Mutex<Vec<String>>> = Arc::default();
        let (seen_by, told) = (handle.clone(), unbalanced.clone());
        let sink = move |event: &Event<'_>| {
            let Some(managed) = seen_by.lock().expect("no panic").clone() else {
                return;
            };
            // It may ask whatever it likes: no lock is held while it runs.
            let audit = managed.audit();
            let state = managed.state();
            if !audit.is_balanced() || managed.try_get().is_some() != state.is_usable() {
                told.lock()
                    .expect("no panic")
                    .push(format!("{event}: {audit}, {state}"));
            }
        };
        let rig = Rig::new(&world, |builder| {
            builder.events(Arc::new(sink)).close_timeout(world.tick())
        });
        *handle.lock().expect("no panic") = Some(rig.managed.clone());
        rig.probe.next(Hook::Open, [Step::fail(ErrorClass::Retry)]);
        let closes = [
            Step::ok(),
            Step::fail(ErrorClass::Retry),
            Step::panic(),
            Step::hang(),
        ];
        rig.probe.next(Hook::Close, closes);
        for round in 1..=4 {
            let answer = rig.soon(rig.ask_beyond(round)).await;
            answer.expect("a new value serves");
        }
        rig.soon(rig.managed.close()).await;
        assert_eq!(*unbalanced.lock().expect("no panic"), [""; 0]);
        assert_eq!(rig.managed.audit().opened, 5);
        assert!(rig.managed.audit().is_balanced());
        // Or it and its sink would keep each other for good.
        let seen = handle.lock().expect("no panic").take();
        drop(seen);
    }
}

async fn promise7_a_whole_life_is_told<W: ManagedWorld>(world: W) {
    // Without a Runner, so that the order is one.
    let rig = Rig::without_runner(&world, |builder| builder);
    let delay = rig.ticks(1);
    rig.probe.next(Hook::Open, [Step::fail(ErrorClass::Retry)]);
    rig.probe.next(Hook::Check, [Step::fail(ErrorClass::Retry)]);
    rig.probe
        .next(Hook::Close, [Step::ok(), Step::fail(ErrorClass::GiveUp)]);
    rig.open().await;
    assert!(rig.soon(rig.managed.check()).await.is_err());
    assert!(rig.soon(rig.managed.check()).await.is_ok());
    let call = rig.ask_beyond(1);
    rig.soon(call).await.expect("the new value serves");
    rig.soon(rig.managed.close()).await;
    use State::{Closed, Closing, Degraded, Error, Initializing, Ready, Uninitialized};
    let failed = "refused (Retry)".to_owned();
    // What is told is what is left of the delay since the start of the attempt.
    let whats: Vec<_> = rig
        .events
        .whats()
        .into_iter()
        .map(|what| match what {
            What::OpenFailed(number, error, Some(left)) if left <= delay => {
                What::OpenFailed(number, error, Some(delay))
            }
            what => what,
        })
        .collect();
    assert_eq!(
        whats,
        [
            What::Transition(Uninitialized, Initializing, 1),
            What::OpenBegan(1),
            What::OpenFailed(1, failed.clone(), Some(delay)),
            What::OpenBegan(2),
            What::Opened(2),
            What::Transition(Initializing, Ready, 2),
            What::CheckFailed(failed),
            What::Transition(Ready, Degraded, 3),
            What::CheckPassed,
            What::Transition(Degraded, Ready, 4),
            What::Transition(Ready, Error, 5),
            What::CallFailed("ask".into(), 1, "refused (Reconnect)".into(), Some(delay)),
            What::Transition(Error, Initializing, 6),
            What::Ended(Ending::Closed, Why::Broken, None),
            What::OpenBegan(1),
            What::Opened(1),
            What::Transition(Initializing, Ready, 7),
            What::Transition(Ready, Closing, 8),
            What::Ended(
                Ending::CloseFailed,
                Why::Shutdown,
                Some("refused (GiveUp)".into())
            ),
            What::Transition(Closing, Closed, 9),
        ]
    );
    rig.ends_well().await;
}

async fn promise7_transitions_are_numbered_without_gaps<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder);
    let (rig_of, rounds) = (&rig, 1..=5);
    let tasks = (1..=4).map(|task| {
        let rounds = rounds.clone();
        async move {
            for round in rounds {
                // It may run out of attempts; what counts is what is told of it.
                let _ = rig_of.ask_beyond(task * round).await;
            }
        }
    });
    rig.soon(join_all(tasks)).await;
    rig.soon(rig.managed.close()).await;
    rig.until("the end", || {
        let transitions = rig.events.transitions();
        transitions.last().is_some_and(|(_, to, number)| {
            *to == State::Closed && *number == transitions.len() as u64
        })
    })
    .await;
    let mut before = State::Uninitialized;
    for (place, (from, to, number)) in rig.events.transitions().into_iter().enumerate() {
        assert_eq!((from, number), (before, place as u64 + 1));
        before = to;
    }
    assert!(rig.probe.did(Did::Open(2)));
    rig.ends_well().await;
}

async fn promise7_every_attempt_that_began_is_seen_to_end<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| {
        builder
            .open_timeout(world.tick())
            .retry(every(world.tick()).max_retries(u32::MAX))
            .open_retry(every(world.tick()).max_retries(u32::MAX))
    });
    let steps = [
        Step::fail(ErrorClass::Retry),
        Step::panic(),
        Step::hang(),
        Step::fail(ErrorClass::RetryAfter(world.tick())),
    ];
    rig.probe.next(Hook::Open, steps);
    rig.soon(rig.managed.open())
        .await
        .expect("it opens in the end");
    rig.soon(rig.managed.close()).await;
    let whats = rig.events.whats();
    let attempts: Vec<_> = whats
        .iter()
        .filter_map(|what| match what {
            What::OpenBegan(number) => Some((*number, "began")),
            What::OpenFailed(number, ..) => Some((*number, "failed")),
            What::Opened(number) => Some((*number, "opened")),
            _ => None,
        })
        .collect();
    // Under load an attempt that should succeed may time out as well.
    for (place, pair) in attempts.chunks(2).enumerate() {
        let number = place as u32 + 1;
        let ended = if 2 * (place + 1) == attempts.len() {
            "opened"
        } else {
            "failed"
        };
        assert_eq!(pair, [(number, "began"), (number, ended)], "{attempts:?}");
    }
    assert!(attempts.len() >= 10, "{attempts:?}");
    rig.ends_well().await;
}

async fn promise7_attempts_are_numbered_within_an_opening<W: ManagedWorld>(world: W) {
    let rig = Rig::without_runner(&world, |builder| {
        builder
            .retry(every(world.tick()).max_retries(1))
            .open_retry(every(world.tick()).max_retries(1))
    });
    rig.probe
        .next(Hook::Open, vec![Step::fail(ErrorClass::Retry); 3]);
    assert!(rig.soon(rig.managed.open()).await.is_err());
    assert!(rig.soon(rig.managed.open()).await.is_ok());
    let numbers: Vec<_> = rig
        .events
        .whats()
        .into_iter()
        .filter_map(|what| match what {
            What::OpenBegan(number) => Some(number),
            _ => None,
        })
        .collect();
    assert_eq!(numbers, [1, 2, 1, 2], "each opening counts its own");
    rig.ends_well().await;
}

async fn promise7_events_say_whose_and_when_in_one_line<W: ManagedWorld>(world: W) {
    let before = tenure_core::Timer::now(&world.runtime());
    let rig = Rig::new(&world, |builder| builder.name("users"));
    rig.probe.next(Hook::Open, [Step::fail(ErrorClass::Retry)]);
    rig.open().await;
    rig.soon(rig.managed.close()).await;
    let events = rig.events.all();
    assert!(events.len() >= 8, "{events:?}");
    for event in &events {
        assert_eq!(event.name, "users");
        assert!(
            event.line.starts_with("users: ") && !event.line.contains('\n'),
            "{event:?}"
        );
        assert!(event.at >= Some(before), "{event:?}");
    }
    let line = "users: opening failed, attempt 1: refused (Retry), again in ";
    let told = events.iter().any(|event| event.line.starts_with(line));
    assert!(told, "{events:?}");
    rig.ends_well().await;
}

async fn promise5_a_sink_that_panics_disturbs_nobody<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| {
        builder.events(Arc::new(|_: &Event<'_>| panic!("a bad sink")))
    });
    rig.open().await;
    assert!(rig.soon(rig.managed.check()).await.is_ok());
    let report = rig.soon(rig.managed.close()).await;
    assert!(report.is_clean() && report.closed == 1, "{report}");
    assert!(rig.managed.audit().is_balanced());
}
