//! How values are opened, by callers and by a Runner, and what those are told for whom they do not open.

use futures::future::{join, join3};
use tenure_core::ErrorClass;
use tenure_core::fixed::FixedError;

use super::device::{devices, wait};
use crate::managed::soon;
use crate::worlds::World;

on_every_backend! {
    an_opening_that_fails_is_tried_again_and_serves_who_waits,
    the_first_is_told_the_error_and_the_others_how_many_attempts_failed,
    an_error_that_is_not_worth_a_retry_is_told_at_once,
    a_runner_opens_as_many_at_once_as_are_asked_for,
    a_runner_that_is_dropped_leaves_its_work_to_who_waits,
}

async fn an_opening_that_fails_is_tried_again_and_serves_who_waits<W: World>(world: W) {
    let (wishes, pool) = devices::<W, true, 1>(&world);
    wishes.failing.set(1);
    let unit = soon(&world, pool.acquire()).await.expect("it opens");
    assert_eq!((unit.number, wishes.failing.get()), (1, 0));
}

async fn the_first_is_told_the_error_and_the_others_how_many_attempts_failed<W: World>(world: W) {
    let (wishes, pool) = devices::<W, true, 1>(&world);
    wishes.failing.set(u32::MAX);
    let (first, second) = soon(&world, join(pool.acquire(), pool.acquire())).await;
    let mut errors = 0;
    for refused in [first.err(), second.err()] {
        let Some(FixedError::OpenFailed {
            error,
            class,
            attempts,
            ..
        }) = refused
        else {
            panic!("{refused:?}");
        };
        errors += usize::from(error.is_some());
        assert_eq!((class, attempts), (ErrorClass::Retry, 2));
    }
    assert_eq!(errors, 1);
}

async fn an_error_that_is_not_worth_a_retry_is_told_at_once<W: World>(world: W) {
    let (wishes, pool) = devices::<W, true, 1>(&world);
    wishes.failing.set(1);
    wishes.refuses.set(true);
    let refused = soon(&world, pool.acquire()).await.err();
    let Some(FixedError::OpenFailed {
        error: Some(1),
        attempts: 1,
        ..
    }) = refused
    else {
        panic!("{refused:?}");
    };
}

async fn a_runner_opens_as_many_at_once_as_are_asked_for<W: World>(world: W) {
    let (wishes, pool) = devices::<W, true, 3>(&world);
    let runner = world.task({
        let pool = pool.clone();
        async move { pool.run().await }
    });
    let leases = join3(pool.acquire(), pool.acquire(), async {
        wait(&world, 2).await;
        pool.acquire().await
    });
    let leases = soon(&world, leases).await;
    assert!(leases.0.is_ok() && leases.1.is_ok() && leases.2.is_ok());
    assert_eq!(wishes.opened.get(), 3);
    assert_eq!(wishes.most_at_once.get(), 2);
    drop(leases);
    assert!(soon(&world, pool.shutdown(world.tick() * 1_000)).await);
    soon(&world, runner).await;
}

async fn a_runner_that_is_dropped_leaves_its_work_to_who_waits<W: World>(world: W) {
    let (wishes, pool) = devices::<W, true, 1>(&world);
    let runner = world.task({
        let pool = pool.clone();
        async move { pool.run().await }
    });
    wishes.hangs.set(true);
    let waiter = world.task({
        let pool = pool.clone();
        async move { pool.acquire().await.is_ok() }
    });
    wait(&world, 3).await;
    wishes.hangs.set(false);
    drop(runner);
    assert!(soon(&world, waiter).await);
    assert_eq!(wishes.opened.get(), 1);
}
