//! Timeouts, deadlines and budgets.

use core::future::{pending, ready};
use core::time::Duration;
use std::sync::Arc;
use std::vec::Vec;

use super::{Calls, EXACT, SECOND, VirtualTimer, std};
use crate::retry::Budget;
use crate::retry::Ended;
use crate::retry::ErrorClass;
use crate::retry::Failure;
use crate::retry::Retry;
use crate::retry::StopReason;
use crate::retry::retry;

#[test]
fn s05_each_attempt_has_its_timeout() {
    let (timer, calls) = (VirtualTimer::default(), Calls::default());
    let operation = || {
        let (number, timer) = (calls.count(), timer.clone());
        async move {
            let needed = if number == 1 { 10 } else { 2 };
            timer.sleep(needed * SECOND).await;
            Ok::<_, ()>(number)
        }
    };
    let policy = EXACT.attempt_timeout(3 * SECOND);
    assert_eq!(timer.run(retry(&timer, policy, operation)).unwrap(), 2);
    assert_eq!(
        timer.elapsed(),
        6 * SECOND,
        "3 s cut off, 1 s of delay, 2 s of work"
    );
}

#[test]
fn s05_timeouts_use_up_the_retries() {
    let timer = VirtualTimer::default();
    let policy = EXACT.max_retries(2).attempt_timeout(3 * SECOND);
    let error = timer
        .run(retry(&timer, policy, pending::<Result<(), ()>>))
        .unwrap_err();
    assert_eq!(error.reason(), StopReason::Attempts);
    assert_eq!(error.attempts(), 3);
    assert_eq!(error.elapsed(), 12 * SECOND, "three of 3 s, and 1 s, 2 s");
    assert_eq!(error.cause(), None, "no attempt has returned an error");
}

#[test]
fn s05_the_deadline_cuts_an_attempt_under_way() {
    let timer = VirtualTimer::default();
    let policy = EXACT.attempt_timeout(3 * SECOND).deadline(5 * SECOND);
    let error = timer
        .run(retry(&timer, policy, pending::<Result<(), ()>>))
        .unwrap_err();
    assert_eq!(error.reason(), StopReason::Deadline);
    assert_eq!(error.attempts(), 2, "3 s, 1 s of delay, and 1 s cut off");
    assert_eq!(error.elapsed(), 5 * SECOND);
}

#[test]
fn s05_the_deadline_is_named_even_if_no_retry_was_left() {
    let timer = VirtualTimer::default();
    let policy = Retry::NEVER.deadline(5 * SECOND);
    let error = timer
        .run(retry(&timer, policy, pending::<Result<(), ()>>))
        .unwrap_err();
    assert_eq!(
        (error.attempts(), error.reason()),
        (1, StopReason::Deadline)
    );
}

#[test]
fn s05_the_time_of_attempts_counts() {
    let timer = VirtualTimer::default();
    let operation = || {
        let timer = timer.clone();
        async move {
            timer.sleep(4 * SECOND).await;
            Err::<(), _>("refused")
        }
    };
    let policy = EXACT.max_retries(10).deadline(12 * SECOND);
    let error = timer.run(retry(&timer, policy, operation)).unwrap_err();
    assert_eq!(
        (error.attempts(), error.reason()),
        (3, StopReason::Deadline)
    );
    assert_eq!(error.elapsed(), 12 * SECOND, "4 + 1 + 4 + 2, and 1 cut off");
    assert_eq!(error.cause(), Some(&"refused"), "of an earlier attempt");
}

#[test]
fn s05_a_delay_past_the_deadline_is_not_waited_for() {
    let timer = VirtualTimer::default();
    let operation = || ready(Err::<(), _>(()));
    let retrying = retry(&timer, EXACT.deadline(20 * SECOND), operation)
        .classify(|_| ErrorClass::RetryAfter(25 * SECOND));
    let error = timer.run(retrying).unwrap_err();
    assert_eq!(
        (error.attempts(), error.reason()),
        (1, StopReason::Deadline)
    );
    assert_eq!(timer.elapsed(), Duration::ZERO);
}

#[test]
fn s05_work_that_is_ready_wins_over_its_timeout() {
    let timer = VirtualTimer::default();
    let operation = || {
        let timer = timer.clone();
        async move {
            timer.sleep(3 * SECOND).await;
            Ok::<_, ()>("just in time")
        }
    };
    let policy = EXACT.attempt_timeout(3 * SECOND).deadline(3 * SECOND);
    assert!(timer.run(retry(&timer, policy, operation)).is_ok());
}

