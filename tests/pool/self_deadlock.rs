//! A task that holds every value there may be, and asks for one more, waits for itself.
//!
//! Only tokio and the simulator can tell tasks apart, and tokio only within a task: a `block_on` is none.
//! Elsewhere nothing is claimed.

use std::pin::pin;
use std::task::Poll;

use futures::channel::oneshot;
use futures::poll;
use tenure_core::AcquireError;

use super::probe::Control;
use super::recorder::{Happened, Recorder};
use super::{PoolOf, PoolWorld};

where_tasks_can_be_told_apart! {
    n06_a_task_that_waits_for_itself_is_told_within_one_poll,
    n06_a_task_that_waits_for_itself_is_refused_at_once_where_that_is_asked_for,
    n06_two_tasks_that_wait_for_each_other_are_not_confused,
    n06_a_task_that_leaves_some_is_none_of_these,
    n06_what_another_task_holds_is_not_this_ones,
    n06_a_task_that_gave_back_what_it_held_may_ask_again,
    n06_a_lease_that_is_detached_is_held_no_more,
}

where_tasks_look_the_same! {
    n06_nothing_is_claimed_where_tasks_look_the_same,
}

pub(crate) fn told(recorder: &Recorder) -> Vec<usize> {
    let told = |event| match event {
        Happened::SelfDeadlock(held) => Some(held),
        _ => None,
    };
    recorder.happened().into_iter().filter_map(told).collect()
}

/// A pool of two that tells what happens.
fn two<W: PoolWorld>(
    world: &W,
    control: &Control,
    recorder: &Recorder,
    refuses: bool,
) -> PoolOf<W> {
    world.pool(control, |pool| {
        let pool = pool.name("sessions").max_size(2);
        pool.refuse_self_deadlock(refuses).events(recorder.sink())
    })
}

async fn n06_a_task_that_waits_for_itself_is_told_within_one_poll<W: PoolWorld>(world: W) {
    let (control, recorder) = (Control::default(), Recorder::default());
    let pool = two(&world, &control, &recorder, false);
    let task = {
        let (world, pool, recorder) = (world.clone(), pool.clone(), recorder.clone());
        async move {
            let first = pool.acquire().await.expect("a value");
            let second = pool.acquire_owned().await.expect("a value");
            let (limit, began_at) = (world.tick() * 2, world.now());
            let mut third = pin!(pool.acquire_timeout(limit));
            assert!(told(&recorder).is_empty());
            assert!(poll!(third.as_mut()).is_pending());
            assert_eq!(told(&recorder), [2], "at its first poll");
            let error = third.await.expect_err("it waits for itself");
            world.took(began_at, limit);
            let deadlocked = matches!(
                error,
                AcquireError::Exhausted {
                    self_deadlock: true,
                    ..
                }
            );
            assert!(deadlocked, "{error}");
            let line = error.to_string();
            let why = "because the task that asked holds them all";
            assert!(line.contains(why), "{line}");
            assert_eq!(told(&recorder), [2], "once");
            drop((first, second));
        }
    };
    world.task(task).await;
    let records = recorder.records();
    let line = "sessions: a task holds all 2 values and asks for one more";
    assert!(records.iter().any(|record| record.line == line));
    world.ends_clean(&pool, &control).await;
}

async fn n06_a_task_that_waits_for_itself_is_refused_at_once_where_that_is_asked_for<
    W: PoolWorld,
>(
    world: W,
) {
    let (control, recorder) = (Control::default(), Recorder::default());
    let pool = two(&world, &control, &recorder, true);
    let task = {
        let pool = pool.clone();
        async move {
            let held = pool.acquire_many(2).await.expect("all");
            let Poll::Ready(Err(error)) = poll!(pin!(pool.acquire())) else {
                panic!("it is not refused at once");
            };
            assert!(
                matches!(error, AcquireError::SelfDeadlock { held: 2, .. }),
                "{error}"
            );
            let line = "the task holds all 2 values of pool sessions and asks for one more";
            assert_eq!(error.to_string(), line);
            assert_eq!(pool.status().waiting, 0, "it has left the queue");
            drop(held);
            assert!(pool.acquire().await.is_ok());
        }
    };
    world.task(task).await;
    world.ends_clean(&pool, &control).await;
}

