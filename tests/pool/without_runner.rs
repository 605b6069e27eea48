//! No background task is required: a pool whose Runner was dropped, never run, or cut off half-way.
//!
//! These tests hold the Runner in their own hand, in every world.

use std::pin::pin;

use futures::future::join_all;
use futures::{join, poll};
use tenure_core::{AcquireError, Backoff, NoTimer, Pool, Resource, Retry, StopReason};

use super::probe::{Condition, Control, Hook, Step};
use super::{PoolWorld, assert_all_ended};
use crate::worlds::yield_now;

on_every_backend! {
    n07_without_runner_all_but_background_work_goes_on,
    n07_without_runner_background_work_stops,
    n07_without_runner_a_dying_value_gives_its_slot_to_who_needs_it,
    n07_without_runner_a_shutdown_drives_what_is_left,
    n07_without_runner_an_opening_goes_with_its_caller_and_another_starts_anew,
    n07_runner_that_is_never_run_is_not_missed,
    n07_runner_counts_from_its_call_on,
    n07_runner_may_come_late,
    n07_runner_cut_off_gives_back_what_it_held,
    n07_runner_ends_with_its_pool,
    n07_runner_lets_others_run_when_openings_fail_at_once,
    n07_without_timer_a_pool_still_lends_and_closes,
}

async fn n07_without_runner_all_but_background_work_goes_on<W: PoolWorld>(world: W) {
    const MAX: usize = 3;
    let control = Control::default();
    let (pool, runner) = world.by_hand(&control, |pool| pool.max_size(MAX));
    drop(runner);
    control.script(Hook::Open, [Step::Fail("not yet"), Step::Panic]);
    control.always(Hook::Open, Step::Slow(world.tick() / 8));
    control.always(Hook::Close, Step::Slow(world.tick() / 8));
    let tasks = (0..12).map(|task| {
        let pool = pool.clone();
        world.task(async move {
            for turn in 0..6 {
                let mut lease = pool.acquire().await.expect("a value in time");
                if (task + turn) % 4 == 0 {
                    lease.condition = Condition::Broken;
                }
                yield_now().await;
            }
        })
    });
    join_all(tasks.collect::<Vec<_>>()).await;
    assert!(control.most_taken() <= MAX);
    assert_eq!(control.cut_off(Hook::Close), 0);
    world.ends_clean(&pool, &control).await;
}

async fn n07_without_runner_background_work_stops<W: PoolWorld>(world: W) {
    let control = Control::default();
    let (pool, runner) = world.by_hand(&control, |pool| {
        let pool = pool.min_size(1).idle_timeout(world.tick());
        pool.check_every(world.tick())
    });
    drop(runner);
    world.pause(4).await;
    assert_eq!(control.begun(Hook::Open), 0, "no refill");
    drop(join!(pool.acquire(), pool.acquire()));
    world.pause(8).await;
    assert_eq!(pool.status().idle, 2, "no trimming");
    assert_eq!(control.begun(Hook::Check), 0, "no checks");
    world.ends_clean(&pool, &control).await;
}

async fn n07_without_runner_a_dying_value_gives_its_slot_to_who_needs_it<W: PoolWorld>(world: W) {
    let control = Control::default();
    let (pool, runner) = world.by_hand(&control, |pool| pool.max_size(2));
    drop(runner);
    let (first, second) = join!(pool.acquire(), pool.acquire());
    first.expect("a value").discard();
    world.pause(1).await;
    assert_eq!((control.begun(Hook::Close), pool.status().closing), (0, 1));
    drop(second);
    // Nobody needs the slot yet: an idle value will do.
    drop(pool.acquire().await.expect("the idle one"));
    assert_eq!(control.begun(Hook::Close), 0);
    let held = pool.acquire().await.expect("the idle one");
    assert_eq!(pool.acquire().await.expect("a new one").id, 3);
    assert_eq!(control.closed(), [1]);
    drop(held);
    world.ends_clean(&pool, &control).await;
}

