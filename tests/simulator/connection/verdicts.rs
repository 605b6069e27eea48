//! What callers are told of openings, and what ends the calls on a connection that was found dead.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use tenure_core::connection::WhenDown;
use tenure_core::managed::{CallError, RevokedFor};
use tenure_core::{
    Backoff, CallOptions, Connection, ErrorClass, Managed, OpenError, State, StopReason, Why,
    with_timeout,
};
use tenure_sim::{Sim, Task, explore, run};

use super::server::{DOWN, HOUR, Hook, MS, SECOND, Server, Step, timed};

type Handle<const CHECKED: bool, const X: bool = false> = Connection<Server<CHECKED, X>, Sim>;

/// A call in a task of its own.
fn calls<const CHECKED: bool, const X: bool>(
    sim: &Sim,
    connection: &Handle<CHECKED, X>,
) -> Task<Result<u64, CallError>> {
    let connection = connection.clone();
    sim.task("call", async move {
        connection.call("query", |session| session.query()).await
    })
}

fn build<const CHECKED: bool, const X: bool>(
    sim: &Sim,
    server: &Server<CHECKED, X>,
) -> Handle<CHECKED, X> {
    Connection::builder("peer", server.clone())
        .build(sim.clone())
        .expect("the defaults are valid")
}

#[test]
fn a_call_on_a_connection_that_was_found_dead_ends_after_the_grace_period() {
    run(0, |sim| async move {
        let server = Server::<true>::new(&sim);
        let connection = Connection::builder("peer", server.clone())
            .check_every(SECOND)
            .check_timeout(SECOND)
            .reopen_after(3)
            .build(sim.clone())
            .expect("it makes sense");
        connection.open().await.expect("the server is well");
        server.silence();
        let stuck = calls(&sim, &connection);
        while connection.stats().connects.begun < 2 {
            sim.sleep(MS * 10).await;
        }
        assert!(!stuck.is_over(), "it has a grace period");
        let (took, answer) = timed(&sim, stuck).await;
        assert!(
            (SECOND * 5 - MS * 20..=SECOND * 5).contains(&took),
            "{took:?}"
        );
        let error = answer.expect_err("its connection is dead");
        assert!(error.was_begun());
        assert_eq!(error.attempts(), 1);
        assert_eq!(error.reason(), StopReason::Revoked);
        assert_eq!(
            error.revoked().map(|revoked| revoked.why),
            Some(RevokedFor::FoundDead)
        );
        assert_eq!(
            connection
                .call("query", |session| session.query())
                .await
                .ok(),
            Some(2)
        );
        assert!(connection.stats().last_failure.is_some());
        let (took, report) = timed(&sim, connection.close()).await;
        assert_eq!(took, Duration::ZERO, "{report}");
        let audit = connection.audit();
        assert!(audit.is_balanced() && audit.live() == 0, "{audit}");
    });
}

#[test]
fn a_close_is_not_held_up_by_calls_on_a_dead_connection() {
    run(0, |sim| async move {
        let server = Server::<true>::new(&sim);
        let connection = build(&sim, &server);
        connection.open().await.expect("the server is well");
        server.silence();
        let stuck = calls(&sim, &connection);
        sim.sleep(SECOND).await;
        connection.found_dead();
        let (took, _) = timed(&sim, connection.close()).await;
        assert!(took <= SECOND * 5, "{took:?}");
        assert!(stuck.await.is_err());
    });
}

#[test]
fn calls_end_at_once_when_the_timeout_of_a_shutdown_expires() {
    explore(0..20, |sim| async move {
        let server = Server::<false>::new(&sim);
        let connection = build(&sim, &server);
        connection.open().await.expect("the server is well");
        server.silence();
        let stuck = [(); 3].map(|()| calls(&sim, &connection));
        sim.sleep(SECOND).await;
        let (took, report) = timed(&sim, connection.shutdown(SECOND * 5)).await;
        assert_eq!((took, report.still_in_use), (SECOND * 5, 1), "{report}");
        for call in stuck {
            let (took, answer) = timed(&sim, call).await;
            assert_eq!(took, Duration::ZERO);
            let error = answer.expect_err("there is no time left");
            assert_eq!(
                error.revoked().map(|revoked| revoked.why),
                Some(RevokedFor::Shutdown)
            );
        }
        sim.sleep(SECOND).await;
        assert_eq!(connection.state(), State::Closed);
        let audit = connection.audit();
        assert!(audit.is_balanced() && audit.live() == 0, "{audit}");
    });
}

