//! Calling an operation on the value, under the policy.

use core::future::Future;
use core::time::Duration;

use super::error::{CallError, CallFailure, Revoked};
use super::open::wait_until_open;
use super::openings::Patience;
use super::revocation::{Revocable, Revocation};
use super::shared::ManagedShared;
use crate::cause::Cause;
use crate::event::EventKind;
use crate::name::redacted;
use crate::opening::OpenError;
use crate::resource::LocalResource;
use crate::retry::course::RetryHooks;
use crate::retry::{AnyValue, Attempt, Decision, ErrorClass, Failure, Outcome, Retry, Retrying};
use crate::runtime::Clock;
use crate::sink::SharedBudget;
use crate::state::Event;
use crate::sync::{Arc, Lock, Text};
use crate::time::Instant;

/// How one call differs from the others. Made by [`CallOptions::named`].
///
/// What is not set is as the resource was built.
///
/// ```
/// use core::time::Duration;
/// use tenure_core::CallOptions;
///
/// let user = 7;
/// let options = CallOptions::named(format!("load user {user}"))
///     .max_retries(1)
///     .attempt_timeout(Duration::from_secs(2))
///     .deadline(Duration::from_secs(5));
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct CallOptions {
    operation: Text,
    retry: Option<Retry>,
    max_retries: Option<u32>,
    attempt_timeout: Option<Duration>,
    deadline: Option<Duration>,
    budget: Option<SharedBudget>,
}

impl CallOptions {
    /// A call of this name, as the resource was built. The name may be built at run time; it shows in
    /// events and errors, [redacted](crate::redact) as all names are.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let options = CallOptions::named(format!("user {}", 7));
    /// ```
    pub fn named(operation: impl Into<Text>) -> Self {
        Self {
            operation: redacted(operation.into()),
            retry: None,
            max_retries: None,
            attempt_timeout: None,
            deadline: None,
            budget: None,
        }
    }

    /// Another policy.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let options = CallOptions::named("login").retry(Retry::USER_FACING);
    /// ```
    pub const fn retry(mut self, policy: Retry) -> Self {
        self.retry = Some(policy);
        self
    }

    /// Another number of retries, the first attempt not counted.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let once = CallOptions::named("charge").max_retries(0);
    /// ```
    pub const fn max_retries(mut self, retries: u32) -> Self {
        self.max_retries = Some(retries);
        self
    }

    /// Another limit for each attempt, in which the value is opened if need be.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let options = CallOptions::named("query").attempt_timeout(Duration::from_secs(2));
    /// ```
    pub const fn attempt_timeout(mut self, limit: Duration) -> Self {
        self.attempt_timeout = Some(limit);
        self
    }

    /// Another limit for all attempts and the delays between them.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let options = CallOptions::named("query").deadline(Duration::from_secs(10));
    /// ```
    pub const fn deadline(mut self, limit: Duration) -> Self {
        self.deadline = Some(limit);
        self
    }

    /// A budget that pays for this call's retries, shared with whoever else holds it.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let budget = std::sync::Arc::new(Budget::standard());
    /// let options = CallOptions::named("query").budget(budget.clone());
    /// ```
    pub fn budget(mut self, budget: impl Into<SharedBudget>) -> Self {
        self.budget = Some(budget.into());
        self
    }

    pub(crate) fn policy(&self, general: Retry) -> Retry {
        let mut policy = self.retry.unwrap_or(general);
        if let Some(retries) = self.max_retries {
            policy = policy.max_retries(retries);
        }
        if let Some(limit) = self.attempt_timeout {
            policy = policy.attempt_timeout(limit);
        }
        if let Some(limit) = self.deadline {
            policy = policy.deadline(limit);
        }
        policy
    }
}

/// What holders differ in when they call.
pub(crate) struct Ways<K, W, S> {
    /// What a failure deserves. Told which opening gave the value for the operation; none did yet, if `None`.
    pub(crate) classify: K,
    /// Waits for the value, before an attempt, in the way that is theirs. Without it, an attempt waits for the opening.
    pub(crate) until_open: W,
    /// Told that an attempt has succeeded: which opening gave the value for it, and when it ended.
    pub(crate) succeeded: S,
}

/// What is called, and whether it was.
struct CallOperation<O> {
    begin: Option<O>,
    was_begun: bool,
    /// Which opening gave the value that the attempt under way runs on.
    runs_on: Option<u64>,
}

