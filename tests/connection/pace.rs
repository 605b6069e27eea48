//! Attempts to connect keep a pace that only a connection that works resets.

use std::cell::Cell;
use std::future::Future;

use futures::future::join;
use tenure_core::Jitter;

use super::*;

on_every_backend! {
    b05_backoff_is_measured_from_the_start_of_an_attempt,
    b05_a_peer_that_accepts_and_hangs_up_is_asked_no_faster,
    b05_a_call_that_succeeds_resets_the_backoff,
    b05_a_call_that_succeeds_late_on_a_lost_connection_resets_nothing,
    a_call_that_succeeds_before_the_next_attempt_ends_its_pause,
    b05_a_check_that_passes_late_on_a_lost_connection_resets_nothing,
    b05_a_check_that_passes_resets_the_backoff,
    b05_a_connection_that_was_open_for_a_set_time_has_proven_itself,
    b05_the_backoff_grows_over_openings,
}

impl<W: ConnectionWorld> Rig<W> {
    /// No attempt began before these pauses, in ticks, were over, each counted from the start of the attempt before.
    ///
    /// They are added up from before the first: the probe writes an attempt down a moment after it began, and that
    /// moment is longer for one than for the next, where time is real.
    fn kept_pace<const N: usize>(&self, pauses: [u32; N]) {
        let times = self.probe.times(Hook::Open);
        assert_eq!(times.len(), N + 1, "{times:?}");
        let mut earliest = self.made_at;
        for (ticks, began_at) in pauses.iter().zip(&times[1..]) {
            earliest = earliest + self.world.tick() * *ticks;
            assert!(*began_at >= earliest, "{times:?} since {:?}", self.made_at);
        }
        if W::VIRTUAL_TIME {
            assert_eq!(times[N], earliest, "and no later");
        }
    }
}

async fn b05_backoff_is_measured_from_the_start_of_an_attempt<W: ConnectionWorld>(world: W) {
    let rig = Rig::plain(&world);
    rig.probe.next(
        Hook::Open,
        [refuse().after(world.tick() * 3), refuse(), Step::ok()],
    );
    rig.open().await;
    // Three of the first four ticks had passed when the first was refused.
    rig.kept_pace([4, 4]);
    rig.ends_well().await;
}

async fn b05_a_peer_that_accepts_and_hangs_up_is_asked_no_faster<W: ConnectionWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder.proven_after(None));
    for _ in 0..3 {
        rig.open().await;
        rig.refused(ErrorClass::Reconnect).await;
    }
    rig.open().await;
    rig.kept_pace([4, 4, 4]);
    rig.ends_well().await;
}

async fn b05_a_call_that_succeeds_resets_the_backoff<W: ConnectionWorld>(world: W) {
    let pause = world.tick() * 1_000;
    let retry = Retry::new(Backoff::constant(pause).cap(pause));
    let rig = Rig::new(&world, |builder| {
        builder.retry(retry).open_retry(retry).proven_after(None)
    });
    for id in 1..=3 {
        assert_eq!(rig.ask().await.expect("it answers"), id);
        rig.refused(ErrorClass::Reconnect).await;
    }
    // Had it kept the pause, this would take three thousand ticks.
    rig.open().await;
    assert_eq!(rig.probe.opened(), 4);
    rig.ends_well().await;
}

async fn b05_a_call_that_succeeds_late_on_a_lost_connection_resets_nothing<W: ConnectionWorld>(
    world: W,
) {
    let rig = Rig::plain(&world);
    rig.open().await;
    let gate = Gate::new();
    let held = rig.connection.call("hold", |value| {
        let passed = gate.passed();
        async move {
            passed.await;
            Ok(value.id)
        }
    });
    let in_flight = || rig.connection.stats().calls.in_flight == 1;
    let answer = lost_under(&rig, held, in_flight, &gate).await;
    assert_eq!(answer.expect("it ends on the old one"), 1);
    rig.ends_well().await;
}

