//! The backend on a time driver that is advanced by hand.

use std::convert::Infallible;
use std::task::Poll;
use std::time::Duration;

use embassy_time_driver::TICK_HZ;
use tenure_embassy::{Embassy, Instant, Pool, PoolRunner, Resource, Timer};

mod manual_driver;

use manual_driver::{Task, advance, advance_seconds, queued};

const TICK: Duration = Duration::from_nanos(1_000_000_000 / TICK_HZ);

#[test]
fn the_clock_advances_with_the_driver() {
    let start = Embassy.now();
    advance_seconds(3);
    advance(7);
    assert_eq!(Embassy.now() - start, Duration::from_secs(3) + TICK * 7);
}

#[test]
fn a_sleep_ends_at_the_first_tick_after_its_instant_and_never_before() {
    let at = Embassy.now() + TICK + Duration::from_nanos(1);
    let mut sleep = Task::new(Embassy.sleep_until(at));
    assert!(sleep.poll().is_pending());
    advance(1);
    assert!(!sleep.is_woken(), "woken a nanosecond too early");
    assert!(sleep.poll().is_pending(), "ended a nanosecond too early");
    advance(1);
    assert!(sleep.is_woken());
    assert!(sleep.poll().is_ready());
    assert!(Embassy.now() >= at);
}

#[test]
fn a_sleep_until_what_has_passed_ends_at_its_first_poll() {
    advance_seconds(1);
    for at in [Instant::EPOCH, Embassy.now()] {
        assert!(Task::new(Embassy.sleep_until(at)).poll().is_ready());
    }
    assert_eq!(queued(), 0, "nothing was asked of the driver");
}

#[test]
fn a_sleep_for_ever_neither_ends_nor_enters_the_queue() {
    let mut sleep = Task::new(Embassy.sleep_until(Instant::MAX));
    assert!(sleep.poll().is_pending());
    assert_eq!(queued(), 0);
    advance_seconds(100 * 365 * 24 * 60 * 60);
    assert!(!sleep.is_woken());
    assert!(sleep.poll().is_pending());
}

#[test]
fn all_sleeps_of_a_task_take_one_entry_and_each_ends_in_time() {
    let after = |seconds| Embassy.sleep_until(Embassy.now() + Duration::from_secs(seconds));
    let mut task = Task::new(futures::future::join3(after(3), after(1), after(2)));
    for second in 0..3 {
        assert!(task.poll().is_pending());
        assert_eq!(queued(), 1, "after {second} s");
        advance_seconds(1);
        assert!(task.is_woken(), "after {second} s");
    }
    assert!(task.poll().is_ready());
}

#[test]
fn jitter_is_drawn_from_the_seed_and_the_clock() {
    // The only test that draws: a seed is the whole program's.
    let draw = || [(); 4].map(|()| Embassy.entropy());
    Embassy::seed_jitter(1);
    let first = draw();
    for (drawn, other) in first.iter().zip(&first[1..]) {
        assert_ne!(drawn, other, "two holders that are built in the same tick");
    }
    Embassy::seed_jitter(1);
    assert_eq!(draw(), first, "the same device, booted again");
    Embassy::seed_jitter(2);
    assert_ne!(draw(), first, "another device");
    Embassy::seed_jitter(1);
    advance(1);
    assert_ne!(draw(), first, "at another moment");
}

#[test]
fn a_runner_without_timed_settings_never_wakes() {
    let (pool, runner) = pool(|pool| pool.idle_timeout(None).max_lifetime(None));
    let mut runner = Task::new(runner.run());
    use_a_value(&pool, &mut runner);
    assert_eq!(queued(), 0, "nothing is asked of the timer");
    assert_eq!(wakes_within_days(30, &mut runner), 0);
}

#[test]
fn a_runner_wakes_when_a_timed_setting_is_due_and_then_no_more() {
    let timeout = Duration::from_secs(600);
    let (pool, runner) = pool(|pool| pool.idle_timeout(timeout).max_lifetime(None));
    let mut runner = Task::new(runner.run());
    use_a_value(&pool, &mut runner);
    assert_eq!(pool.status().idle, 1);

    let wakes = wakes_within_days(1, &mut runner);
    assert_eq!(pool.status().idle, 0, "closed for its idleness");
    assert!(
        (1..=8).contains(&wakes),
        "woken {wakes} times for one timeout"
    );
    assert_eq!(wakes_within_days(30, &mut runner), 0, "nothing lies idle");

    use_a_value(&pool, &mut runner);
    assert_eq!(
        wakes_within_days(1, &mut runner),
        wakes,
        "as the first time"
    );
    assert_eq!(pool.status().idle, 0);
}

struct Sensor;

impl Resource for Sensor {
    type Value = u8;
    type Error = Infallible;

    async fn open(&self) -> Result<u8, Infallible> {
        Ok(7)
    }
}

fn pool(
    set: impl FnOnce(
        tenure_embassy::pool::PoolBuilder<Sensor>,
    ) -> tenure_embassy::pool::PoolBuilder<Sensor>,
) -> (Pool<Sensor, Embassy>, PoolRunner<Sensor>) {
    set(Pool::builder(Sensor))
        .build_with_runner(Embassy)
        .expect("the settings are valid")
}

/// Borrows a value, opened by the Runner, and gives it back. The clock stands still meanwhile.
fn use_a_value(pool: &Pool<Sensor, Embassy>, runner: &mut Task<impl Future<Output = ()>>) {
    let mut user = Task::new(pool.acquire());
    let lease = loop {
        match user.poll() {
            Poll::Ready(lease) => break lease.expect("a sensor always opens"),
            Poll::Pending => settle(runner),
        }
    };
    assert_eq!(*lease, 7);
    drop(lease);
    settle(runner);
    // Of the acquire, which left its own timeout in the queue.
    drop(user);
    manual_driver::forget_all_but(runner);
}

/// Polls the Runner until it waits.
fn settle(runner: &mut Task<impl Future<Output = ()>>) {
    loop {
        assert!(runner.poll().is_pending(), "the pool is not closed");
        if !runner.is_woken() {
            return;
        }
    }
}

/// Returns how often the Runner is woken while days pass.
fn wakes_within_days(days: u64, runner: &mut Task<impl Future<Output = ()>>) -> usize {
    let mut wakes = 0;
    for _second in 0..days * 24 * 60 * 60 {
        advance_seconds(1);
        if runner.is_woken() {
            wakes += 1;
            settle(runner);
        }
    }
    wakes
}