/// Why one attempt failed, and what that deserves.
struct Failed {
    class: ErrorClass,
    failure: CallFailure,
}

/// Calls `operation` on the value, opening it if need be, until it succeeds or the policy says stop.
pub(crate) async fn call<R, C, O, F, U, K, W, P, S>(
    shared: &Arc<ManagedShared<R, C>>,
    options: CallOptions,
    ways: Ways<K, W, S>,
    operation: O,
) -> Result<U, CallError>
where
    R: LocalResource<Value: Clone>,
    C: Clock,
    O: FnMut(R::Value) -> F,
    F: Future<Output = Result<U, R::Error>>,
    K: Fn(Failure<'_, R::Error>, Option<u64>) -> ErrorClass,
    W: Fn() -> P,
    P: Future<Output = Result<(), OpenError>>,
    S: Fn(u64, Option<Instant>),
{
    let name = options.operation.clone();
    // Each attempt takes the operation out, calls it, and puts it back, so that no lock is held over
    // user code.
    let operation = Lock::new(CallOperation {
        begin: Some(operation),
        was_begun: false,
        runs_on: None,
    });
    // What the operation itself said last, though a later attempt may not even find a value.
    let answer = Lock::new(None);
    let policy = options.policy(shared.config.retry);
    let attempt = || attempt(shared, &ways, &operation);
    let hooks = RetryHooks {
        classify: |failure: Failure<'_, Failed>| match failure {
            Failure::Error(failed) => failed.class,
            Failure::TimedOut => {
                let runs_on = operation.with(|operation| operation.runs_on);
                (ways.classify)(Failure::TimedOut, runs_on)
            }
            Failure::Panicked => ErrorClass::GiveUp,
        },
        until: AnyValue,
        on_attempt: Some(|attempt: &Attempt<'_, U, Failed>| {
            if let Outcome::Failed(Failed {
                failure: CallFailure::Operation(cause),
                ..
            }) = &attempt.outcome
            {
                let forgotten = answer.with(|answer| answer.replace(cause.clone()));
                drop(forgotten);
            }
            report(shared, &name, attempt);
        }),
        tells_success: false,
        budget: options.budget.or_else(|| shared.config.budget.clone()),
    };
    let clock = shared.clock.clone();
    let result = Retrying::with(clock, policy, Some(options.operation), hooks, attempt).await;
    result.map_err(|error| {
        let resource = shared.reporter.name.clone();
        let answer = answer.with(Option::take);
        let was_begun = operation.with(|operation| operation.was_begun);
        // One that was cut off while it waited for the value is told why there is none.
        let is_down = shared.cell.with(|cell| cell.current.is_none());
        let absence = is_down.then(|| shared.not_open_after(error.elapsed()));
        CallError::new(
            resource,
            name,
            error,
            was_begun,
            answer,
            absence,
            |failed| failed.failure,
        )
    })
}

async fn attempt<R, C, O, F, U, K, W, P, S>(
    shared: &Arc<ManagedShared<R, C>>,
    ways: &Ways<K, W, S>,
    operation: &Lock<CallOperation<O>>,
) -> Result<U, Failed>
where
    R: LocalResource<Value: Clone>,
    C: Clock,
    O: FnMut(R::Value) -> F,
    F: Future<Output = Result<U, R::Error>>,
    K: Fn(Failure<'_, R::Error>, Option<u64>) -> ErrorClass,
    W: Fn() -> P,
    P: Future<Output = Result<(), OpenError>>,
    S: Fn(u64, Option<Instant>),
{
    operation.with(|operation| operation.runs_on = None);
    (ways.until_open)().await.map_err(Failed::to_open)?;
    let mut call = Call::begin(shared).await.map_err(Failed::to_open)?;
    let value = (*call.value).clone();
    let Some(mut begin) = operation.with(|operation| operation.begin.take()) else {
        unreachable!("one attempt runs at a time, and each puts the operation back");
    };
    let future = Revocable::new(begin(value), &shared.clock, &call.revocation);
    operation.with(|operation| {
        *operation = CallOperation {
            begin: Some(begin),
            was_begun: true,
            runs_on: Some(call.generation),
        };
    });
    match future.await {
        Ok(Ok(answer)) => {
            let now = call.succeeded();
            (ways.succeeded)(call.generation, now);
            Ok(answer)
        }
        Err(why) => Err(Failed::of_revoked(Revoked {
            name: shared.reporter.name.clone(),
            why,
        })),
        Ok(Err(error)) => {
            let class = (ways.classify)(Failure::Error(&error), Some(call.generation));
            call.found_broken = class.is_of_broken_value();
            Err(Failed {
                class,
                failure: CallFailure::Operation(shared.resource.cause_of(error)),
            })
        }
    }
}

/// One attempt's use of the value. While it lives, the value is not closed.
struct Call<'a, R: LocalResource, C: Clock> {
    shared: &'a ManagedShared<R, C>,
    value: Arc<R::Value>,
    revocation: Arc<Revocation>,
    generation: u64,
    /// However many calls find that out, the value is opened anew once.
    found_broken: bool,
}

