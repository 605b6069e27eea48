//! How a pool starts: fail fast, in the background, or lazily.

use std::task::Poll;

use futures::{join, poll};
use tenure_core::{AcquireError, Retry, Start, StopReason};

use super::probe::{Control, Hook, Step};
use super::{PoolWorld, assert_all_ended};

on_every_backend! {
    b01_start_opens_the_minimum,
    b01_start_fails_fast_when_the_backend_is_down,
    b01_start_retries_before_it_fails,
    b01_start_that_failed_may_be_tried_again,
    b01_start_twice_opens_no_more,
    b01_start_in_background_goes_on_trying,
    b01_start_lazily_opens_nothing_until_the_first_use,
    b01_start_that_is_cancelled_keeps_what_was_opened,
    b01_start_takes_the_slot_of_a_dying_value,
    b01_stop_during_a_start_cancels_it,
    b01_stop_during_the_pause_of_a_start_cancels_it,
    b01_opening_that_fails_during_a_stop_lets_the_start_end,
}

async fn b01_start_opens_the_minimum<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.min_size(3));
    pool.start().await.expect("the minimum");
    let status = pool.status();
    assert_eq!((status.idle, status.size), (3, 3), "{status}");
    let none = world.pool(&Control::default(), |pool| pool);
    none.start()
        .await
        .expect("one, since nothing is known without");
    assert_eq!(none.status().size, 1);
    none.close().await;
    world.ends_clean(&pool, &control).await;
}

async fn b01_start_fails_fast_when_the_backend_is_down<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.always(Hook::Open, Step::Fail("refused"));
    let pool = world.pool(&control, |pool| {
        let pool = pool.start(Start::Lazily).retry(Retry::NEVER);
        pool.min_size(2)
    });
    let error = pool.start().await.expect_err("it is refused");
    let AcquireError::BackendDown { failure, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(failure.stopped, Some(StopReason::Attempts));
    assert_eq!(failure.cause.to_string(), "refused");
    world.ends_clean(&pool, &control).await;
}

async fn b01_start_retries_before_it_fails<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.script(Hook::Open, [Step::Fail("not yet"); 3]);
    let pool = world.pool(&control, |pool| {
        let pool = pool.start(Start::Lazily).retry(world.quick_retries());
        pool.min_size(1)
    });
    pool.start().await.expect("the fourth attempt");
    assert_eq!(control.begun(Hook::Open), 4);

    let control = Control::default();
    control.always(Hook::Open, Step::Fail("never"));
    let pool = world.pool(&control, |pool| {
        let pool = pool.start(Start::Lazily).retry(world.quick_retries());
        pool.min_size(1)
    });
    let error = pool.start().await.expect_err("it never opens");
    let AcquireError::BackendDown { failure, .. } = &error else {
        panic!("{error}");
    };
    // Where a Runner goes on trying, there may have been more by the time this task looks.
    assert!(failure.attempts >= 4, "{failure}");
    world.ends_clean(&pool, &control).await;
}

async fn b01_start_that_failed_may_be_tried_again<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.script(Hook::Open, [Step::Fail("down")]);
    let pool = world.pool(&control, |pool| {
        let pool = pool.start(Start::Lazily).retry(Retry::NEVER);
        pool.min_size(1)
    });
    pool.start().await.expect_err("it is down");
    pool.start().await.expect("it is up");
    assert_eq!(pool.status().idle, 1);
    world.ends_clean(&pool, &control).await;
}

async fn b01_start_twice_opens_no_more<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.always(Hook::Open, Step::Slow(world.tick() / 2));
    let pool = world.pool(&control, |pool| pool.min_size(2).max_size(2));
    let started = join!(pool.start(), pool.start(), pool.start());
    assert!(matches!(started, (Ok(()), Ok(()), Ok(()))));
    pool.start().await.expect("what is there");
    assert_eq!(control.begun(Hook::Open), 2);
    world.ends_clean(&pool, &control).await;
}

async fn b01_start_in_background_goes_on_trying<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.script(Hook::Open, [Step::Fail("down"); 5]);
    let once = world.quick_retries().max_retries(0);
    let pool = world.pool(&control, |pool| pool.min_size(1).retry(once));
    if W::BACKGROUND {
        world
            .until("the minimum is open", || pool.status().idle == 1)
            .await;
        assert_eq!(control.begun(Hook::Open), 6);
    } else {
        world.pause(2).await;
        assert_eq!(control.begun(Hook::Open), 0, "there is no background");
    }
    world.ends_clean(&pool, &control).await;
}

