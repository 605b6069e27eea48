//! Another value takes the place of the one that is there.

use futures::poll;
use tenure_core::{OpenError, State};

use super::{Hook, Rig, SharedWorld, Step, closes, refuse};
use crate::managed::probe::{Gate, Probe};
use crate::managed::{soon, until};

on_every_backend! {
    b11_after_a_swap_new_users_get_the_new_value_and_old_ones_finish,
    b11_a_swap_before_the_first_user_opens,
    b11_a_swap_that_fails_leaves_the_old_value,
    b11_a_swap_dropped_half_way_leaves_the_old_value,
    b11_until_a_swap_is_done_users_get_the_old_value,
    b11_a_swap_to_another_resource_holds_for_all_values_after_it,
    b11_a_swap_after_the_shutdown_is_refused,
}

async fn b11_after_a_swap_new_users_get_the_new_value_and_old_ones_finish<W: SharedWorld>(
    world: W,
) {
    let rig = Rig::plain(&world);
    let old = soon(&world, rig.shared.acquire()).await.expect("it opens");
    soon(&world, rig.shared.swap()).await.expect("it opens");
    let new = soon(&world, rig.shared.acquire())
        .await
        .expect("it is open");
    assert_eq!((old.id, new.id), (1, 2));
    assert!(!old.is_current() && new.is_current());
    assert!(closes(&rig.probe).is_empty(), "the old one is in use");
    assert_eq!(rig.shared.audit().in_use, 2);
    drop(old);
    if W::BACKGROUND {
        // The hook has ended a moment before that is counted.
        let is_closed = || rig.shared.audit().closed == 1;
        until(&world, "the old one is closed", is_closed).await;
        assert_eq!(closes(&rig.probe), [1]);
    }
    drop(new);
    rig.ends_well().await;
}

async fn b11_a_swap_before_the_first_user_opens<W: SharedWorld>(world: W) {
    let rig = Rig::plain(&world);
    soon(&world, rig.shared.swap()).await.expect("it opens");
    assert_eq!(rig.shared.state(), State::Ready);
    assert_eq!(rig.touch().await.expect("it is open"), 1);
    rig.ends_well().await;
}

async fn b11_a_swap_that_fails_leaves_the_old_value<W: SharedWorld>(world: W) {
    let rig = Rig::plain(&world);
    let old = soon(&world, rig.shared.acquire()).await.expect("it opens");
    rig.probe.next(Hook::Open, [refuse()]);
    let error = soon(&world, rig.shared.swap())
        .await
        .expect_err("it is refused");
    assert!(matches!(error, OpenError::Failed { .. }), "{error}");
    assert!(old.is_current());
    assert_eq!(rig.touch().await.expect("it is open"), 1);
    drop(old);
    rig.ends_well().await;
}

async fn b11_a_swap_dropped_half_way_leaves_the_old_value<W: SharedWorld>(world: W) {
    let gate = Gate::new();
    let rig = Rig::plain(&world);
    let old = soon(&world, rig.shared.acquire()).await.expect("it opens");
    rig.probe.next(Hook::Open, [Step::ok().at(&gate)]);
    {
        let mut swap = Box::pin(rig.shared.swap());
        assert!(poll!(swap.as_mut()).is_pending());
    }
    gate.open();
    assert!(old.is_current());
    assert_eq!(rig.touch().await.expect("it is open"), 1);
    drop(old);
    rig.ends_well().await;
}

async fn b11_until_a_swap_is_done_users_get_the_old_value<W: SharedWorld>(world: W) {
    let gate = Gate::new();
    let rig = Rig::plain(&world);
    assert_eq!(rig.touch().await.expect("it opens"), 1);
    rig.probe.next(Hook::Open, [Step::ok().at(&gate)]);
    let mut swap = Box::pin(rig.shared.swap());
    assert!(poll!(swap.as_mut()).is_pending());
    assert_eq!(rig.touch().await.expect("it is open"), 1);
    gate.open();
    soon(&world, swap).await.expect("it opens");
    assert_eq!(rig.touch().await.expect("it is open"), 2);
    rig.ends_well().await;
}

async fn b11_a_swap_to_another_resource_holds_for_all_values_after_it<W: SharedWorld>(world: W) {
    let rig = Rig::plain(&world);
    let other = Probe::default();
    assert_eq!(rig.touch().await.expect("it opens"), 1);
    soon(&world, rig.shared.swap_to(world.resource(&other)))
        .await
        .expect("it opens");
    soon(&world, rig.shared.swap()).await.expect("it opens");
    assert_eq!((rig.probe.opened(), other.opened()), (1, 2));
    assert_eq!(rig.touch().await.expect("it is open"), 2);
    let report = soon(&world, rig.shared.close()).await;
    assert!(report.is_clean(), "{report}");
    // Each value was closed by the resource that had opened it.
    assert_eq!((closes(&rig.probe), closes(&other).len()), (vec![1], 2));
}

async fn b11_a_swap_after_the_shutdown_is_refused<W: SharedWorld>(world: W) {
    let rig = Rig::plain(&world);
    soon(&world, rig.shared.close()).await;
    let refused = soon(&world, rig.shared.swap()).await;
    assert!(matches!(refused, Err(OpenError::Closed { .. })));
    assert_eq!(rig.probe.opened(), 0);
    rig.ends_well().await;
}
