//! Calls under the policy: S5, and what of S4 and B2 concerns them.

use std::cell::RefCell;
use std::future::{pending, ready};
use std::sync::Arc;
use std::time::Duration;

use futures::poll;
use tenure_core::retry::Ended;
use tenure_core::{Backoff, Budget, CallOptions, ErrorClass, Retry, StopReason};

use super::probe::{Hook, Refused, Step};
use super::recorder::What;
use super::{ManagedWorld, Rig, every};

on_every_backend! {
    s04_a_call_is_retried_as_the_policy_says,
    s04_error_classes_of_calls,
    s05_attempt_timeout_and_deadline_both,
    s05_an_attempt_that_is_cut_off_is_retried,
    s05_overrides_per_call,
    s05_opening_is_part_of_the_attempt,
    s05_a_call_that_is_dropped_is_over,
    b02_a_budget_is_shared_across_resources,
}

/// Where time is virtual, with the numbers that users meet.
mod in_virtual_time {
    use super::*;

    where_time_is_virtual! {
        s04_a_call_is_retried_three_times_by_default,
        s05_presets_keep_their_deadlines,
    }

    async fn s04_a_call_is_retried_three_times_by_default<W: ManagedWorld>(world: W) {
        let rig = Rig::new(&world, |builder| builder.retry(Retry::default()));
        let call = rig.refused(CallOptions::named("ask"), ErrorClass::Retry);
        let error = call.await.expect_err("it is refused");
        assert_eq!(error.attempts(), 4, "three retries, the first not counted");
        let history = error.history();
        let delays = history.iter().filter_map(|attempt| attempt.next.retry_in());
        for (delay, longest) in delays.zip([1, 2, 4].map(Duration::from_secs)) {
            assert!(delay <= longest, "{delay:?} is above {longest:?}");
        }
        rig.ends_well().await;
    }

    async fn s05_presets_keep_their_deadlines<W: ManagedWorld>(world: W) {
        for (policy, deadline) in [(Retry::USER_FACING, 5), (Retry::BACKGROUND, 120)] {
            let deadline = Duration::from_secs(deadline);
            let rig = Rig::new(&world, |builder| builder.retry(policy));
            let hanging = rig.run(CallOptions::named("hang"), |_| Box::pin(pending()));
            let error = hanging.await.expect_err("it hangs");
            assert!(error.is_timeout());
            assert_eq!(
                (error.elapsed(), error.reason()),
                (deadline, StopReason::Deadline)
            );
            rig.ends_well().await;
        }
    }
}

async fn s04_a_call_is_retried_as_the_policy_says<W: ManagedWorld>(world: W) {
    let delay = world.tick() * 2;
    let rig = Rig::new(&world, |builder| builder.retry(every(delay)));
    let times = RefCell::new(Vec::new());
    let call = rig.ask_with(CallOptions::named("third time lucky"), |id| {
        times.borrow_mut().push(rig.now());
        match times.borrow().len() {
            3 => Ok(id),
            _ => Err(Refused(ErrorClass::Retry)),
        }
    });
    assert_eq!(rig.soon(call).await.expect("the third attempt succeeds"), 1);
    assert_eq!(times.borrow().len(), 3);
    for pair in times.borrow().windows(2) {
        assert!(pair[1] - pair[0] >= delay, "{times:?}");
    }
    assert_eq!(rig.probe.begun(Hook::Open), 1, "the value is the same");
    for attempt in [1, 2] {
        let (name, said) = ("third time lucky".into(), "refused (Retry)".into());
        let failed = What::CallFailed(name, attempt, said, Some(delay));
        assert_eq!(rig.events.count(&failed), 1, "{:?}", rig.events.whats());
    }
    rig.ends_well().await;
}

async fn s04_error_classes_of_calls<W: ManagedWorld>(world: W) {
    let (short, longer, cap) = (world.tick(), world.tick() * 3, world.tick() * 4);
    let policy = Retry::new(Backoff::constant(short).cap(cap));
    for (class, delay) in [
        (ErrorClass::Retry, Some(short)),
        (ErrorClass::Reconnect, Some(short)),
        (ErrorClass::GiveUp, None),
        (ErrorClass::RetryAfter(longer), Some(longer)),
        (ErrorClass::RetryAfter(Duration::ZERO), Some(short)),
        (ErrorClass::RetryAfter(cap), Some(cap)),
        (ErrorClass::RetryAfter(cap + short), None),
        (ErrorClass::RetryAfter(Duration::MAX), None),
    ] {
        let rig = Rig::new(&world, |builder| builder.retry(policy));
        let times = RefCell::new(Vec::new());
        let call = rig.ask(|id| {
            times.borrow_mut().push(rig.now());
            match times.borrow().len() {
                1 => Err(Refused(class)),
                _ => Ok(id),
            }
        });
        let answer = rig.soon(call).await;
        assert_eq!(answer.is_ok(), delay.is_some(), "{class:?}");
        let told = What::CallFailed("ask".into(), 1, Refused(class).to_string(), delay);
        assert_eq!(rig.events.count(&told), 1, "{:?}", rig.events.whats());
        match (delay, &times.take()[..]) {
            (Some(delay), [first, second]) => assert!(*second - *first >= delay, "{class:?}"),
            (None, [_]) => {}
            (_, times) => panic!("{class:?}: {times:?}"),
        }
        rig.ends_well().await;
    }
}

