//! The course of one retried operation: all of it but the polling.

use core::fmt;
use core::ops::{ControlFlow, Deref};
use core::time::Duration;

use super::error::{History, Stopped};
use super::nested::Nesting;
use super::{
    Accept, Attempt, AttemptRecord, Budget, Decision, Ended, ErrorClass, Failure, Outcome, Retry,
    RetryError, StopReason,
};
use crate::backoff::Delays;
use crate::config::ConfigError;
use crate::runtime::Clock;
use crate::sync::Text;
use crate::time::Instant;

/// What the user gave beside the operation.
pub(crate) struct Hooks<K, U, H, B> {
    pub(crate) classify: K,
    pub(crate) until: U,
    pub(crate) on_attempt: Option<H>,
    /// Whether `on_attempt` wants to hear of success as well, which costs a look at the clock.
    pub(crate) tells_success: bool,
    pub(crate) budget: Option<B>,
}

/// Counts attempts, reads the clock, asks the policy, tells the hooks, and keeps what is to be told at
/// the end.
pub(super) struct Course<C, E, R, K, U, H, B> {
    pub(super) clock: C,
    pub(super) policy: Retry,
    pub(super) name: Option<Text>,
    pub(super) hooks: Hooks<K, U, H, B>,
    pub(super) nesting: Nesting,
    started: Option<Instant>,
    attempt_started: Option<Instant>,
    attempts: u32,
    /// Whether an attempt that had not run was repeated without being counted; that is done once.
    was_repeated: bool,
    /// Whether the attempt that begins next is such a repetition.
    is_repetition: bool,
    /// Made for the first retry, so that an operation that succeeds at once asks nobody for entropy.
    delays: Option<Delays>,
    last: Option<Ended>,
    cause: Option<E>,
    rejected: Option<R>,
    history: History,
}

impl<C, E, R, K, U, H, B> Course<C, E, R, K, U, H, B> {
    pub(super) const fn new(
        clock: C,
        policy: Retry,
        name: Option<Text>,
        hooks: Hooks<K, U, H, B>,
    ) -> Self {
        Self {
            clock,
            policy,
            name,
            hooks,
            nesting: Nesting::new(&policy),
            started: None,
            attempt_started: None,
            attempts: 0,
            was_repeated: false,
            is_repetition: false,
            delays: None,
            last: None,
            cause: None,
            rejected: None,
            history: History::new(),
        }
    }
}

