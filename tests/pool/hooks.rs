//! The hooks around a loan: which run when, and what follows when one fails, hangs or panics.

use std::time::Duration;

use tenure_core::pool::CheckOnAcquire;
use tenure_core::{AcquireError, Ending, ErrorClass, StopReason, Why};

use super::PoolWorld;
use super::probe::{Control, Hook, Step};
use super::recorder::{Happened, Recorder};

on_every_backend! {
    b07_hooks_run_in_their_order,
    b07_hooks_that_are_not_named_do_not_run,
    b07_a_hook_that_fails_costs_the_value,
    b07_a_hook_that_hangs_has_failed,
    b07_a_hook_that_panics_has_failed,
    b07_hooks_may_take_five_seconds_by_default,
    b07_a_hook_after_the_opening_may_give_up,
    b07_a_hook_before_the_close_runs_on_every_way_out,
    b07_a_hook_that_is_dropped_costs_the_value,
    b07_who_waits_gets_no_value_before_its_hook,
    b07_a_value_that_becomes_ready_in_a_closed_pool_is_not_lent,
}

async fn b07_hooks_run_in_their_order<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.hooked_pool(&control, |pool| {
        let pool = pool.check_every(None).max_size(1);
        let pool = pool
            .check_on_open(true)
            .check_on_acquire(CheckOnAcquire::Always);
        pool.check_on_release(true)
    });
    drop(pool.acquire().await.expect("a value"));
    pool.acquire().await.expect("the value").discard();
    world.ends_clean(&pool, &control).await;
    let (opened, lent) = (
        [Hook::Open, Hook::Check, Hook::AfterOpen],
        [Hook::Check, Hook::BeforeAcquire],
    );
    let (back, closed) = (
        [Hook::Check, Hook::AfterRelease],
        [Hook::BeforeClose, Hook::Close],
    );
    let expected = [&opened[..], &lent, &back, &lent, &closed].concat();
    assert_eq!(control.log(), expected);
}

async fn b07_hooks_that_are_not_named_do_not_run<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(1));
    drop(pool.acquire().await.expect("a value"));
    drop(pool.try_acquire().expect("nothing needs time"));
    pool.acquire().await.expect("the value").discard();
    world.ends_clean(&pool, &control).await;
    assert_eq!(control.log(), [Hook::Open, Hook::Close]);
}

async fn b07_a_hook_that_fails_costs_the_value<W: PoolWorld>(world: W) {
    each_hook_in_turn(&world, Step::Fail("it will not"), "it will not").await;
}

async fn b07_a_hook_that_hangs_has_failed<W: PoolWorld>(world: W) {
    each_hook_in_turn(&world, Step::Hang, "timed out after ").await;
}

async fn b07_a_hook_that_panics_has_failed<W: PoolWorld>(world: W) {
    each_hook_in_turn(&world, Step::Panic, "panicked: the probe panics in its ").await;
}

/// Each hook does `step` once, to the first value: it is closed for that, and another serves.
async fn each_hook_in_turn<W: PoolWorld>(world: &W, step: Step, said: &str) {
    for (hook, name) in [
        (Hook::AfterOpen, "after_open"),
        (Hook::BeforeAcquire, "before_acquire"),
        (Hook::AfterRelease, "after_release"),
        (Hook::BeforeClose, "before_close"),
    ] {
        let control = Control::default();
        let recorder = Recorder::default();
        control.script(hook, [step]);
        let limit = world.tick() * 2;
        let pool = world.hooked_pool(&control, |pool| {
            let pool = pool.check_every(None).max_size(1);
            let pool = pool.hook_timeout(limit).retry(world.quick_retries());
            pool.events(recorder.sink())
        });
        let began_at = world.now();
        let first = pool.acquire().await.expect("a value in the end");
        let is_early = matches!(hook, Hook::AfterOpen | Hook::BeforeAcquire);
        assert_eq!(first.id, if is_early { 2 } else { 1 }, "{name}");
        drop(first);
        let second = pool.acquire().await.expect("a value in the end");
        let is_last = hook == Hook::BeforeClose;
        assert_eq!(second.id, if is_last { 1 } else { 2 }, "{name}");
        second.discard();
        let third = pool.acquire().await.expect("a value in the end");
        assert_eq!(third.id, if is_last { 2 } else { 3 }, "{name}");
        if matches!(step, Step::Hang) {
            assert!(world.now() - began_at >= limit, "{name}");
        }
        drop(third);
        world.ends_clean(&pool, &control).await;

        assert_eq!(control.closed().first(), Some(&1), "{name}");
        let why = if is_last {
            Why::Broken
        } else {
            Why::HookFailed
        };
        let ended = Happened::Ended(Ending::Closed, why, None);
        let happened = recorder.happened();
        assert!(happened.contains(&ended), "{name}: {happened:?}");
        let told = happened.iter().find_map(|event| match event {
            Happened::HookFailed(hook, error) => Some((*hook, error.as_str())),
            _ => None,
        });
        let (hook, error) = told.unwrap_or_else(|| panic!("{name} is not told: {happened:?}"));
        assert_eq!(hook, name);
        assert!(error.starts_with(said), "{error}");
    }
}