/// Starts a call that hangs, then one that finds the connection broken.
async fn one_finds_it_broken<const CHECKED: bool>(
    sim: &Sim,
    server: &Server<CHECKED>,
    connection: &Handle<CHECKED>,
) -> Task<Result<u64, CallError>> {
    connection.open().await.expect("the server is well");
    server.next(
        Hook::Query,
        [Step::Hangs, Step::Fails(ErrorClass::ReconnectOnly)],
    );
    let sibling = calls(sim, connection);
    sim.sleep(SECOND).await;
    let broken = connection.call("query", |session| session.query()).await;
    assert!(broken.is_err());
    sibling
}

#[test]
fn siblings_of_a_call_that_found_it_broken_end_if_a_check_fails() {
    run(0, |sim| async move {
        let server = Server::<true>::new(&sim);
        server.always(Hook::Check, Step::Fails(ErrorClass::Retry));
        let connection = build(&sim, &server);
        let sibling = one_finds_it_broken(&sim, &server, &connection).await;
        let (took, answer) = timed(&sim, sibling).await;
        assert_eq!(took, SECOND * 5);
        assert!(answer.expect_err("it is dead").revoked().is_some());
    });
}

#[test]
fn siblings_of_a_call_that_found_it_broken_finish_if_a_check_passes() {
    run(0, |sim| async move {
        let server = Server::<true>::new(&sim);
        let connection = build(&sim, &server);
        let sibling = one_finds_it_broken(&sim, &server, &connection).await;
        sim.sleep(SECOND * 30).await;
        assert_eq!(server.calls(Hook::Check), 1, "it was checked once");
        assert!(!sibling.is_over());
        let _ = connection.shutdown(SECOND).await;
        assert!(sibling.await.is_err());
    });
}

#[test]
fn calls_finish_on_what_was_merely_replaced() {
    run(0, |sim| async move {
        let server = Server::<true>::new(&sim);
        let connection = build(&sim, &server);
        connection.open().await.expect("the server is well");
        server.next(Hook::Query, [Step::After(SECOND * 50)]);
        let old = calls(&sim, &connection);
        sim.sleep(SECOND).await;
        connection.reconnect().await.expect("the server is well");
        assert_eq!(old.await.expect("it finishes"), 1);
        sim.sleep(SECOND).await;
        assert_eq!(server.closed(), [(1, Why::Replaced)]);
    });
}

#[test]
fn many_callers_that_reconnect_at_once_cause_one_reconnect() {
    for opening in [Step::Well, Step::After(MS * 10)] {
        run(0, |sim| async move {
            let server = Server::<false>::new(&sim);
            server.always(Hook::Open, opening);
            let connection = build(&sim, &server);
            connection.open().await.expect("the server is well");
            sim.sleep(SECOND * 100).await;
            let reconnects: Vec<_> = (0..20)
                .map(|number| {
                    let connection = connection.clone();
                    sim.task(format!("reconnect {number}"), async move {
                        connection.reconnect().await
                    })
                })
                .collect();
            for reconnect in reconnects {
                reconnect.await.expect("the server is well");
            }
            assert_eq!(server.opened(), 2);
        });
    }
}

#[test]
fn a_reconnect_does_not_wait_for_the_farewell_of_a_broken_connection() {
    run(0, |sim| async move {
        let server = Server::<false>::new(&sim);
        let connection = build(&sim, &server);
        connection.open().await.expect("the server is well");
        sim.sleep(SECOND * 100).await;
        server.always(Hook::Close, Step::Hangs);
        server.next(Hook::Query, [Step::Fails(ErrorClass::ReconnectOnly)]);
        let broken = connection.call("query", |session| session.query()).await;
        assert!(broken.is_err());
        let (took, answer) = timed(&sim, connection.call("query", |session| session.query())).await;
        assert_eq!((took, answer.ok()), (Duration::ZERO, Some(2)));
        sim.sleep(SECOND).await;
        assert_eq!(connection.audit().close_timed_out, 1, "it had a second");
    });
}

