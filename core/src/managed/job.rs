//! The work of a managed resource: opening, checking and closing its value.
//!
//! A piece of work is a duty: dropping it half-way gives it back for somebody else to do.

use core::time::Duration;

use super::ready::open_ready;
use super::shared::{Flight, Held, Shared};
use crate::Instant;
use crate::backoff::Backoff;
use crate::cause::{Cause, Panicked};
use crate::cleanup::{Corpse, Ending, Why, abandon_quietly, close_value, take_leave};
use crate::contain::hook;
use crate::event::EventKind;
use crate::failure::OpenFailure;
use crate::opening::Refusal;
use crate::resource::LocalResource;
use crate::retry::{Attempt, Decision, ErrorClass, Outcome, RetryError, Retrying, StopReason};
use crate::runtime::Clock;
use crate::state::{Action, Event};
use crate::sync::{self, Arc};

/// What an attempt says that never came to say anything.
const CUT_OFF: &str = "cut off by the deadline of its retries";

pub(crate) enum Job<R: LocalResource, C: Clock> {
    Open(OpenDuty<R, C>),
    Check(CheckDuty<R, C>),
    Close(CloseDuty<R, C>, Arc<R::Value>),
}

impl<R: LocalResource, C: Clock> Job<R, C> {
    pub(crate) const fn is_close(&self) -> bool {
        matches!(self, Self::Close(..))
    }

    pub(crate) async fn perform(self) {
        match self {
            Self::Open(duty) => duty.perform().await,
            Self::Check(duty) => {
                // The verdict is in the state and in the events; a background check has no caller.
                let _ = duty.perform().await;
            }
            Self::Close(duty, value) => duty.perform(value).await,
        }
    }
}

/// The opening under way, its retries included.
pub(crate) struct OpenDuty<R: LocalResource, C: Clock> {
    shared: Arc<Shared<R, C>>,
    generation: u64,
    settled: bool,
}

impl<R: LocalResource, C: Clock> OpenDuty<R, C> {
    /// Takes on an opening that is due and was marked as under way.
    pub(crate) fn claim(shared: &Arc<Shared<R, C>>, generation: u64) -> Self {
        Self {
            shared: shared.clone(),
            generation,
            settled: false,
        }
    }

    async fn perform(mut self) {
        let shared = self.shared.clone();
        let mut attempt = 0;
        let attempt = || {
            attempt += 1;
            open_at_pace(&shared, self.generation, attempt)
        };
        // Each attempt is limited where its panic is contained.
        let mut policy = shared.config.retry;
        policy.attempt_timeout = None;
        if shared.config.pacing.is_some() {
            let cap = policy.backoff.longest();
            policy = policy.backoff(Backoff::constant(Duration::ZERO).cap(cap));
        }
        let result = Retrying::over(shared.clock.clone(), policy, attempt)
            .classify(|failure| {
                failure
                    .error()
                    .map_or(ErrorClass::Retry, |refusal| refusal.class)
            })
            .on_attempt(|attempt| self.note(attempt))
            .await;
        match result {
            Ok(value) => self.opened(value),
            Err(error) => self.failed(error),
        }
    }