async fn a_call_that_succeeds_before_the_next_attempt_ends_its_pause<W: ConnectionWorld>(world: W) {
    let pause = world.tick() * 1_000;
    let retry = Retry::new(Backoff::constant(pause).cap(pause));
    let rig = Rig::new(&world, |builder| {
        builder.retry(retry).open_retry(retry).proven_after(None)
    });
    rig.open().await;
    let gate = Gate::new();
    let held = rig.connection.call("hold", |value| {
        let passed = gate.passed();
        async move {
            passed.await;
            Ok(value.id)
        }
    });
    let lost = async {
        let in_flight = || rig.connection.stats().calls.in_flight == 1;
        until(&rig.world, "the call is under way", in_flight).await;
        rig.refused(ErrorClass::Reconnect).await;
        let reopened = async {
            let pauses = || {
                let state = rig.connection.connection_state();
                matches!(
                    state,
                    ConnectionState::WaitingToReconnect { until: Some(_) }
                )
            };
            until(&rig.world, "the next attempt pauses", pauses).await;
            gate.open();
        };
        join(rig.open(), reopened).await;
    };
    let (answer, ()) = soon(&rig.world, join(held, lost)).await;
    assert_eq!(answer.expect("it ends on the old one"), 1);
    let times = rig.probe.times(Hook::Open);
    assert_eq!(times.len(), 2);
    if W::VIRTUAL_TIME {
        assert!(
            times[1] < times[0] + pause,
            "it has waited for the whole pause"
        );
    }
    rig.ends_well().await;
}

async fn b05_a_check_that_passes_late_on_a_lost_connection_resets_nothing<W: ConnectionWorld>(
    world: W,
) {
    let rig = Rig::plain(&world);
    rig.open().await;
    let gate = Gate::new();
    rig.probe.next(Hook::Check, [Step::ok().at(&gate)]);
    let is_checked = || rig.probe.begun(Hook::Check) == 1;
    let verdict = lost_under(&rig, rig.connection.check(), is_checked, &gate).await;
    verdict.expect("it passes on the old one");
    rig.ends_well().await;
}

/// What `use_of_it` says, once its gate is opened: meanwhile the connection is lost under it, and an attempt at the
/// next one under way. When that is refused, the next attempt has to keep the pause.
async fn lost_under<W: ConnectionWorld, U>(
    rig: &Rig<W>,
    use_of_it: impl Future<Output = U>,
    is_used: impl Fn() -> bool,
    gate: &Gate,
) -> U {
    let refusal = Gate::new();
    let is_late = Cell::new(false);
    let used = async {
        let answer = use_of_it.await;
        is_late.set(true);
        answer
    };
    let lost = async {
        until(&rig.world, "it is used", is_used).await;
        rig.probe.next(Hook::Open, [refuse().at(&refusal)]);
        rig.refused(ErrorClass::Reconnect).await;
        let attempted = async {
            until(&rig.world, "an attempt is under way", || {
                rig.probe.begun(Hook::Open) == 2
            })
            .await;
            gate.open();
            until(&rig.world, "the use is over", || is_late.get()).await;
            refusal.open();
        };
        join(rig.open(), attempted).await;
    };
    let (answer, ()) = soon(&rig.world, join(used, lost)).await;
    rig.kept_pace([4, 4]);
    answer
}

async fn b05_a_check_that_passes_resets_the_backoff<W: ConnectionWorld>(world: W) {
    let pause = world.tick() * 1_000;
    let retry = Retry::new(Backoff::constant(pause).cap(pause));
    let rig = Rig::new(&world, |builder| {
        builder.retry(retry).open_retry(retry).proven_after(None)
    });
    rig.open().await;
    soon(&world, rig.connection.check())
        .await
        .expect("it passes");
    soon(&world, rig.connection.reconnect())
        .await
        .expect("it connects");
    assert_eq!(rig.probe.opened(), 2);
    rig.ends_well().await;
}

async fn b05_a_connection_that_was_open_for_a_set_time_has_proven_itself<W: ConnectionWorld>(
    world: W,
) {
    let pause = world.tick() * 1_000;
    let retry = Retry::new(Backoff::constant(pause).cap(pause));
    let rig = Rig::new(&world, |builder| {
        builder
            .retry(retry)
            .open_retry(retry)
            .proven_after(world.tick() * 2)
    });
    rig.open().await;
    wait(&world, 3).await;
    soon(&world, rig.connection.reconnect())
        .await
        .expect("it connects");
    assert_eq!(rig.probe.opened(), 2);
    rig.ends_well().await;
}

async fn b05_the_backoff_grows_over_openings<W: ConnectionWorld>(world: W) {
    let backoff = Backoff::exponential(world.tick()).cap(world.tick() * 4);
    let retry = Retry::new(backoff.jitter(Jitter::None)).max_retries(0);
    let rig = Rig::new(&world, |builder| builder.retry(retry).open_retry(retry));
    rig.probe
        .next(Hook::Open, [refuse(), refuse(), refuse(), refuse()]);
    for _ in 0..4 {
        // Each is an opening of its own, with a single attempt.
        let _ = soon(&world, rig.connection.open()).await;
    }
    rig.open().await;
    rig.kept_pace([1, 2, 4, 4]);
    rig.ends_well().await;
}
