extern crate std;

use core::time::Duration;

use super::{EXACT, SECOND};
use crate::backoff::Backoff;
use crate::backoff::Jitter;
use crate::retry::Budget;
use crate::retry::Decision;
use crate::retry::ErrorClass;
use crate::retry::Retry;
use crate::retry::StopReason;

const RETRY: ErrorClass = ErrorClass::Retry;

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn s05_presets_have_the_originals_numbers() {
    for (preset, retries, first, largest, deadline) in [
        (Retry::DEFAULT, 3, 1_000, 30, None),
        (Retry::CRITICAL, 5, 1_000, 60, None),
        (Retry::USER_FACING, 2, 500, 30, Some(seconds(5))),
        (Retry::BACKGROUND, 10, 1_000, 30, Some(seconds(120))),
        (Retry::NEVER, 0, 1_000, 30, None),
    ] {
        assert_eq!(preset.validate(), Ok(()));
        let after =
            |attempt| preset.decide(attempt, Some(Duration::ZERO), RETRY, Duration::ZERO, None);
        assert_eq!(after(retries), Decision::RetryIn(Duration::ZERO));
        assert_eq!(after(retries + 1), Decision::Stop(StopReason::Attempts));
        assert_eq!(preset.backoff.nominal(1), Duration::from_millis(first));
        assert_eq!(preset.backoff.nominal(100), seconds(largest));
        assert_eq!(preset.deadline, deadline);
        assert_eq!(preset.attempt_timeout, None);
    }
}

#[test]
fn b02_retries_are_counted_without_the_first_attempt() {
    let decide = |attempt| EXACT.decide(attempt, Some(SECOND), RETRY, SECOND, None);
    assert_eq!(decide(1), Decision::RetryIn(SECOND));
    assert_eq!(decide(3), Decision::RetryIn(SECOND));
    assert_eq!(decide(4), Decision::Stop(StopReason::Attempts));
    let never = Retry::NEVER.decide(1, Some(SECOND), RETRY, SECOND, None);
    assert_eq!(never, Decision::Stop(StopReason::Attempts));
}

#[test]
fn b02_the_largest_number_of_retries_is_no_limit() {
    let endless = EXACT.max_retries(u32::MAX);
    let decision = endless.decide(u32::MAX, Some(SECOND), RETRY, SECOND, None);
    assert_eq!(decision, Decision::RetryIn(SECOND));
}

#[test]
fn b02_classes_decide() {
    let decide = |class| EXACT.decide(1, Some(SECOND), class, SECOND, None);
    assert_eq!(decide(ErrorClass::Retry), Decision::RetryIn(SECOND));
    assert_eq!(decide(ErrorClass::Reconnect), Decision::RetryIn(SECOND));
    assert_eq!(
        decide(ErrorClass::GiveUp),
        Decision::Stop(StopReason::GivenUp)
    );
    assert_eq!(
        decide(ErrorClass::ReconnectOnly),
        Decision::Stop(StopReason::GivenUp)
    );
}

#[test]
fn retry_after_is_a_least_delay_and_ends_the_retry_beyond_the_cap() {
    let after = |least| EXACT.decide(1, Some(SECOND), ErrorClass::RetryAfter(least), SECOND, None);
    assert_eq!(after(seconds(7)), Decision::RetryIn(seconds(7)));
    assert_eq!(
        after(Duration::ZERO),
        Decision::RetryIn(SECOND),
        "it does not hurry"
    );
    assert_eq!(after(seconds(30)), Decision::RetryIn(seconds(30)));
    let just_beyond = seconds(30) + Duration::from_nanos(1);
    for beyond in [just_beyond, seconds(3_600), Duration::MAX] {
        let stopped = Decision::Stop(StopReason::RetryAfter(beyond));
        assert_eq!(after(beyond), stopped);
        let exactly = ErrorClass::RetryIn(beyond);
        let decision = EXACT.decide(1, Some(SECOND), exactly, SECOND, None);
        assert_eq!(decision, stopped);
    }

    let short = EXACT.deadline(seconds(5));
    let after = |least| short.decide(1, Some(SECOND), ErrorClass::RetryAfter(least), SECOND, None);
    assert_eq!(after(seconds(3)), Decision::RetryIn(seconds(3)));
    assert_eq!(after(seconds(7)), Decision::Stop(StopReason::Deadline));

    let after = ErrorClass::RetryAfter(seconds(3_600));
    let last = EXACT.decide(4, Some(SECOND), after, SECOND, None);
    assert_eq!(last, Decision::Stop(StopReason::Attempts));
    let without_clock = EXACT.decide(1, None, after, SECOND, None);
    assert_eq!(without_clock, Decision::Stop(StopReason::NoTimer));
    let budget = Budget::new(2, 0);
    let _ = EXACT.decide(1, Some(SECOND), after, SECOND, Some(&budget));
    assert_eq!(budget.available(), 2, "no retry was granted");
}

