//! Whoever watches the state: S2.

use futures::future::join_all;
use futures::{StreamExt, poll};
use tenure_core::{Ending, ErrorClass, State, Why};

use super::probe::{Did, Hook, Step};
use super::{ManagedWorld, Rig, soon, until, wait};

on_every_backend! {
    s02_watcher_sees_changes_in_order_and_the_last,
    s02_laggard_learns_how_many_it_missed,
    s02_every_watcher_sees_every_change,
    s02_waiting_for_what_cannot_come_is_an_error,
    s02_waiting_for_what_is_does_not_wait,
    s02_watchers_see_the_last_handle_go,
}

async fn s02_watcher_sees_changes_in_order_and_the_last<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder);
    let watch = rig.managed.watch();
    rig.open().await;
    rig.probe.next(Hook::Check, [Step::fail(ErrorClass::Retry)]);
    assert!(rig.soon(rig.managed.check()).await.is_err());
    assert!(rig.soon(rig.managed.check()).await.is_ok());
    let midway = rig.managed.watch();
    rig.soon(rig.managed.close()).await;

    let changes: Vec<_> = rig.soon(watch.collect()).await;
    let seen: Vec<_> = changes
        .iter()
        .map(|change| (change.number, change.to))
        .collect();
    use State::{Closed, Closing, Degraded, Initializing, Ready};
    assert_eq!(
        seen,
        [
            (1, Initializing),
            (2, Ready),
            (3, Degraded),
            (4, Ready),
            (5, Closing),
            (6, Closed)
        ]
    );
    for pair in changes.windows(2) {
        assert_eq!(pair[0].to, pair[1].from);
        assert!(pair[0].at <= pair[1].at && pair[0].at.is_some());
    }
    assert!(changes.iter().all(|change| change.missed == 0));
    let rest: Vec<_> = rig.soon(midway.map(|change| change.to).collect()).await;
    assert_eq!(
        rest,
        [Closing, Closed],
        "what changed before it is not its own"
    );
    rig.ends_well().await;
}

async fn s02_laggard_learns_how_many_it_missed<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder.reopen_after(None));
    let mut watch = rig.managed.watch();
    rig.open().await;
    for _ in 0..500 {
        rig.probe.next(Hook::Check, [Step::fail(ErrorClass::Retry)]);
        let _ = rig.soon(rig.managed.check()).await;
        let _ = rig.soon(rig.managed.check()).await;
    }
    rig.soon(rig.managed.close()).await;
    let total = 2 + 1_000 + 2;
    let first = rig.soon(watch.changed()).await.expect("changes");
    assert!(first.missed > 0);
    assert_eq!(first.number, first.missed + 1);
    let rest: Vec<_> = rig.soon(watch.collect()).await;
    let mut number = first.number;
    for change in &rest {
        number += 1;
        assert_eq!((change.number, change.missed), (number, 0));
    }
    assert_eq!(number, total, "the last one is never missed");
    assert_eq!(rest.last().map(|change| change.to), Some(State::Closed));
    rig.ends_well().await;
}

async fn s02_every_watcher_sees_every_change<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder);
    let watchers: Vec<_> = (0..10)
        .map(|_| {
            let watch = rig.managed.watch();
            rig.world
                .task(watch.map(|change| change.to).collect::<Vec<_>>())
        })
        .collect();
    rig.open().await;
    rig.soon(rig.managed.close()).await;
    for seen in rig.soon(join_all(watchers)).await {
        use State::{Closed, Closing, Initializing, Ready};
        assert_eq!(seen, [Initializing, Ready, Closing, Closed]);
    }
    rig.ends_well().await;
}

async fn s02_waiting_for_what_cannot_come_is_an_error<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder);
    rig.probe.always(Hook::Open, Step::hang());
    let waiting = rig.getter();
    rig.until_state(State::Initializing).await;
    let mut ready = Box::pin(rig.managed.wait_for(State::Ready));
    let mut degraded = Box::pin(rig.managed.wait_for(State::Degraded));
    assert!(poll!(ready.as_mut()).is_pending() && poll!(degraded.as_mut()).is_pending());
    rig.soon(rig.managed.close()).await;
    for (wanted, answer) in [
        (State::Ready, rig.soon(ready).await),
        (State::Degraded, rig.soon(degraded).await),
        (
            State::Error,
            rig.soon(rig.managed.wait_for(State::Error)).await,
        ),
        (
            State::Closing,
            rig.soon(rig.managed.wait_for(State::Closing)).await,
        ),
    ] {
        let error = answer.expect_err("it can no longer come");
        assert_eq!(error.wanted, wanted);
        assert!(!error.state.can_reach(wanted), "{error}");
        assert!(error.to_string().contains("probe"), "{error}");
    }
    assert!(rig.soon(waiting).await.is_err());
    rig.ends_well().await;
}

async fn s02_waiting_for_what_is_does_not_wait<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder);
    let now = rig.managed.wait_for(State::Uninitialized);
    assert!(poll!(Box::pin(now)).is_ready());
    let mut ready = Box::pin(rig.managed.wait_for(State::Ready));
    assert!(
        poll!(ready.as_mut()).is_pending(),
        "waiting asks for nothing"
    );
    rig.open().await;
    assert!(rig.soon(ready).await.is_ok());
    assert_eq!(rig.probe.begun(Hook::Open), 1);
    rig.ends_well().await;
}

async fn s02_watchers_see_the_last_handle_go<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder);
    rig.open().await;
    let watch = rig.managed.watch();
    let clone = rig.managed.clone();
    let Rig {
        world,
        probe,
        events,
        managed,
        ..
    } = rig;
    drop(managed);
    wait(&world, 2).await;
    assert_eq!(clone.state(), State::Ready, "one handle is left");
    drop(clone);
    let seen: Vec<_> = soon(&world, watch.map(|change| change.to).collect()).await;
    assert_eq!(seen, [State::Closing, State::Closed]);
    let ending = if W::BACKGROUND {
        assert!(probe.did(Did::EndClose(1)));
        Ending::Closed
    } else {
        assert!(probe.did(Did::Abandon(1, Why::HandlesDropped)));
        Ending::Abandoned
    };
    until(&world, "its ending", || {
        events.endings() == [(ending, Why::HandlesDropped)]
    })
    .await;
    until(&world, "its value dropped", || probe.alive() == 0).await;
}
