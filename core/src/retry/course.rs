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
use crate::backoff::Pace;
use crate::config::ConfigError;
use crate::runtime::Clock;
use crate::sync::Text;
use crate::time::Instant;

/// What the user gave beside the operation.
pub(crate) struct RetryHooks<K, U, H, B> {
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
    pub(super) hooks: RetryHooks<K, U, H, B>,
    pub(super) nesting: Nesting,
    attempts: u32,
    /// `None` until the clock is read; see [`Course::is_timed_at_once`].
    began: Option<Began>,
    /// `None` until an attempt fails: the common case is spared it.
    failures: Option<Failures<E, R>>,
}

/// Since when time is counted.
#[derive(Clone, Copy)]
struct Began {
    first_attempt: Instant,
    this_attempt: Instant,
}

/// One reading of the clock.
#[derive(Clone, Copy)]
struct Reading {
    /// Time since the first attempt began.
    elapsed: Duration,
    /// Time since the current attempt began.
    took: Duration,
}

/// What is known of the attempts that failed.
struct Failures<E, R> {
    /// Whether an attempt that had not run was repeated without being counted; that is done once.
    was_repeated: bool,
    /// Whether the attempt that begins next is such a repetition.
    is_repetition: bool,
    /// `None` before the first delay, and after one that a server dictated.
    pace: Option<Pace>,
    last: Option<Ended>,
    cause: Option<E>,
    rejected: Option<R>,
    history: History,
}

impl<E, R> Failures<E, R> {
    const fn none() -> Self {
        Self {
            was_repeated: false,
            is_repetition: false,
            pace: None,
            last: None,
            cause: None,
            rejected: None,
            history: History::new(),
        }
    }
}

impl<C, E, R, K, U, H, B> Course<C, E, R, K, U, H, B> {
    pub(super) const fn new(
        clock: C,
        policy: Retry,
        name: Option<Text>,
        hooks: RetryHooks<K, U, H, B>,
    ) -> Self {
        Self {
            clock,
            policy,
            name,
            hooks,
            nesting: Nesting::new(&policy),
            attempts: 0,
            began: None,
            failures: None,
        }
    }
}