#[test]
fn s05_a_timer_that_wakes_late_begins_no_attempt_past_the_deadline() {
    use core::future::Future;
    use core::pin::pin;
    use core::task::{Context, Poll, Waker};

    let (timer, calls) = (VirtualTimer::default(), Calls::default());
    let mut retrying = pin!(retry(&timer, EXACT.deadline(5 * SECOND), || {
        ready(Err::<(), _>(calls.count()))
    }));
    let mut context = Context::from_waker(Waker::noop());
    assert!(retrying.as_mut().poll(&mut context).is_pending());
    timer.advance(60 * SECOND);
    let Poll::Ready(Err(error)) = retrying.as_mut().poll(&mut context) else {
        panic!("the deadline is long past");
    };
    assert_eq!(
        (error.attempts(), error.reason()),
        (1, StopReason::Deadline)
    );
    assert_eq!(calls.so_far(), 1);
}

#[test]
fn s05_limits_as_long_as_durations_get_never_end() {
    let timer = VirtualTimer::default();
    let policy = EXACT.attempt_timeout(Duration::MAX).deadline(Duration::MAX);
    let operation = || {
        let timer = timer.clone();
        async move {
            timer.sleep(SECOND).await;
            Ok::<_, ()>(())
        }
    };
    assert!(timer.run(retry(&timer, policy, operation)).is_ok());
}

#[test]
fn b02_two_retries_share_one_budget() {
    static BUDGET: Budget = Budget::new(4, 0);
    let timer = VirtualTimer::default();
    let attempts = || {
        let retrying = retry(&timer, EXACT, || ready(Err::<(), _>(()))).budget(&BUDGET);
        let error = timer.run(retrying).unwrap_err();
        (error.attempts(), error.reason())
    };
    assert_eq!(attempts(), (4, StopReason::Attempts));
    assert_eq!(attempts(), (2, StopReason::Budget));
    assert_eq!(attempts(), (1, StopReason::Budget), "the first is free");
}

#[test]
fn b02_a_budget_bounds_the_load_of_an_outage() {
    let (timer, budget) = (VirtualTimer::default(), Arc::new(Budget::new(10, 20)));
    let calls = Calls::default();
    for _ in 0..1_000 {
        let retrying = retry(&timer, EXACT, || ready(Err::<(), _>(calls.count())));
        assert!(timer.run(retrying.budget(budget.clone())).is_err());
    }
    assert!(
        calls.so_far() <= 1_000 + 10 + 200,
        "{} attempts for a thousand calls",
        calls.so_far()
    );
    assert!(calls.so_far() >= 1_000 + 200);
}

#[test]
fn b02_calls_pay_into_the_budget() {
    let (timer, budget) = (VirtualTimer::default(), Budget::new(1, 50));
    assert!(budget.withdraw());
    for _ in 0..2 {
        let succeeds = retry(&timer, EXACT, || ready(Ok::<_, ()>(())));
        assert!(timer.run(succeeds.budget(&budget)).is_ok());
    }
    assert_eq!(budget.available(), 1);
}

#[test]
fn s05_history_keeps_the_latest_attempts() {
    let timer = VirtualTimer::default();
    let policy = EXACT.max_retries(19).attempt_timeout(SECOND);
    let error = timer
        .run(retry(&timer, policy, pending::<Result<(), ()>>))
        .unwrap_err();
    let history: Vec<_> = error.history().collect();
    assert_eq!(history.len(), 16);
    assert_eq!((history[0].number, history[15].number), (5, 20));
    assert!(history.iter().all(|attempt| attempt.took == SECOND));
    assert!(
        history
            .iter()
            .all(|attempt| attempt.ended == Ended::TimedOut)
    );
    assert_eq!(history[15].elapsed, error.elapsed());
}

#[test]
fn an_attempt_that_times_out_is_classified_as_an_error_is() {
    let timer = VirtualTimer::default();
    let operation = || {
        let timer = timer.clone();
        async move {
            timer.sleep(10 * SECOND).await;
            Ok::<(), &str>(())
        }
    };
    let policy = EXACT.attempt_timeout(SECOND);
    let retrying = retry(&timer, policy, operation).classify(|failure| match failure {
        Failure::Error(_) => ErrorClass::Retry,
        Failure::TimedOut | Failure::Panicked => ErrorClass::GiveUp,
    });
    let error = timer.run(retrying).unwrap_err();
    assert_eq!((error.attempts(), error.reason()), (1, StopReason::GivenUp));
    // What says nothing of timeouts has them retried.
    let retrying = retry(&timer, policy, operation).classify(|failure| match failure {
        Failure::Error(_) => ErrorClass::GiveUp,
        Failure::TimedOut | Failure::Panicked => ErrorClass::Retry,
    });
    let error = timer.run(retrying).unwrap_err();
    assert_eq!(
        (error.attempts(), error.reason()),
        (4, StopReason::Attempts)
    );
}
