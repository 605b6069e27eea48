//! What callers of a pool are told when they get no value: what kept them waiting, and nothing older.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tenure_core::group::LocalLifecycle;
use tenure_core::{
    AcquireError, Backoff, ErrorClass, Instant, Pool, Retry, State, StopReason, Timer,
};
use tenure_sim::{Sim, run};

use crate::scripted::{Ask, DOWN, Server, Step, timed};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

type TestPool = Pool<Server<false>, Sim>;

fn pool(sim: &Sim, max_size: usize) -> (Server<false>, TestPool) {
    let server = Server::new(sim);
    let pool = Pool::builder(server.clone())
        .max_size(max_size)
        .build(sim.clone())
        .expect("it makes sense");
    (server, pool)
}

async fn refused(pool: &TestPool, limit: Duration) -> AcquireError {
    let outcome = pool.acquire_timeout(limit).await.map(drop);
    outcome.expect_err("no value is to be had")
}

/// One opening hangs, another was refused for good, and all that asked have left.
#[test]
fn a_refusal_is_not_told_to_those_who_ask_later() {
    run(0, |sim| async move {
        let server = Server::<false>::new(&sim);
        server.next(Ask::Open, [Step::Hangs, Step::Refuses(ErrorClass::GiveUp)]);
        let pool = Pool::builder(server.clone())
            .max_size(2)
            .open_timeout(SECOND)
            .build(sim.clone())
            .expect("it makes sense");
        let callers = ["a", "b"].map(|name| {
            let pool = pool.clone();
            sim.task(name, async move { pool.acquire_owned().await.map(drop) })
        });
        sim.sleep(MS * 100).await;
        for caller in callers {
            caller.cancel();
        }
        sim.sleep(MS * 200).await;
        let (took, outcome) = timed(&sim, pool.acquire_timeout(SECOND * 5)).await;
        outcome.map(drop).expect("the server is well");
        assert!(took <= SECOND, "{took:?}");
    });
}

#[test]
fn a_permanent_refusal_is_told_at_once_and_each_caller_has_an_attempt_of_its_own() {
    run(0, |sim| async move {
        let (server, pool) = pool(&sim, 4);
        server.always(Ask::Open, Step::Refuses(ErrorClass::GiveUp));
        for asked in 1..=3 {
            let (took, error) = timed(&sim, refused(&pool, SECOND * 30)).await;
            let AcquireError::BackendDown { failure, .. } = error else {
                panic!("{error}");
            };
            assert_eq!(failure.stopped, Some(StopReason::GivenUp));
            assert_eq!(failure.attempts, 1);
            assert_eq!(server.openings().len(), asked);
            assert!(took <= MS * 700, "{took:?}");
        }
    });
}

#[test]
fn a_caller_is_told_after_three_seconds_of_failing_attempts_of_its_own_wait() {
    run(0, |sim| async move {
        let (server, pool) = pool(&sim, 4);
        server.always(Ask::Open, DOWN);
        for _ in 0..3 {
            let (took, error) = timed(&sim, refused(&pool, SECOND * 30)).await;
            let AcquireError::BackendDown { failure, .. } = error else {
                panic!("{error}");
            };
            assert_eq!(failure.stopped, Some(StopReason::Deadline));
            assert!((4..=7).contains(&failure.attempts), "{failure}");
            assert!(took >= SECOND * 3 && took < SECOND * 4, "{took:?}");
        }
    });
}

/// It has no place to open one: what an opening said an hour ago is no reason any more.
#[test]
fn a_full_pool_is_told_as_such_though_its_server_was_down_an_hour_ago() {
    run(0, |sim| async move {
        let (server, pool) = pool(&sim, 2);
        let _held = pool.acquire_owned().await.expect("a value");
        server.next(Ask::Open, [DOWN]);
        refused(&pool, MS).await;
        pool.resize(1).expect("it makes sense");
        sim.sleep(HOUR).await;
        let error = refused(&pool, SECOND).await;
        assert!(matches!(error, AcquireError::Exhausted { .. }), "{error}");
    });
}

