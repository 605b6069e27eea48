//! What can be done with a lease.

use std::panic::{AssertUnwindSafe, catch_unwind};

use futures::channel::oneshot;
use tenure_core::{Ending, OwnedLease, Why};

use super::probe::{Control, Hook};
use super::recorder::{Happened, Recorder};
use super::{PoolWorld, assert_all_ended};

on_every_backend! {
    s10_discard_closes_the_value,
    s10_detach_gives_the_value_away_and_frees_its_slot,
    s10_owned_lease_moves_across_tasks,
    s10_owned_lease_keeps_the_pool_alive,
    s10_lease_changes_its_value,
    s10_lease_dropped_by_a_panic_is_closed,
    p03_last_handle_dropped_closes_all_or_abandons_them,
    p03_value_back_after_the_last_handle_is_closed_or_abandoned,
    p03_dying_value_of_a_dropped_pool_is_closed_or_abandoned,
    p03_a_second_handle_keeps_the_pool_open,
}

async fn s10_discard_closes_the_value<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(1));
    pool.acquire().await.expect("a value").discard();
    pool.acquire_owned().await.expect("a value").discard();
    assert_eq!(pool.acquire().await.expect("a value").id, 3);
    assert_eq!(control.closed(), [1, 2]);
    world.ends_clean(&pool, &control).await;
}

async fn s10_detach_gives_the_value_away_and_frees_its_slot<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    let pool = world.pool(&control, |pool| pool.max_size(1).events(recorder.sink()));
    let mine = pool.acquire().await.expect("a value").detach();
    let too = pool.acquire_owned().await.expect("the slot").detach();
    assert_eq!((mine.id, too.id), (1, 2));
    let detached = Happened::Ended(Ending::Detached, Why::Detached, None);
    assert_eq!(recorder.count(|event| *event == detached), 2);
    let report = pool.close().await;
    assert!(report.is_clean(), "{report}");
    assert_eq!((pool.audit().detached, control.live()), (2, 2));
    assert!(control.closed().is_empty() && control.abandoned().is_empty());
    drop((mine, too));
    assert_all_ended(&pool, &control);
}

async fn s10_owned_lease_moves_across_tasks<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(1));
    let (give, take) = oneshot::channel();
    let lease = pool.acquire_owned().await.expect("a value");
    let task = world.task(async move {
        let lease: OwnedLease<W::Probe, W::Runtime> = take.await.expect("a lease");
        lease.id
    });
    give.send(lease).expect("the task waits for it");
    assert_eq!(task.await, 1);
    assert_eq!(pool.acquire().await.expect("what the task gave back").id, 1);
    world.ends_clean(&pool, &control).await;
}

async fn s10_owned_lease_keeps_the_pool_alive<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool);
    let lease = pool.acquire_owned().await.expect("a value");
    drop(pool);
    world.pause(2).await;
    assert_eq!((lease.id, control.live()), (1, 1));
    assert_eq!(control.begun(Hook::Close), 0);
    drop(lease);
    world
        .until("the value has ended", || control.live() == 0)
        .await;
}

async fn s10_lease_changes_its_value<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool);
    let mut lease = pool.acquire().await.expect("a value");
    lease.id = 70;
    assert_eq!(format!("{lease:?}"), "Lease(value 70)");
    drop(lease);
    let lease = pool.acquire_owned().await.expect("the value");
    assert_eq!(lease.id, 70);
    drop(lease);
    world.ends_clean(&pool, &control).await;
}

async fn s10_lease_dropped_by_a_panic_is_closed<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(1));
    let lease = pool.acquire().await.expect("a value");
    let unwinds = catch_unwind(AssertUnwindSafe(|| {
        let _lease = lease;
        panic!("the user's code panics with a lease");
    }));
    assert!(unwinds.is_err());
    assert_eq!(pool.acquire().await.expect("a new value").id, 2);
    assert_eq!(control.closed(), [1]);
    world.ends_clean(&pool, &control).await;
}

async fn p03_last_handle_dropped_closes_all_or_abandons_them<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    let pool = world.pool(&control, |pool| pool.events(recorder.sink()));
    drop(futures::join!(
        pool.acquire(),
        pool.acquire(),
        pool.acquire()
    ));
    drop(pool);
    world
        .until("all have ended", || {
            control.live() == 0 && recorder.endings() == 3
        })
        .await;
    let ending = if W::BACKGROUND {
        assert_eq!(control.closed().len(), 3);
        Ending::Closed
    } else {
        let gone = Why::HandlesDropped;
        let abandoned = control.abandoned();
        assert!(abandoned.len() == 3 && abandoned.iter().all(|(_, why)| *why == gone));
        Ending::Abandoned
    };
    let ended = Happened::Ended(ending, Why::HandlesDropped, None);
    assert_eq!(recorder.count(|event| *event == ended), 3);
}

async fn p03_value_back_after_the_last_handle_is_closed_or_abandoned<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool);
    let lease = pool.acquire_owned().await.expect("a value");
    drop(pool);
    world.pause(1).await;
    assert_eq!(control.live(), 1);
    drop(lease);
    world
        .until("the value has ended", || control.live() == 0)
        .await;
    if W::BACKGROUND {
        assert_eq!(control.closed(), [1]);
    } else {
        assert_eq!(control.abandoned(), [(1, Why::HandlesDropped)]);
    }
}

async fn p03_dying_value_of_a_dropped_pool_is_closed_or_abandoned<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool);
    pool.acquire().await.expect("a value").discard();
    drop(pool);
    world
        .until("the value has ended", || control.live() == 0)
        .await;
    if W::BACKGROUND {
        assert_eq!(control.closed(), [1]);
    } else {
        assert_eq!(control.abandoned(), [(1, Why::Broken)]);
    }
}

async fn p03_a_second_handle_keeps_the_pool_open<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool);
    let second = pool.clone();
    drop(pool.acquire().await.expect("a value"));
    drop(pool);
    world.pause(1).await;
    assert!(!second.is_closed());
    assert_eq!(second.acquire().await.expect("the value").id, 1);
    world.ends_clean(&second, &control).await;
}
