//! Errors say what happened: which pool, how it stood, how often it was tried, and the user's own error.

use std::error::Error;

use futures::future::join_all;
use tenure_core::{AcquireError, Backoff, ErrorClass, Jitter, Pool, Resource, Retry, StopReason};

use super::PoolWorld;
use super::probe::{Control, Fault, Hook, Root, Step};

on_every_backend! {
    p07_exhausted_says_how_the_pool_stood,
    p07_backend_down_says_how_often_for_how_long_and_why,
    p07_backend_down_is_said_when_time_runs_out_between_attempts,
    p07_an_opening_that_hangs_is_a_cause_too,
    p07_closed_says_whose_pool_it_was,
    p07_the_source_chain_is_whole,
    p07_any_error_type_serves,
    p01_failing_open_is_one_attempt_for_all_who_wait,
    p01_openings_share_one_schedule,
    p01_who_comes_after_all_were_told_gets_a_fresh_start,
    p01_a_live_value_serves_while_the_backend_is_down,
    b02_giving_up_is_not_retried,
    b02_retry_after_is_waited_for,
    b02_the_time_limit_of_an_attempt_applies_to_openings,
}

async fn p07_exhausted_says_how_the_pool_stood<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.name("sessions").max_size(2));
    let _held = futures::join!(pool.acquire(), pool.acquire());
    let limit = world.tick() * 2;
    let error = pool.acquire_timeout(limit).await.expect_err("all in use");
    let AcquireError::Exhausted {
        pool: name,
        waited,
        status,
        ..
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(name.as_str(), "sessions");
    assert!(*waited >= limit);
    let stood = (status.max_size, status.size, status.in_use, status.idle);
    assert_eq!(stood, (2, 2, 2, 0), "{status}");
    let line = error.to_string();
    assert!(
        line.starts_with("pool sessions had no value free for "),
        "{line}"
    );
    assert!(line.contains("2 of 2: 0 idle, 2 in use"), "{line}");
    assert!(error.source().is_none());
}

async fn p07_backend_down_says_how_often_for_how_long_and_why<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.always(Hook::Open, Step::Fail("no route"));
    let delay = world.tick();
    let backoff = Backoff::constant(delay).jitter(Jitter::None);
    let pool = world.pool(&control, |pool| {
        let pool = pool.name("sessions").max_size(1);
        pool.retry(Retry::new(backoff).max_retries(2))
    });
    let error = pool.acquire().await.expect_err("no route");
    let AcquireError::BackendDown {
        pool: name,
        failure,
        status,
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(name.as_str(), "sessions");
    assert_eq!((failure.attempts, control.begun(Hook::Open)), (3, 3));
    assert!(failure.elapsed.expect("there is a clock") >= delay * 2);
    assert_eq!(failure.stopped, Some(StopReason::Attempts));
    assert_eq!(failure.cause.to_string(), "no route");
    assert_eq!(status.max_size, 1);
    let line = error.to_string();
    assert!(
        line.starts_with("pool sessions: opening failed after 3 attempts"),
        "{line}"
    );
    world.ends_clean(&pool, &control).await;
}

async fn p07_backend_down_is_said_when_time_runs_out_between_attempts<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.always(Hook::Open, Step::Fail("no route"));
    let slow = Backoff::constant(world.tick() * 8).jitter(Jitter::None);
    let pool = world.pool(&control, |pool| pool.retry(Retry::new(slow)));
    let limit = world.tick() * 2;
    let began_at = world.now();
    let error = pool.acquire_timeout(limit).await.expect_err("no route");
    assert!(world.now() - began_at >= limit);
    let AcquireError::BackendDown { failure, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(failure.cause.to_string(), "no route");
    assert!(failure.attempts >= 1);
    world.ends_clean(&pool, &control).await;
}

async fn p07_an_opening_that_hangs_is_a_cause_too<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.always(Hook::Open, Step::Hang);
    let limit = world.tick() * 2;
    let pool = world.pool(&control, |pool| {
        let pool = pool.max_size(1).open_timeout(limit);
        pool.retry(Retry::NEVER)
    });
    let began_at = world.now();
    let error = pool.acquire().await.expect_err("it hangs");
    assert!(world.now() - began_at >= limit);
    let AcquireError::BackendDown { failure, .. } = error else {
        panic!("{error}");
    };
    let cause = failure.cause.to_string();
    assert_eq!(cause, format!("timed out after {limit:?}"));
    assert_eq!(control.cut_off(Hook::Open), 1);
    world.ends_clean(&pool, &control).await;
}

async fn p07_closed_says_whose_pool_it_was<W: PoolWorld>(world: W) {
    let pool = world.pool(&Control::default(), |pool| pool.name("sessions"));
    pool.close().await;
    let error = pool.acquire().await.expect_err("it is closed");
    assert_eq!(error.to_string(), "pool sessions is closed");
    assert!(error.source().is_none());
}

async fn p07_the_source_chain_is_whole<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.always(Hook::Open, Step::Fail("no route"));
    let pool = world.pool(&control, |pool| pool.retry(Retry::NEVER));
    let error = pool.acquire().await.expect_err("no route");
    let error: Box<dyn Error + Send + Sync> = Box::new(error);
    let fault = error.source().expect("the user's error");
    assert!(fault.is::<Fault>(), "{fault:?}");
    assert!(fault.source().expect("its source").is::<Root>());
    let AcquireError::BackendDown { failure, .. } =
        error.downcast_ref::<AcquireError>().expect("our error")
    else {
        panic!("{error}");
    };
    assert!(failure.cause.downcast_ref::<Fault>().is_some());
    world.ends_clean(&pool, &control).await;
}

/// Opens nothing, and says so with an error of any type.
struct Refusing<E>(fn() -> E);