    /// Takes note of one attempt, in an event and, if it failed, in the state.
    fn note(&self, attempt: &Attempt<'_, R::Value, Refusal>) {
        let shared = &self.shared;
        let number = attempt.number;
        let (error, asked) = match &attempt.outcome {
            Outcome::Succeeded(_) => {
                let pacing = shared.config.pacing.as_ref();
                let began_at = pacing.and_then(|pacing| pacing.attempt_began_at());
                let now = shared.now();
                let took = match now.zip(began_at) {
                    Some((now, began_at)) => Some(now - began_at),
                    None => now.map(|_| attempt.took),
                };
                let opened = EventKind::Opened {
                    attempt: number,
                    took,
                };
                return shared.reporter.send(&shared.clock, opened);
            }
            Outcome::Failed(refusal) => (refusal.cause.clone(), refusal.class.least_delay()),
            Outcome::Rejected(_) | Outcome::TimedOut => (Cause::new(CUT_OFF), Duration::ZERO),
        };
        let (now, generation) = (shared.now(), self.generation);
        if let (Some(pacing), Some(now), true) =
            (&shared.config.pacing, now, asked > Duration::ZERO)
        {
            pacing.postpone(generation, now + asked);
        }
        shared.with(|cell, effects| {
            cell.step(Event::AttemptFailed { generation }, now, effects);
            let forgotten = cell.last_error.replace(error.clone());
            effects.wakes.drop_cause(forgotten);
        });
        let paced = shared
            .config
            .pacing
            .as_ref()
            .and_then(|pacing| pacing.next_at());
        let paced = paced.zip(now).map(|(at, now)| at - now);
        let retry_in = attempt.next.and_then(Decision::retry_in);
        let failed = EventKind::OpenFailed {
            attempt: number,
            error: &error,
            retry_in: retry_in.map(|delay| delay.max(paced.unwrap_or_default())),
        };
        shared.reporter.send(&shared.clock, failed);
    }

    fn opened(&mut self, value: R::Value) {
        self.settled = true;
        let shared = &self.shared;
        let now = shared.now();
        let check_at = shared.config.check_every.zip(now).map(|(every, now)| {
            // An initial delay is a time of grace: not a moment less.
            now + shared
                .config
                .initial_delay
                .unwrap_or_else(|| shared.jittered(every))
        });
        let generation = self.generation;
        let value = Arc::new(value);
        shared.with(|cell, effects| {
            cell.flight = Flight::None;
            cell.ledger.tally.opened += 1;
            if cell.step(Event::Opened { generation }, now, effects) == Action::Keep {
                cell.current = Some(Held {
                    value,
                    generation,
                    calls: 0,
                    used_at: None,
                });
                cell.check_at = check_at;
                let forgotten = cell.failure.take();
                effects
                    .wakes
                    .drop_cause(forgotten.map(|(_, failure)| failure.cause));
                effects.wakes.push(cell.runner.take_waker());
            } else {
                cell.graveyard.push_back(Corpse {
                    value,
                    why: Why::OpenedTooLate,
                });
                cell.bury_retired(effects);
            }
        });
    }

    fn failed(&mut self, error: RetryError<Refusal>) {
        self.settled = true;
        let shared = &self.shared;
        let now = shared.now();
        let stopped = error.reason();
        let (attempts, elapsed) = (error.attempts(), error.elapsed());
        let (cause, asked) = match error.into_cause() {
            Some(refusal) => (refusal.cause, refusal.class.least_delay()),
            None => (Cause::new(CUT_OFF), Duration::ZERO),
        };
        let failure = OpenFailure {
            attempts,
            elapsed: now.map(|_| elapsed),
            stopped: Some(stopped),
            cause,
        };
        // What is not worth a retry is not worth an attempt that nobody asked for either.
        let recovers = stopped != StopReason::GivenUp;
        let delay = shared.jittered(shared.config.recovery_delay()).max(asked);
        let generation = self.generation;
        shared.with(|cell, effects| {
            cell.flight = Flight::None;
            cell.ledger.tally.open_failed += 1;
            let forgotten = cell.failure.replace((generation, failure));
            effects
                .wakes
                .drop_cause(forgotten.map(|(_, failure)| failure.cause));
            cell.step(Event::OpenFailed { generation }, now, effects);
            cell.recover_at = now.filter(|_| recovers).map(|now| now + delay);
            cell.finish_if_drained(now, effects);
            effects.wakes.push(cell.runner.take_waker());
            effects.wakes.signal();
        });
    }
}

