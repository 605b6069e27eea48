//! `with_timeout`, on every clock.

use std::future::{pending, ready};
use std::time::Duration;

use tenure_core::{Timer, with_timeout};

use crate::worlds::World;

on_every_backend! {
    s14_with_timeout_passes_on_what_is_in_time,
    s14_with_timeout_says_what_took_too_long,
    s14_with_timeout_looks_at_the_work_before_the_limit,
    s14_with_timeout_drops_the_work_when_it_is_dropped,
    s14_with_timeout_without_end_waits,
}

async fn s14_with_timeout_passes_on_what_is_in_time<W: World>(world: W) {
    let runtime = world.runtime();
    let work = async {
        runtime.sleep_until(runtime.now() + world.tick()).await;
        7
    };
    let hour = Duration::from_secs(3600);
    assert_eq!(with_timeout(&runtime, hour, "work", work).await, Ok(7));
}

async fn s14_with_timeout_says_what_took_too_long<W: World>(world: W) {
    let (runtime, limit) = (world.runtime(), world.tick() * 2);
    let began_at = runtime.now();
    // Built at run time, as a message about one of many things is.
    let message = format!("fetching shard {}", 3);
    let work = with_timeout(&runtime, limit, message, pending::<()>());
    let error = work.await.expect_err("it never ends");
    assert!(runtime.now() - began_at >= limit);
    assert_eq!(
        (error.message(), error.limit()),
        ("fetching shard 3", limit)
    );
    let line = error.to_string();
    assert_eq!(line, format!("fetching shard 3 timed out after {limit:?}"));
    let _: &(dyn std::error::Error + Send + Sync) = &error;
}

async fn s14_with_timeout_looks_at_the_work_before_the_limit<W: World>(world: W) {
    let work = with_timeout(&world.runtime(), Duration::ZERO, "work", ready(7));
    assert_eq!(work.await, Ok(7));
}

async fn s14_with_timeout_drops_the_work_when_it_is_dropped<W: World>(world: W) {
    let held = std::rc::Rc::new(());
    let work = {
        let held = held.clone();
        async move {
            pending::<()>().await;
            drop(held);
        }
    };
    let mut limited = Box::pin(with_timeout(&world.runtime(), world.tick(), "work", work));
    assert!(futures::poll!(limited.as_mut()).is_pending());
    assert_eq!(std::rc::Rc::strong_count(&held), 2);
    drop(limited);
    assert_eq!(std::rc::Rc::strong_count(&held), 1);
}

async fn s14_with_timeout_without_end_waits<W: World>(world: W) {
    let runtime = world.runtime();
    let work = async {
        runtime.sleep_until(runtime.now() + world.tick()).await;
    };
    let limited = with_timeout(&runtime, Duration::MAX, "work", work);
    assert_eq!(limited.await, Ok(()));
}