async fn b07_hooks_may_take_five_seconds_by_default<W: PoolWorld>(world: W) {
    if !W::VIRTUAL_TIME {
        return;
    }
    let control = Control::default();
    let pool = world.hooked_pool(&control, |pool| pool);
    drop(pool.acquire().await.expect("a value"));
    control.script(Hook::BeforeAcquire, [Step::Hang]);
    let began_at = world.now();
    assert_eq!(pool.acquire().await.expect("another").id, 2);
    world.took(began_at, Duration::from_secs(5));
    world.ends_clean(&pool, &control).await;
}

async fn b07_a_hook_after_the_opening_may_give_up<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.always(Hook::AfterOpen, Step::FailAs(ErrorClass::GiveUp));
    let pool = world.hooked_pool(&control, |pool| pool);
    let error = pool.acquire().await.expect_err("it gives up");
    let AcquireError::BackendDown { failure, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(failure.stopped, Some(StopReason::GivenUp));
    assert_eq!((failure.attempts, control.opened()), (1, 1));
    world.ends_clean(&pool, &control).await;
    assert_eq!(control.closed(), [1]);
}

async fn b07_a_hook_before_the_close_runs_on_every_way_out<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.hooked_pool(&control, |pool| {
        let pool = pool.check_every(None).max_size(1);
        pool.max_uses(3).retry(world.quick_retries())
    });
    control.script(Hook::AfterOpen, [Step::Fail("no")]);
    control.script(Hook::BeforeAcquire, [Step::Fail("no")]);
    // The first two fail their hooks, the third is used up, the fourth is evicted, the fifth discarded.
    for id in [3, 3, 3, 4] {
        assert_eq!(pool.acquire().await.expect("a value").id, id);
    }
    pool.evict_all();
    pool.acquire().await.expect("the fifth").discard();
    drop(pool.acquire().await.expect("the sixth, for the shutdown"));
    world.ends_clean(&pool, &control).await;
    assert_eq!(control.closed(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(control.begun(Hook::BeforeClose), 6);
}

async fn b07_a_hook_that_is_dropped_costs_the_value<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    let pool = world.hooked_pool(&control, |pool| pool.max_size(1).events(recorder.sink()));
    control.script(Hook::BeforeAcquire, [Step::Hang]);
    let caller = world.waiter(&pool).await;
    world
        .until("the hook hangs", || {
            control.running(Hook::BeforeAcquire) == 1
        })
        .await;
    assert_eq!(pool.status().checking, 1, "{}", pool.status());
    drop(caller);
    assert_eq!(pool.acquire().await.expect("another").id, 2);
    let cut_off = Happened::Ended(Ending::Closed, Why::HookCutOff, None);
    assert!(recorder.happened().contains(&cut_off));
    world.ends_clean(&pool, &control).await;
}

async fn b07_who_waits_gets_no_value_before_its_hook<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.hooked_pool(&control, |pool| pool.max_size(1).hook_timeout(None));
    for hook in [Hook::AfterOpen, Hook::BeforeAcquire, Hook::AfterRelease] {
        control.script(hook, [Step::Held]);
    }
    let waiter = world.waiter(&pool).await;
    for hook in [Hook::AfterOpen, Hook::BeforeAcquire] {
        world
            .until("the hook runs", || control.running(hook) == 1)
            .await;
        let status = pool.status();
        let stood = (status.size, status.checking, status.in_use);
        assert_eq!(stood, (1, 1, 0), "{hook:?}: {status}");
        control.let_go(hook, Step::Succeed);
    }
    assert_eq!(waiter.await.expect("the value"), 1);
    let waiter = world.waiter(&pool).await;
    world
        .until("the hook runs", || control.running(Hook::AfterRelease) == 1)
        .await;
    let status = pool.status();
    assert_eq!((status.checking, status.waiting), (1, 1), "{status}");
    control.let_go(Hook::AfterRelease, Step::Succeed);
    assert_eq!(waiter.await.expect("the value"), 1);
    world.ends_clean(&pool, &control).await;
}

async fn b07_a_value_that_becomes_ready_in_a_closed_pool_is_not_lent<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    control.script(Hook::BeforeAcquire, [Step::Held]);
    let pool = world.hooked_pool(&control, |pool| {
        pool.hook_timeout(None).events(recorder.sink())
    });
    let waiter = world.waiter(&pool).await;
    world
        .until("the hook runs", || {
            control.running(Hook::BeforeAcquire) == 1
        })
        .await;
    let closing = world.task({
        let pool = pool.clone();
        async move { pool.close().await }
    });
    world
        .until("the pool is closing", || pool.is_closed())
        .await;
    control.let_go(Hook::BeforeAcquire, Step::Succeed);
    let outcome = world.ends("the acquire", waiter).await;
    assert!(
        matches!(outcome, Err(AcquireError::Closed { .. })),
        "{outcome:?}"
    );
    assert!(closing.await.is_clean());
    let ended = Happened::Ended(Ending::Closed, Why::Shutdown, None);
    assert!(recorder.happened().contains(&ended));
    assert_eq!(control.closed(), [1]);
}
