//! Who gets a value, and in what state.

use std::cell::RefCell;
use std::pin::pin;
use std::rc::Rc;

use futures::future::{join, select};
use tenure_core::fixed::FixedError;
use tenure_core::{Timer, Why};

use super::device::{devices, wait};
use crate::managed::soon;
use crate::worlds::World;

on_every_backend! {
    an_exclusive_value_is_lent_in_turn_and_one_too_many_is_refused,
    a_value_that_its_user_discards_or_that_is_broken_is_opened_anew,
    a_value_whose_operation_was_cut_off_is_checked_before_it_is_lent,
    a_value_whose_operation_was_cut_off_and_that_cannot_be_checked_is_closed,
    a_caller_that_gives_up_leaves_its_turn_to_the_next,
    a_time_limit_holds_while_the_value_is_in_use,
}

async fn an_exclusive_value_is_lent_in_turn_and_one_too_many_is_refused<W: World>(world: W) {
    let (wishes, pool) = devices::<W, true, 1>(&world);
    let lease = soon(&world, pool.acquire()).await.expect("it opens");
    let order = Rc::new(RefCell::new(Vec::new()));
    let mut waiters = Vec::new();
    for number in [1, 2] {
        let (order, pool) = (order.clone(), pool.clone());
        waiters.push(world.task(async move {
            let lease = pool.acquire().await.expect("it is served");
            order.borrow_mut().push(number);
            drop(lease);
        }));
        wait(&world, 1).await;
    }
    let refused = soon(&world, pool.acquire()).await.err();
    assert!(
        matches!(refused, Some(FixedError::QueueFull)),
        "{refused:?}"
    );
    drop(lease);
    for waiter in waiters {
        soon(&world, waiter).await;
    }
    assert_eq!((&*order.borrow(), wishes.opened.get()), (&vec![1, 2], 1));
}

async fn a_value_that_its_user_discards_or_that_is_broken_is_opened_anew<W: World>(world: W) {
    let (wishes, pool) = devices::<W, true, 1>(&world);
    soon(&world, pool.acquire())
        .await
        .expect("it opens")
        .discard();
    let mut lease = soon(&world, pool.acquire()).await.expect("it opens anew");
    assert_eq!(lease.number, 2);
    lease.is_broken = true;
    drop(lease);
    assert_eq!(soon(&world, pool.acquire()).await.expect("again").number, 3);
    assert_eq!(*wishes.closed.borrow(), [Why::Broken, Why::Broken]);
}

async fn a_value_whose_operation_was_cut_off_is_checked_before_it_is_lent<W: World>(world: W) {
    let (wishes, pool) = devices::<W, true, 1>(&world);
    let mut lease = soon(&world, pool.acquire()).await.expect("it opens");
    cut_off(
        &world,
        lease.run(async |_| std::future::pending::<()>().await),
    )
    .await;
    drop(lease);
    let lease = soon(&world, pool.acquire()).await.expect("it is well");
    assert_eq!((lease.number, wishes.checks.get()), (1, 1));
    drop(lease);

    let mut lease = soon(&world, pool.acquire()).await.expect("it is well");
    cut_off(
        &world,
        lease.run(async |_| std::future::pending::<()>().await),
    )
    .await;
    wishes.fails_checks.set(true);
    drop(lease);
    assert_eq!(
        soon(&world, pool.acquire()).await.expect("another").number,
        2
    );
    assert_eq!(*wishes.closed.borrow(), [Why::CheckFailed]);
}

async fn a_value_whose_operation_was_cut_off_and_that_cannot_be_checked_is_closed<W: World>(
    world: W,
) {
    let (wishes, pool) = devices::<W, false, 1>(&world);
    let mut lease = soon(&world, pool.acquire()).await.expect("it opens");
    assert_eq!(lease.run(async |unit| unit.number).await, 1);
    cut_off(
        &world,
        lease.run(async |_| std::future::pending::<()>().await),
    )
    .await;
    drop(lease);
    assert_eq!(
        soon(&world, pool.acquire()).await.expect("another").number,
        2
    );
    assert_eq!(*wishes.closed.borrow(), [Why::OperationCutOff]);
}

async fn a_caller_that_gives_up_leaves_its_turn_to_the_next<W: World>(world: W) {
    let (_, pool) = devices::<W, true, 1>(&world);
    let lease = soon(&world, pool.acquire()).await.expect("it opens");
    let first = world.task({
        let pool = pool.clone();
        async move { drop(pool.acquire().await) }
    });
    wait(&world, 1).await;
    let second = world.task({
        let pool = pool.clone();
        async move { pool.acquire().await.is_ok() }
    });
    wait(&world, 1).await;
    drop(first);
    drop(lease);
    assert!(soon(&world, second).await);
}

async fn a_time_limit_holds_while_the_value_is_in_use<W: World>(world: W) {
    let (_, pool) = devices::<W, true, 1>(&world);
    let _lease = soon(&world, pool.acquire()).await.expect("it opens");
    let runtime = world.runtime();
    let (began, limit) = (runtime.now(), world.tick() * 2);
    let both = join(pool.acquire_within(limit), pool.acquire_within(limit));
    let refused = soon(&world, both).await;
    assert!(runtime.now() - began >= limit);
    let is_over = |refused| matches!(refused, Err(FixedError::TimedOut));
    assert!(is_over(refused.0) && is_over(refused.1));
}

async fn cut_off<W: World>(world: &W, operation: impl Future<Output = ()>) {
    select(pin!(operation), pin!(wait(world, 1))).await;
}
