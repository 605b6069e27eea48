//! When the clock is read, and from when time counts. `advance` within an attempt is a poll that blocks its thread.

use core::cell::Cell;
use core::future::{pending, ready};
use core::time::Duration;

use super::{Calls, EXACT, SECOND, VirtualTimer};
use crate::retry::{Budget, ErrorClass, retry};
use crate::{Retry, StopReason};

/// Fails after it has blocked its thread for three seconds.
fn blocks_and_fails(timer: &VirtualTimer) -> core::future::Ready<Result<(), &'static str>> {
    timer.advance(3 * SECOND);
    ready(Err("refused"))
}

#[test]
fn success_at_once_reads_no_clock_if_no_time_was_asked_for() {
    static BUDGET: Budget = Budget::standard();
    let timer = VirtualTimer::default();
    let succeed = || ready(Ok::<_, ()>(1));
    for policy in [Retry::DEFAULT, Retry::CRITICAL, Retry::NEVER] {
        assert_eq!(timer.run(retry(&timer, policy, succeed)).unwrap(), 1);
        let retrying = retry(&timer, policy, succeed)
            .classify(|_| ErrorClass::GiveUp)
            .until(|value| *value == 1)
            .budget(&BUDGET)
            .named("one");
        assert_eq!(timer.run(retrying).unwrap(), 1);
    }
    assert_eq!(timer.readings(), 0);
}

#[test]
fn a_time_limit_or_a_hook_has_the_clock_read_before_the_first_attempt() {
    let timer = VirtualTimer::default();
    let succeed = || {
        let read = timer.readings();
        ready(Ok::<_, ()>(read))
    };
    let with_deadline = retry(&timer, EXACT.deadline(SECOND), succeed);
    assert_eq!(timer.run(with_deadline).unwrap(), 1);
    let with_timeout = retry(&timer, EXACT.attempt_timeout(SECOND), succeed);
    assert_eq!(timer.run(with_timeout).unwrap(), 2);
    let with_hook = retry(&timer, EXACT, succeed).on_attempt(|_| ());
    assert_eq!(timer.run(with_hook).unwrap(), 3);
}

#[test]
fn a_first_poll_that_blocks_counts_against_a_time_limit() {
    let timer = VirtualTimer::default();
    let operation = async || {
        timer.advance(3 * SECOND);
        pending::<Result<(), ()>>().await
    };
    let policy = Retry::NEVER.attempt_timeout(5 * SECOND);
    let error = timer.run(retry(&timer, policy, operation)).unwrap_err();
    assert_eq!(error.elapsed(), 5 * SECOND);
    assert_eq!(timer.elapsed(), 5 * SECOND);

    let policy = EXACT.deadline(2 * SECOND);
    let error = timer
        .run(retry(&timer, policy, || blocks_and_fails(&timer)))
        .unwrap_err();
    assert_eq!(
        (error.elapsed(), error.reason()),
        (3 * SECOND, StopReason::Deadline)
    );
}

#[test]
fn a_hook_is_told_of_a_first_poll_that_blocks() {
    let timer = VirtualTimer::default();
    let told = Cell::new(None);
    let retrying = retry(&timer, Retry::NEVER, || blocks_and_fails(&timer))
        .on_attempt(|attempt| told.set(Some((attempt.elapsed, attempt.took))));
    let error = timer.run(retrying).unwrap_err();
    assert_eq!(told.get(), Some((3 * SECOND, 3 * SECOND)));
    assert_eq!(error.elapsed(), 3 * SECOND);
}

#[test]
fn if_no_time_was_asked_for_it_counts_from_the_end_of_the_first_poll() {
    let (timer, calls) = (VirtualTimer::default(), Calls::default());
    let operation = || {
        calls.count();
        blocks_and_fails(&timer)
    };
    let policy = EXACT.max_retries(1);
    let error = timer.run(retry(&timer, policy, operation)).unwrap_err();
    assert_eq!(calls.so_far(), 2);
    assert_eq!(timer.elapsed(), 7 * SECOND, "two of 3 s, and 1 s of delay");
    assert_eq!(error.elapsed(), 4 * SECOND);
    let took = error.history().map(|attempt| attempt.took);
    assert!(took.eq([Duration::ZERO, 3 * SECOND]));
}

#[test]
fn an_attempt_that_waits_is_timed_from_when_it_began_to_wait() {
    let timer = VirtualTimer::default();
    let operation = async || {
        timer.advance(3 * SECOND);
        timer.sleep(2 * SECOND).await;
        Err::<(), _>("refused")
    };
    let error = timer
        .run(retry(&timer, Retry::NEVER, operation))
        .unwrap_err();
    assert_eq!(error.elapsed(), 2 * SECOND);
    assert_eq!(timer.elapsed(), 5 * SECOND);
}