#[test]
fn an_exclusive_connection_is_closed_before_the_next_is_opened() {
    run(0, |sim| async move {
        let server = Server::<false, true>::new(&sim);
        let connection = build(&sim, &server);
        connection.open().await.expect("the server is well");
        sim.sleep(SECOND * 100).await;
        server.always(Hook::Close, Step::Hangs);
        server.next(Hook::Query, [Step::Fails(ErrorClass::ReconnectOnly)]);
        let broken = connection.call("query", |session| session.query()).await;
        assert!(broken.is_err());
        let (took, answer) = timed(&sim, connection.call("query", |session| session.query())).await;
        assert_eq!((took, answer.ok()), (SECOND, Some(2)));
    });
}

#[test]
fn a_caller_is_told_after_three_seconds_of_its_own_wait() {
    explore(0..20, |sim| async move {
        let server = Server::<false>::new(&sim);
        server.always(Hook::Open, DOWN);
        let connection = build(&sim, &server);
        for late in [Duration::ZERO, SECOND, SECOND * 3_600] {
            sim.sleep(late).await;
            let before = server.openings().len();
            let (took, answer) = timed(&sim, connection.open()).await;
            assert_eq!(took, SECOND * 3);
            let Err(OpenError::Failed { failure, .. }) = answer else {
                panic!("{answer:?}");
            };
            assert_eq!(failure.elapsed, Some(SECOND * 3));
            let own = server.openings().len() - before;
            assert_eq!(usize::try_from(failure.attempts), Ok(own), "{failure}");
        }
    });
}

#[test]
fn a_refusal_for_good_is_told_at_once_and_to_nobody_who_comes_later() {
    run(0, |sim| async move {
        let server = Server::<false>::new(&sim);
        server.next(Hook::Open, [Step::Fails(ErrorClass::GiveUp)]);
        let connection = build(&sim, &server);
        let (took, answer) = timed(&sim, connection.open()).await;
        assert_eq!(took, Duration::ZERO);
        let Err(OpenError::Failed { failure, .. }) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(failure.stopped, Some(StopReason::GivenUp));
        connection
            .open()
            .await
            .expect("the next attempt is its own");
        assert_eq!(server.openings().len(), 2);
    });
}

#[test]
fn a_call_that_fails_at_once_does_not_wait_for_the_second_attempt() {
    run(0, |sim| async move {
        let server = Server::<false>::new(&sim);
        server.next(Hook::Open, [DOWN, Step::Hangs]);
        server.always(Hook::Open, Step::Hangs);
        let connection = Connection::builder("peer", server.clone())
            .when_down(WhenDown::FailAtOnce)
            .build(sim.clone())
            .expect("it makes sense");
        let first = connection.call("query", |session| session.query()).await;
        assert!(first.is_err());
        while server.openings().len() < 2 {
            sim.sleep(MS * 100).await;
        }
        sim.sleep(SECOND).await;
        let (took, answer) = timed(&sim, connection.call("query", |session| session.query())).await;
        assert_eq!(took, Duration::ZERO);
        let error = answer.expect_err("the last attempt failed");
        let Some(OpenError::Failed { failure, .. }) = error.open_error() else {
            panic!("{error}");
        };
        assert!(failure.age > Some(SECOND), "{failure}");
    });
}

#[test]
fn a_caller_that_asks_at_once_is_served_after_a_refusal_for_good() {
    run(0, |sim| async move {
        let server = Server::<false>::new(&sim);
        server.next(Hook::Open, [Step::Fails(ErrorClass::GiveUp)]);
        let connection = Connection::builder("peer", server.clone())
            .when_down(WhenDown::FailAtOnce)
            .build(sim.clone())
            .expect("it makes sense");
        for _ in 0..2 {
            let answer = connection.call("query", |session| session.query()).await;
            assert!(answer.is_err());
        }
        sim.sleep(SECOND).await;
        let answer = connection.call("query", |session| session.query()).await;
        assert!(
            answer.is_ok(),
            "the second has asked for another attempt: {answer:?}"
        );
    });
}

#[test]
fn a_caller_whose_opening_has_not_answered_is_told_so() {
    run(0, |sim| async move {
        let server = Server::<false>::new(&sim);
        server.next(Hook::Open, [DOWN]);
        let connection = build(&sim, &server);
        assert!(connection.open().await.is_ok());
        server.next(Hook::Query, [Step::Fails(ErrorClass::ReconnectOnly)]);
        server.always(Hook::Open, Step::Hangs);
        assert!(
            connection
                .call("query", |session| session.query())
                .await
                .is_err()
        );
        sim.sleep(SECOND).await;
        let options = CallOptions::named("query").deadline(SECOND).max_retries(0);
        let request = connection.request(options);
        let error = request
            .run(|session| session.query())
            .await
            .expect_err("it hangs");
        let Some(OpenError::Pending { under_way, .. }) = error.open_error() else {
            panic!("{error}: {:?}", error.open_error());
        };
        assert!(under_way.is_some());
        assert!(!error.was_begun());
    });
}

