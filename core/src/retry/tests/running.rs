use core::future::{Future, pending, ready};
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::string::{String, ToString};
use std::vec::Vec;

use super::{Calls, EXACT, SECOND, VirtualTimer, std};
use crate::retry::RetryError;
use crate::retry::retry;
use crate::retry::{Outcome, Retrying};
use crate::{
    Backoff, Budget, Decision, ErrorClass, Failure, Instant, Jitter, NoTimer, Retry, StopReason,
    Timer,
};

#[test]
fn s05_retries_until_it_succeeds() {
    let (timer, calls) = (VirtualTimer::default(), Calls::default());
    let result = timer.run(retry(&timer, EXACT, || {
        ready(if calls.count() == 3 {
            Ok("value")
        } else {
            Err("refused")
        })
    }));
    assert_eq!(result.unwrap(), "value");
    assert_eq!(calls.so_far(), 3);
    assert_eq!(timer.elapsed(), 3 * SECOND, "1 s and 2 s of delay");
}

#[test]
fn s05_makes_one_attempt_more_than_there_are_retries() {
    for retries in [0, 1, 3, 10] {
        let (timer, calls) = (VirtualTimer::default(), Calls::default());
        let policy = EXACT.max_retries(retries);
        let error = timer
            .run(retry(&timer, policy, || ready(Err::<(), _>(calls.count()))))
            .unwrap_err();
        assert_eq!(calls.so_far(), retries + 1);
        assert_eq!(error.attempts(), retries + 1);
        assert_eq!(error.reason(), StopReason::Attempts);
        assert_eq!(error.cause(), Some(&(retries + 1)), "the last error");
        assert_eq!(error.elapsed(), timer.elapsed());
    }
}

#[test]
fn b02_success_at_once_sets_up_no_sleep() {
    let timer = VirtualTimer::default();
    let policy = EXACT.attempt_timeout(SECOND).deadline(SECOND);
    let result = timer.run(retry(&timer, policy, || ready(Ok::<_, ()>(1))));
    assert_eq!(result.unwrap(), 1);
    assert_eq!(timer.sleeps_made(), 0);
}

#[test]
fn b02_permanent_errors_are_not_retried() {
    let (timer, calls) = (VirtualTimer::default(), Calls::default());
    let operation = || {
        ready(Err::<(), _>(match calls.count() {
            1 => "timeout",
            _ => "forbidden",
        }))
    };
    let retrying = retry(&timer, EXACT, operation).classify(|failure| match failure {
        Failure::Error(&"forbidden") => ErrorClass::GiveUp,
        _ => ErrorClass::Retry,
    });
    let error = timer.run(retrying).unwrap_err();
    assert_eq!(error.reason(), StopReason::GivenUp);
    assert_eq!(error.attempts(), 2);
    assert_eq!(error.into_cause(), Some("forbidden"));
}

#[test]
fn the_server_says_when_unless_the_cap_is_shorter() {
    let (timer, calls) = (VirtualTimer::default(), Calls::default());
    let operation = || {
        ready(match calls.count() {
            1 => Err(5),
            2 => Err(3_600),
            _ => Ok(()),
        })
    };
    let retrying = retry(&timer, EXACT, operation).classify(|failure| match failure {
        Failure::Error(seconds) => ErrorClass::RetryAfter(Duration::from_secs(*seconds)),
        _ => ErrorClass::Retry,
    });
    let error = timer.run(retrying).unwrap_err();
    assert_eq!(timer.elapsed(), 5 * SECOND);
    let reason = StopReason::RetryAfter(3_600 * SECOND);
    assert_eq!((error.attempts(), error.reason()), (2, reason));
}

#[test]
fn what_has_not_run_is_repeated_at_once_and_without_being_counted() {
    for (policy, attempts, elapsed) in [
        (Retry::NEVER, 2, 0),
        // The second such failure is counted, and so is each after it.
        (EXACT.max_retries(2), 4, 3),
    ] {
        for reconnect in [false, true] {
            let timer = VirtualTimer::default();
            let budget = Budget::new(10, 0);
            let retrying = retry(&timer, policy, || ready(Err::<(), _>("refused")))
                .classify(|_| ErrorClass::NotRun { reconnect })
                .budget(&budget);
            let error = timer.run(retrying).unwrap_err();
            assert_eq!(
                (error.attempts(), error.reason()),
                (attempts, StopReason::Attempts)
            );
            assert_eq!(timer.elapsed(), elapsed * SECOND);
            assert_eq!(
                budget.available(),
                10 - (attempts - 2),
                "the repetition is free"
            );
        }
    }
}

#[test]
fn what_has_not_run_is_repeated_though_its_backoff_would_pass_the_deadline() {
    let (timer, calls) = (VirtualTimer::default(), Calls::default());
    let operation = || {
        ready(match calls.count() {
            1 => Err("the connection is gone"),
            _ => Ok(()),
        })
    };
    let hurried = EXACT.deadline(SECOND / 2);
    let retrying = retry(&timer, hurried, operation);
    let result = timer.run(retrying.classify(|_| ErrorClass::NotRun { reconnect: true }));
    assert_eq!(result.map(|()| timer.elapsed()).unwrap(), Duration::ZERO);
}

