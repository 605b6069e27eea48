//! What an acquire says that gets nothing: in which phase its time went, and why, and how the pool stood.

use std::error::Error;

use futures::future::join_all;
use tenure_core::pool::CheckOnAcquire;
use tenure_core::{AcquireError, Backoff, Retry};

use super::PoolWorld;
use super::probe::{Control, Fault, Hook, Root, Step};

on_every_backend! {
    b08_exhausted_counts_who_waits_and_what_is_in_use,
    b08_backend_down_says_how_often_how_long_and_how_the_pool_stood,
    b08_backend_down_is_said_though_others_hold_values,
    b08_rejected_says_how_many_were_tried_and_why,
    b08_closed_is_said_to_who_waits_and_who_comes,
    n05_time_in_use_by_others_is_exhausted,
    n05_time_in_an_opening_shows_as_an_opening,
    n05_time_in_checks_is_told_apart,
    n05_a_hook_after_the_opening_is_the_backend,
    n05_a_hook_before_the_loan_is_a_rejection,
    n05_values_that_are_never_good_are_opened_at_a_pace,
}

/// Ticks enough for what is to happen within them, on a slow machine too.
const AMPLE: u32 = 25;

async fn b08_exhausted_counts_who_waits_and_what_is_in_use<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(2));
    let held = pool.acquire_many(2).await.expect("values");
    let other = world.waiter(&pool).await;
    let limit = world.tick() * 2;
    let error = pool.acquire_timeout(limit).await.expect_err("all in use");
    let AcquireError::Exhausted {
        waited,
        in_care,
        self_deadlock,
        status,
        ..
    } = error
    else {
        panic!("{error}");
    };
    assert!(waited >= limit && in_care.is_zero() && !self_deadlock);
    let stood = (status.max_size, status.size, status.in_use, status.waiting);
    // Whoever is refused is still counted among those who wait.
    assert_eq!(stood, (2, 2, 2, 2), "{status}");
    assert!(status.audit.is_balanced() && status.audit.in_use == 2);
    assert_eq!(pool.status().waiting, 1);
    drop(held);
    other.await.expect("a value");
    world.ends_clean(&pool, &control).await;
}

async fn b08_backend_down_says_how_often_how_long_and_how_the_pool_stood<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.script(Hook::Open, [Step::Fail("first"), Step::Fail("second")]);
    control.always(Hook::Open, Step::Fail("last"));
    let delay = world.tick();
    let policy = Retry::new(Backoff::constant(delay)).max_retries(2);
    let pool = world.pool(&control, |pool| pool.max_size(3).retry(policy));
    let began_at = world.now();
    let error = pool.acquire().await.expect_err("it is down");
    world.took(began_at, delay * 2);
    let AcquireError::BackendDown {
        failure, status, ..
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(failure.attempts, 3);
    assert_eq!(failure.cause.to_string(), "last");
    assert!(failure.elapsed >= Some(delay * 2), "{:?}", failure.elapsed);
    let audit = status.audit;
    assert_eq!((audit.opened, audit.open_failed), (0, 3), "{audit}");
    let stood = (status.max_size, status.size, status.in_use, status.waiting);
    assert_eq!(stood, (3, 0, 0, 1), "{status}");
    let fault = error.source().expect("the probe's own error");
    assert!(fault.is::<Fault>() && fault.source().is_some_and(|root| root.is::<Root>()));
    world.ends_clean(&pool, &control).await;
}

async fn b08_backend_down_is_said_though_others_hold_values<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| {
        pool.max_size(3).retry(world.quick_retries())
    });
    let held = pool.acquire().await.expect("a value");
    control.always(Hook::Open, Step::Fail("down"));
    let (limit, began_at) = (world.tick() * AMPLE, world.now());
    let error = pool.acquire_timeout(limit).await.expect_err("it is down");
    // The value in use may come back, so there is something to wait for.
    world.took(began_at, limit);
    let AcquireError::BackendDown { status, .. } = error else {
        panic!("{error}");
    };
    assert_eq!((status.in_use, status.idle), (1, 0), "{status}");
    drop(held);
    world.ends_clean(&pool, &control).await;
}

async fn b08_rejected_says_how_many_were_tried_and_why<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| {
        let pool = pool.name("sessions").max_size(4).open_timeout(None);
        pool.check_every(None)
            .check_on_acquire(CheckOnAcquire::Always)
    });
    let mut idle = pool.acquire_many(3).await.expect("values");
    let held = idle.pop().expect("one of three");
    drop(idle);
    control.always(Hook::Check, Step::Fail("sick"));
    control.always(Hook::Open, Step::Hang);
    let limit = world.tick() * AMPLE;
    let error = pool.acquire_timeout(limit).await.expect_err("all are sick");
    let AcquireError::Rejected {
        waited,
        rejected,
        cause,
        status,
        ..
    } = &error
    else {
        panic!("{error}");
    };
    assert!(*waited >= limit, "{waited:?}");
    assert_eq!((*rejected, cause.to_string()), (2, "sick".to_owned()));
    assert!(status.in_use == 1 && status.opening > 0, "{status}");
    let line = error.to_string();
    assert!(
        line.starts_with("pool sessions had no good value for "),
        "{line}"
    );
    assert!(line.ends_with("2 were tried: sick: the root"), "{line}");
    assert!(error.source().is_some_and(|fault| fault.is::<Fault>()));
    drop(held);
    world.ends_clean(&pool, &control).await;
}