#[test]
fn calls_that_time_out_are_counted_and_degrade_the_connection() {
    run(0, |sim| async move {
        let server = Server::<false>::new(&sim);
        let connection = Connection::builder("peer", server.clone())
            .doubt_after(3)
            .build(sim.clone())
            .expect("it makes sense");
        connection.open().await.expect("the server is well");
        server.silence();
        for _ in 0..10 {
            let options = CallOptions::named("query")
                .attempt_timeout(SECOND)
                .max_retries(0);
            let (took, answer) = timed(
                &sim,
                connection.request(options).run(|session| session.query()),
            )
            .await;
            assert_eq!(took, SECOND);
            assert!(answer.is_err());
        }
        let stats = connection.stats();
        assert_eq!(connection.state(), State::Degraded);
        assert_eq!((stats.calls.timeouts, stats.calls.failed), (10, 10));
        assert!(stats.is_balanced());
        assert!(stats.last_failure.is_some() && stats.last_failure_at.is_some());
    });
}

#[test]
fn timeouts_in_a_row_reconnect_a_connection_that_is_built_so() {
    run(0, |sim| async move {
        let server = Server::<false>::new(&sim);
        let connection = Connection::builder("peer", server.clone())
            .reconnect_after_timeouts(3)
            .build(sim.clone())
            .expect("it makes sense");
        connection.open().await.expect("the server is well");
        server.silence();
        for _ in 0..3 {
            let options = CallOptions::named("query")
                .attempt_timeout(SECOND)
                .max_retries(0);
            let answer = connection
                .request(options)
                .run(|session| session.query())
                .await;
            assert!(answer.is_err());
        }
        assert_eq!(
            connection
                .call("query", |session| session.query())
                .await
                .ok(),
            Some(2)
        );
    });
}

static TABLE_WAS_ASKED: AtomicBool = AtomicBool::new(false);

#[test]
fn a_pace_that_panics_is_told_and_stops_nothing() {
    run(0, |sim| async move {
        const STEPS: [u64; 2] = [10, 20];
        let server = Server::<false>::new(&sim);
        server.always(Hook::Open, DOWN);
        let pace = Backoff::custom(|retry| {
            TABLE_WAS_ASKED.store(true, Ordering::Relaxed);
            Duration::from_millis(STEPS[retry as usize - 1])
        });
        let managed = Managed::builder(server.clone())
            .open_pace(pace)
            .build(sim.clone())
            .expect("it makes sense");
        assert!(managed.get().await.is_err());
        assert!(TABLE_WAS_ASKED.load(Ordering::Relaxed));
        server.always(Hook::Open, Step::Well);
        managed.get().await.expect("the server is back");
        assert!(managed.close().await.is_clean());
    });
}

#[test]
fn a_check_interval_of_a_nanosecond_keeps_nothing_busy() {
    run(0, |sim| async move {
        let server = Server::<true>::new(&sim);
        let connection = Connection::builder("peer", server.clone())
            .check_every(Duration::from_nanos(1))
            .build(sim.clone())
            .expect("it makes sense");
        connection.open().await.expect("the server is well");
        sim.sleep(SECOND).await;
        assert!(
            server.calls(Hook::Check) <= 1_200,
            "{}",
            server.calls(Hook::Check)
        );
        assert!(connection.close().await.is_clean());
    });
}

#[test]
fn a_close_that_is_dropped_before_it_begins_leaves_its_value_abandoned() {
    run(0, |sim| async move {
        let server = Server::<false>::new(&sim);
        let (managed, runner) = Managed::builder(server.clone())
            .build_with_runner(sim.clone())
            .expect("the defaults are valid");
        drop(runner);
        managed.open().await.expect("the server is well");
        server.always(Hook::Close, Step::Hangs);
        {
            let mut close = pin!(managed.close());
            assert!(
                close
                    .as_mut()
                    .poll(&mut Context::from_waker(Waker::noop()))
                    .is_pending()
            );
        }
        let audit = managed.audit();
        assert!(audit.is_balanced() && audit.abandoned == 1, "{audit}");
        let closed = with_timeout(&sim, HOUR, "close", managed.close()).await;
        assert!(closed.is_ok());
    });
}
