//! Statistics that are complete without the help of whoever wrote the resource.

use std::time::Duration;

use futures::poll;
use tenure_core::Timer;

use super::*;

on_every_backend! {
    s08_every_attempt_is_counted_by_how_it_ended,
    s08_every_call_is_counted_by_how_it_ended,
    s08_times_and_the_last_failure_are_kept,
    s08_uptime_and_downtime,
}

async fn s08_every_attempt_is_counted_by_how_it_ended<W: ConnectionWorld>(world: W) {
    let rig = Rig::new(&world, |builder| {
        let pause = world.tick();
        builder
            .open_timeout(world.tick() * 2)
            .retry(Retry::new(Backoff::constant(pause).cap(pause)).max_retries(5))
            .open_retry(Retry::new(Backoff::constant(pause).cap(pause)).max_retries(5))
    });
    rig.probe.next(
        Hook::Open,
        [refuse(), Step::hang(), Step::panic(), refuse()],
    );
    rig.open().await;
    soon(&world, rig.connection.reconnect())
        .await
        .expect("it connects");
    let stats = rig.connection.stats();
    let connects = stats.connects;
    assert_eq!(
        (connects.begun, connects.succeeded, connects.reconnects),
        (6, 2, 1),
        "{stats}"
    );
    assert_eq!(
        (connects.refused, connects.timed_out, connects.panicked),
        (2, 1, 1),
        "{stats}"
    );
    assert!(stats.is_balanced(), "{stats}");
    rig.ends_well().await;
}

async fn s08_every_call_is_counted_by_how_it_ended<W: ConnectionWorld>(world: W) {
    let rig = Rig::plain(&world);
    rig.ask().await.expect("it answers");
    rig.refused(ErrorClass::GiveUp).await;
    let gate = Gate::new();
    {
        let held = rig.connection.call("hold", |_| {
            let passed = gate.passed();
            async move {
                passed.await;
                Ok(())
            }
        });
        let mut held = Box::pin(held);
        assert!(poll!(held.as_mut()).is_pending());
        let stats = rig.connection.stats();
        assert!(stats.calls.in_flight == 1 && stats.is_balanced(), "{stats}");
    }
    let retried = rig
        .connection
        .request(CallOptions::named("retried").max_retries(2));
    let call = retried.run(|_| async { Err::<(), _>(Refused(ErrorClass::Retry)) });
    soon(&world, call).await.expect_err("it is refused");
    let stats = rig.connection.stats();
    let calls = stats.calls;
    assert_eq!(
        (calls.begun, calls.succeeded, calls.failed, calls.cancelled),
        (4, 1, 2, 1),
        "{stats}"
    );
    assert_eq!((calls.in_flight, calls.retries), (0, 2), "{stats}");
    assert!(stats.is_balanced(), "{stats}");
    rig.ends_well().await;
}

async fn s08_times_and_the_last_failure_are_kept<W: ConnectionWorld>(world: W) {
    let rig = Rig::plain(&world);
    let stats = rig.connection.stats();
    assert!(
        stats.last_connect_at.is_none() && stats.last_failure.is_none(),
        "{stats}"
    );
    rig.probe.next(Hook::Open, [refuse()]);
    let began_at = world.runtime().now();
    rig.open().await;
    let opened_at = world.runtime().now();
    let stats = rig.connection.stats();
    let failed_at = stats.last_failure_at.expect("one was refused");
    let connected_at = stats.last_connect_at.expect("it is connected");
    assert!(began_at <= failed_at && failed_at < connected_at && connected_at <= opened_at);
    assert_eq!(stats.last_success_at, Some(connected_at));
    assert!(stats.to_string().contains("last failure: "), "{stats}");
    wait(&world, 1).await;
    rig.ask().await.expect("it answers");
    assert!(rig.connection.stats().last_success_at > Some(connected_at));
    wait(&world, 1).await;
    rig.refused(ErrorClass::GiveUp).await;
    let stats = rig.connection.stats();
    assert!(stats.last_failure_at > stats.last_success_at, "{stats}");
    rig.ends_well().await;
}

async fn s08_uptime_and_downtime<W: ConnectionWorld>(world: W) {
    let rig = Rig::plain(&world);
    wait(&world, 2).await;
    let stats = rig.connection.stats();
    assert_eq!(
        (stats.uptime, stats.downtime),
        (None, Duration::ZERO),
        "nobody has wanted it"
    );
    rig.probe
        .next(Hook::Open, [Step::ok().after(world.tick() * 2)]);
    rig.open().await;
    wait(&world, 3).await;
    let stats = rig.connection.stats();
    assert!(stats.uptime >= Some(world.tick() * 3), "{stats}");
    assert!(stats.downtime >= world.tick() * 2, "{stats}");
    if W::VIRTUAL_TIME {
        assert_eq!(
            (stats.uptime, stats.downtime),
            (Some(world.tick() * 3), world.tick() * 2)
        );
    }
    rig.probe.next(Hook::Open, [Step::ok().after(world.tick())]);
    soon(&world, rig.connection.reconnect())
        .await
        .expect("it connects");
    let again = rig.connection.stats();
    assert!(
        again.downtime > stats.downtime && again.uptime.is_some(),
        "{again}"
    );
    soon(&world, rig.connection.close()).await;
    let closed = rig.connection.stats();
    wait(&world, 2).await;
    assert_eq!(
        rig.connection.stats().downtime,
        closed.downtime,
        "nobody wants it any more"
    );
    assert_eq!(closed.uptime, None);
    rig.ends_well().await;
}
