//! Opened by the first user, kept while there is any and for a time after.

use std::task::Poll;
use std::time::Duration;

use futures::future::{join, join_all};
use futures::poll;
use tenure_core::{OpenError, Shared, State, Timer};

use super::{Did, Hook, Rig, SharedWorld, Step, closes, refuse};
use crate::managed::probe::Gate;
use crate::managed::{soon, until, wait};

on_every_executor! {
    b11_the_first_user_opens_and_all_share_one_value,
    b11_many_who_ask_at_once_open_once,
    b11_kept_for_a_time_after_the_last_user,
    b11_a_new_user_within_that_time_keeps_it,
    b11_with_no_time_to_live_it_is_closed_after_its_last_user,
    b11_the_next_opening_waits_for_the_close_before_it,
    b11_a_clone_of_a_share_is_a_user_too,
    b11_an_opening_that_fails_is_told_and_the_next_user_tries_anew,
    b11_a_user_waits_no_longer_than_it_wants_to,
    b11_a_user_that_gives_up_holds_nobody_up,
    b11_shutdown_waits_for_users_and_closes_under_them_in_the_end,
    b11_shutdown_tells_those_who_wait,
    b11_a_shutdown_dropped_half_way_goes_on,
    b11_a_shutdown_that_is_not_polled_keeps_no_other_waiting,
    b11_a_shutdown_cuts_off_no_close_that_a_user_drives,
    b11_when_all_handles_are_gone_the_value_ends_after_its_users,
    b11_a_setting_that_makes_no_sense_is_named,
}

async fn b11_the_first_user_opens_and_all_share_one_value<W: SharedWorld>(world: W) {
    let rig = Rig::plain(&world);
    assert_eq!(
        (rig.probe.opened(), rig.shared.state()),
        (0, State::Uninitialized)
    );
    let first = soon(&world, rig.shared.acquire()).await.expect("it opens");
    let second = soon(&world, rig.shared.acquire())
        .await
        .expect("it is open");
    assert_eq!((first.id, second.id, rig.probe.opened()), (1, 1, 1));
    assert!(first.is_current() && rig.shared.state() == State::Ready);
    let audit = rig.shared.audit();
    assert_eq!((audit.in_use, audit.idle), (1, 0));
    drop((first, second));
    assert_eq!(rig.shared.audit().idle, 1);
    rig.ends_well().await;
}

async fn b11_many_who_ask_at_once_open_once<W: SharedWorld>(world: W) {
    let rig = Rig::plain(&world);
    rig.probe.always(Hook::Open, Step::ok().after(world.tick()));
    let users = join_all((0..20).map(|_| rig.touch()));
    let ids = soon(&world, users).await;
    assert!(ids.iter().all(|id| matches!(id, Ok(1))), "{ids:?}");
    assert_eq!(rig.probe.opened(), 1);
    rig.ends_well().await;
}

async fn b11_kept_for_a_time_after_the_last_user<W: SharedWorld>(world: W) {
    let rig = Rig::plain(&world);
    let left_at = {
        let share = soon(&world, rig.shared.acquire()).await.expect("it opens");
        wait(&world, 8).await;
        assert!(closes(&rig.probe).is_empty(), "it is in use");
        let left_at = world.runtime().now();
        drop(share);
        left_at
    };
    if !W::BACKGROUND {
        wait(&world, 4).await;
        // Without background the next user closes it.
        assert_eq!(rig.touch().await.expect("it opens"), 2);
    }
    rig.until_did(Did::EndClose(1)).await;
    let closed_at = rig.probe.times(Hook::Close)[0];
    assert!(closed_at >= left_at + world.tick() * 4);
    rig.ends_well().await;
}

async fn b11_a_new_user_within_that_time_keeps_it<W: SharedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder.idle_timeout(world.tick() * 1_000));
    for _ in 0..3 {
        assert_eq!(rig.touch().await.expect("it opens"), 1);
        wait(&world, 2).await;
    }
    assert_eq!(rig.probe.opened(), 1);
    rig.ends_well().await;
}