async fn s05_attempt_timeout_and_deadline_both<W: ManagedWorld>(world: W) {
    let policy = every(world.tick())
        .max_retries(100)
        .attempt_timeout(world.tick() * 2)
        .deadline(world.tick() * 7);
    let rig = Rig::new(&world, |builder| builder.retry(policy));
    rig.open().await;
    let call = rig.run(CallOptions::named("hang"), |_| Box::pin(pending()));
    let error = rig.soon(call).await.expect_err("it is out of time");
    assert_eq!(error.reason(), StopReason::Deadline);
    assert!(error.cause().is_none() && error.open_error().is_none());
    assert!(error.was_begun());
    // A delay that would end past the deadline is not begun: then it is over a little earlier.
    assert!(error.elapsed() >= rig.ticks(4), "{error}");
    let history = error.history();
    let timed_out = |ended| ended == Ended::TimedOut;
    assert!(
        history.iter().all(|attempt| timed_out(attempt.ended)),
        "{history:?}"
    );
    assert!(history[0].took >= rig.ticks(2), "{history:?}");
    assert!(
        error.is_timeout() && error.to_string().contains("timed out"),
        "{error}"
    );
    if W::VIRTUAL_TIME {
        // Two attempts of two, each with a delay after it, and what the deadline left of a third.
        let took: Vec<_> = history.iter().map(|attempt| attempt.took).collect();
        assert_eq!(took, [rig.ticks(2), rig.ticks(2), rig.ticks(1)]);
        assert_eq!(error.elapsed(), rig.ticks(7));
    }
    rig.ends_well().await;
}

async fn s05_an_attempt_that_is_cut_off_is_retried<W: ManagedWorld>(world: W) {
    let policy = every(world.tick()).max_retries(u32::MAX);
    let policy = policy.attempt_timeout(world.tick() * 2);
    let rig = Rig::new(&world, |builder| builder.retry(policy));
    rig.open().await;
    let mut attempts = 0;
    let call = rig.run(CallOptions::named("hang once"), |id| {
        attempts += 1;
        match attempts {
            1 => Box::pin(pending()),
            _ => Box::pin(ready(Ok(id))),
        }
    });
    assert_eq!(rig.soon(call).await.expect("the second attempt answers"), 1);
    assert_eq!(attempts, 2);
    let whats = rig.events.whats();
    let told = |what: &What| matches!(what, What::CallFailed(_, 1, _, Some(_)));
    assert!(whats.iter().any(told), "{whats:?}");
    rig.ends_well().await;
}

async fn s05_overrides_per_call<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder);
    let ends_of = async |options: CallOptions| {
        let call = rig.refused(options, ErrorClass::Retry);
        let error = rig.soon(call).await.expect_err("it is refused");
        (error.attempts(), error.reason())
    };
    let named = || CallOptions::named("ask");
    let exhausted = |attempts| (attempts, StopReason::Attempts);
    assert_eq!(ends_of(named()).await, exhausted(4));
    assert_eq!(ends_of(named().max_retries(0)).await, exhausted(1));
    assert_eq!(ends_of(named().max_retries(1)).await, exhausted(2));
    assert_eq!(ends_of(named().retry(Retry::NEVER)).await, exhausted(1));
    let either_order = named().max_retries(1).retry(every(world.tick()));
    assert_eq!(ends_of(either_order).await, exhausted(2));
    let budget = Arc::new(Budget::new(1, 0));
    let bounded = named().budget(budget.clone());
    assert_eq!(ends_of(bounded).await, (2, StopReason::Budget));
    assert_eq!(budget.available(), 0);
    let hurried = named().deadline(world.tick()).max_retries(u32::MAX);
    assert_eq!(ends_of(hurried).await.1, StopReason::Deadline);
    // The resource itself stays as it was built.
    assert_eq!(ends_of(named()).await, exhausted(4));
    rig.ends_well().await;
}

async fn s05_opening_is_part_of_the_attempt<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder);
    rig.probe.always(Hook::Open, Step::hang());
    let options = CallOptions::named("ask").max_retries(1);
    let call = rig.ask_with(options.attempt_timeout(rig.ticks(2)), Ok);
    let error = rig.soon(call).await.expect_err("it never opens");
    assert!(error.is_timeout());
    assert_eq!(error.attempts(), 2);
    assert!(!error.was_begun());
    assert!(error.elapsed() >= rig.ticks(5));
    rig.ends_well().await;
}

async fn s05_a_call_that_is_dropped_is_over<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder);
    rig.open().await;
    let mut call = rig.run(CallOptions::named("hang"), |_| Box::pin(pending()));
    assert!(poll!(call.as_mut()).is_pending());
    assert_eq!(rig.managed.calls_in_flight(), 1);
    assert_eq!(rig.managed.audit().in_use, 1);
    drop(call);
    assert_eq!(rig.managed.calls_in_flight(), 0);
    let audit = rig.managed.audit();
    assert_eq!((audit.in_use, audit.idle), (0, 1));

    // In the delay between two attempts nothing is in use either.
    let patient = CallOptions::named("ask").retry(every(rig.ticks(4_000)));
    let mut call = rig.refused(patient, ErrorClass::Retry);
    assert!(poll!(call.as_mut()).is_pending());
    assert!(!rig.managed.in_use());
    drop(call);
    rig.ends_well().await;
}

async fn b02_a_budget_is_shared_across_resources<W: ManagedWorld>(world: W) {
    let budget = Arc::new(Budget::new(4, 0));
    let rigs = [(); 2].map(|()| Rig::new(&world, |builder| builder.budget(budget.clone())));
    let mut ends = Vec::new();
    for rig in &rigs {
        let call = rig.refused(CallOptions::named("ask"), ErrorClass::Retry);
        let error = rig.soon(call).await.expect_err("it is refused");
        ends.push((error.attempts(), error.reason()));
    }
    assert_eq!(ends, [(4, StopReason::Attempts), (2, StopReason::Budget)]);
    for rig in rigs {
        rig.ends_well().await;
    }
}
