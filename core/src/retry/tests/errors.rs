//! What the error tells.

use core::error::Error;
use core::future::{pending, ready};
use core::time::Duration;
use std::boxed::Box;
use std::format;
use std::io;
use std::string::{String, ToString};

use super::{Calls, EXACT, SECOND, VirtualTimer, std};
use crate::backoff::Backoff;
use crate::config::ConfigError;
use crate::retry::Budget;
use crate::retry::ErrorClass;
use crate::retry::Retry;
use crate::retry::RetryError;
use crate::retry::StopReason;
use crate::retry::retry;

#[test]
fn s05_the_error_tells_name_attempts_time_reason_and_cause() {
    let timer = VirtualTimer::default();
    let operation = || ready(Err::<(), _>(io::Error::other("refused")));
    let error = timer
        .run(retry(&timer, EXACT, operation).named("ping"))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "`ping` failed after 4 attempts over 7.0s, no retries are left: refused"
    );
    assert_eq!(error.source().unwrap().to_string(), "refused");
    assert!(error.source().unwrap().is::<io::Error>());
}

#[test]
fn s05_the_error_of_one_attempt_and_no_name() {
    let timer = VirtualTimer::default();
    let operation = || ready(Err::<(), _>("forbidden"));
    let retrying = retry(&timer, EXACT, operation).classify(|_| ErrorClass::GiveUp);
    let error = timer.run(retrying).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the operation failed after 1 attempt over 0.0ns, it is not worth a retry: forbidden"
    );
    assert_eq!(error.name(), None);
}

#[test]
fn s05_the_error_tells_a_timeout_from_the_error_before() {
    let (timer, calls) = (VirtualTimer::default(), Calls::default());
    let operation = || {
        let number = calls.count();
        async move {
            if number == 1 {
                return Err::<(), _>("refused");
            }
            pending().await
        }
    };
    let policy = EXACT.max_retries(1).attempt_timeout(SECOND);
    let error = timer
        .run(retry(&timer, policy, operation).named("ping"))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "`ping` failed after 2 attempts over 2.0s, no retries are left: the last attempt timed \
         out, the last error was: refused"
    );
}

#[test]
fn b02_a_rejected_value_is_in_the_error() {
    let (timer, calls) = (VirtualTimer::default(), Calls::default());
    let operation = || ready(Ok::<_, String>(500 + calls.count()));
    let retrying = retry(&timer, EXACT, operation).until(|status| *status < 500);
    let error = timer.run(retrying).unwrap_err();
    assert_eq!(error.rejected(), Some(&504), "the last one");
    assert_eq!(error.cause(), None);
    assert_eq!(
        error.to_string(),
        "the operation failed after 4 attempts over 7.0s, no retries are left: the last value was \
         rejected"
    );
    assert_eq!(error.into_rejected(), Some(504));
}

#[test]
fn b02_an_invalid_policy_is_told_before_the_first_attempt() {
    let (timer, calls) = (VirtualTimer::default(), Calls::default());
    let policy = Retry::new(Backoff::DEFAULT.cap(Duration::from_millis(500)));
    let operation = || {
        calls.count();
        ready(Ok::<(), io::Error>(()))
    };
    let error = timer
        .run(retry(&timer, policy, operation).named("ping"))
        .unwrap_err();
    assert_eq!((calls.so_far(), error.attempts()), (0, 0));
    assert_eq!(error.reason(), StopReason::InvalidPolicy);
    assert_eq!(error.invalid_policy(), policy.validate().err());
    assert_eq!(
        error.to_string(),
        "`ping` was not attempted, invalid policy: `backoff.cap` (500ms) is below `backoff.base` (1s)"
    );
    assert!(error.source().unwrap().is::<ConfigError>());
    assert_eq!(error.history().count(), 0);
    assert_eq!(error.elapsed(), Duration::ZERO);
    assert!(error.into_cause().is_none());
}

#[test]
fn b02_an_invalid_budget_is_told_before_the_first_attempt() {
    let (timer, calls) = (VirtualTimer::default(), Calls::default());
    let budget = Budget::new(0, 20);
    let operation = || ready(Ok::<_, io::Error>(calls.count()));
    let error = timer
        .run(retry(&timer, EXACT, operation).budget(&budget))
        .unwrap_err();
    assert_eq!(calls.so_far(), 0);
    assert_eq!(error.reason(), StopReason::InvalidPolicy);
    assert_eq!(error.invalid_policy(), budget.validate().err());
}

#[test]
fn s05_names_may_be_built_at_run_time() {
    let timer = VirtualTimer::default();
    let retrying = retry(&timer, Retry::NEVER, || ready(Err::<(), _>("refused")));
    let error = timer
        .run(retrying.named(format!("load {}", 7)))
        .unwrap_err();
    assert_eq!(error.name(), Some("load 7"));
}

#[test]
fn s05_errors_that_are_no_error_serve() {
    let timer = VirtualTimer::default();
    let operation = || ready(Err::<(), Box<dyn Error + Send + Sync>>("refused".into()));
    let error = timer
        .run(retry(&timer, Retry::NEVER, operation))
        .unwrap_err();
    assert!(error.to_string().ends_with("no retries are left: refused"));
}

#[test]
fn s05_the_error_stays_small() {
    assert!(
        size_of::<Result<(), RetryError<Box<dyn Error>>>>() < 128,
        "clippy's `result_large_err` begins at 128 bytes"
    );
}