async fn b08_closed_is_said_to_who_waits_and_who_comes<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(1));
    drop(pool.acquire().await.expect("a value"));
    pool.suspend();
    let waiter = world.waiter(&pool).await;
    world.ends_clean(&pool, &control).await;
    let outcomes = [
        waiter.await.map(drop),
        pool.acquire().await.map(drop),
        pool.acquire_owned().await.map(drop),
        pool.acquire_many(1).await.map(drop),
        pool.start().await,
    ];
    for outcome in outcomes {
        let closed = matches!(outcome, Err(AcquireError::Closed { .. }));
        assert!(closed, "{outcome:?}");
    }
}

async fn n05_time_in_use_by_others_is_exhausted<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.hooked_pool(&control, |pool| pool.max_size(1));
    let held = pool.acquire().await.expect("a value");
    let error = pool.acquire_timeout(world.tick()).await;
    let error = error.map(drop).expect_err("it is in use");
    let AcquireError::Exhausted { status, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!((status.in_use, status.opening), (1, 0), "{status}");
    assert!(error.source().is_none());
    assert!(!error.to_string().contains("checks and hooks"), "{error}");
    drop(held);
    world.ends_clean(&pool, &control).await;
}

async fn n05_time_in_an_opening_shows_as_an_opening<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.always(Hook::Open, Step::Hang);
    let pool = world.pool(&control, |pool| pool.max_size(1).open_timeout(None));
    let limit = world.tick() * AMPLE;
    let error = pool.acquire_timeout(limit).await;
    let error = error.map(drop).expect_err("the opening hangs");
    let AcquireError::OpenPending {
        under_way, status, ..
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!((status.in_use, status.opening), (0, 1), "{status}");
    assert!(under_way.is_some_and(|under_way| under_way <= limit * 2));
    assert!(error.to_string().contains("has not answered"), "{error}");
    world.ends_clean(&pool, &control).await;
}

/// A value was tried and was no good; after that, all there may be was in use.
async fn n05_time_in_checks_is_told_apart<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| {
        let pool = pool.check_every(None).check_timeout(None);
        pool.check_on_acquire(CheckOnAcquire::Always).max_size(2)
    });
    let mut idle = pool.acquire_many(2).await.expect("values");
    let held = idle.pop().expect("one of two");
    drop(idle);
    control.script(Hook::Check, [Step::Held]);
    let limit = world.tick() * AMPLE;
    let fails_its_check = async {
        world
            .until("it is checked", || control.running(Hook::Check) == 1)
            .await;
        pool.resize(1).expect("a size that makes sense");
        world.pause(1).await;
        control.let_go(Hook::Check, Step::Fail("sick"));
    };
    let (outcome, ()) = futures::join!(pool.acquire_timeout(limit), fails_its_check);
    let error = outcome.expect_err("the other one is in use");
    let AcquireError::Exhausted {
        waited, in_care, ..
    } = error
    else {
        panic!("{error}");
    };
    assert!(
        waited >= limit && in_care >= world.tick(),
        "{waited:?}, {in_care:?}"
    );
    assert!(in_care < waited, "{waited:?}, {in_care:?}");
    let line = error.to_string();
    let told = format!(", of which {in_care:?} in checks and hooks");
    assert!(line.contains(&told), "{line}");
    drop(held);
    world.ends_clean(&pool, &control).await;
}

async fn n05_a_hook_after_the_opening_is_the_backend<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.always(Hook::AfterOpen, Step::Fail("no such zone"));
    let pool = world.hooked_pool(&control, |pool| pool.retry(Retry::NEVER));
    let error = pool.acquire().await.map(drop).expect_err("no value");
    let AcquireError::BackendDown { failure, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(failure.cause.to_string(), "no such zone");
    assert!(error.source().is_some_and(|fault| fault.is::<Fault>()));
    world.ends_clean(&pool, &control).await;
}

async fn n05_a_hook_before_the_loan_is_a_rejection<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.always(Hook::BeforeAcquire, Step::Fail("no such role"));
    let pool = world.hooked_pool(&control, |pool| pool.max_size(1));
    // Where time is real, its end is not to come with the next opening.
    let error = pool.acquire_timeout(world.tick() * 40).await;
    let error = error.map(drop).expect_err("none is good");
    let AcquireError::Rejected {
        rejected, cause, ..
    } = &error
    else {
        panic!("{error}");
    };
    assert!(*rejected >= 1, "{error}");
    assert_eq!(cause.to_string(), "no such role");
    world.ends_clean(&pool, &control).await;
}

/// Were it not for the pause, a caller would open and close values as fast as that goes.
async fn n05_values_that_are_never_good_are_opened_at_a_pace<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.always(Hook::BeforeAcquire, Step::Fail("no such role"));
    let pool = world.hooked_pool(&control, |pool| pool.max_size(4));
    let (limit, began_at) = (world.tick() * 10, world.now());
    let outcomes = join_all((0..4).map(|_| pool.acquire_timeout(limit))).await;
    world.took(began_at, limit);
    for outcome in outcomes {
        let rejected = matches!(outcome, Err(AcquireError::Rejected { .. }));
        // Where time is short, some never have a value to try.
        assert!(rejected || !W::VIRTUAL_TIME, "{outcome:?}");
        assert!(outcome.is_err());
    }
    if W::VIRTUAL_TIME {
        // Four at first, and then one round every tenth of a second.
        assert!(control.opened() <= 4 * 101, "{}", control.opened());
    }
    world.ends_clean(&pool, &control).await;
}
