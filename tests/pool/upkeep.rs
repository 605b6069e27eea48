//! What the pool does for its idle values: keeps the minimum, trims the rest.

use std::time::Duration;

use super::PoolWorld;
use super::probe::{Condition, Control, Hook, Step};
use super::recorder::{Happened, Recorder};
use tenure_core::{Ending, Why};

on_every_backend! {
    s09_defaults_are_the_originals,
    s09_minimum_is_kept_warm,
    s09_minimum_is_refilled_when_values_break_or_leave,
    s09_minimum_does_not_wait_for_a_slow_close,
    s09_minimum_comes_back_when_the_backend_does,
    s09_idle_time_counts_from_last_use,
    s09_idle_timeout_spares_the_minimum,
    s09_idle_timeout_spares_values_in_use,
    s09_a_check_is_no_use,
    s09_without_an_idle_timeout_values_stay,
}

const SECOND: Duration = Duration::from_secs(1);

/// Max 10, min 0, idle 300 s, check 60 s. The times only where they cost nothing.
async fn s09_defaults_are_the_originals<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool);
    world.pause(1).await;
    let status = pool.status();
    assert_eq!((status.max_size, status.size), (10, 0), "{status}");
    let mut leases = Vec::new();
    for _ in 0..10 {
        leases.push(pool.acquire().await.expect("a value"));
    }
    assert!(pool.acquire_timeout(world.tick()).await.is_err());
    drop(leases);
    if W::VIRTUAL_TIME && W::BACKGROUND {
        // Checks come up to a tenth early, and idle times are looked at in steps of a quarter.
        world.sleep(53 * SECOND).await;
        assert_eq!(control.begun(Hook::Check), 0);
        world.sleep(23 * SECOND).await;
        assert!(control.begun(Hook::Check) > 0, "60 s have passed");
        world.sleep(223 * SECOND).await;
        assert_eq!(control.closed().len(), 0, "it is only 299 s");
        world.sleep(77 * SECOND).await;
        assert_eq!(control.closed().len(), 10);
    }
    world.ends_clean(&pool, &control).await;
}

async fn s09_minimum_is_kept_warm<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.min_size(3));
    if W::BACKGROUND {
        world
            .until("the minimum is open", || pool.status().idle == 3)
            .await;
        world.pause(2).await;
        assert_eq!(control.begun(Hook::Open), 3, "no more than the minimum");
    } else {
        world.pause(2).await;
        assert_eq!(control.begun(Hook::Open), 0, "nobody does it");
        pool.start().await.expect("the minimum");
        assert_eq!(pool.status().idle, 3);
    }
    world.ends_clean(&pool, &control).await;
}

async fn s09_minimum_is_refilled_when_values_break_or_leave<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.min_size(2));
    pool.start().await.expect("the minimum");
    let _mine = pool.acquire().await.expect("a value").detach();
    pool.acquire().await.expect("a value").discard();
    if W::BACKGROUND {
        world
            .until("the minimum is open again", || {
                pool.status().idle == 2 && control.closed().len() == 1
            })
            .await;
        assert_eq!(control.begun(Hook::Open), 4);
    } else {
        world.pause(2).await;
        assert_eq!(control.begun(Hook::Open), 2, "nobody does it");
    }
    let report = pool.close().await;
    assert!(report.is_clean(), "{report}");
}

/// A value on its way out is none that is warm: where there is room, its successor does not wait.
async fn s09_minimum_does_not_wait_for_a_slow_close<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.script(Hook::Close, [Step::Held]);
    let pool = world.pool(&control, |pool| pool.min_size(1).close_timeout(None));
    pool.start().await.expect("the minimum");
    pool.acquire().await.expect("the value").discard();
    if W::BACKGROUND {
        world
            .until("the close began", || control.running(Hook::Close) == 1)
            .await;
        world
            .until("another value is idle", || pool.status().idle == 1)
            .await;
        control.let_go(Hook::Close, Step::Succeed);
    } else {
        world.pause(2).await;
        assert_eq!(control.begun(Hook::Open), 1, "nobody does it");
        let outcome = world.ends("the start", pool.start()).await;
        outcome.expect("the minimum");
        let close = async {
            world
                .until("the close began", || control.running(Hook::Close) == 1)
                .await;
            control.let_go(Hook::Close, Step::Succeed);
        };
        let (report, ()) = futures::join!(pool.close(), close);
        assert!(report.is_clean(), "{report}");
    }
    world.ends_clean(&pool, &control).await;
}

