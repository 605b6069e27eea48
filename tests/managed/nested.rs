//! Retries within each other, and around openings: N12.

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;

use tenure_core::{
    CallOptions, ErrorClass, LocalResource, Managed, OpenError, Retry, RetryError, StopReason,
    Timer, retry,
};

use super::probe::{Hook, Refused, Step};
use super::{ManagedWorld, Rig, every, soon};
use crate::worlds::World;

on_every_backend! {
    n12_a_retry_within_a_retry_makes_at_most_the_larger_number_and_one_attempts,
    n12_told_to_multiply_a_retry_does,
    n12_a_call_within_a_retry_shares_its_attempts,
    n12_a_retry_within_a_call_shares_its_attempts,
    n12_a_retry_around_an_opening_counts_its_attempts,
    n12_a_call_that_finds_no_value_counts_the_attempts_to_open_one,
    n12_an_opening_makes_all_its_attempts_whoever_drives_it,
    n12_a_retry_within_an_opening_shares_its_attempts,
}

/// So many attempts, the first included.
fn attempts<W: World>(world: &W, number: u32) -> Retry {
    every(world.tick() / 4).max_retries(number - 1)
}

/// Counts what is attempted in the innermost.
#[derive(Clone, Default)]
struct Calls(Rc<Cell<u32>>);

impl Calls {
    fn refused(&self) -> impl Future<Output = Result<(), Refused>> + use<> {
        self.0.set(self.0.get() + 1);
        std::future::ready(Err(Refused(ErrorClass::Retry)))
    }
}

async fn n12_a_retry_within_a_retry_makes_at_most_the_larger_number_and_one_attempts<W: World>(
    world: W,
) {
    for (outer, inner) in [(4, 4), (2, 5), (5, 2), (1, 3), (3, 1)] {
        let (calls, timer) = (Calls::default(), world.runtime());
        let (outer, inner) = (attempts(&world, outer), attempts(&world, inner));
        let load = || retry(&timer, inner, || calls.refused());
        let outcome = soon(&world, retry(&timer, outer, load)).await;
        assert!(outcome.is_err());
        assert!(calls.0.get() <= 5 + 1, "{}", calls.0.get());
    }
    let (calls, timer, policy) = (Calls::default(), world.runtime(), attempts(&world, 4));
    let third = || retry(&timer, policy, || calls.refused());
    let second = || retry(&timer, policy, third);
    let error = soon(&world, retry(&timer, policy, second)).await;
    let error = error.expect_err("it is refused");
    assert_eq!((calls.0.get(), error.reason()), (4, StopReason::Nested));
}

async fn n12_told_to_multiply_a_retry_does<W: World>(world: W) {
    let (calls, timer) = (Calls::default(), world.runtime());
    let inner = attempts(&world, 2).multiply_when_nested(true);
    let load = || retry(&timer, inner, || calls.refused());
    let outcome = soon(&world, retry(&timer, attempts(&world, 3), load)).await;
    assert!(outcome.is_err());
    assert_eq!(calls.0.get(), 6);
}

async fn n12_a_call_within_a_retry_shares_its_attempts<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| {
        builder
            .retry(attempts(&world, 4))
            .open_retry(attempts(&world, 4))
    });
    let (timer, asked) = (world.runtime(), Cell::new(0));
    let load = || {
        rig.ask(|_| {
            asked.set(asked.get() + 1);
            Err(Refused(ErrorClass::Retry))
        })
    };
    let error = rig.soon(retry(&timer, attempts(&world, 5), load)).await;
    let error = error.expect_err("it is refused");
    assert_eq!((asked.get(), error.attempts()), (5, 2));
    let last = error.into_cause().expect("the second call's error");
    assert_eq!((last.attempts(), last.reason()), (1, StopReason::Nested));
    rig.ends_well().await;
}

async fn n12_a_retry_within_a_call_shares_its_attempts<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| {
        builder
            .retry(attempts(&world, 4))
            .open_retry(attempts(&world, 4))
    });
    let (timer, calls) = (world.runtime(), Calls::default());
    let call = rig.run(CallOptions::named("load"), |_| {
        let (timer, calls, policy) = (timer.clone(), calls.clone(), attempts(&world, 3));
        Box::pin(async move {
            let load = retry(&timer, policy, || calls.refused());
            let answer = load.await.map(|()| 0);
            answer.map_err(|error| error.into_cause().expect("it is refused"))
        })
    });
    let error = rig.soon(call).await.expect_err("it is refused");
    assert_eq!((calls.0.get(), error.attempts()), (4, 2));
    assert_eq!(error.reason(), StopReason::Nested);
    rig.ends_well().await;
}

