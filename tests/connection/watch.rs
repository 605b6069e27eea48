//! Where a connection stands, seen by who does not hold it.

use futures::future::join;
use futures::poll;

use super::*;

on_every_backend! {
    s07_the_state_is_tracked_and_watched,
    s07_who_watches_a_connection_keeps_nothing_open,
}

async fn s07_the_state_is_tracked_and_watched<W: ConnectionWorld>(world: W) {
    let rig = Rig::plain(&world);
    let connection = &rig.connection;
    assert_eq!(connection.connection_state(), ConnectionState::Idle);
    let mut watch = connection.watch();
    let gate = Gate::new();
    rig.probe.next(Hook::Open, [refuse(), Step::ok().at(&gate)]);
    let mut open = Box::pin(connection.open());
    let _ = poll!(open.as_mut());
    let mut seen = Vec::new();
    let watching = async {
        while let Some(state) = watch.changed().await {
            if is_waiting(state) {
                gate.open();
            }
            seen.push(state);
            if state == ConnectionState::Connected {
                break;
            }
        }
    };
    let (opened, ()) = soon(&world, join(open, watching)).await;
    opened.expect("it connects");
    assert_eq!(seen.last(), Some(&ConnectionState::Connected), "{seen:?}");
    assert!(seen.iter().copied().any(is_waiting), "{seen:?}");
    soon(&world, connection.wait_connected())
        .await
        .expect("it is");
    let closed = async {
        connection.close().await;
    };
    let last = async {
        let mut last = None;
        while let Some(state) = watch.changed().await {
            last = Some(state);
        }
        last
    };
    let ((), last) = soon(&world, join(closed, last)).await;
    assert_eq!(last, Some(ConnectionState::Closed));
    soon(&world, connection.wait_connected())
        .await
        .expect_err("it is closed");
    rig.ends_well().await;
}

async fn s07_who_watches_a_connection_keeps_nothing_open<W: ConnectionWorld>(world: W) {
    let rig = Rig::plain(&world);
    rig.open().await;
    let (mut watch, weak) = (rig.connection.watch(), rig.connection.downgrade());
    let again = weak.upgrade().expect("it is held");
    let Rig {
        connection, probe, ..
    } = rig;
    drop(connection);
    assert_eq!(again.connection_state(), ConnectionState::Connected);
    drop(again);
    assert!(weak.upgrade().is_none(), "the last handle is gone");
    let seen = soon(&world, watch.changed()).await;
    assert_eq!(seen, Some(ConnectionState::Closed));
    assert_eq!(soon(&world, watch.changed()).await, None);
    until(&world, "the value is gone", || probe.alive() == 0).await;
}