async fn n07_without_runner_a_shutdown_drives_what_is_left<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.always(Hook::Close, Step::Slow(world.tick()));
    let (pool, runner) = world.by_hand(&control, |pool| pool.min_size(3));
    drop(runner);
    pool.start().await.expect("the minimum");
    pool.acquire().await.expect("a value").discard();
    let report = pool.close().await;
    assert!(report.is_clean() && report.closed == 3, "{report}");
    assert_all_ended(&pool, &control);
}

async fn n07_without_runner_an_opening_goes_with_its_caller_and_another_starts_anew<
    W: PoolWorld,
>(
    world: W,
) {
    let control = Control::default();
    control.script(Hook::Open, [Step::Hang]);
    let (pool, runner) = world.by_hand(&control, |pool| pool.max_size(1));
    drop(runner);
    let mut driver = Box::pin(pool.acquire());
    assert!(poll!(driver.as_mut()).is_pending());
    assert_eq!(control.running(Hook::Open), 1);
    let waiter = world.waiter(&pool).await;
    assert_eq!(control.begun(Hook::Open), 1, "one slot, one opening");
    drop(driver);
    assert_eq!(
        (control.cut_off(Hook::Open), control.running(Hook::Open)),
        (1, 0)
    );
    assert_eq!(waiter.await.expect("its own opening"), 1);
    assert_eq!(pool.audit().open_called_off, 1);
    world.ends_clean(&pool, &control).await;
}

async fn n07_runner_that_is_never_run_is_not_missed<W: PoolWorld>(world: W) {
    let control = Control::default();
    let (pool, runner) = world.by_hand(&control, |pool| pool.max_size(1).min_size(1));
    pool.acquire().await.expect("a value").discard();
    assert_eq!(pool.acquire().await.expect("another").id, 2);
    world.ends_clean(&pool, &control).await;
    drop(runner);
}

async fn n07_runner_counts_from_its_call_on<W: PoolWorld>(world: W) {
    let control = Control::default();
    let (pool, runner) = world.by_hand(&control, |pool| pool);
    let mut run = Box::pin(runner.run());
    let mut acquire = Box::pin(pool.acquire());
    assert!(poll!(acquire.as_mut()).is_pending());
    assert_eq!(control.begun(Hook::Open), 0, "the caller opened beside it");
    assert!(poll!(run.as_mut()).is_pending());
    assert_eq!(control.begun(Hook::Open), 1);
    drop(acquire.await.expect("what the Runner opened"));
    drop(run);
    world.ends_clean(&pool, &control).await;
}

async fn n07_runner_may_come_late<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.script(Hook::Open, [Step::Held]);
    let (pool, runner) = world.by_hand(&control, |pool| pool.max_size(2).min_size(2));
    let waiter = world.waiter(&pool).await;
    assert_eq!(control.running(Hook::Open), 1, "the waiter drives it");
    let _run = world.task(runner.run());
    world
        .until("the Runner opened the rest", || control.opened() >= 1)
        .await;
    assert_eq!(waiter.await.expect("what the Runner opened"), 1);
    world
        .until("the minimum is open", || pool.status().idle == 2)
        .await;
    assert!(control.most_taken() <= 2);
    world.ends_clean(&pool, &control).await;
}