async fn n12_a_retry_around_an_opening_counts_its_attempts<W: ManagedWorld>(world: W) {
    // The opening's attempts, and how often an outer retry of five makes them.
    for (opening, made) in [(4, 1), (3, 2), (2, 3), (1, 5), (7, 1)] {
        let policy = attempts(&world, opening);
        // A Runner that goes on by itself would open for nobody, and be counted.
        let rig = Rig::without_runner(&world, |builder| builder.retry(policy).open_retry(policy));
        assert_eq!(around_opening(&rig, 5).await, made, "of {opening}");
        assert_eq!(rig.probe.begun(Hook::Open), (made * opening) as usize);
        rig.ends_well().await;

        let rig = Rig::new(&world, |builder| builder.retry(policy).open_retry(policy));
        assert_eq!(around_opening(&rig, 5).await, made, "of {opening}");
        rig.ends_well().await;
    }
}

/// How often a retry around the opening makes its attempts, all of which fail.
async fn around_opening<W: ManagedWorld>(rig: &Rig<W>, outer: u32) -> u32 {
    rig.probe.always(Hook::Open, Step::fail(ErrorClass::Retry));
    let timer = rig.world.runtime();
    let policy = attempts(&rig.world, outer);
    let got = rig.soon(retry(&timer, policy, || rig.managed.get())).await;
    let error = got.expect_err("it never opens");
    assert!(matches!(error.cause(), Some(OpenError::Failed { .. })));
    error.attempts()
}

async fn n12_a_call_that_finds_no_value_counts_the_attempts_to_open_one<W: ManagedWorld>(world: W) {
    let rig = Rig::without_runner(&world, |builder| {
        builder
            .retry(attempts(&world, 4))
            .open_retry(attempts(&world, 4))
    });
    rig.probe.always(Hook::Open, Step::fail(ErrorClass::Retry));
    let timer = world.runtime();
    let error = rig
        .soon(retry(&timer, attempts(&world, 5), || rig.ask(Ok)))
        .await
        .expect_err("it never opens");
    assert_eq!((error.attempts(), error.reason()), (1, StopReason::Nested));
    assert_eq!(rig.probe.begun(Hook::Open), 4);
    rig.ends_well().await;
}

async fn n12_an_opening_makes_all_its_attempts_whoever_drives_it<W: ManagedWorld>(world: W) {
    let rig = Rig::without_runner(&world, |builder| {
        builder
            .retry(attempts(&world, 4))
            .open_retry(attempts(&world, 4))
    });
    rig.probe.always(Hook::Open, Step::fail(ErrorClass::Retry));
    let (timer, first) = (world.runtime(), Cell::new(true));
    let load = async || {
        if first.take() {
            return Err("refused");
        }
        rig.managed.get().await.map_err(|_| "not open")
    };
    let outcome = rig.soon(retry(&timer, attempts(&world, 4), load)).await;
    let error = outcome.expect_err("it never opens");
    assert_eq!((error.attempts(), error.reason()), (2, StopReason::Nested));
    let others_wait_too = rig.probe.begun(Hook::Open);
    assert_eq!(others_wait_too, 4, "it is not this caller's alone");
    rig.ends_well().await;
}

/// Retries by itself what it opens by.
struct Persistent<T> {
    timer: T,
    policy: Retry,
    calls: Calls,
}

impl<T: Timer> LocalResource for Persistent<T> {
    type Value = ();
    type Error = RetryError<Refused>;

    async fn open(&self) -> Result<(), Self::Error> {
        retry(&self.timer, self.policy, || self.calls.refused()).await
    }
}

async fn n12_a_retry_within_an_opening_shares_its_attempts<W: World>(world: W) {
    for has_runner in [true, false] {
        let calls = Calls::default();
        let resource = Persistent {
            timer: world.runtime(),
            policy: attempts(&world, 3),
            calls: calls.clone(),
        };
        let built = Managed::builder(resource)
            .retry(attempts(&world, 4))
            .open_retry(attempts(&world, 4))
            .build_with_runner(world.runtime());
        let (managed, runner) = built.expect("a valid configuration");
        if has_runner {
            world.background(runner.run());
        }
        let opened = soon(&world, managed.open()).await;
        let Err(OpenError::Failed { failure, .. }) = opened else {
            panic!("it never opens");
        };
        assert_eq!(calls.0.get(), 4);
        assert_eq!(failure.attempts, 2);
        assert_eq!(failure.stopped, Some(StopReason::Nested));
        soon(&world, managed.close()).await;
    }
}
