//! What every backend that can spawn promises, and what the harness itself does.

use std::cell::Cell;
use std::rc::Rc;

use futures::FutureExt;
use futures::channel::oneshot;
use tenure_core::{Spawn, SpawnLocal, Timer};

use crate::worlds::World;

on_every_executor! {
    background_work_runs_where_there_is_any,
    a_task_runs_beside_the_test,
}

/// Where the backend spawns on any thread.
mod anywhere {
    use super::*;

    on_every_spawner! {
        a_spawned_future_runs,
        a_sleep_moves_to_a_spawned_task,
    }

    async fn a_spawned_future_runs<W>(world: W)
    where
        W: World<Runtime: Spawn + Timer<Sleep: Send> + Send + Sync>,
    {
        let (runtime, wait) = (world.runtime(), world.tick());
        let (done, finished) = oneshot::channel();
        world.runtime().spawn(async move {
            let at = runtime.now() + wait;
            runtime.sleep_until(at).await;
            done.send(at).expect("the test waits for it");
        });
        assert!(finished.await.expect("the future ran to its end") <= world.runtime().now());
    }

    async fn a_sleep_moves_to_a_spawned_task<W>(world: W)
    where
        W: World<Runtime: Spawn + Timer<Sleep: Send + 'static>>,
    {
        let runtime = world.runtime();
        let at = runtime.now() + world.tick();
        let mut sleep = Box::pin(runtime.sleep_until(at));
        if futures::poll!(sleep.as_mut()).is_pending() {
            let (done, finished) = oneshot::channel();
            runtime.spawn(async move {
                sleep.await;
                done.send(()).expect("the test waits for it");
            });
            assert_eq!(finished.await, Ok(()));
        }
        assert!(runtime.now() >= at);
    }
}

/// Where the backend spawns on the current thread.
mod on_this_thread {
    use super::*;

    on_every_local_spawner! {
        a_future_that_is_not_send_runs_to_its_end,
    }

    async fn a_future_that_is_not_send_runs_to_its_end<W>(world: W)
    where
        W: World<Runtime: SpawnLocal>,
    {
        let (runtime, wait) = (world.runtime(), world.tick());
        let here = Rc::new(std::thread::current().id());
        let (done, finished) = oneshot::channel();
        world.runtime().spawn_local({
            let here = here.clone();
            async move {
                runtime.sleep_until(runtime.now() + wait).await;
                assert_eq!(*here, std::thread::current().id());
                done.send(here).expect("the test waits for it");
            }
        });
        assert_eq!(finished.await, Ok(here));
    }
}

async fn background_work_runs_where_there_is_any<W: World>(world: W) {
    let (has_run, mark) = (Rc::new(Cell::new(false)), W::Mark::default());
    world.background({
        let has_run = has_run.clone();
        async move {
            has_run.set(true);
            drop(mark);
        }
    });
    if W::BACKGROUND {
        while !has_run.get() {
            let runtime = world.runtime();
            runtime.sleep_until(runtime.now() + world.tick()).await;
        }
    } else {
        assert_eq!(Rc::strong_count(&has_run), 1, "the work is dropped");
        assert!(!has_run.get(), "the work has not run");
    }
}

async fn a_task_runs_beside_the_test<W: World>(world: W) {
    let (ping, pinged) = oneshot::channel();
    let (pong, ponged) = oneshot::channel();
    let task = world.task(async move {
        let ping: u32 = pinged.await.expect("a ping");
        pong.send(ping + 1).expect("the test waits for it");
        "ended"
    });
    ping.send(1).expect("the task waits for it");
    assert_eq!(ponged.await, Ok(2));
    assert_eq!(task.await, "ended");

    let panics = world.task(async { panic!("as a failing assertion does") });
    let panicked = std::panic::AssertUnwindSafe(panics).catch_unwind().await;
    assert!(panicked.is_err(), "a failure in a task reaches the test");
}
