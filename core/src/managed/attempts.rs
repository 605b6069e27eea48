//! One round of attempts to open a managed resource's value.
//!
//! The round lasts until an attempt succeeds, or until callers are to be told that attempts fail. See
//! [`openings`](super::openings) for what is kept from one round to the next.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::Poll;
use core::time::Duration;

use super::openings::{AttemptUnderWay, NextAttempt, UnansweredAfter};
use super::ready::open_ready;
use super::shared::{ManagedCell, ManagedEffects, ManagedShared};
use crate::alarm::Alarm;
use crate::backoff::Backoff;
use crate::cause::Cause;
use crate::drive::Rounds;
use crate::event::EventKind;
use crate::opening::Refusal;
use crate::resource::LocalResource;
use crate::retry::LEAST_PAUSE;
use crate::retry::nested::Nesting;
use crate::retry::{Decision, ErrorClass, StopReason};
use crate::runtime::Clock;
use crate::state::Event;
use crate::sync::{self, Arc};
use crate::time::Instant;

/// What is said of an attempt that never came to say anything.
const CUT_OFF: &str = "cut off by the deadline of its retries";

/// A round of attempts that gave no value.
#[derive(Debug)]
pub(super) struct Exhausted {
    /// `false` if another attempt is not worth making before a caller asks for it.
    pub(super) recovers: bool,
    /// The failure that ended it, not yet noted.
    pub(super) last: Option<FailedAttempt>,
}

/// An attempt that has failed.
#[derive(Debug)]
pub(super) struct FailedAttempt {
    number: u32,
    class: ErrorClass,
    /// Why no other is to be made.
    refused: Option<StopReason>,
    cause: Cause,
    at: Option<Instant>,
}

impl FailedAttempt {
    /// Notes it in the state, which callers are told of.
    pub(super) fn note<V>(
        self,
        cell: &mut ManagedCell<V>,
        generation: u64,
        effects: &mut ManagedEffects,
    ) {
        cell.step(Event::AttemptFailed { generation }, self.at, effects);
        let attempt = cell.openings.ended(self.number);
        let what = (self.class, self.refused);
        for forgotten in [
            cell.openings
                .failed(attempt, what, self.cause.clone(), self.at),
            cell.last_error.replace(self.cause),
        ] {
            effects.wakes.drop_cause(forgotten);
        }
        effects.wakes.signal();
    }
}

/// Opens a value, at the pace of the resource's openings.
pub(super) async fn open_at_pace<R: LocalResource, C: Clock>(
    shared: &Arc<ManagedShared<R, C>>,
    generation: u64,
) -> Result<R::Value, Exhausted> {
    let began_at = shared.now();
    let mut round = AttemptRound {
        shared,
        generation,
        nesting: Nesting::new(&shared.config.open_retry),
        began_at,
        ends_at: began_at
            .zip(shared.config.open_retry.deadline)
            .map(|(began_at, limit)| began_at + limit),
        begun: 0,
        failed: 0,
        last: None,
        is_over: None,
    };
    let attempt = || open_ready(shared);
    let mut under_way = UnderWaySet(Vec::new());
    let mut alarm = pin!(Alarm::unset());
    let mut change = None;
    poll_fn(|cx| {
        let mut rounds = Rounds::new();
        while rounds.go_on(cx) {
            while let Some((number, result)) = round.nesting.poll(|| under_way.poll(cx)) {
                match result {
                    Ok(value) => {
                        under_way.0.clear();
                        round.opened(number);
                        return Poll::Ready(Ok(value));
                    }
                    Err(refusal) => {
                        let is_last = under_way.0.is_empty();
                        round.attempt_failed(number, refusal, is_last);
                    }
                }
            }
            if let Some(exhausted) = round.ended(under_way.0.len()) {
                under_way.0.clear();
                return Poll::Ready(Err(exhausted));
            }
            // The value before may prove itself meanwhile, and end the pause: a call or a check that it serves.
            let changed = || shared.changed.listen();
            while Pin::new(change.get_or_insert_with(changed))
                .poll(cx)
                .is_ready()
            {
                change = None;
            }
            let wake_at = match round.next() {
                NextAttempt::Now { gives_way } => {
                    if let Some(number) = gives_way {
                        under_way.remove(number);
                        round.gave_way(number);
                    }
                    let number = round.begin();
                    under_way.0.push((number, Box::pin(attempt())));
                    continue;
                }
                NextAttempt::At(at) => Some(at),
                NextAttempt::Later => None,
            };
            let wake_at = wake_at.into_iter().chain(round.ends_at).min();
            if alarm.as_mut().poll(&shared.clock, wake_at, cx).is_pending() {
                return Poll::Pending;
            }
        }
        Poll::Pending
    })
    .await
}