async fn s09_minimum_comes_back_when_the_backend_does<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.script(Hook::Open, [Step::Fail("down"); 9]);
    let pool = world.pool(&control, |pool| {
        pool.min_size(2).retry(world.quick_retries())
    });
    if W::BACKGROUND {
        // Nine failures exhaust the policy twice, and nobody is there to be told.
        world
            .until("the minimum is open", || pool.status().idle == 2)
            .await;
        assert_eq!(control.begun(Hook::Open), 11);
        assert_eq!(pool.audit().open_failed, 9);
    } else {
        world.pause(2).await;
        assert_eq!(control.begun(Hook::Open), 0, "nobody does it");
    }
    world.ends_clean(&pool, &control).await;
}

async fn s09_idle_time_counts_from_last_use<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    let timeout = world.tick() * 8;
    let pool = world.pool(&control, |pool| {
        let pool = pool.idle_timeout(timeout).check_every(None);
        pool.events(recorder.sink())
    });
    drop(pool.acquire().await.expect("a value"));
    // More than the timeout has passed since it was opened, but never since it was used.
    let mut last_use = world.now();
    for _ in 0..4 {
        world.pause(3).await;
        let lease = pool.acquire().await.expect("a value");
        last_use = world.now();
        drop(lease);
    }
    let too_long = Happened::Ended(Ending::Closed, Why::IdleTooLong, None);
    if W::VIRTUAL_TIME {
        assert_eq!(control.begun(Hook::Open), 1);
        world.pause(7).await;
        assert_eq!(recorder.endings(), 0);
    }
    if W::BACKGROUND {
        world
            .until("it was closed", || {
                recorder.happened().last() == Some(&too_long) && pool.status().size == 0
            })
            .await;
        let closed_at = recorder.records().last().and_then(|record| record.at);
        let idle_for = closed_at.expect("there is a clock") - last_use;
        assert!(idle_for >= timeout, "{idle_for:?}");
        if W::VIRTUAL_TIME {
            assert!(idle_for <= timeout + timeout / 4, "{idle_for:?}");
        }
    } else {
        world.pause(20).await;
        assert_eq!((recorder.endings(), pool.status().idle), (0, 1));
    }
    world.ends_clean(&pool, &control).await;
}

async fn s09_idle_timeout_spares_the_minimum<W: PoolWorld>(world: W) {
    let control = Control::default();
    let timeout = world.tick() * 2;
    let pool = world.pool(&control, |pool| pool.min_size(2).idle_timeout(timeout));
    {
        let _four = futures::join!(
            pool.acquire(),
            pool.acquire(),
            pool.acquire(),
            pool.acquire()
        );
    }
    if W::BACKGROUND {
        world
            .until("the others were closed", || pool.status().size == 2)
            .await;
        world.pause(8).await;
        assert_eq!(pool.status().idle, 2);
        assert_eq!(control.begun(Hook::Open), 4);
    } else {
        world.pause(8).await;
        assert_eq!(pool.status().idle, 4);
    }
    world.ends_clean(&pool, &control).await;
}

async fn s09_idle_timeout_spares_values_in_use<W: PoolWorld>(world: W) {
    let control = Control::default();
    let timeout = world.tick() * 2;
    let pool = world.pool(&control, |pool| pool.idle_timeout(timeout));
    let mut lease = pool.acquire().await.expect("a value");
    world.pause(8).await;
    assert_eq!(lease.id, 1);
    lease.condition = Condition::Good;
    assert_eq!(control.live(), 1);
    drop(lease);
    assert_eq!(pool.try_acquire().expect("it was just used").id, 1);
    world.ends_clean(&pool, &control).await;
}

/// With the real numbers: checks every 60 s, the idle timeout after 300 s.
async fn s09_a_check_is_no_use<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool);
    drop(pool.acquire().await.expect("a value"));
    if W::VIRTUAL_TIME && W::BACKGROUND {
        world.sleep(299 * SECOND).await;
        assert!(control.begun(Hook::Check) >= 3);
        assert_eq!(control.closed(), []);
        world.sleep(77 * SECOND).await;
        assert_eq!(control.closed(), [1]);
    }
    world.ends_clean(&pool, &control).await;
}

async fn s09_without_an_idle_timeout_values_stay<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| {
        let pool = pool.idle_timeout(None).max_lifetime(None);
        pool.check_every(None)
    });
    drop(pool.acquire().await.expect("a value"));
    if W::VIRTUAL_TIME {
        world.sleep(7 * 24 * 3600 * SECOND).await;
    } else {
        world.pause(8).await;
    }
    assert_eq!(pool.status().idle, 1);
    world.ends_clean(&pool, &control).await;
}