async fn b01_start_lazily_opens_nothing_until_the_first_use<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.min_size(3).start(Start::Lazily));
    world.pause(2).await;
    assert_eq!(control.begun(Hook::Open), 0);
    drop(pool.acquire().await.expect("a value"));
    if W::BACKGROUND {
        world
            .until("the minimum is open", || pool.status().idle == 3)
            .await;
    } else {
        world.pause(2).await;
        assert_eq!(control.begun(Hook::Open), 1, "what was asked for");
    }
    world.ends_clean(&pool, &control).await;
}

async fn b01_start_that_is_cancelled_keeps_what_was_opened<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.script(Hook::Open, [Step::Succeed, Step::Held]);
    let pool = world.pool(&control, |pool| pool.min_size(2));
    let start = world.task({
        let pool = pool.clone();
        async move { pool.start().await }
    });
    world
        .until("one is open, the other on its way", || {
            pool.status().idle == 1 && control.running(Hook::Open) == 1
        })
        .await;
    drop(start);
    world.sleep(world.tick() / 4).await;
    assert_eq!(pool.status().idle, 1);
    if W::BACKGROUND {
        control.let_go(Hook::Open, Step::Succeed);
        world
            .until("the Runner opened the other", || pool.status().idle == 2)
            .await;
    } else {
        assert_eq!((control.cut_off(Hook::Open), pool.status().size), (1, 1));
    }
    pool.start().await.expect("the minimum");
    assert_eq!(pool.status().idle, 2);
    world.ends_clean(&pool, &control).await;
}

async fn b01_start_takes_the_slot_of_a_dying_value<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(1).min_size(1));
    pool.acquire().await.expect("a value").discard();
    let started = world.ends("the start", pool.start()).await;
    started.expect("the minimum");
    assert_eq!(control.closed(), [1]);
    assert_eq!(pool.status().idle, 1);
    world.ends_clean(&pool, &control).await;
}

async fn b01_stop_during_a_start_cancels_it<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.script(Hook::Open, [Step::Succeed, Step::Hang]);
    let pool = world.pool(&control, |pool| pool.min_size(2));
    let mut start = Box::pin(pool.start());
    assert!(poll!(start.as_mut()).is_pending());
    world
        .until("one is open, the other on its way", || {
            pool.status().idle == 1 && control.running(Hook::Open) == 1
        })
        .await;
    let both = async { join!(pool.close(), start) };
    let (report, started) = world.ends("the stop or the start", both).await;
    assert!(matches!(started, Err(AcquireError::Closed { .. })));
    assert!(report.is_clean() && report.closed == 1, "{report}");
    assert_eq!(control.cut_off(Hook::Open), 1);
    assert_eq!(control.begun(Hook::Open), 2, "nothing opens any more");
    assert_all_ended(&pool, &control);
}

async fn b01_stop_during_the_pause_of_a_start_cancels_it<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.always(Hook::Open, Step::Fail("down"));
    let pool = world.pool(&control, |pool| {
        let day = std::time::Duration::from_secs(24 * 3600);
        let slow = tenure_core::Backoff::constant(day).cap(day);
        let slow = slow.jitter(tenure_core::Jitter::None);
        // The Runner is not to fail before the start, which begins afresh.
        let pool = pool.start(Start::Lazily).min_size(1);
        pool.retry(Retry::new(slow))
    });
    let mut start = Box::pin(pool.start());
    while control.begun(Hook::Open) == 0 || pool.status().opening > 0 {
        assert!(poll!(start.as_mut()).is_pending());
        world.pause(1).await;
    }
    let both = async { join!(pool.close(), start) };
    let (report, started) = world.ends("the stop or the start", both).await;
    assert!(matches!(started, Err(AcquireError::Closed { .. })));
    assert!(report.is_clean(), "{report}");
    assert_eq!(control.begun(Hook::Open), 1);
    assert_all_ended(&pool, &control);
}

async fn b01_opening_that_fails_during_a_stop_lets_the_start_end<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.always(Hook::Open, Step::Held);
    let pool = world.pool(&control, |pool| pool.min_size(1));
    let mut start = Box::pin(pool.start());
    assert!(poll!(start.as_mut()).is_pending());
    world
        .until("the opening began", || control.running(Hook::Open) == 1)
        .await;
    let mut stop = Box::pin(pool.close());
    let stopped = poll!(stop.as_mut());
    if !W::BACKGROUND {
        // A Runner has called it off.
        control.let_go(Hook::Open, Step::Fail("down"));
    }
    let started = world.ends("the start", start).await;
    let report = match stopped {
        Poll::Ready(report) => report,
        Poll::Pending => world.ends("the stop", stop).await,
    };
    assert!(matches!(started, Err(AcquireError::Closed { .. })));
    assert!(report.is_clean(), "{report}");
    assert_all_ended(&pool, &control);
}