/// The futures of the attempts under way, the oldest first.
struct UnderWaySet<F>(Vec<(u32, Pin<Box<F>>)>);

impl<F: Future> UnderWaySet<F> {
    /// Polls them in their order, and takes out the first that has ended.
    fn poll(&mut self, cx: &mut core::task::Context<'_>) -> Option<(u32, F::Output)> {
        for index in 0..self.0.len() {
            let (number, future) = &mut self.0[index];
            let number = *number;
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                self.0.remove(index);
                return Some((number, output));
            }
        }
        None
    }

    fn remove(&mut self, number: u32) {
        self.0.retain(|(other, _)| *other != number);
    }
}

/// The counts of one round.
struct AttemptRound<'a, R: LocalResource, C: Clock> {
    shared: &'a ManagedShared<R, C>,
    generation: u64,
    nesting: Nesting,
    began_at: Option<Instant>,
    /// Where the policy has a deadline.
    ends_at: Option<Instant>,
    begun: u32,
    failed: u32,
    last: Option<FailedAttempt>,
    /// Set once no further attempt begins in this round. Those under way may still succeed.
    is_over: Option<Over>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    /// The resource refused for good: those under way are dropped.
    Refused,
    /// Callers are to be told, and the next round is another.
    Told,
}

impl<R: LocalResource, C: Clock> AttemptRound<'_, R, C> {
    fn next(&self) -> NextAttempt {
        let shared = self.shared;
        // A policy that limits the attempts of an opening also limits those beside each other.
        let most = shared.config.open_retry.max_attempts();
        if self.is_over.is_some() || (most < u32::MAX && self.begun >= most) {
            return NextAttempt::Later;
        }
        let now = shared.now();
        shared.with(|cell, effects| {
            let next = cell.openings.next(now, R::EXCLUSIVE);
            let until = match next {
                NextAttempt::At(at) => Some(at),
                NextAttempt::Now { .. } | NextAttempt::Later => None,
            };
            if cell.openings.pause(until) {
                effects.wakes.signal();
            }
            next
        })
    }

    fn begin(&mut self) -> u32 {
        let shared = self.shared;
        self.begun = self.begun.saturating_add(1);
        self.nesting.attempt_begins();
        let (number, generation) = (self.begun, self.generation);
        let pace = shared.config.open_retry.backoff;
        let delays = shared
            .cell
            .with(|cell| cell.openings.take_delays(generation));
        let mut delays = delays.unwrap_or_else(|| pace.delays(shared.clock.seed()));
        let drawn = sync::contain(|| delays.next().unwrap_or_default());
        let delay = drawn.unwrap_or_else(|message| {
            shared
                .reporter
                .swallowed(&shared.clock, "open_pace", message);
            Backoff::OPENING.nominal(1)
        });
        // Without a limit on their number, attempts that fail at once must not make a busy loop.
        let least = match shared.config.open_retry.max_attempts() {
            u32::MAX => LEAST_PAUSE,
            _ => Duration::ZERO,
        };
        let now = shared.now();
        let unanswered_after = shared.random.with(UnansweredAfter::draw);
        let drawn = (delay.max(least), delays);
        shared
            .cell
            .with(|cell| cell.openings.began(number, now, unanswered_after, drawn));
        let began = EventKind::OpenBegan { attempt: number };
        shared.reporter.send(&shared.clock, began);
        number
    }

    fn take_off(&self, number: u32) -> Option<AttemptUnderWay> {
        self.shared.cell.with(|cell| cell.openings.ended(number))
    }

    fn opened(&self, number: u32) {
        let shared = self.shared;
        let now = shared.now();
        let began_at = self.take_off(number).and_then(|attempt| attempt.began_at);
        let opened = EventKind::Opened {
            attempt: number,
            took: now.zip(began_at).map(|(now, began_at)| now - began_at),
        };
        shared.reporter.send(&shared.clock, opened);
    }

    fn gave_way(&self, number: u32) {
        self.take_off(number);
        self.shared
            .reporter
            .send(&self.shared.clock, EventKind::OpenCalledOff);
    }

    /// Takes note of an attempt that failed: first in an event, then in the state, which callers are told of.
    fn attempt_failed(&mut self, number: u32, refusal: Refusal, is_last: bool) {
        let shared = self.shared;
        let Refusal { class, cause } = refusal;
        self.failed = self.failed.saturating_add(1);
        let (now, generation) = (shared.now(), self.generation);
        let (pause, failing_for) = shared.cell.with(|cell| {
            let openings = &cell.openings;
            let pause = openings.pause_after(class, now);
            (pause, openings.failing_for(number, now))
        });
        let elapsed = now.zip(self.began_at).map(|(now, began_at)| now - began_at);
        let is_spent = self.nesting.is_spent();
        let policy = shared.config.open_retry;
        let decision = policy.decide_nested(self.failed, elapsed, class, pause, None, is_spent);
        let is_told = failing_for
            .zip(shared.config.refuse_after)
            .is_some_and(|(failing_for, limit)| failing_for >= limit);
        let mut refused = None;
        self.is_over = match decision {
            Decision::Stop(StopReason::GivenUp) => {
                refused = Some(StopReason::GivenUp);
                Some(Over::Refused)
            }
            Decision::Stop(reason) => {
                refused = Some(reason).filter(|reason| *reason == StopReason::Nested);
                Some(Over::Told)
            }
            // While another is under way, it is not over: others may begin beside it.
            Decision::RetryIn(_) if is_told && is_last => Some(Over::Told),
            Decision::RetryIn(_) => self.is_over,
        };
        let failed = EventKind::OpenFailed {
            attempt: number,
            error: &cause,
            retry_in: decision.retry_in(),
        };
        shared.reporter.send(&shared.clock, failed);
        let failed = FailedAttempt {
            number,
            class,
            refused,
            cause,
            at: now,
        };
        // What ends the round is noted together with its end, so that who is told finds the state to match.
        let ends_it = match self.is_over {
            Some(Over::Refused) => true,
            Some(Over::Told) => is_last,
            None => false,
        };
        if ends_it {
            self.last = Some(failed);
        } else {
            shared.with(|cell, effects| failed.note(cell, generation, effects));
        }
    }

    /// How the round has ended, if it has.
    fn ended(&mut self, under_way: usize) -> Option<Exhausted> {
        let now = self.shared.now();
        if self.ends_at.zip(now).is_some_and(|(at, now)| now >= at) {
            if self.is_over.is_some() {
                return Some(self.exhausted(true));
            }
            let cut_off = Refusal {
                class: ErrorClass::Retry,
                cause: Cause::new(CUT_OFF),
            };
            self.attempt_failed(self.begun, cut_off, true);
            self.is_over = Some(Over::Told);
            return Some(self.exhausted(true));
        }
        match self.is_over? {
            Over::Refused => Some(self.exhausted(false)),
            Over::Told if under_way == 0 => Some(self.exhausted(true)),
            Over::Told => None,
        }
    }

    const fn exhausted(&mut self, recovers: bool) -> Exhausted {
        Exhausted {
            recovers,
            last: self.last.take(),
        }
    }
}
