//! Checks on occasion: once a value is open, before it is lent, after it was given back.

use std::cell::RefCell;
use std::rc::Rc;

use futures::future::{RemoteHandle, join_all};
use tenure_core::pool::CheckOnAcquire;
use tenure_core::{AcquireError, Ending, Retry, Why};

use super::probe::{Control, Hook, Step};
use super::recorder::{Happened, Recorder};
use super::{PoolOf, PoolWorld};

on_every_backend! {
    b07_no_occasion_is_a_check_by_default,
    b07_each_occasion_has_its_check,
    b07_a_check_that_fails_on_open_is_a_failed_opening,
    b07_checks_that_fail_on_open_are_the_error_in_the_end,
    b07_a_check_that_fails_on_acquire_costs_the_value_and_not_the_turn,
    b07_a_check_that_fails_on_acquire_leads_to_the_next_idle_value,
    b07_a_check_that_hangs_on_acquire_has_failed,
    b07_a_check_that_is_dropped_costs_the_value,
    b07_a_check_that_fails_on_release_costs_the_value,
    b07_nobody_gets_a_value_before_its_check_on_release,
}

const CHECK_FAILED: Happened = Happened::Ended(Ending::Closed, Why::CheckFailed, None);

async fn b07_no_occasion_is_a_check_by_default<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(1));
    drop(pool.acquire().await.expect("a value"));
    let held = pool.acquire().await.expect("the value");
    let waiter = world.waiter(&pool).await;
    drop(held);
    assert_eq!(waiter.await.expect("the value"), 1);
    drop(pool.acquire_many(1).await.expect("the value"));
    assert_eq!(control.begun(Hook::Check), 0);
    world.ends_clean(&pool, &control).await;
}

async fn b07_each_occasion_has_its_check<W: PoolWorld>(world: W) {
    for (occasion, checks) in [("open", 1), ("acquire", 3), ("release", 2)] {
        let control = Control::default();
        let pool = world.pool(&control, |pool| {
            let pool = pool.check_every(None).max_size(1);
            let pool = pool.check_on_open(occasion == "open");
            let pool = pool.check_on_acquire(if occasion == "acquire" {
                CheckOnAcquire::Always
            } else {
                CheckOnAcquire::Never
            });
            pool.check_on_release(occasion == "release")
        });
        drop(pool.acquire().await.expect("a value"));
        drop(pool.acquire().await.expect("the value"));
        let last = pool.acquire().await.expect("the value");
        assert_eq!(last.id, 1);
        assert_eq!(control.begun(Hook::Check), checks, "on {occasion}");
        // A broken value is not worth a check.
        last.discard();
        world.ends_clean(&pool, &control).await;
        assert_eq!(control.begun(Hook::Check), checks, "on {occasion}");
    }
}

async fn b07_a_check_that_fails_on_open_is_a_failed_opening<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    control.script(Hook::Check, [Step::Fail("sick")]);
    let pool = world.pool(&control, |pool| {
        let pool = pool.check_every(None).check_on_open(true).max_size(1);
        let pool = pool.retry(world.quick_retries());
        pool.events(recorder.sink())
    });
    assert_eq!(pool.acquire().await.expect("a good one").id, 2);
    let audit = pool.audit();
    assert_eq!((audit.opened, audit.open_failed), (2, 1), "{audit}");
    assert_eq!(control.closed(), [1]);
    world.ends_clean(&pool, &control).await;
    let happened = recorder.happened();
    for event in [
        Happened::CheckFailed("sick".into()),
        Happened::OpenFailed(1, "sick".into(), true),
        CHECK_FAILED,
        Happened::Opened(2),
    ] {
        assert!(
            happened.contains(&event),
            "{event:?} is not in {happened:?}"
        );
    }
}

async fn b07_checks_that_fail_on_open_are_the_error_in_the_end<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.always(Hook::Check, Step::Fail("sick"));
    let pool = world.pool(&control, |pool| {
        let pool = pool.check_on_open(true);
        pool.retry(world.quick_retries().max_retries(2))
    });
    let error = pool.acquire().await.expect_err("all are sick");
    let AcquireError::BackendDown { failure, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(failure.attempts, 3);
    assert_eq!(failure.cause.to_string(), "sick");
    assert_eq!(control.opened(), 3);
    world.ends_clean(&pool, &control).await;
}

/// Whoever was handed a bad value is served again ahead of all who came after it.
async fn b07_a_check_that_fails_on_acquire_costs_the_value_and_not_the_turn<W: PoolWorld>(
    world: W,
) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| {
        let pool = pool.check_every(None).check_timeout(None);
        pool.check_on_acquire(CheckOnAcquire::Always).max_size(1)
    });
    let held = pool.acquire().await.expect("a value");
    control.script(Hook::Check, [Step::Held]);
    let served = Rc::new(RefCell::new(Vec::new()));
    let mut waiters = Vec::new();
    for number in 0..2 {
        waiters.push(waits(&world, &pool, number, &served));
        world
            .until("it has joined the queue", || {
                pool.status().waiting == number + 1
            })
            .await;
    }
    drop(held);
    world
        .until("the first one's value is checked", || {
            control.running(Hook::Check) == 1
        })
        .await;
    // The last one comes while the first has its bad value in hand.
    waiters.push(waits(&world, &pool, 2, &served));
    world
        .until("it has joined the queue", || pool.status().waiting == 2)
        .await;
    control.let_go(Hook::Check, Step::Fail("sick"));
    join_all(waiters).await;
    assert_eq!(*served.borrow(), [(0, 2), (1, 2), (2, 2)]);
    assert_eq!(control.closed(), [1]);
    world.ends_clean(&pool, &control).await;
}