impl<C, E, R, K, U, H, B> Course<C, E, R, K, U, H, B>
where
    C: Clock,
    B: Deref<Target = Budget>,
{
    /// The first attempt is about to begin, unless the settings are wrong.
    #[inline]
    pub(super) fn begin(&mut self) -> Result<(), RetryError<E, R>> {
        if let Err(error) = self.validate() {
            return Err(RetryError::not_begun(self.name.take(), error));
        }
        if let Some(budget) = &self.hooks.budget {
            budget.deposit();
        }
        if self.is_timed_at_once() {
            self.note_beginning();
        }
        self.attempts = 1;
        self.nesting.attempt_begins();
        Ok(())
    }

    /// Returns `true` if the first attempt is timed from before its first poll.
    ///
    /// That is so where something depends on its time: a limit, or what a hook is told. Else the clock is read only once
    /// that poll has not succeeded, because a reading costs more than all the rest of an attempt that succeeds at once.
    /// Then `elapsed` and `took` miss that one poll, as the docs of [`retry`](crate::retry()) say.
    #[inline]
    const fn is_timed_at_once(&self) -> bool {
        self.policy.deadline.is_some()
            || self.policy.attempt_timeout.is_some()
            || self.hooks.on_attempt.is_some()
    }

    /// Has the time count from now, unless it does already.
    #[inline]
    pub(super) fn note_beginning(&mut self) {
        if self.began.is_none() {
            self.began = self.clock.try_now().map(|now| Began {
                first_attempt: now,
                this_attempt: now,
            });
        }
    }

    /// Reads the clock, if there is one. Time counts from the first reading.
    fn read_clock(&mut self) -> Option<Reading> {
        let now = self.clock.try_now()?;
        let began = self.began.get_or_insert(Began {
            first_attempt: now,
            this_attempt: now,
        });
        Some(Reading {
            elapsed: now - began.first_attempt,
            took: now - began.this_attempt,
        })
    }

    /// Another attempt is about to begin, unless the timer woke us too late for it, or a retry beside
    /// this one has used up the attempts meanwhile.
    #[cold]
    pub(super) fn go_on(&mut self) -> Result<(), RetryError<E, R>> {
        let elapsed = self
            .read_clock()
            .map_or(Duration::ZERO, |read| read.elapsed);
        if self.policy.is_past_deadline(elapsed) {
            return Err(self.stop(StopReason::Deadline, elapsed));
        }
        // The attempt that it repeats did nothing, and was counted for both.
        let is_counted = !core::mem::take(&mut self.failures().is_repetition);
        if is_counted && self.nesting.is_spent() {
            return Err(self.stop(StopReason::Nested, elapsed));
        }
        if let Some(began) = &mut self.began {
            began.this_attempt = began.first_attempt + elapsed;
        }
        self.attempts = self.attempts.saturating_add(1);
        if is_counted {
            self.nesting.attempt_begins();
        }
        Ok(())
    }

    /// When the current attempt has to end, whichever of the two limits comes first.
    pub(super) fn attempt_ends(&self) -> Option<Instant> {
        let began = self.began?;
        let end = |began: Instant, limit: Option<Duration>| Some(began.saturating_add(limit?));
        let of_the_whole = end(began.first_attempt, self.policy.deadline);
        let of_the_attempt = end(began.this_attempt, self.policy.attempt_timeout);
        match (of_the_whole, of_the_attempt) {
            (Some(whole), Some(attempt)) => Some(whole.min(attempt)),
            (whole, attempt) => whole.or(attempt),
        }
    }

    /// The current attempt has ended, with a result or, without one, cut off: what the whole ends
    /// with, or else when the next attempt may begin, if not at once.
    #[inline]
    pub(super) fn settle<T>(
        &mut self,
        result: Option<Result<T, E>>,
    ) -> ControlFlow<Result<T, RetryError<E, R>>, Option<Instant>>
    where
        U: Accept<T, Rejected = R>,
        K: FnMut(Failure<'_, E>) -> ErrorClass,
        H: FnMut(&Attempt<'_, T, E>),
    {
        match result {
            Some(Ok(value)) if self.hooks.until.accepts(&value) => {
                self.report_success(&value);
                ControlFlow::Break(Ok(value))
            }
            failed => match self.settle_failed(failed) {
                ControlFlow::Continue(next) => ControlFlow::Continue(next),
                ControlFlow::Break(error) => ControlFlow::Break(Err(error)),
            },
        }
    }

    /// As [`settle`](Self::settle), of an attempt whose value, if it has one, does not count.
    #[cold]
    #[inline(never)]
    fn settle_failed<T>(
        &mut self,
        result: Option<Result<T, E>>,
    ) -> ControlFlow<RetryError<E, R>, Option<Instant>>
    where
        U: Accept<T, Rejected = R>,
        K: FnMut(Failure<'_, E>) -> ErrorClass,
        H: FnMut(&Attempt<'_, T, E>),
    {
        let record = match result {
            Some(Ok(value)) => {
                let outcome = Outcome::Rejected(&value);
                let record = self.conclude(Ended::Rejected, ErrorClass::Retry, outcome);
                self.failures().rejected = U::keep(value);
                record
            }
            Some(Err(error)) => {
                let class = (self.hooks.classify)(Failure::Error(&error));
                let record = self.conclude(Ended::Failed, class, Outcome::Failed(&error));
                self.failures().cause = Some(error);
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
                let ended = self.began.map(|began| began.first_attempt + record.elapsed);
                ControlFlow::Continue(ended.map(|ended| ended + delay))
            }
            Decision::Stop(reason) => ControlFlow::Break(self.stop(reason, record.elapsed)),
        }
    }

    /// Reads the clock only if somebody wants to know: the common case is spared it.
    #[inline]
    fn report_success<T>(&mut self, value: &T)
    where
        H: FnMut(&Attempt<'_, T, E>),
    {
        if !self.hooks.tells_success || self.hooks.on_attempt.is_none() {
            return;
        }
        let read = self.read_clock();
        if let Some(on_attempt) = &mut self.hooks.on_attempt {
            on_attempt(&Attempt {
                name: self.name.as_ref().map(AsRef::as_ref),
                number: self.attempts,
                elapsed: read.map_or(Duration::ZERO, |read| read.elapsed),
                took: read.map_or(Duration::ZERO, |read| read.took),
                outcome: Outcome::Succeeded(value),
                next: None,
            });
        }
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
        let read = self.read_clock();
        let next = self.decide(read.map(|read| read.elapsed), class);
        let record = AttemptRecord {
            number: self.attempts,
            elapsed: read.map_or(Duration::ZERO, |read| read.elapsed),
            took: read.map_or(Duration::ZERO, |read| read.took),
            ended,
            next,
        };
        let failures = self.failures();
        failures.last = Some(ended);
        failures.history.push(record);
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
        let failures = self.failures.get_or_insert_with(Failures::none);
        let is_late = elapsed.is_some_and(|elapsed| self.policy.is_past_deadline(elapsed));
        if matches!(class, ErrorClass::NotRun { .. }) && !failures.was_repeated && !is_late {
            (failures.was_repeated, failures.is_repetition) = (true, true);
            return Decision::RetryIn(Duration::ZERO);
        }
        let pace = failures
            .pace
            .get_or_insert_with(|| self.policy.backoff.pace(self.clock.seed()));
        let delay = pace.next(&self.policy.backoff);
        let is_spent = self.nesting.is_spent();
        let budget = self.hooks.budget.as_deref();
        let counted = self.attempts - u32::from(failures.was_repeated);
        let next = self
            .policy
            .decide_nested(counted, elapsed, class, delay, budget, is_spent);
        if let (ErrorClass::RetryIn(_), Decision::RetryIn(_)) = (class, next) {
            failures.pace = None;
        }
        next
    }

    fn failures(&mut self) -> &mut Failures<E, R> {
        self.failures.get_or_insert_with(Failures::none)
    }

    fn stop(&mut self, reason: StopReason, elapsed: Duration) -> RetryError<E, R> {
        let failures = self.failures.take().unwrap_or_else(Failures::none);
        let stopped = Stopped {
            reason,
            attempts: self.attempts,
            elapsed,
            last: failures.last,
            cause: failures.cause,
            rejected: failures.rejected,
            history: failures.history,
        };
        RetryError::stopped(self.name.take(), stopped)
    }

    #[inline]
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