#[test]
fn a_stop_for_a_wait_that_is_too_long_says_how_long() {
    let reason = StopReason::RetryAfter(seconds(3_600));
    let text = "the server asked to wait 3600s, which is longer than the backoff's cap";
    assert_eq!(std::string::ToString::to_string(&reason), text);
}

#[test]
fn b02_no_delay_is_longer_than_the_cap_even_a_callers() {
    let decision = EXACT.decide(1, Some(SECOND), RETRY, Duration::MAX, None);
    assert_eq!(decision, Decision::RetryIn(seconds(30)));
}

#[test]
fn b02_a_delay_that_leaves_no_time_is_not_begun() {
    let policy = EXACT.deadline(seconds(10));
    let decide = |elapsed, delay| policy.decide(1, Some(elapsed), RETRY, delay, None);
    assert_eq!(
        decide(seconds(6), seconds(3)),
        Decision::RetryIn(seconds(3))
    );
    assert_eq!(
        decide(seconds(6), seconds(4)),
        Decision::Stop(StopReason::Deadline)
    );
    assert_eq!(
        decide(seconds(10), Duration::ZERO),
        Decision::Stop(StopReason::Deadline)
    );
    assert_eq!(
        decide(Duration::MAX, Duration::MAX),
        Decision::Stop(StopReason::Deadline)
    );
}

#[test]
fn b02_without_a_clock_there_is_no_retry() {
    let decide = |class| EXACT.decide(1, None, class, SECOND, None);
    assert_eq!(decide(RETRY), Decision::Stop(StopReason::NoTimer));
    assert_eq!(
        decide(ErrorClass::GiveUp),
        Decision::Stop(StopReason::GivenUp)
    );
}

#[test]
fn b02_the_budget_pays_only_for_what_is_granted() {
    let budget = Budget::new(2, 0);
    let policy = EXACT.deadline(seconds(10));
    let decide = |attempt, elapsed, class| {
        policy.decide(attempt, Some(elapsed), class, SECOND, Some(&budget))
    };
    let _ = decide(1, SECOND, ErrorClass::GiveUp);
    let _ = decide(4, SECOND, RETRY);
    let _ = decide(1, seconds(10), RETRY);
    assert_eq!(budget.available(), 2);

    assert_eq!(decide(1, SECOND, RETRY), Decision::RetryIn(SECOND));
    assert_eq!(decide(1, SECOND, RETRY), Decision::RetryIn(SECOND));
    assert_eq!(decide(1, SECOND, RETRY), Decision::Stop(StopReason::Budget));
}

#[test]
fn b02_bad_policies_are_named() {
    let field = |policy: Retry| policy.validate().unwrap_err().field();
    let short_cap = Backoff::DEFAULT.cap(Duration::from_millis(1));
    assert_eq!(field(Retry::new(short_cap)), "backoff.cap");
    assert_eq!(
        field(EXACT.attempt_timeout(Duration::ZERO)),
        "retry.attempt_timeout"
    );
    assert_eq!(field(EXACT.deadline(Duration::ZERO)), "retry.deadline");
}

#[test]
fn b02_a_policy_is_a_const_value() {
    static POLICY: Retry = Retry::new(Backoff::fibonacci(SECOND).jitter(Jitter::Equal).seed(3))
        .max_retries(8)
        .attempt_timeout(SECOND)
        .deadline(Duration::from_secs(60));
    let copy = POLICY;
    assert_eq!(copy.validate(), POLICY.validate());
}

#[test]
fn the_delay_after_a_broken_value_is_shortened_to_what_the_deadline_leaves() {
    let hurried = EXACT.deadline(seconds(5));
    let decide = |class| hurried.decide(1, Some(SECOND), class, seconds(4), None);
    for class in [
        ErrorClass::Reconnect,
        ErrorClass::NotRun { reconnect: false },
    ] {
        assert_eq!(decide(class), Decision::RetryIn(seconds(2)));
    }
    assert_eq!(decide(RETRY), Decision::Stop(StopReason::Deadline));
    let almost = seconds(5) - SECOND / 10;
    for late in [almost, seconds(5)] {
        let late = hurried.decide(1, Some(late), ErrorClass::Reconnect, SECOND, None);
        assert_eq!(late, Decision::Stop(StopReason::Deadline));
    }
}
