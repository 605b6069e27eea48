//! Checks of idle values: which, when, and what a bad one holds up.

use std::collections::HashSet;
use std::time::Duration;

use tenure_core::pool::CheckOnAcquire;
use tenure_core::{Ending, Why};

use super::PoolWorld;
use super::probe::{Control, Hook, Step};
use super::recorder::{Happened, Recorder};

on_every_backend! {
    s09_checks_only_idle_values,
    s09_failed_check_closes_and_replaces_the_value,
    s09_hung_check_blocks_nobody,
    s09_hung_check_does_not_keep_others_from_being_checked,
    b04_check_has_a_timeout_of_its_own,
    b04_what_was_just_used_is_not_checked,
    b04_no_check_comes_more_than_a_tenth_early,
    b04_every_idle_value_is_checked_in_time,
    b04_jitter_sets_the_checks_of_one_pool_apart,
    b04_checks_are_capped,
    b04_no_checks_when_none_are_asked_for,
}

const SECOND: Duration = Duration::from_secs(1);

async fn s09_checks_only_idle_values<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.check_every(world.tick() * 2));
    let in_use = pool.acquire().await.expect("a value");
    let idle = pool.acquire().await.expect("another").id;
    if W::BACKGROUND {
        world
            .until("the idle one was checked twice", || {
                control.checked().len() >= 2
            })
            .await;
    } else {
        world.pause(8).await;
    }
    assert!(control.checked().iter().all(|(id, _)| *id == idle));
    assert!(W::BACKGROUND || control.checked().is_empty());
    drop(in_use);
    world.ends_clean(&pool, &control).await;
}

async fn s09_failed_check_closes_and_replaces_the_value<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    control.script(Hook::Check, [Step::Fail("sick")]);
    let pool = world.pool(&control, |pool| {
        let pool = pool.min_size(1).check_every(world.tick() * 2);
        pool.events(recorder.sink())
    });
    pool.start().await.expect("the minimum");
    let (failed, ended) = (
        Happened::CheckFailed("sick".into()),
        Happened::Ended(Ending::Closed, Why::CheckFailed, None),
    );
    if W::BACKGROUND {
        world
            .until("the sick value is replaced", || {
                let happened = recorder.happened();
                happened.contains(&failed) && happened.contains(&ended) && control.opened() == 2
            })
            .await;
        let lease = pool.acquire().await.expect("the new value");
        assert_eq!(lease.id, 2);
    } else {
        world.pause(8).await;
        assert_eq!(pool.acquire().await.expect("the value").id, 1);
    }
    world.ends_clean(&pool, &control).await;
}

async fn s09_hung_check_blocks_nobody<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.always(Hook::Check, Step::Hang);
    let pool = world.pool(&control, |pool| {
        let pool = pool.max_size(3).check_every(world.tick() * 2);
        let pool = pool.check_on_acquire(CheckOnAcquire::Never);
        pool.check_timeout(None)
    });
    drop(futures::join!(pool.acquire(), pool.acquire()));
    if W::BACKGROUND {
        world
            .until("a check hangs", || control.running(Hook::Check) == 1)
            .await;
    }
    // Taking, opening, waiting, giving back, closing: all go on beside it.
    let mut idle = None;
    world
        .until("the other idle value is to be had", || {
            // A sweep on another thread may have it out for a moment, to ask whether it is broken.
            idle = pool.try_acquire();
            idle.is_some()
        })
        .await;
    let opened = pool.acquire().await.expect("a new value");
    if W::BACKGROUND {
        assert_eq!(opened.id, 3);
        let waiter = world.waiter(&pool).await;
        drop(idle);
        waiter.await.expect("what came back");
        opened.discard();
        world
            .until("the broken one is closed", || control.closed() == [3])
            .await;
    } else {
        drop((idle, opened));
        assert_eq!(control.begun(Hook::Check), 0);
    }
    world.ends_clean(&pool, &control).await;
    assert_eq!(control.running(Hook::Check), 0, "the shutdown calls it off");
}

async fn s09_hung_check_does_not_keep_others_from_being_checked<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.script(Hook::Check, [Step::Hang]);
    let pool = world.pool(&control, |pool| {
        let pool = pool.max_size(8).check_every(world.tick() * 2);
        pool.check_timeout(None)
    });
    drop(futures::join!(
        pool.acquire(),
        pool.acquire(),
        pool.acquire()
    ));
    if W::BACKGROUND {
        world
            .until("each was checked", || {
                let checked = control.checked();
                checked
                    .iter()
                    .map(|(id, _)| id)
                    .collect::<HashSet<_>>()
                    .len()
                    == 3
            })
            .await;
        world
            .until("but one has ended", || control.running(Hook::Check) == 1)
            .await;
    } else {
        world.pause(8).await;
        assert_eq!(control.begun(Hook::Check), 0);
    }
    world.ends_clean(&pool, &control).await;
}

