//! The pool's work: opening, checking and closing one value.
//!
//! A piece of work is a duty: it was counted when it was claimed, and dropping it half-way gives back
//! what it held and finds somebody else to do it.

use super::openings::Ticket;
use super::shared::{Phase, Queue, Shared};
use super::slot::Slot;
use crate::Instant;
use crate::cause::Cause;
use crate::cleanup::{Corpse, Ending, Why, close_value};
use crate::contain::hook;
use crate::event::EventKind;
use crate::opening::{Refusal, open_value};
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::sync::Arc;
use crate::work::Wakes;

use core::time::Duration;

pub(crate) enum Job<R: LocalResource, C: Clock> {
    Open(OpenDuty<R, C>),
    Check(CheckDuty<R, C>),
    Close(CloseDuty<R, C>, R::Value),
}

impl<R: LocalResource, C: Clock> Job<R, C> {
    pub(crate) const fn is_close(&self) -> bool {
        matches!(self, Self::Close(..))
    }

    pub(crate) async fn perform(self) {
        match self {
            Self::Open(duty) => duty.perform().await,
            Self::Check(duty) => duty.perform().await,
            Self::Close(duty, value) => duty.perform(value).await,
        }
    }
}

/// An opening under way: a slot is reserved for what comes of it.
pub(crate) struct OpenDuty<R: LocalResource, C: Clock> {
    shared: Arc<Shared<R, C>>,
    ticket: Ticket,
    settled: bool,
}

impl<R: LocalResource, C: Clock> OpenDuty<R, C> {
    /// Claims an opening that is due. Under the queue's lock.
    pub(crate) fn claim(
        shared: &Arc<Shared<R, C>>,
        queue: &mut Queue<R::Value>,
        now: Option<Instant>,
    ) -> Self {
        queue.size += 1;
        queue.opening += 1;
        let ticket = queue.openings.begin(now);
        Self {
            shared: shared.clone(),
            ticket,
            settled: false,
        }
    }

    async fn perform(mut self) {
        let shared = self.shared.clone();
        let attempt = self.ticket.attempt;
        shared
            .reporter
            .send(&shared.clock, EventKind::OpenBegan { attempt });
        let began_at = shared.now();
        let limit = shared.config.open_timeout;
        match open_value(&shared.resource, &shared.clock, &shared.reporter, limit).await {
            Ok(value) => {
                let took = shared.now().zip(began_at).map(|(now, began)| now - began);
                let opened = EventKind::Opened { attempt, took };
                shared.reporter.send(&shared.clock, opened);
                self.opened(value);
            }
            Err(refusal) => self.failed(refusal),
        }
    }

    fn opened(&mut self, value: R::Value) {
        self.settled = true;
        let shared = &self.shared;
        let mut wakes = Wakes::default();
        shared.queue.with(|queue| {
            queue.opening -= 1;
            queue.ledger.tally.opened += 1;
            wakes.drop_cause(queue.openings.succeeded());
            if queue.phase == Phase::Open {
                shared.give(queue, Slot::new(value), &mut wakes);
            } else {
                queue.graveyard.push_back(Corpse {
                    value,
                    why: Why::OpenedTooLate,
                });
            }
            shared.poke(queue, &mut wakes);
        });
        shared.wake(wakes);
    }

    fn failed(&mut self, Refusal { class, cause }: Refusal) {
        self.settled = true;
        let shared = &self.shared;
        let now = shared.now();
        let mut wakes = Wakes::default();
        let retry_in = shared.queue.with(|queue| {
            queue.opening -= 1;
            queue.size -= 1;
            queue.ledger.tally.open_failed += 1;
            let (retry_in, forgotten) =
                queue
                    .openings
                    .failed(self.ticket, class, cause.clone(), now);
            wakes.drop_cause(forgotten);
            shared.poke(queue, &mut wakes);
            retry_in
        });
        let attempt = self.ticket.attempt;
        let failed = EventKind::OpenFailed {
            attempt,
            error: &cause,
            retry_in,
        };
        shared.reporter.send(&shared.clock, failed);
        shared.wake(wakes);
    }
}

impl<R: LocalResource, C: Clock> Drop for OpenDuty<R, C> {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let shared = &self.shared;
        let mut wakes = Wakes::default();
        shared.queue.with(|queue| {
            queue.opening -= 1;
            queue.size -= 1;
            queue.ledger.tally.open_called_off += 1;
            queue.openings.retry_without_clock();
            shared.poke(queue, &mut wakes);
        });
        shared
            .reporter
            .send(&shared.clock, EventKind::OpenCalledOff);
        shared.wake(wakes);
    }
}

/// An idle value under its check.
pub(crate) struct CheckDuty<R: LocalResource, C: Clock> {
    shared: Arc<Shared<R, C>>,
    /// Here until the check has a verdict, so that a check cut off half-way leaves it to be closed.
    slot: Option<Slot<R::Value>>,
}