/// A task that waits for a value, and notes when it was served, and with which.
fn waits<W: PoolWorld>(
    world: &W,
    pool: &PoolOf<W>,
    number: usize,
    served: &Rc<RefCell<Vec<(usize, u64)>>>,
) -> RemoteHandle<()> {
    let (pool, served) = (pool.clone(), served.clone());
    world.task(async move {
        let lease = pool.acquire().await.expect("a value");
        served.borrow_mut().push((number, lease.id));
    })
}

async fn b07_a_check_that_fails_on_acquire_leads_to_the_next_idle_value<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    let pool = world.pool(&control, |pool| {
        let pool = pool
            .check_every(None)
            .check_on_acquire(CheckOnAcquire::Always);
        pool.events(recorder.sink())
    });
    drop(pool.acquire_many(3).await.expect("values"));
    control.script(Hook::Check, [Step::Fail("sick"), Step::Panic]);
    let lease = pool.acquire().await.expect("the third");
    assert_eq!(control.begun(Hook::Open), 3, "no other was needed");
    drop(lease);
    world.ends_clean(&pool, &control).await;
    assert_eq!(recorder.count(|event| *event == CHECK_FAILED), 2);
    let panicked = "panicked: the probe panics in its Check".to_owned();
    assert!(
        recorder
            .happened()
            .contains(&Happened::CheckFailed(panicked))
    );
}

async fn b07_a_check_that_hangs_on_acquire_has_failed<W: PoolWorld>(world: W) {
    let control = Control::default();
    let limit = world.tick() * 2;
    let pool = world.pool(&control, |pool| {
        let pool = pool.check_every(None).check_timeout(limit);
        pool.check_on_acquire(CheckOnAcquire::Always).max_size(1)
    });
    drop(pool.acquire().await.expect("a value"));
    control.script(Hook::Check, [Step::Hang]);
    let began_at = world.now();
    assert_eq!(pool.acquire().await.expect("another").id, 2);
    world.took(began_at, limit);
    assert_eq!(control.closed(), [1]);
    world.ends_clean(&pool, &control).await;
}

async fn b07_a_check_that_is_dropped_costs_the_value<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    let pool = world.pool(&control, |pool| {
        let pool = pool
            .check_every(None)
            .check_on_acquire(CheckOnAcquire::Always);
        pool.max_size(1).events(recorder.sink())
    });
    control.script(Hook::Check, [Step::Hang]);
    let caller = world.waiter(&pool).await;
    world
        .until("the check hangs", || control.running(Hook::Check) == 1)
        .await;
    let status = pool.status();
    assert_eq!((status.checking, status.in_use), (1, 0), "{status}");
    drop(caller);
    assert_eq!(pool.acquire().await.expect("another").id, 2);
    assert_eq!(control.cut_off(Hook::Check), 1);
    let cut_off = Happened::Ended(Ending::Closed, Why::CheckCutOff, None);
    assert!(recorder.happened().contains(&cut_off));
    world.ends_clean(&pool, &control).await;
}

async fn b07_a_check_that_fails_on_release_costs_the_value<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    let pool = world.pool(&control, |pool| {
        let pool = pool.check_every(None).check_on_release(true);
        pool.max_size(1).events(recorder.sink())
    });
    control.script(Hook::Check, [Step::Fail("sick")]);
    drop(pool.acquire().await.expect("a value"));
    assert_eq!(pool.acquire().await.expect("another").id, 2);
    assert!(recorder.happened().contains(&CHECK_FAILED));
    world.ends_clean(&pool, &control).await;
}

async fn b07_nobody_gets_a_value_before_its_check_on_release<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| {
        let pool = pool.check_every(None).check_timeout(None);
        let pool = pool.retry(Retry::NEVER).max_size(1);
        pool.check_on_release(true)
    });
    control.script(Hook::Check, [Step::Held]);
    drop(pool.acquire().await.expect("a value"));
    let status = pool.status();
    assert_eq!((status.idle, status.checking), (0, 1), "{status}");
    assert!(pool.try_acquire().is_none());
    let waiter = world.waiter(&pool).await;
    world
        .until("it is checked", || control.running(Hook::Check) == 1)
        .await;
    world.pause(1).await;
    assert_eq!(pool.status().waiting, 1, "{}", pool.status());
    control.let_go(Hook::Check, Step::Succeed);
    assert_eq!(waiter.await.expect("the value"), 1);
    assert_eq!(control.begun(Hook::Open), 1);
    world.ends_clean(&pool, &control).await;
}