#[test]
fn a_repetition_needs_no_attempt_of_the_retries_around_it() {
    let (timer, calls) = (VirtualTimer::default(), Calls::default());
    let operation = || {
        ready(match calls.count() {
            1 => Err("the connection is gone"),
            _ => Ok(()),
        })
    };
    let inner = || {
        retry(&timer, Retry::NEVER, operation).classify(|_| ErrorClass::NotRun { reconnect: true })
    };
    timer.run(retry(&timer, Retry::NEVER, inner)).unwrap();
    assert_eq!(calls.so_far(), 2);
}

#[test]
fn an_exact_delay_replaces_the_backoff_which_begins_anew() {
    let (timer, calls) = (VirtualTimer::default(), Calls::default());
    let operation = || {
        ready(match calls.count() {
            1 => Err(Some(SECOND / 10)),
            2 => Err(None),
            _ => Ok(()),
        })
    };
    let retrying = retry(&timer, EXACT, operation).classify(|failure| match failure {
        Failure::Error(Some(exact)) => ErrorClass::RetryIn(*exact),
        _ => ErrorClass::Retry,
    });
    timer.run(retrying).unwrap();
    assert_eq!(timer.elapsed(), SECOND + SECOND / 10);
}

#[test]
fn b02_a_value_can_be_worth_a_retry() {
    let (timer, calls) = (VirtualTimer::default(), Calls::default());
    let operation = || ready(Ok::<_, ()>(calls.count()));
    let result = timer.run(retry(&timer, EXACT, operation).until(|value| *value == 3));
    assert_eq!(result.unwrap(), 3);
    assert_eq!(timer.elapsed(), 3 * SECOND);
}

#[test]
fn b02_the_hook_sees_every_attempt_and_what_follows() {
    let (timer, calls) = (VirtualTimer::default(), Calls::default());
    let seen = RefCell::new(Vec::new());
    let operation = || {
        let (number, timer) = (calls.count(), timer.clone());
        async move {
            match number {
                1 => Err("refused"),
                2 => {
                    timer.sleep(10 * SECOND).await;
                    Ok(0)
                }
                3 => Ok(0),
                _ => Ok(number),
            }
        }
    };
    let retrying = retry(&timer, EXACT.attempt_timeout(5 * SECOND), operation)
        .until(|value| *value > 0)
        .named("count")
        .on_attempt(|attempt| {
            assert_eq!(attempt.name, Some("count"));
            let outcome = match attempt.outcome {
                Outcome::Succeeded(value) => Ok(*value),
                Outcome::Failed(error) => Err(*error),
                Outcome::Rejected(_) => Err("rejected"),
                Outcome::TimedOut => Err("timed out"),
            };
            seen.borrow_mut().push((
                attempt.number,
                attempt.elapsed.as_secs(),
                attempt.took.as_secs(),
                outcome,
                attempt.next,
            ));
        });
    assert_eq!(timer.run(retrying).unwrap(), 4);
    let after = |seconds| Some(Decision::RetryIn(Duration::from_secs(seconds)));
    assert_eq!(
        *seen.borrow(),
        [
            (1, 0, 0, Err("refused"), after(1)),
            (2, 6, 5, Err("timed out"), after(2)),
            (3, 8, 0, Err("rejected"), after(4)),
            (4, 12, 0, Ok(4), None),
        ]
    );
}

#[test]
fn b02_the_hook_sees_why_it_stops() {
    let timer = VirtualTimer::default();
    let last = Cell::new(None);
    let retrying = retry(&timer, EXACT.max_retries(1), || ready(Err::<(), _>(())))
        .on_attempt(|attempt| last.set(attempt.next));
    assert!(timer.run(retrying).is_err());
    assert_eq!(last.get(), Some(Decision::Stop(StopReason::Attempts)));
}

#[test]
fn b02_zero_delay_lets_others_run() {
    let (timer, calls) = (VirtualTimer::default(), Calls::default());
    let policy = Retry::new(Backoff::constant(Duration::ZERO)).max_retries(100);
    let mut retrying = pin!(retry(&timer, policy, || {
        calls.count();
        ready(Err::<(), _>(()))
    }));
    let mut context = Context::from_waker(Waker::noop());
    for polls in 1..=5 {
        assert!(retrying.as_mut().poll(&mut context).is_pending());
        assert_eq!(calls.so_far(), polls, "one attempt a poll");
    }
    assert_eq!(timer.sleeps_made(), 0);
}

#[test]
fn b02_spurious_polls_change_nothing() {
    let (timer, calls) = (VirtualTimer::default(), Calls::default());
    let policy = EXACT.max_retries(1).attempt_timeout(SECOND);
    let mut retrying = pin!(retry(&timer, policy, || {
        calls.count();
        pending::<Result<(), ()>>()
    }));
    let mut context = Context::from_waker(Waker::noop());
    let mut poll = || retrying.as_mut().poll(&mut context);
    for (attempts, sleeps) in [(1, 1), (1, 2), (2, 3)] {
        for _ in 0..3 {
            assert!(poll().is_pending());
            assert_eq!((calls.so_far(), timer.sleeps_made()), (attempts, sleeps));
        }
        timer.advance(SECOND);
    }
    let Poll::Ready(Err(error)) = poll() else {
        panic!("the last attempt's time is over");
    };
    assert_eq!(error.attempts(), 2);
}