#[test]
fn an_opening_that_has_not_answered_is_named() {
    run(0, |sim| async move {
        let (server, pool) = pool(&sim, 1);
        server.always(Ask::Open, Step::Hangs);
        let error = refused(&pool, SECOND * 2).await;
        let AcquireError::OpenPending { under_way, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(*under_way, Some(SECOND * 2));
        assert!(
            error.to_string().contains("has not answered for 2s"),
            "{error}"
        );
    });
}

/// An attempt failed before it came, and the next may not begin yet.
#[test]
fn a_caller_that_came_after_the_failure_is_told_of_the_pace() {
    run(0, |sim| async move {
        let (server, pool) = pool(&sim, 1);
        server.always(Ask::Open, DOWN);
        refused(&pool, MS).await;
        let error = refused(&pool, MS * 50).await;
        assert!(
            matches!(
                error,
                AcquireError::OpenPending {
                    under_way: None,
                    ..
                }
            ),
            "{error}"
        );
    });
}

#[test]
fn a_failure_of_today_does_not_continue_the_backoff_of_yesterday() {
    run(0, |sim| async move {
        let server = Server::<false>::new(&sim);
        let backoff = Backoff::exponential(MS * 10).jitter(tenure_core::Jitter::None);
        let pool = Pool::builder(server.clone())
            .open_pace(backoff)
            .build(sim.clone())
            .expect("it makes sense");
        server.always(Ask::Open, DOWN);
        refused(&pool, SECOND * 30).await;
        sim.sleep(HOUR * 24).await;
        let before = server.openings().len();
        refused(&pool, MS * 100).await;
        // At 0, 10, 30 and 70 ms.
        assert_eq!(server.openings().len() - before, 4);
    });
}

#[test]
fn the_health_of_a_pool_forgets_an_old_failure() {
    run(0, |sim| async move {
        let (server, pool) = pool(&sim, 1);
        server.next(Ask::Open, [DOWN]);
        refused(&pool, MS).await;
        assert_eq!(LocalLifecycle::state(&pool), State::Error);
        assert!(LocalLifecycle::check(&pool).await.is_err());
        sim.sleep(SECOND * 60).await;
        assert_ne!(LocalLifecycle::state(&pool), State::Error);
        assert!(LocalLifecycle::check(&pool).await.is_ok());
    });
}

#[test]
fn a_start_without_a_minimum_opens_one_value_and_tells_if_that_fails() {
    run(0, |sim| async move {
        let (server, pool) = pool(&sim, 4);
        server.next(Ask::Open, [Step::Refuses(ErrorClass::GiveUp)]);
        pool.start().await.expect_err("it cannot be opened");
        pool.start().await.expect("it can");
        assert_eq!((pool.status().idle, server.openings().len()), (1, 2));
        pool.start().await.expect("one is there");
        assert_eq!(server.openings().len(), 2);
    });
}

/// Repeated starts keep the pace.
#[test]
fn starts_that_are_repeated_make_no_load() {
    run(0, |sim| async move {
        let (server, pool) = pool(&sim, 4);
        server.always(Ask::Open, Step::Refuses(ErrorClass::GiveUp));
        while sim.now() < Instant::EPOCH + SECOND * 10 {
            pool.start().await.expect_err("it cannot be opened");
        }
        assert!(server.openings().len() <= 21, "{}", server.openings().len());
    });
}

/// An opening that hung through the outage fails after another one has succeeded.
#[test]
fn a_late_failure_says_nothing_after_a_success() {
    run(0, |sim| async move {
        let (server, pool) = pool(&sim, 4);
        server.next(Ask::Open, [Step::Hangs]);
        let (took, session) = timed(&sim, pool.acquire()).await;
        let _session = session.expect("the second opening");
        assert!(took <= SECOND + MS * 50, "{took:?}");
        sim.sleep(SECOND * 10).await;
        assert_eq!(pool.audit().open_failed, 1);
        assert_eq!(LocalLifecycle::state(&pool), State::Ready);
    });
}

static WITHIN: AtomicBool = AtomicBool::new(false);

/// Asked under the queue's lock, it would wait for itself.
#[test]
fn a_custom_backoff_runs_under_no_lock_and_its_panic_ends_nothing() {
    thread_local! {
        static POOL: std::cell::RefCell<Option<TestPool>> = const { std::cell::RefCell::new(None) };
    }
    fn delay(retry: u32) -> Duration {
        WITHIN.store(true, Ordering::Relaxed);
        POOL.with_borrow(|pool| pool.as_ref().map(|pool| pool.status().size));
        assert!(retry < 2, "a table that is too short");
        MS * 10
    }
    run(0, |sim| async move {
        let server = Server::<false>::new(&sim);
        let pool = Pool::builder(server.clone())
            .retry(Retry::new(Backoff::custom(delay)).max_retries(10))
            .build(sim.clone())
            .expect("it makes sense");
        POOL.set(Some(pool.clone()));
        server.next(Ask::Open, [DOWN; 4]);
        pool.acquire().await.map(drop).expect("the fifth attempt");
        assert!(WITHIN.load(Ordering::Relaxed));
        POOL.set(None);
        pool.close().await;
    });
}