impl<E: Into<tenure_core::BoxError> + Send + 'static> Resource for Refusing<E> {
    type Value = ();
    type Error = E;

    async fn open(&self) -> Result<(), E> {
        Err((self.0)())
    }
}

async fn p07_any_error_type_serves<W: PoolWorld>(world: W) {
    let text = Refusing(|| String::from("refused"));
    assert_eq!(refusal(&world, text).await, "refused");
    let literal = Refusing(|| "refused");
    assert_eq!(refusal(&world, literal).await, "refused");
    let boxed = Refusing(|| -> Box<dyn Error + Send + Sync> { Box::new(Root) });
    assert_eq!(refusal(&world, boxed).await, "the root");
    let typed = Refusing(|| std::io::Error::other("refused"));
    assert_eq!(refusal(&world, typed).await, "refused");
}

async fn refusal<W: PoolWorld, R: Resource>(world: &W, resource: R) -> String {
    let pool = Pool::builder(resource).retry(Retry::NEVER);
    let (pool, _runner) = pool
        .build_with_runner(world.runtime())
        .expect("a configuration that makes sense");
    let error = pool.acquire().await.map(drop).expect_err("it refuses");
    error.source().expect("the user's error").to_string()
}

async fn p01_failing_open_is_one_attempt_for_all_who_wait<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.always(Hook::Open, Step::Fail("down"));
    let pool = world.pool(&control, |pool| {
        pool.max_size(1).retry(world.quick_retries())
    });
    let outcomes = join_all((0..5).map(|_| pool.acquire())).await;
    for outcome in outcomes {
        let Err(AcquireError::BackendDown { failure, .. }) = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(failure.attempts, 4);
    }
    // Those that came after the first attempt had failed wait for one more.
    assert!(control.begun(Hook::Open) <= 5, "not four for each");
    world.ends_clean(&pool, &control).await;
}

/// While openings fail, one at a time knocks; those under way at once count as one attempt.
async fn p01_openings_share_one_schedule<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.script(Hook::Open, [Step::Held; 5]);
    control.always(Hook::Open, Step::Fail("down"));
    let pool = world.pool(&control, |pool| pool.retry(world.quick_retries()));
    let mut waiters = Vec::new();
    for _ in 0..5 {
        waiters.push(world.waiter(&pool).await);
    }
    world
        .until("each has its opening", || control.running(Hook::Open) == 5)
        .await;
    for _ in 0..5 {
        control.let_go(Hook::Open, Step::Fail("down"));
    }
    for outcome in join_all(waiters).await {
        let Err(AcquireError::BackendDown { failure, .. }) = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(failure.attempts, 4);
    }
    assert_eq!(control.begun(Hook::Open), 5 + 3);
    world.ends_clean(&pool, &control).await;
}

async fn p01_who_comes_after_all_were_told_gets_a_fresh_start<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.script(Hook::Open, [Step::Fail("down"); 4]);
    let pool = world.pool(&control, |pool| pool.retry(world.quick_retries()));
    assert!(pool.acquire().await.is_err());
    assert_eq!(pool.acquire().await.expect("it is up again").id, 1);
    pool.acquire().await.expect("the value").discard();

    control.script(Hook::Open, [Step::Fail("down"); 3]);
    assert_eq!(pool.acquire().await.expect("all retries anew").id, 2);
    world.ends_clean(&pool, &control).await;
}

async fn p01_a_live_value_serves_while_the_backend_is_down<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.script(Hook::Open, [Step::Succeed]);
    control.always(Hook::Open, Step::Fail("down"));
    let pool = world.pool(&control, |pool| {
        pool.max_size(2).retry(world.quick_retries())
    });
    let lease = pool.acquire().await.expect("a value");
    let waiter = world.waiter(&pool).await;
    world
        .until("the policy is exhausted", || {
            control.begun(Hook::Open) > 1 + 4
        })
        .await;
    drop(lease);
    assert_eq!(waiter.await.expect("the value that lives"), 1);
    world.ends_clean(&pool, &control).await;
}

async fn b02_giving_up_is_not_retried<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.always(Hook::Open, Step::FailAs(ErrorClass::GiveUp));
    let pool = world.pool(&control, |pool| pool);
    let error = pool.acquire().await.expect_err("it is refused");
    let AcquireError::BackendDown { failure, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(failure.stopped, Some(StopReason::GivenUp));
    assert_eq!((failure.attempts, control.begun(Hook::Open)), (1, 1));
    world.ends_clean(&pool, &control).await;
}

async fn b02_retry_after_is_waited_for<W: PoolWorld>(world: W) {
    let control = Control::default();
    let after = world.tick() * 3;
    let asked = ErrorClass::RetryAfter(after);
    control.script(Hook::Open, [Step::FailAs(asked)]);
    let eager = Backoff::exponential(std::time::Duration::from_millis(1));
    let pool = world.pool(&control, |pool| pool.retry(Retry::new(eager)));
    let began_at = world.now();
    assert_eq!(pool.acquire().await.expect("the second attempt").id, 1);
    assert!(world.now() - began_at >= after);
    world.ends_clean(&pool, &control).await;
}

async fn b02_the_time_limit_of_an_attempt_applies_to_openings<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.script(Hook::Open, [Step::Hang]);
    let limit = world.tick() * 2;
    let policy = world.quick_retries().attempt_timeout(limit);
    let pool = world.pool(&control, |pool| {
        pool.max_size(1).open_timeout(None).retry(policy)
    });
    let outcome = pool.acquire_timeout(world.tick() * 50).await;
    assert_eq!(outcome.expect("the second attempt").id, 1);
    assert_eq!(control.cut_off(Hook::Open), 1);
    world.ends_clean(&pool, &control).await;
}