impl<R: LocalResource, C: Clock> CheckDuty<R, C> {
    /// Claims a value that was taken from its stack and counted as under check.
    pub(crate) fn claim(shared: &Arc<Shared<R, C>>, slot: Slot<R::Value>) -> Self {
        Self {
            shared: shared.clone(),
            slot: Some(slot),
        }
    }

    async fn perform(mut self) {
        let shared = self.shared.clone();
        let Some(slot) = &mut self.slot else {
            return;
        };
        let limit = shared.config.check_timeout;
        let verdict = {
            let value = &mut slot.value;
            hook(&shared.clock, limit, || shared.resource.check(value)).await
        };
        match verdict {
            Ok(()) => {
                shared.reporter.send(&shared.clock, EventKind::CheckPassed);
                self.end(None);
            }
            Err(error) => {
                let error = error.into_cause();
                let failed = EventKind::CheckFailed { error: &error };
                shared.reporter.send(&shared.clock, failed);
                self.end(Some(Why::CheckFailed));
            }
        }
    }

    /// Ends the check: the value goes back, or to the graveyard.
    fn end(&mut self, failed: Option<Why>) {
        let Some(mut slot) = self.slot.take() else {
            return;
        };
        let shared = &self.shared;
        if let Some(now) = shared.now() {
            slot.check_at = shared.next_check(now);
        }
        let mut wakes = Wakes::default();
        shared.queue.with(|queue| {
            queue.checking -= 1;
            match failed {
                None => shared.give_back_idle(queue, slot, &mut wakes),
                Some(why) => queue.graveyard.push_back(Corpse {
                    value: slot.value,
                    why,
                }),
            }
            shared.poke(queue, &mut wakes);
        });
        shared.wake(wakes);
    }
}

impl<R: LocalResource, C: Clock> Drop for CheckDuty<R, C> {
    fn drop(&mut self) {
        self.end(Some(Why::CheckCutOff));
    }
}

/// A close under way.
pub(crate) struct CloseDuty<R: LocalResource, C: Clock> {
    shared: Arc<Shared<R, C>>,
    why: Why,
    limit: Option<Duration>,
    era: u64,
    settled: bool,
}

impl<R: LocalResource, C: Clock> CloseDuty<R, C> {
    /// Claims the value that has waited longest to be closed. Under the queue's lock. The close gets
    /// at most `limit`, where whoever drives it has no more time than that.
    pub(crate) fn claim(
        shared: &Arc<Shared<R, C>>,
        queue: &mut Queue<R::Value>,
        limit: Option<Duration>,
    ) -> Option<(Self, R::Value)> {
        let Corpse { value, why } = queue.graveyard.pop_front()?;
        queue.closing += 1;
        let limit = match (limit, shared.config.close_timeout) {
            (Some(own), Some(general)) => Some(own.min(general)),
            (own, general) => own.or(general),
        };
        let era = queue.era;
        Some((
            Self {
                shared: shared.clone(),
                why,
                limit,
                era,
                settled: false,
            },
            value,
        ))
    }

    async fn perform(mut self, value: R::Value) {
        let shared = self.shared.clone();
        let (ending, error) = close_value(&shared.resource, &shared.clock, self.limit, value).await;
        self.settle(ending, error);
    }

    fn settle(&mut self, ending: Ending, error: Option<Cause>) {
        self.settled = true;
        let (shared, why) = (&self.shared, self.why);
        let mut wakes = Wakes::default();
        let counts = shared.queue.with(|queue| {
            let counts = queue.era == self.era;
            if counts {
                queue.closing -= 1;
                wakes.drop_cause(queue.ledger.record(ending, why, error.clone()));
            }
            counts
        });
        if counts {
            // Before the slot is free, so that nothing that follows from it is told earlier.
            let error = error.as_ref();
            let ended = EventKind::Ended { ending, why, error };
            shared.reporter.send(&shared.clock, ended);
            shared.queue.with(|queue| {
                queue.size -= 1;
                shared.poke(queue, &mut wakes);
            });
        }
        shared.wake(wakes);
    }
}

impl<R: LocalResource, C: Clock> Drop for CloseDuty<R, C> {
    fn drop(&mut self) {
        if !self.settled {
            self.settle(Ending::Abandoned, None);
        }
    }
}

impl<R: LocalResource, C: Clock> Shared<R, C> {
    /// Tells everybody who waits that the backend is down, once the policy is exhausted and nothing
    /// that lives could serve them either.
    pub(crate) fn give_up_if_hopeless(&self, queue: &mut Queue<R::Value>, wakes: &mut Wakes) {
        let hopeless = queue.phase == Phase::Open
            && queue.openings.gave_up().is_some()
            && queue.in_service() + queue.opening == 0;
        if !hopeless {
            return;
        }
        if let Some(error) = self.backend_down(queue) {
            self.refuse_all(queue, &error, wakes);
            queue.openings.everybody_was_told();
            wakes.signal();
        }
    }
}