async fn b04_check_has_a_timeout_of_its_own<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    control.always(Hook::Check, Step::Hang);
    let limit = world.tick() * 5;
    let pool = world.pool(&control, |pool| {
        let pool = pool.check_every(world.tick()).check_timeout(limit);
        pool.events(recorder.sink())
    });
    drop(pool.acquire().await.expect("a value"));
    let ended = Happened::Ended(Ending::Closed, Why::CheckFailed, None);
    if W::BACKGROUND {
        world
            .until("the value was closed", || {
                recorder.happened().contains(&ended)
            })
            .await;
        let records = recorder.records();
        let failed = records
            .iter()
            .find(|record| matches!(record.happened, Happened::CheckFailed(_)))
            .expect("the check failed");
        let began_at = control.checked()[0].1;
        assert!(failed.at.expect("there is a clock") - began_at >= limit);
        assert!(failed.line.contains("timed out"), "{}", failed.line);
    } else {
        world.pause(8).await;
        assert_eq!((control.begun(Hook::Check), recorder.endings()), (0, 0));
    }
    world.ends_clean(&pool, &control).await;
}

async fn b04_what_was_just_used_is_not_checked<W: PoolWorld>(world: W) {
    let control = Control::default();
    let every = world.tick() * 8;
    let pool = world.pool(&control, |pool| {
        let pool = pool.check_on_acquire(CheckOnAcquire::Never);
        pool.check_every(every)
    });
    let mut uses = Vec::new();
    for _ in 0..12 {
        // Under its check it cannot be had, where a slow machine has let one become due.
        let lease = pool.acquire().await.expect("a value");
        uses.push(world.now());
        drop(lease);
        world.pause(3).await;
    }
    if W::VIRTUAL_TIME {
        assert_eq!(control.checked(), []);
    }
    for (_, checked_at) in control.checked() {
        let used_at = uses.iter().rfind(|used_at| **used_at <= checked_at);
        let idle_for = checked_at - *used_at.expect("it was used first");
        assert!(idle_for >= every - every / 10, "{idle_for:?}");
    }
    world.ends_clean(&pool, &control).await;
}

async fn b04_no_check_comes_more_than_a_tenth_early<W: PoolWorld>(world: W) {
    let control = Control::default();
    let every = world.tick() * 2;
    let pool = world.pool(&control, |pool| pool.check_every(every));
    let began_at = world.now();
    drop(pool.acquire().await.expect("a value"));
    if W::BACKGROUND {
        world
            .until("it was checked often", || control.checked().len() >= 3)
            .await;
    } else {
        world.pause(10).await;
        assert_eq!(control.begun(Hook::Check), 0);
    }
    let mut before = began_at;
    for (_, checked_at) in control.checked() {
        let between = checked_at - before;
        assert!(between >= every - every / 10, "{between:?}");
        before = checked_at;
    }
    world.ends_clean(&pool, &control).await;
}

/// With the real numbers: a check every 60 s comes up to a tenth early and at most a quarter late.
async fn b04_every_idle_value_is_checked_in_time<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.min_size(10));
    pool.start().await.expect("the minimum");
    if W::VIRTUAL_TIME && W::BACKGROUND {
        world.sleep(76 * SECOND).await;
        let checked = control.checked();
        let ids: HashSet<_> = checked.iter().map(|(id, _)| id).collect();
        assert_eq!(ids.len(), 10, "some were not checked within 76 s");
    }
    world.ends_clean(&pool, &control).await;
}

/// With the real numbers, and few enough values that the cap on checks does not set them apart.
async fn b04_jitter_sets_the_checks_of_one_pool_apart<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(100).min_size(10));
    pool.start().await.expect("the minimum");
    if W::VIRTUAL_TIME && W::BACKGROUND {
        // Up to a tenth early each time: after ten rounds values differ by up to a whole one.
        world.sleep(600 * SECOND).await;
        let checked = control.checked();
        let last_of = |id| checked.iter().rfind(|(of, _)| *of == id).map(|(_, at)| *at);
        let moments: HashSet<_> = (1..=10).map(last_of).collect();
        assert!(moments.len() > 1, "all are still checked at one instant");
    }
    world.ends_clean(&pool, &control).await;
}

async fn b04_checks_are_capped<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.always(Hook::Check, Step::Hang);
    let pool = world.pool(&control, |pool| {
        let pool = pool.max_size(8).min_size(8).check_every(world.tick());
        pool.check_timeout(None)
    });
    pool.start().await.expect("the minimum");
    world.pause(8).await;
    // A sweep on another thread may have them out for a moment, to ask which are broken.
    let is_capped = || {
        let status = pool.status();
        status.checking <= 2 && status.idle >= 6
    };
    world
        .until("a quarter at most is under check", is_capped)
        .await;
    world.ends_clean(&pool, &control).await;
}

async fn b04_no_checks_when_none_are_asked_for<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.check_every(None));
    drop(pool.acquire().await.expect("a value"));
    if W::VIRTUAL_TIME {
        world.sleep(290 * SECOND).await;
    } else {
        world.pause(4).await;
    }
    assert_eq!(control.begun(Hook::Check), 0);
    world.ends_clean(&pool, &control).await;
}