/// One attempt, once it is time for it.
async fn open_at_pace<R: LocalResource, C: Clock>(
    shared: &Arc<Shared<R, C>>,
    generation: u64,
    attempt: u32,
) -> Result<R::Value, Refusal> {
    if let Some(pacing) = &shared.config.pacing {
        pacing.pause(&shared.clock, &shared.changed).await;
        pacing.attempt_began(generation, shared.now(), shared.clock.seed());
    }
    shared
        .reporter
        .send(&shared.clock, EventKind::OpenBegan { attempt });
    open_ready(shared).await
}

impl<R: LocalResource, C: Clock> Drop for OpenDuty<R, C> {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let (now, generation) = (self.shared.now(), self.generation);
        self.shared.with(|cell, effects| {
            cell.flight = Flight::None;
            cell.ledger.tally.open_called_off += 1;
            if cell.waiting > 0 && !cell.is_closing() {
                // Somebody still wants the value: the next of them starts anew.
                cell.flight = Flight::Due;
            } else {
                cell.step(Event::OpenCalledOff { generation }, now, effects);
            }
            cell.finish_if_drained(now, effects);
            effects.wakes.push(cell.runner.take_waker());
            effects.wakes.signal();
        });
        self.shared
            .reporter
            .send(&self.shared.clock, EventKind::OpenCalledOff);
    }
}

/// A check under way.
pub(crate) struct CheckDuty<R: LocalResource, C: Clock> {
    shared: Arc<Shared<R, C>>,
    value: Arc<R::Value>,
    generation: u64,
    /// Whether the Runner does it, by its schedule.
    scheduled: bool,
}

impl<R: LocalResource, C: Clock> CheckDuty<R, C> {
    pub(crate) fn claim(
        shared: &Arc<Shared<R, C>>,
        held: &Held<R::Value>,
        scheduled: bool,
    ) -> Self {
        let (value, generation) = (held.value.clone(), held.generation);
        Self {
            shared: shared.clone(),
            value,
            generation,
            scheduled,
        }
    }

    /// Checks the value, and tells the machine.
    pub(crate) async fn perform(self) -> Result<(), Cause> {
        let shared = &*self.shared;
        let limit = shared.config.check_timeout;
        let mut is_dead = true;
        let verdict = match sync::contain(|| (shared.clone_value)(&self.value)) {
            Ok(mut value) => {
                let check = hook(&shared.clock, limit, || shared.resource.check(&mut value));
                let verdict = check.await.map_err(|error| {
                    let counts = || shared.resource.counts_as_dead(error.as_failure());
                    is_dead = sync::contain(counts).unwrap_or_else(|message| {
                        let phase = "counts_as_dead";
                        shared.reporter.swallowed(&shared.clock, phase, message);
                        true
                    });
                    error.into_cause()
                });
                // The clone is the user's to drop, and it may panic.
                if let Err(message) = sync::contain(|| drop(value)) {
                    let reporter = &shared.reporter;
                    reporter.swallowed(&shared.clock, "drop of a value", message);
                }
                verdict
            }
            Err(message) => Err(Cause::new(Panicked::new(message))),
        };
        let (now, generation) = (shared.now(), self.generation);
        let event = match &verdict {
            Ok(()) => {
                if let Some(pacing) = &shared.config.pacing {
                    pacing.proven(generation);
                }
                shared.reporter.send(&shared.clock, EventKind::CheckPassed);
                Event::CheckPassed { generation }
            }
            Err(error) => {
                shared
                    .reporter
                    .send(&shared.clock, EventKind::CheckFailed { error });
                if is_dead {
                    Event::CheckFailed { generation }
                } else {
                    Event::Unwell { generation }
                }
            }
        };
        shared.with(|cell, effects| {
            let current = cell.current.as_ref().map(|held| held.generation);
            if let (Err(error), true) = (&verdict, current == Some(generation)) {
                let forgotten = cell.last_error.replace(error.clone());
                effects.wakes.drop_cause(forgotten);
            }
            cell.step(event, now, effects);
        });
        verdict
    }
}