#[test]
fn b02_dropped_half_way_leaves_nothing() {
    for polls in 0..4 {
        let (timer, alive) = (VirtualTimer::default(), Rc::new(()));
        let policy = EXACT.attempt_timeout(SECOND);
        let mut retrying = std::boxed::Box::pin(retry(&timer, policy, || {
            let alive = alive.clone();
            async move {
                pending::<()>().await;
                drop(alive);
                Ok::<(), ()>(())
            }
        }));
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..polls {
            assert!(retrying.as_mut().poll(&mut context).is_pending());
            timer.advance(SECOND);
        }
        drop(retrying);
        assert_eq!(Rc::strong_count(&alive), 1);
        assert_eq!(timer.sleeps_pending(), 0);
    }
}

#[test]
fn b02_an_attempt_is_gone_before_the_next_begins() {
    let timer = VirtualTimer::default();
    let alive = Rc::new(());
    let operation = || {
        assert_eq!(Rc::strong_count(&alive), 1, "two attempts at once");
        let alive = alive.clone();
        async move {
            let _alive = alive;
            pending::<Result<(), ()>>().await
        }
    };
    let policy = EXACT.attempt_timeout(SECOND);
    let error = timer.run(retry(&timer, policy, operation)).unwrap_err();
    assert_eq!(error.attempts(), 4);
}

#[test]
fn b02_a_panic_of_the_operation_ends_it() {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    let (timer, calls) = (VirtualTimer::default(), Calls::default());
    let mut retrying = pin!(retry(
        &timer,
        EXACT,
        || -> core::future::Ready<Result<(), ()>> {
            calls.count();
            panic!("the operation's own");
        }
    ));
    for expected in [
        "the operation's own",
        "`Retrying` was polled after it had completed",
    ] {
        let mut context = Context::from_waker(Waker::noop());
        let poll = AssertUnwindSafe(|| retrying.as_mut().poll(&mut context).is_pending());
        let payload = catch_unwind(poll).unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&expected));
    }
    assert_eq!(calls.so_far(), 1);
}

#[test]
fn b02_without_a_timer_there_is_one_attempt() {
    let timer = VirtualTimer::default();
    let fails = Retrying::over(NoTimer, EXACT, || ready(Err::<(), _>("refused")));
    let error = timer.run(fails).unwrap_err();
    assert_eq!(error.reason(), StopReason::NoTimer);
    assert_eq!((error.attempts(), error.cause()), (1, Some(&"refused")));

    let policy = EXACT.attempt_timeout(SECOND).deadline(SECOND);
    let succeeds = Retrying::over(NoTimer, policy, || ready(Ok::<_, ()>("value")));
    assert_eq!(timer.run(succeeds).unwrap(), "value");
}

#[test]
fn b02_delays_differ_with_the_timers_entropy_and_repeat_with_a_seed() {
    #[derive(Clone)]
    struct Seeded(VirtualTimer, u64);

    impl Timer for Seeded {
        type Sleep = <VirtualTimer as Timer>::Sleep;

        fn now(&self) -> Instant {
            self.0.now()
        }

        fn sleep_until(&self, at: Instant) -> Self::Sleep {
            self.0.sleep_until(at)
        }

        fn entropy(&self) -> u64 {
            self.1
        }
    }

    let took = |backoff: Backoff, entropy| {
        let timer = Seeded(VirtualTimer::default(), entropy);
        let result = timer.0.run(retry(&timer, Retry::new(backoff), || {
            ready(Err::<(), _>(()))
        }));
        assert!(result.is_err());
        timer.0.elapsed()
    };
    assert_ne!(took(Backoff::DEFAULT, 1), took(Backoff::DEFAULT, 2));
    assert_eq!(took(Backoff::DEFAULT, 1), took(Backoff::DEFAULT, 1));
    let seeded = Backoff::DEFAULT.jitter(Jitter::Decorrelated).seed(9);
    assert_eq!(took(seeded, 1), took(seeded, 2));
}

#[test]
fn b02_is_send_when_its_parts_are() {
    fn assert_send<T: Send + 'static>(_: &T) {}

    let timer = VirtualTimer::default();
    let sends = retry(&timer, EXACT, async || {
        Err::<String, String>("refused".to_string())
    })
    .classify(|_| ErrorClass::Retry)
    .until(|value| value.is_empty())
    .on_attempt(|_| ())
    .budget(std::sync::Arc::new(crate::retry::Budget::standard()))
    .named("sends");
    assert_send(&sends);

    let stays = retry(&timer, EXACT, async || {
        let local = Rc::new(1);
        ready(()).await;
        Ok::<_, RetryError<String>>(local)
    });
    assert_eq!(*timer.run(stays).unwrap(), 1);
}