impl<C, E, R, K, U, H, B> Course<C, E, R, K, U, H, B>
where
    C: Clock,
    B: Deref<Target = Budget>,
{
    /// The first attempt is about to begin, unless the settings are wrong.
    pub(super) fn begin(&mut self) -> Result<(), RetryError<E, R>> {
        if let Err(error) = self.validate() {
            return Err(RetryError::not_begun(self.name.take(), error));
        }
        if let Some(budget) = &self.hooks.budget {
            budget.deposit();
        }
        self.started = self.clock.try_now();
        self.attempt_started = self.started;
        self.attempts = 1;
        self.nesting.attempt_begins();
        Ok(())
    }

    /// Another attempt is about to begin, unless the timer woke us too late for it, or a retry beside
    /// this one has used up the attempts meanwhile.
    pub(super) fn go_on(&mut self) -> Result<(), RetryError<E, R>> {
        let now = self.clock.try_now();
        let elapsed = since(self.started, now).unwrap_or_default();
        if self.policy.is_past_deadline(elapsed) {
            return Err(self.stop(StopReason::Deadline, elapsed));
        }
        // The attempt that it repeats did nothing, and was counted for both.
        let is_counted = !core::mem::take(&mut self.is_repetition);
        if is_counted && self.nesting.is_spent() {
            return Err(self.stop(StopReason::Nested, elapsed));
        }
        self.attempt_started = now;
        self.attempts = self.attempts.saturating_add(1);
        if is_counted {
            self.nesting.attempt_begins();
        }
        Ok(())
    }

    /// When the current attempt has to end, whichever of the two limits comes first.
    pub(super) fn attempt_ends(&self) -> Option<Instant> {
        let end =
            |start: Option<Instant>, limit: Option<Duration>| Some(start?.saturating_add(limit?));
        let of_the_whole = end(self.started, self.policy.deadline);
        let of_the_attempt = end(self.attempt_started, self.policy.attempt_timeout);
        match (of_the_whole, of_the_attempt) {
            (Some(whole), Some(attempt)) => Some(whole.min(attempt)),
            (whole, attempt) => whole.or(attempt),
        }
    }

    /// The current attempt has ended, with a result or, without one, cut off: what the whole ends
    /// with, or else when the next attempt may begin, if not at once.
    pub(super) fn settle<T>(
        &mut self,
        result: Option<Result<T, E>>,
    ) -> ControlFlow<Result<T, RetryError<E, R>>, Option<Instant>>
    where
        U: Accept<T, Rejected = R>,
        K: FnMut(Failure<'_, E>) -> ErrorClass,
        H: FnMut(&Attempt<'_, T, E>),
    {
        let record = match result {
            Some(Ok(value)) if self.hooks.until.accepts(&value) => {
                self.report_success(&value);
                return ControlFlow::Break(Ok(value));
            }
            Some(Ok(value)) => {
                let outcome = Outcome::Rejected(&value);
                let record = self.conclude(Ended::Rejected, ErrorClass::Retry, outcome);
                self.rejected = U::keep(value);
                record
            }
            Some(Err(error)) => {
                let class = (self.hooks.classify)(Failure::Error(&error));
                let record = self.conclude(Ended::Failed, class, Outcome::Failed(&error));
                self.cause = Some(error);
                record
            }
            None => {
                let class = (self.hooks.classify)(Failure::TimedOut);
                self.conclude(Ended::TimedOut, class, Outcome::TimedOut)
            }
        };
        match record.next {
            Decision::RetryIn(Duration::ZERO) => ControlFlow::Continue(None),
            Decision::RetryIn(delay) => {
                let ended = self.started.map(|start| start + record.elapsed);
                ControlFlow::Continue(ended.map(|ended| ended + delay))
            }
            Decision::Stop(reason) => ControlFlow::Break(Err(self.stop(reason, record.elapsed))),
        }
    }

    /// Reads the clock only if somebody wants to know: the common case is spared it.
    fn report_success<T>(&mut self, value: &T)
    where
        H: FnMut(&Attempt<'_, T, E>),
    {
        let Some(on_attempt) = self.hooks.on_attempt.as_mut() else {
            return;
        };
        if !self.hooks.tells_success {
            return;
        }
        let now = self.clock.try_now();
        on_attempt(&Attempt {
            name: self.name.as_ref().map(AsRef::as_ref),
            number: self.attempts,
            elapsed: since(self.started, now).unwrap_or_default(),
            took: since(self.attempt_started, now).unwrap_or_default(),
            outcome: Outcome::Succeeded(value),
            next: None,
        });
    }

    fn conclude<T>(
        &mut self,
        ended: Ended,
        class: ErrorClass,
        outcome: Outcome<'_, T, E>,
    ) -> AttemptRecord
    where
        H: FnMut(&Attempt<'_, T, E>),
    {
        let now = self.clock.try_now();
        let elapsed = since(self.started, now);
        let next = self.decide(elapsed, class);
        let record = AttemptRecord {
            number: self.attempts,
            elapsed: elapsed.unwrap_or_default(),
            took: since(self.attempt_started, now).unwrap_or_default(),
            ended,
            next,
        };
        self.last = Some(ended);
        self.history.push(record);
        if let Some(on_attempt) = &mut self.hooks.on_attempt {
            on_attempt(&Attempt {
                name: self.name.as_ref().map(AsRef::as_ref),
                number: record.number,
                elapsed: record.elapsed,
                took: record.took,
                outcome,
                next: Some(next),
            });
        }
        record
    }

    fn decide(&mut self, elapsed: Option<Duration>, class: ErrorClass) -> Decision {
        let is_late = elapsed.is_some_and(|elapsed| self.policy.is_past_deadline(elapsed));
        if matches!(class, ErrorClass::NotRun { .. }) && !self.was_repeated && !is_late {
            (self.was_repeated, self.is_repetition) = (true, true);
            return Decision::RetryIn(Duration::ZERO);
        }
        let delay = self.next_delay();
        let is_spent = self.nesting.is_spent();
        let budget = self.hooks.budget.as_deref();
        let counted = self.attempts - u32::from(self.was_repeated);
        let next = self
            .policy
            .decide_nested(counted, elapsed, class, delay, budget, is_spent);
        if let (ErrorClass::RetryIn(_), Decision::RetryIn(_)) = (class, next) {
            self.delays = None;
        }
        next
    }

    fn next_delay(&mut self) -> Duration {
        let delays = self
            .delays
            .get_or_insert_with(|| self.policy.backoff.delays(self.clock.seed()));
        delays.next().unwrap_or_default()
    }

    fn stop(&mut self, reason: StopReason, elapsed: Duration) -> RetryError<E, R> {
        let stopped = Stopped {
            reason,
            attempts: self.attempts,
            elapsed,
            last: self.last,
            cause: self.cause.take(),
            rejected: self.rejected.take(),
            history: core::mem::replace(&mut self.history, History::new()),
        };
        RetryError::stopped(self.name.take(), stopped)
    }

    fn validate(&self) -> Result<(), ConfigError> {
        self.policy.validate()?;
        match &self.hooks.budget {
            Some(budget) => budget.validate(),
            None => Ok(()),
        }
    }
}

impl<C, E, R, K, U, H, B> fmt::Debug for Course<C, E, R, K, U, H, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Course")
            .field("name", &self.name)
            .field("policy", &self.policy)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}

/// The time between two readings of a clock, if there is one.
fn since(earlier: Option<Instant>, now: Option<Instant>) -> Option<Duration> {
    Some(now?.saturating_duration_since(earlier?))
}