async fn b11_with_no_time_to_live_it_is_closed_after_its_last_user<W: SharedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder.idle_timeout(Duration::ZERO));
    assert_eq!(rig.touch().await.expect("it opens"), 1);
    if W::BACKGROUND {
        rig.until_did(Did::EndClose(1)).await;
        assert_eq!(rig.shared.state(), State::Uninitialized);
    }
    assert_eq!(rig.touch().await.expect("it opens"), 2);
    rig.probe.assert_order(Did::EndClose(1), Did::Open(2));
    rig.ends_well().await;
}

async fn b11_the_next_opening_waits_for_the_close_before_it<W: SharedWorld>(world: W) {
    let gate = Gate::new();
    let rig = Rig::new(&world, |builder| {
        builder.idle_timeout(Duration::ZERO).close_timeout(None)
    });
    rig.probe.next(Hook::Close, [Step::ok().at(&gate)]);
    assert_eq!(rig.touch().await.expect("it opens"), 1);
    let mut next = Box::pin(rig.touch());
    let _ = poll!(next.as_mut());
    rig.until_did(Did::BeginClose(1)).await;
    assert!(poll!(next.as_mut()).is_pending());
    assert_eq!(rig.probe.opened(), 1);
    gate.open();
    assert_eq!(next.await.expect("it opens"), 2);
    rig.probe.assert_order(Did::EndClose(1), Did::Open(2));
    rig.ends_well().await;
}

async fn b11_a_clone_of_a_share_is_a_user_too<W: SharedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder.idle_timeout(Duration::ZERO));
    let share = soon(&world, rig.shared.acquire()).await.expect("it opens");
    let clone = share.clone();
    drop(share);
    wait(&world, 2).await;
    assert!(clone.is_current() && closes(&rig.probe).is_empty());
    assert_eq!(rig.shared.audit().in_use, 1);
    drop(clone);
    rig.ends_well().await;
}

async fn b11_an_opening_that_fails_is_told_and_the_next_user_tries_anew<W: SharedWorld>(world: W) {
    let rig = Rig::plain(&world);
    rig.probe.next(Hook::Open, [refuse()]);
    let error = rig.touch().await.expect_err("it is refused");
    assert!(error.to_string().starts_with("probe: "), "{error}");
    assert_eq!(rig.touch().await.expect("it opens"), 1);
    rig.ends_well().await;
}

async fn b11_a_user_waits_no_longer_than_it_wants_to<W: SharedWorld>(world: W) {
    let gate = Gate::new();
    let rig = Rig::plain(&world);
    rig.probe.next(Hook::Open, [Step::ok().at(&gate)]);
    let began_at = world.runtime().now();
    let limit = world.tick() * 2;
    let error = soon(&world, rig.shared.acquire_timeout(limit))
        .await
        .expect_err("it takes longer");
    assert!(
        matches!(error, OpenError::TimedOut { waited, .. } if waited == limit),
        "{error}"
    );
    assert!(world.runtime().now() >= began_at + limit);
    gate.open();
    rig.touch().await.expect("it opens");
    rig.ends_well().await;
}

async fn b11_a_user_that_gives_up_holds_nobody_up<W: SharedWorld>(world: W) {
    let gate = Gate::new();
    let rig = Rig::plain(&world);
    rig.probe.next(Hook::Open, [Step::ok().at(&gate)]);
    let mut first = Box::pin(rig.shared.acquire());
    assert!(poll!(first.as_mut()).is_pending());
    let mut second = Box::pin(rig.shared.acquire());
    assert!(poll!(second.as_mut()).is_pending());
    drop(first);
    gate.open();
    let share = soon(&world, second).await.expect("it opens");
    assert!(share.is_current());
    drop(share);
    rig.ends_well().await;
}

async fn b11_shutdown_waits_for_users_and_closes_under_them_in_the_end<W: SharedWorld>(world: W) {
    let rig = Rig::plain(&world);
    let share = soon(&world, rig.shared.acquire()).await.expect("it opens");
    let release = async {
        wait(&world, 2).await;
        assert!(closes(&rig.probe).is_empty(), "it is in use");
        drop(share);
    };
    let (report, ()) = join(rig.shared.shutdown(world.tick() * 1_000), release).await;
    assert!(report.is_clean() && report.closed == 1, "{report}");

    let rig = Rig::plain(&world);
    let share = soon(&world, rig.shared.acquire()).await.expect("it opens");
    let report = rig.shared.shutdown(world.tick() * 2).await;
    assert_eq!(report.still_in_use, 1, "{report}");
    assert!(!share.is_current());
    drop(share);
    rig.ends_well().await;
}

