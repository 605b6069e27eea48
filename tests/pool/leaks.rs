//! Leases that are never given back, counters, and a clock that jumps.

use std::time::Duration;

use futures::future::join_all;
use futures::poll;

use super::probe::{Condition, Control, Hook, Step};
use super::recorder::{Happened, Recorder};
use super::{PoolWorld, assert_all_ended};

on_every_backend! {
    b08_a_leak_is_told_once_with_where_it_was_taken,
    b08_every_way_to_take_a_value_says_where,
    b08_what_comes_back_in_time_is_no_leak,
    b08_counters_balance_at_every_step,
}

fn leaks(recorder: &Recorder) -> Vec<(&'static str, u32)> {
    let leak = |event| match event {
        Happened::Leaked(file, line, _) => Some((file, line)),
        _ => None,
    };
    let mut leaks = Vec::from_iter(recorder.happened().into_iter().filter_map(leak));
    leaks.sort_unstable();
    leaks
}

async fn b08_a_leak_is_told_once_with_where_it_was_taken<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    let limit = world.tick() * 4;
    let pool = world.pool(&control, |pool| {
        pool.leak_after(limit).events(recorder.sink())
    });
    let asked_at = world.now();
    let (lease, line) = (pool.acquire().await.expect("a value"), line!());
    if W::VIRTUAL_TIME {
        world.pause(3).await;
        assert_eq!(leaks(&recorder), [], "it is too early");
    }
    if W::BACKGROUND {
        world
            .until("it is told", || !leaks(&recorder).is_empty())
            .await;
        let told = recorder
            .happened()
            .into_iter()
            .find_map(|event| match event {
                Happened::Leaked(_, _, held_for) => Some(held_for),
                _ => None,
            });
        let held_for = told.expect("a leak was told");
        assert!(held_for >= limit && held_for <= world.now() - asked_at);
        let records = recorder.records();
        let at = format!("a lease taken at {}:{line}:", file!());
        assert!(records.iter().any(|record| record.line.contains(&at)));
    }
    world.pause(8).await;
    let expected = if W::BACKGROUND {
        vec![(file!(), line)]
    } else {
        Vec::new()
    };
    assert_eq!(leaks(&recorder), expected, "once, by who looks");
    assert_eq!(lease.id, 1);
    drop(lease);
    world.ends_clean(&pool, &control).await;
}

async fn b08_every_way_to_take_a_value_says_where<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    let (limit, hour) = (world.tick() * 2, Duration::from_secs(3600));
    let pool = world.pool(&control, |pool| {
        let pool = pool.min_size(2).leak_after(limit);
        pool.events(recorder.sink())
    });
    pool.start().await.expect("the minimum");
    let first = pool.try_acquire().expect("an idle one");
    let second = pool.acquire().await.expect("an idle one");
    let third = pool.acquire_timeout(hour).await.expect("a new one");
    let fourth = pool.acquire_owned().await.expect("a new one");
    let fifth = pool.acquire_owned_timeout(hour).await.expect("one");
    let sixth = pool.acquire_many(1).await.expect("a new one");
    let seventh = pool.acquire_many_timeout(1, hour).await.expect("one");
    let last = line!() - 1;
    if W::BACKGROUND {
        world
            .until("all are told", || leaks(&recorder).len() == 7)
            .await;
        let expected = Vec::from_iter((last - 6..=last).map(|line| (file!(), line)));
        assert_eq!(leaks(&recorder), expected);
    } else {
        world.pause(4).await;
        assert_eq!(leaks(&recorder), []);
    }
    drop((first, second, third));
    drop((fourth, fifth));
    drop((sixth, seventh));
    world.ends_clean(&pool, &control).await;
}

async fn b08_what_comes_back_in_time_is_no_leak<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    let limit = if W::VIRTUAL_TIME {
        world.tick() * 4
    } else {
        // A slow machine may hold a lease for longer than it wants.
        Duration::from_secs(3600)
    };
    let pool = world.pool(&control, |pool| {
        pool.leak_after(limit).events(recorder.sink())
    });
    for _ in 0..6 {
        // The same value for longer in all, but each loan on its own is short.
        let lease = pool.acquire().await.expect("the value");
        world.pause(3).await;
        drop(lease);
    }
    let detached = pool.acquire().await.expect("the value").detach();
    world.pause(8).await;
    assert_eq!(leaks(&recorder), []);
    drop(detached);
    world.ends_clean(&pool, &control).await;
}

