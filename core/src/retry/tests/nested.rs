//! Retries within each other. `Calls` counts the attempts of the innermost.

use core::future::{Future, pending, poll_fn, ready};
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::boxed::Box;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::string::ToString;
use std::vec::Vec;

use futures::future::{join, join_all};

use super::{Calls, EXACT, SECOND, VirtualTimer, std};
use crate::random::Random;
use crate::retry::Budget;
use crate::retry::ErrorClass;
use crate::retry::Retry;
use crate::retry::RetryError;
use crate::retry::StopReason;
use crate::retry::nested::enclosing;
use crate::retry::retry;

/// So many attempts, the first included.
fn attempts(number: u32) -> Retry {
    EXACT.max_retries(number - 1)
}

fn refused(calls: &Calls) -> impl Future<Output = Result<(), &'static str>> + use<> {
    calls.count();
    ready(Err("refused"))
}

fn refused_after(
    delay: Duration,
    timer: &VirtualTimer,
    calls: &Calls,
) -> impl Future<Output = Result<(), &'static str>> + use<> {
    let (slow, refused) = (timer.sleep(delay), refused(calls));
    async {
        slow.await;
        refused.await
    }
}

#[track_caller]
fn assert_nothing_shown() {
    assert!(enclosing(|_| ()).is_none(), "an attempt is still shown");
}

#[test]
fn n12_a_retry_within_a_retry_makes_at_most_the_larger_number_and_one_attempts() {
    for outer in 1..=6 {
        for inner in 1..=6 {
            let (timer, calls) = (VirtualTimer::default(), Calls::default());
            let error = timer
                .run(retry(&timer, attempts(outer), || {
                    retry(&timer, attempts(inner), || refused(&calls))
                }))
                .unwrap_err();
            assert_eq!(calls.so_far(), outer.max(inner), "{outer} of {inner}");
            let used_up_alone = error.attempts() == outer;
            let reason = match used_up_alone {
                true => StopReason::Attempts,
                false => StopReason::Nested,
            };
            assert_eq!(error.reason(), reason, "{outer} of {inner}");
            assert_nothing_shown();
        }
    }
}

#[test]
fn n12_three_levels_share_one_count() {
    for [outer, middle, inner] in [[4, 4, 4], [2, 3, 4], [5, 2, 2], [1, 6, 1], [3, 3, 1]] {
        let (timer, calls) = (VirtualTimer::default(), Calls::default());
        let outcome = timer.run(retry(&timer, attempts(outer), || {
            retry(&timer, attempts(middle), || {
                retry(&timer, attempts(inner), || refused(&calls))
            })
        }));
        assert!(outcome.is_err());
        assert_eq!(calls.so_far(), outer.max(middle).max(inner));
    }
}

#[test]
fn n12_the_inner_one_says_that_it_was_stopped() {
    let (timer, calls) = (VirtualTimer::default(), Calls::default());
    let outer = retry(&timer, attempts(3), || {
        retry(&timer, attempts(2), || refused(&calls))
    });
    let error = timer.run(outer).unwrap_err();
    let last = error.into_cause().unwrap();
    assert_eq!((last.attempts(), last.reason()), (1, StopReason::Nested));
    assert_eq!(
        last.to_string(),
        "the operation failed after 1 attempt over 0.0ns, \
         the retries within each other have used up their attempts: refused"
    );
}

#[test]
fn n12_an_inner_one_that_gives_up_leaves_the_outer_its_attempts() {
    let (timer, calls) = (VirtualTimer::default(), Calls::default());
    let outcome = timer.run(retry(&timer, attempts(4), || {
        retry(&timer, attempts(9), || refused(&calls)).classify(|_| ErrorClass::GiveUp)
    }));
    let error = outcome.unwrap_err();
    assert_eq!(
        (error.attempts(), error.reason()),
        (4, StopReason::Attempts)
    );
    assert_eq!(calls.so_far(), 4);
}

#[test]
fn n12_what_fails_after_an_inner_success_counts_too() {
    for failures in 0..4 {
        let (timer, calls) = (VirtualTimer::default(), Calls::default());
        let outcome = timer.run(retry(&timer, attempts(4), async || {
            let before = calls.so_far();
            let connected = retry(&timer, attempts(4), async || {
                match calls.count() - before > failures {
                    true => Ok(()),
                    false => Err("refused"),
                }
            });
            connected.await.map_err(|_| "not connected")?;
            Err::<(), _>("connected, and lost")
        }));
        assert!(outcome.is_err());
        assert_eq!(calls.so_far(), 4, "{failures} failures before a success");
    }
}

#[test]
fn n12_joined_inner_retries_share_one_count() {
    let (timer, calls) = (VirtualTimer::default(), Calls::default());
    let outcome = timer.run(retry(&timer, attempts(5), async || {
        let inner = || retry(&timer, attempts(5), || refused(&calls));
        let (first, second) = join(inner(), inner()).await;
        first.and(second)
    }));
    assert!(outcome.is_err());
    assert_eq!(calls.so_far(), 5);
}