async fn b11_shutdown_tells_those_who_wait<W: SharedWorld>(world: W) {
    let rig = Rig::plain(&world);
    rig.probe.always(Hook::Open, Step::hang());
    let mut waiting = Box::pin(rig.shared.acquire());
    assert!(poll!(waiting.as_mut()).is_pending());
    let (report, refused) = join(rig.shared.close(), soon(&world, waiting)).await;
    assert!(report.is_clean(), "{report}");
    assert!(matches!(refused, Err(OpenError::Closed { .. })));
    rig.ends_well().await;
}

async fn b11_a_shutdown_dropped_half_way_goes_on<W: SharedWorld>(world: W) {
    let rig = Rig::plain(&world);
    let share = soon(&world, rig.shared.acquire()).await.expect("it opens");
    {
        let mut closing = Box::pin(rig.shared.close());
        assert!(poll!(closing.as_mut()).is_pending());
    }
    assert_eq!(rig.shared.state(), State::Closing);
    let refused = rig.touch().await;
    assert!(matches!(refused, Err(OpenError::Closed { .. })));
    drop(share);
    rig.ends_well().await;
}

/// Where there is a Runner. Without one the close is the work of the shutdown that is not polled.
async fn b11_a_shutdown_that_is_not_polled_keeps_no_other_waiting<W: SharedWorld>(world: W) {
    let rig = Rig::plain(&world);
    rig.touch().await.expect("it opens");
    if W::BACKGROUND {
        let mut kept = Box::pin(rig.shared.close());
        let _ = poll!(kept.as_mut());
        assert!(soon(&world, rig.shared.close()).await.is_clean());
        drop(kept);
    }
    rig.ends_well().await;
}

async fn b11_a_shutdown_cuts_off_no_close_that_a_user_drives<W: SharedWorld>(world: W) {
    let gate = Gate::new();
    let rig = Rig::new(&world, |builder| {
        builder.idle_timeout(Duration::ZERO).close_timeout(None)
    });
    rig.probe.next(Hook::Close, [Step::ok().at(&gate)]);
    rig.touch().await.expect("it opens");
    let mut next = Box::pin(rig.touch());
    let _ = poll!(next.as_mut());
    rig.until_did(Did::BeginClose(1)).await;
    let mut closing = Box::pin(rig.shared.close());
    let _ = poll!(closing.as_mut());
    // At once where a Runner closes.
    let told = poll!(next.as_mut());
    gate.open();
    let refused = async {
        match told {
            Poll::Ready(told) => told,
            Poll::Pending => next.await,
        }
    };
    let (report, refused) = join(soon(&world, closing), refused).await;
    assert!(report.is_clean(), "{report}");
    assert!(matches!(refused, Err(OpenError::Closed { .. })));
    rig.probe.assert_order(Did::BeginClose(1), Did::EndClose(1));
    rig.ends_well().await;
}

async fn b11_when_all_handles_are_gone_the_value_ends_after_its_users<W: SharedWorld>(world: W) {
    let Rig { probe, shared, .. } = Rig::plain(&world);
    let share = soon(&world, shared.acquire()).await.expect("it opens");
    drop(shared.clone());
    drop(shared);
    wait(&world, 2).await;
    assert_eq!(probe.log().last(), Some(&Did::Open(1)), "it is in use");
    drop(share);
    until(&world, "it has ended", || probe.alive() == 0).await;
    let is_end = |did: &Did| matches!(did, Did::EndClose(1) | Did::Abandon(1, _));
    let ends: Vec<Did> = probe.log().into_iter().filter(is_end).collect();
    assert_eq!(ends.len(), 1, "{ends:?}");
    assert_eq!(ends[0] == Did::EndClose(1), W::BACKGROUND);
}

async fn b11_a_setting_that_makes_no_sense_is_named<W: SharedWorld>(world: W) {
    let probe = crate::managed::probe::Probe::default();
    let builder = Shared::builder(world.resource(&probe)).open_timeout(Duration::ZERO);
    let error = builder
        .build_with_runner(world.runtime())
        .map(drop)
        .expect_err("it makes no sense");
    assert!(error.to_string().contains("open_timeout"), "{error}");
}