impl<'a, R: LocalResource<Value: Clone>, C: Clock> Call<'a, R, C> {
    async fn begin(shared: &'a Arc<ManagedShared<R, C>>) -> Result<Self, OpenError> {
        loop {
            let (begun, respawns) = shared.cell.with(|cell| {
                let begun = cell.current.as_mut().map(|held| {
                    held.calls += 1;
                    let revocation = held.revocation.clone();
                    (held.value.clone(), revocation, held.generation)
                });
                (begun, cell.runner.claim_respawn())
            });
            if respawns {
                ManagedShared::respawn(shared);
            }
            if let Some((value, revocation, generation)) = begun {
                return Ok(Call {
                    found_broken: false,
                    shared,
                    value,
                    revocation,
                    generation,
                });
            }
            // By the time that this is known the value may have gone again: then the next one is waited for.
            wait_until_open(shared, None, Patience::AsBuilt).await?;
        }
    }

    fn succeeded(&self) -> Option<Instant> {
        let now = self.shared.now();
        self.shared.with(|cell, effects| {
            if let Some(held) = cell.held(self.generation) {
                held.used_at = now;
            }
            if cell.openings.proven(self.generation) {
                effects.wakes.signal();
            }
        });
        now
    }
}

impl<R: LocalResource, C: Clock> Drop for Call<'_, R, C> {
    fn drop(&mut self) {
        if self.ended_alone() {
            return;
        }
        let now = self.shared.now();
        self.shared.with(|cell, effects| {
            if let Some(held) = cell.held(self.generation) {
                held.calls -= 1;
            }
            if self.found_broken {
                // Together with the end of the call, so that the value is closed before the next is
                // opened, if no other call uses it.
                let generation = self.generation;
                cell.step(Event::ValueLost { generation }, now, effects);
                if R::CHECKED {
                    cell.suspect(generation, effects);
                }
            }
            if !cell.retired.is_empty() {
                cell.queue_unused_for_closing(effects);
                cell.finish_if_drained(now, effects);
            }
        });
    }
}

impl<R: LocalResource, C: Clock> Call<'_, R, C> {
    /// Ends it, if nothing follows from that: what follows needs the time, and somebody to be told.
    fn ended_alone(&self) -> bool {
        !self.found_broken
            && self.shared.cell.with(|cell| {
                let is_alone = cell.retired.is_empty();
                if let (true, Some(held)) = (is_alone, cell.held(self.generation)) {
                    held.calls -= 1;
                }
                is_alone
            })
    }
}

fn report<R: LocalResource, C: Clock, U>(
    shared: &ManagedShared<R, C>,
    operation: &Text,
    attempt: &Attempt<'_, U, Failed>,
) {
    let error = match &attempt.outcome {
        Outcome::Failed(failed) => failed.failure.cause(),
        Outcome::TimedOut => Cause::new("the attempt was cut off"),
        _ => return,
    };
    let retry_in = attempt.next.and_then(Decision::retry_in);
    let (attempt, error) = (attempt.number, &error);
    let failed = EventKind::CallFailed {
        operation,
        attempt,
        error,
        retry_in,
    };
    shared.reporter.send(&shared.clock, failed);
}

impl Failed {
    /// It may have run, so it is not repeated.
    const fn of_revoked(revoked: Revoked) -> Self {
        Self {
            class: ErrorClass::GiveUp,
            failure: CallFailure::Revoked(revoked),
        }
    }

    /// Opening has its own retries: what they could not do, those of the call can't.
    const fn to_open(error: OpenError) -> Self {
        Self {
            class: ErrorClass::GiveUp,
            failure: CallFailure::Open(error),
        }
    }
}