/// Each holds one of two and asks for another: a deadlock, but neither waits for itself.
async fn n06_two_tasks_that_wait_for_each_other_are_not_confused<W: PoolWorld>(world: W) {
    let (control, recorder) = (Control::default(), Recorder::default());
    let pool = two(&world, &control, &recorder, true);
    let tasks = [(); 2].map(|()| {
        let (task, pool) = (world.clone(), pool.clone());
        world.task(async move {
            let first = pool.acquire().await.expect("a value");
            task.until("both have one", || pool.status().in_use == 2)
                .await;
            let error = pool.acquire_timeout(task.tick() * 2).await;
            let error = error.expect_err("the other has it");
            // Both give up at one instant, and neither is served by the other.
            task.pause(1).await;
            drop(first);
            error
        })
    });
    for error in futures::future::join_all(tasks).await {
        let exhausted = matches!(
            error,
            AcquireError::Exhausted {
                self_deadlock: false,
                ..
            }
        );
        assert!(exhausted, "{error}");
    }
    assert_eq!(told(&recorder), []);
    world.ends_clean(&pool, &control).await;
}

async fn n06_a_task_that_leaves_some_is_none_of_these<W: PoolWorld>(world: W) {
    let (control, recorder) = (Control::default(), Recorder::default());
    let pool = two(&world, &control, &recorder, true);
    let task = {
        let pool = pool.clone();
        async move {
            let first = pool.acquire().await.expect("a value");
            // It waits, but for an opening.
            let second = pool.acquire().await.expect("another");
            drop((first, second));
        }
    };
    world.task(task).await;
    assert_eq!(told(&recorder), []);
    world.ends_clean(&pool, &control).await;
}

async fn n06_what_another_task_holds_is_not_this_ones<W: PoolWorld>(world: W) {
    let (control, recorder) = (Control::default(), Recorder::default());
    let pool = two(&world, &control, &recorder, true);
    let (asks, asked) = oneshot::channel();
    let holder = world.task({
        let pool = pool.clone();
        async move {
            let held = pool.acquire_many(2).await.expect("all");
            asked.await.expect("the other asks");
            drop(held);
        }
    });
    let other = world.task({
        let (world, pool) = (world.clone(), pool.clone());
        async move {
            world
                .until("all are out", || pool.status().in_use == 2)
                .await;
            let mut acquire = pin!(pool.acquire());
            assert!(poll!(acquire.as_mut()).is_pending());
            asks.send(()).expect("the holder waits");
            acquire.await.map(drop)
        }
    });
    assert!(other.await.is_ok());
    holder.await;
    assert_eq!(told(&recorder), []);
    world.ends_clean(&pool, &control).await;
}

async fn n06_a_task_that_gave_back_what_it_held_may_ask_again<W: PoolWorld>(world: W) {
    let (control, recorder) = (Control::default(), Recorder::default());
    let pool = two(&world, &control, &recorder, true);
    let task = {
        let pool = pool.clone();
        async move {
            for _ in 0..4 {
                let held = pool.acquire_many(2).await.expect("all");
                drop(held);
                let one = pool.acquire().await.expect("one of them");
                one.discard();
            }
        }
    };
    world.task(task).await;
    assert_eq!(told(&recorder), []);
    world.ends_clean(&pool, &control).await;
}

async fn n06_a_lease_that_is_detached_is_held_no_more<W: PoolWorld>(world: W) {
    let (control, recorder) = (Control::default(), Recorder::default());
    let pool = two(&world, &control, &recorder, true);
    let task = {
        let pool = pool.clone();
        async move {
            let held = pool.acquire().await.expect("a value");
            let mine = pool.acquire().await.expect("a value").detach();
            let other = pool.acquire().await.expect("another in its place");
            drop((held, mine, other));
        }
    };
    world.task(task).await;
    assert_eq!(told(&recorder), []);
    world.ends_clean(&pool, &control).await;
}

async fn n06_nothing_is_claimed_where_tasks_look_the_same<W: PoolWorld>(world: W) {
    for refuses in [false, true] {
        let (control, recorder) = (Control::default(), Recorder::default());
        let pool = two(&world, &control, &recorder, refuses);
        let held = pool.acquire_many(2).await.expect("all");
        let (limit, began_at) = (world.tick() * 2, world.now());
        let error = pool.acquire_timeout(limit).await.expect_err("all are out");
        world.took(began_at, limit);
        let exhausted = matches!(
            error,
            AcquireError::Exhausted {
                self_deadlock: false,
                ..
            }
        );
        assert!(exhausted, "{error}");
        assert_eq!(told(&recorder), []);
        drop(held);
        world.ends_clean(&pool, &control).await;
    }
}