#[test]
fn n12_each_of_many_inner_retries_makes_its_first_attempt() {
    let (timer, calls) = (VirtualTimer::default(), Calls::default());
    let outcome = timer.run(retry(&timer, attempts(3), async || {
        let inner = || {
            retry(&timer, attempts(3), || {
                refused_after(SECOND, &timer, &calls)
            })
        };
        let all = join_all((0..10).map(|_| inner())).await;
        all.into_iter().collect::<Result<Vec<()>, _>>()
    }));
    assert!(outcome.is_err());
    assert_eq!(calls.so_far(), 10, "the first attempt of each, and no more");
}

#[test]
fn n12_told_to_multiply_it_does() {
    let (timer, calls) = (VirtualTimer::default(), Calls::default());
    let inner = attempts(2).multiply_when_nested(true);
    let outcome = timer.run(retry(&timer, attempts(3), || {
        retry(&timer, inner, || refused(&calls))
    }));
    let error = outcome.unwrap_err();
    assert_eq!(
        (error.attempts(), error.reason()),
        (3, StopReason::Attempts)
    );
    assert_eq!(calls.so_far(), 6);
}

#[test]
fn n12_what_is_within_one_that_multiplies_counts_with_that() {
    let (timer, calls) = (VirtualTimer::default(), Calls::default());
    let middle = attempts(2).multiply_when_nested(true);
    let outcome = timer.run(retry(&timer, attempts(3), || {
        retry(&timer, middle, || {
            retry(&timer, attempts(4), || refused(&calls))
        })
    }));
    assert!(outcome.is_err());
    assert_eq!(calls.so_far(), 3 * 4);
}

#[test]
fn n12_no_limit_stays_none() {
    let timer = VirtualTimer::default();
    let endless = EXACT.max_retries(u32::MAX);
    for (outer, inner) in [(endless, attempts(2)), (attempts(2), endless)] {
        let calls = Calls::default();
        let outcome = timer.run(retry(&timer, outer, || {
            retry(&timer, inner, async || match calls.count() {
                100 => Ok(()),
                _ => Err("refused"),
            })
        }));
        assert!(outcome.is_ok());
    }
}

#[test]
fn n12_a_retry_that_is_refused_costs_no_budget() {
    let (timer, calls, budget) = (
        VirtualTimer::default(),
        Calls::default(),
        Budget::new(10, 0),
    );
    let outcome = timer.run(retry(&timer, attempts(2), || {
        retry(&timer, attempts(4), || refused(&calls)).budget(&budget)
    }));
    assert!(outcome.is_err());
    assert_eq!((calls.so_far(), budget.available()), (4, 7));
}

#[test]
fn n12_an_inner_retry_is_cut_off_with_the_attempt_around_it() {
    let (timer, calls) = (VirtualTimer::default(), Calls::default());
    let policy = attempts(4).attempt_timeout(SECOND * 5);
    let outcome = timer.run(retry(&timer, policy, || {
        retry(&timer, attempts(4), || {
            refused_after(3 * SECOND, &timer, &calls)
        })
    }));
    // Two in each attempt of the outer one: one that failed, and one that was cut off.
    assert_eq!(outcome.unwrap_err().attempts(), 2);
    assert_eq!(calls.so_far(), 4);
}

#[test]
fn n12_an_inner_retry_that_is_dropped_half_way_leaves_its_failures() {
    let (timer, calls) = (VirtualTimer::default(), Calls::default());
    let outcome = timer.run(retry(&timer, attempts(4), async || {
        let mut inner = Box::pin(retry(&timer, attempts(4), || refused(&calls)));
        poll_fn(|cx| Poll::Ready(inner.as_mut().poll(cx).is_pending())).await;
        drop(inner);
        Err::<(), _>("too slow")
    }));
    assert!(outcome.is_err());
    assert_eq!(calls.so_far(), 4);
    assert_nothing_shown();
}

#[test]
fn n12_a_retry_that_is_polled_elsewhere_is_not_within() {
    let (timer, calls) = (VirtualTimer::default(), Calls::default());
    let mut left = Vec::new();
    let outcome = timer.run(retry(&timer, attempts(2), || {
        left.push(retry(&timer, attempts(2), || refused(&calls)));
        ready(Err::<(), _>("refused"))
    }));
    assert!(outcome.is_err());
    for retrying in left {
        assert_eq!(timer.run(retrying).unwrap_err().attempts(), 2);
    }
    assert_eq!(calls.so_far(), 4);
}