async fn n07_runner_cut_off_gives_back_what_it_held<W: PoolWorld>(world: W) {
    let control = Control::default();
    let (pool, runner) = world.by_hand(&control, |pool| {
        let pool = pool.max_size(3).min_size(2).check_every(world.tick());
        let pool = pool.broken_close_timeout(None);
        pool.check_timeout(None).close_timeout(None)
    });
    let run = world.task(runner.run());
    pool.start().await.expect("the minimum");
    let lease = pool.acquire().await.expect("a value");
    for hook in [Hook::Open, Hook::Check, Hook::Close] {
        control.script(hook, [Step::Hang]);
    }
    lease.discard();
    world
        .until("a check and a close hang", || {
            [Hook::Check, Hook::Close].map(|hook| control.running(hook)) == [1; 2]
        })
        .await;
    let waiter = world.waiter(&pool).await;
    world
        .until("an opening hangs", || control.running(Hook::Open) == 1)
        .await;
    drop(run);
    assert_eq!(waiter.await.expect("the pool goes on"), 3);
    for hook in [Hook::Open, Hook::Check, Hook::Close] {
        assert_eq!(control.cut_off(hook), 1, "{hook:?}");
    }
    let (status, audit) = (pool.status(), pool.audit());
    assert!(audit.is_balanced(), "{audit}");
    assert_eq!((audit.abandoned, audit.open_called_off), (1, 1), "{audit}");
    // The value under the check is in an unknown state: it is to be closed.
    assert_eq!((status.idle, status.closing), (1, 1), "{status}");
    pool.close().await;
    assert_all_ended(&pool, &control);
}

async fn n07_runner_ends_with_its_pool<W: PoolWorld>(world: W) {
    let control = Control::default();
    let (pool, runner) = world.by_hand(&control, |pool| pool.min_size(1));
    let run = world.task(runner.run());
    pool.start().await.expect("the minimum");
    world.ends_clean(&pool, &control).await;
    world.ends("the Runner of a closed pool", run).await;

    let (pool, runner) = world.by_hand(&control, |pool| pool.min_size(1));
    let run = world.task(runner.run());
    pool.start().await.expect("the minimum");
    drop(pool);
    world.ends("the Runner of a dropped pool", run).await;
    assert_eq!(control.live(), 0);

    let (pool, runner) = world.by_hand(&control, |pool| pool);
    drop(pool);
    world.ends("a Runner without a pool", runner.run()).await;
}

/// Openings that fail at once, and a backoff without a delay: the Runner must still give way.
async fn n07_runner_lets_others_run_when_openings_fail_at_once<W: PoolWorld>(world: W) {
    const MANY: usize = 1000;
    let control = Control::default();
    control.script(Hook::Open, [Step::Fail("down"); MANY]);
    control.always(Hook::Open, Step::Hang);
    let at_once = Retry::new(Backoff::constant(std::time::Duration::ZERO));
    let (pool, runner) = world.by_hand(&control, |pool| pool.min_size(1).retry(at_once));
    let mut run = pin!(runner.run());
    assert!(poll!(run.as_mut()).is_pending());
    assert!(control.begun(Hook::Open) < MANY, "it never gives way");
    drop(pool);
}

struct Unreliable(Control);

impl Resource for Unreliable {
    type Value = usize;
    type Error = String;

    async fn open(&self) -> Result<usize, String> {
        self.0.always(Hook::Open, Step::Succeed);
        Err("down".into())
    }
}

async fn n07_without_timer_a_pool_still_lends_and_closes<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = Pool::builder(world.probe(&control)).max_size(1).min_size(1);
    let (pool, runner) = pool.build_with_runner(NoTimer).expect("a pool");
    drop(runner);
    pool.start().await.expect("the minimum");
    let held = pool.acquire().await.expect("a value");
    let mut waiter = pin!(pool.acquire());
    assert!(poll!(waiter.as_mut()).is_pending());
    held.discard();
    assert_eq!(waiter.await.expect("a new value").id, 2);
    let report = pool.close().await;
    assert!(report.is_clean() && report.took.is_none(), "{report}");
    assert_all_ended(&pool, &control);

    let pool = Pool::builder(Unreliable(control));
    let (pool, _runner) = pool.build_with_runner(NoTimer).expect("a pool");
    let error = pool.acquire().await.expect_err("it is down");
    let AcquireError::BackendDown { failure, .. } = error else {
        panic!("{error}");
    };
    let told = (failure.attempts, failure.stopped, failure.elapsed);
    assert_eq!(told, (1, Some(StopReason::NoTimer), None));
}