/// Each value is counted in one place, whatever is being done to it.
async fn b08_counters_balance_at_every_step<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.hooked_pool(&control, |pool| {
        pool.max_size(3).retry(world.quick_retries())
    });
    let slow = Step::Slow(world.tick() / 8);
    for hook in [Hook::AfterOpen, Hook::BeforeAcquire, Hook::AfterRelease] {
        control.always(hook, slow);
        control.script(hook, [slow, slow, Step::Fail("no"), slow, Step::Panic]);
    }
    control.script(Hook::Close, [slow, Step::Fail("no"), Step::Panic]);
    let tasks = (0..6).map(|task| {
        let (world, pool) = (world.clone(), pool.clone());
        world.clone().task(async move {
            for turn in 0..6 {
                let mut lease = pool.acquire().await.expect("a value in time");
                world.sleep(world.tick() / 8).await;
                match (task + turn) % 6 {
                    0 => lease.condition = Condition::Broken,
                    1 => drop(lease.detach()),
                    _ => drop(lease),
                }
            }
        })
    });
    let mut users = join_all(Vec::from_iter(tasks));
    while poll!(&mut users).is_pending() {
        let status = pool.status();
        let audit = status.audit;
        assert!(audit.is_balanced(), "{audit}");
        let counted = status.idle + status.in_use + status.checking + status.closing;
        assert_eq!(audit.live(), counted as u64, "{status}");
        // The slot of a value that has ended is freed a moment after.
        assert!(status.size >= counted + status.opening, "{status}");
        assert!(status.size <= 3, "{status}");
        world.sleep(Duration::from_millis(1)).await;
    }
    let report = pool.close().await;
    assert!(report.still_in_use == 0, "{report}");
    assert_all_ended(&pool, &control);
    let audit = pool.audit();
    assert!(audit.detached > 0 && audit.close_failed == 2, "{audit}");
}

fn late(recorder: &Recorder) -> Vec<Duration> {
    let late = |event| match event {
        Happened::Late(by) => Some(by),
        _ => None,
    };
    recorder.happened().into_iter().filter_map(late).collect()
}

const HOUR: Duration = Duration::from_secs(3600);

/// Where the clock can be set.
#[cfg(not(target_os = "none"))]
mod in_the_simulator {
    use tenure_sim::Sim;

    use super::*;

    in_the_simulator! {
        b08_a_clock_that_jumps_is_told,
        b08_a_clock_that_runs_is_not,
    }

    async fn b08_a_clock_that_jumps_is_told<W: PoolWorld<Runtime = Sim>>(world: W) {
        let control = Control::default();
        let recorder = Recorder::default();
        let pool = world.pool(&control, |pool| {
            let pool = pool.check_every(world.tick() * 60);
            pool.events(recorder.sink())
        });
        drop(pool.acquire().await.expect("a value"));
        world.pause(10).await;
        world.runtime().jump(HOUR);
        world.pause(1).await;
        // What was planned is the check of the value that lies idle.
        let [by] = late(&recorder)[..] else {
            panic!("it is told once: {:?}", recorder.happened());
        };
        assert!(by > HOUR - world.tick() * 60 && by <= HOUR, "{by:?}");
        let line = format!("background work is late by {by:?}");
        let records = recorder.records();
        assert!(records.iter().any(|record| record.line.ends_with(&line)));
        world.ends_clean(&pool, &control).await;
    }

    async fn b08_a_clock_that_runs_is_not<W: PoolWorld<Runtime = Sim>>(world: W) {
        let control = Control::default();
        let recorder = Recorder::default();
        let pool = world.pool(&control, |pool| pool.min_size(2).events(recorder.sink()));
        control.always(Hook::Check, Step::Slow(world.tick() * 4));
        world.sleep(HOUR).await;
        assert!(control.begun(Hook::Check) > 50);
        assert_eq!(late(&recorder), []);
        world.ends_clean(&pool, &control).await;
    }
}