#[test]
fn n12_a_retry_that_outlives_the_one_around_it_goes_on_by_itself() {
    let (timer, calls) = (VirtualTimer::default(), Calls::default());
    let left = RefCell::new(Box::pin(retry(&timer, attempts(3), || {
        refused_after(SECOND, &timer, &calls)
    })));
    let outcome = timer.run(retry(&timer, attempts(1), || {
        let poll_left = |cx: &mut Context<'_>| left.borrow_mut().as_mut().poll(cx).is_pending();
        poll_fn(move |cx| Poll::Ready(Err::<(), _>(poll_left(cx))))
    }));
    assert_eq!(outcome.unwrap_err().into_cause(), Some(true));
    let error = timer.run(left.into_inner()).unwrap_err();
    assert_eq!(
        (error.attempts(), error.reason()),
        (3, StopReason::Attempts)
    );
    assert_eq!(calls.so_far(), 3);
}

#[test]
fn n12_a_panic_in_an_attempt_leaves_the_thread_as_it_was() {
    let (timer, calls) = (VirtualTimer::default(), Calls::default());
    let panics = || {
        let inner = retry(&timer, attempts(2), async || -> Result<(), ()> {
            panic!("the attempt's own")
        });
        catch_unwind(AssertUnwindSafe(|| timer.run(inner))).unwrap_err();
    };
    panics();
    assert_nothing_shown();
    // Within another, it is that one's which is there again.
    let outcome = timer.run(retry(&timer, attempts(3), async || {
        panics();
        assert!(enclosing(|_| ()).is_some());
        retry(&timer, attempts(3), || refused(&calls)).await
    }));
    assert!(outcome.is_err());
    assert_eq!(calls.so_far(), 2, "the one that panicked counts");
    assert_nothing_shown();
}

#[test]
fn n12_moves_to_another_thread_between_polls() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    let (timer, calls) = (VirtualTimer::default(), Arc::new(AtomicU32::new(0)));
    let mut moving = Box::pin({
        let (timer, calls) = (timer.clone(), calls.clone());
        async move {
            let inner = || {
                retry(&timer, attempts(4), || {
                    calls.fetch_add(1, Ordering::Relaxed);
                    ready(Err::<(), ()>(()))
                })
            };
            retry(&timer, attempts(3), inner).await.is_err()
        }
    });
    loop {
        let poll = std::thread::spawn(move || {
            let polled = moving
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()));
            assert_nothing_shown();
            (moving, polled)
        });
        let polled;
        (moving, polled) = poll.join().unwrap();
        if polled == Poll::Ready(true) {
            break;
        }
        timer.advance(60 * SECOND);
    }
    assert_eq!(calls.load(Ordering::Relaxed), 4);
}

#[test]
fn n12_random_retries_within_each_other_keep_the_bound() {
    for seed in 0..2_000 {
        let world = RandomWorld {
            timer: VirtualTimer::default(),
            calls: Calls::default(),
            random: RefCell::new(Random::seeded(seed)),
            largest: Cell::new(0),
        };
        let _ = world.timer.run(world.level(3));
        let (made, largest) = (world.calls.so_far(), world.largest.get());
        assert!(made <= largest + 1, "seed {seed}: {made} of {largest}");
        assert_nothing_shown();
    }
}

struct RandomWorld {
    timer: VirtualTimer,
    calls: Calls,
    random: RefCell<Random>,
    largest: Cell<u32>,
}

impl RandomWorld {
    fn below(&self, bound: u64) -> u64 {
        self.random.borrow_mut().below_or_equal(bound - 1)
    }

    fn policy(&self) -> Retry {
        let number = 1 + self.below(6) as u32;
        self.largest.set(self.largest.get().max(number));
        match self.below(3) {
            0 => attempts(number).attempt_timeout(SECOND * (1 + self.below(9) as u32)),
            1 => attempts(number).deadline(SECOND * (1 + self.below(30) as u32)),
            _ => attempts(number),
        }
    }

    /// So many retries within each other, around a call. Each may also fail by what it does afterwards.
    fn level(&self, depth: u32) -> Pin<Box<dyn Future<Output = Result<(), ()>> + '_>> {
        Box::pin(async move {
            if depth == 0 {
                self.calls.count();
                self.timer.sleep(SECOND * self.below(4) as u32).await;
            } else {
                let attempt = || self.level(depth - 1);
                let retrying = retry(&self.timer, self.policy(), attempt);
                let classified = retrying.classify(|_| match self.below(5) {
                    0 => ErrorClass::GiveUp,
                    _ => ErrorClass::Retry,
                });
                classified.await.map_err(|_: RetryError<()>| ())?;
            }
            match self.below(3) {
                0 => Ok(()),
                _ => Err(()),
            }
        })
    }
}

#[test]
fn n12_a_poll_without_an_end_shows_nothing_between_polls() {
    let timer = VirtualTimer::default();
    let mut hangs = pin!(retry(&timer, EXACT, pending::<Result<(), ()>>));
    for _ in 0..3 {
        let mut context = Context::from_waker(Waker::noop());
        assert!(hangs.as_mut().poll(&mut context).is_pending());
        assert_nothing_shown();
    }
}