impl<R: LocalResource, C: Clock> Drop for CheckDuty<R, C> {
    fn drop(&mut self) {
        if !self.scheduled {
            return;
        }
        let shared = &self.shared;
        let every = shared.config.check_every;
        let next = shared
            .now()
            .zip(every)
            .map(|(now, every)| now + shared.jittered(every));
        shared.with(|cell, effects| {
            if cell.checking == Some(self.generation) {
                cell.checking = None;
            }
            if cell.current.is_some() && cell.machine.generation() == self.generation {
                cell.check_at = next;
            }
            effects.wakes.push(cell.runner.take_waker());
        });
    }
}

/// A close under way.
pub(crate) struct CloseDuty<R: LocalResource, C: Clock> {
    shared: Arc<Shared<R, C>>,
    /// Here from its first poll until its close is called. Dropped meanwhile, it is abandoned.
    value: Option<R::Value>,
    why: Why,
    /// When whoever drives it has no more time.
    until: Option<Instant>,
    era: u64,
    settled: bool,
}

impl<R: LocalResource, C: Clock> CloseDuty<R, C> {
    /// Takes on a close that was counted as under way. It gets at most `limit`.
    pub(crate) fn claim(
        shared: &Arc<Shared<R, C>>,
        why: Why,
        era: u64,
        limit: Option<Duration>,
    ) -> Self {
        Self {
            shared: shared.clone(),
            value: None,
            why,
            until: shared.now().zip(limit).map(|(now, limit)| now + limit),
            era,
            settled: false,
        }
    }

    pub(super) async fn perform(mut self, value: Arc<R::Value>) {
        let shared = self.shared.clone();
        let value = match shared.unshare(value) {
            Ok(value) => self.value.insert(value),
            Err(cause) => return self.settle(Ending::CloseFailed, Some(cause)),
        };
        let (resource, clock, reporter) = (&shared.resource, &shared.clock, &shared.reporter);
        let limit = limit_until(clock, self.until, shared.config.hook_timeout);
        take_leave(resource, clock, reporter, limit, value).await;
        if let Some(value) = self.value.take() {
            let limit = limit_until(clock, self.until, shared.config.close_timeout);
            let why = self.why;
            let (ending, error) = close_value(resource, clock, limit, Corpse { value, why }).await;
            self.settle(ending, error);
        }
    }
}

/// The general limit, or the time that is left if that is less.
fn limit_until(
    clock: &impl Clock,
    until: Option<Instant>,
    general: Option<Duration>,
) -> Option<Duration> {
    let left = until.zip(clock.try_now()).map(|(until, now)| until - now);
    left.into_iter().chain(general).min()
}

impl<R: LocalResource, C: Clock> CloseDuty<R, C> {
    fn settle(&mut self, ending: Ending, error: Option<Cause>) {
        self.settled = true;
        let (shared, why) = (&self.shared, self.why);
        let now = shared.now();
        let counts = shared.with(|cell, effects| {
            let counts = cell.era == self.era;
            if counts {
                cell.closing -= 1;
                let forgotten = cell.ledger.record(ending, why, error.clone());
                effects.wakes.drop_cause(forgotten);
            }
            counts
        });
        if counts {
            let ended = EventKind::Ended {
                ending,
                why,
                error: error.as_ref(),
            };
            shared.reporter.send(&shared.clock, ended);
        }
        shared.with(|cell, effects| {
            cell.finish_if_drained(now, effects);
            effects.wakes.push(cell.runner.take_waker());
            effects.wakes.signal();
        });
    }
}

impl<R: LocalResource, C: Clock> Drop for CloseDuty<R, C> {
    fn drop(&mut self) {
        if !self.settled {
            let (value, why) = (self.value.take(), self.why);
            let error = value
                .and_then(|value| abandon_quietly(&self.shared.resource, Corpse { value, why }));
            self.settle(Ending::Abandoned, error);
        }
    }
}
