//! Opening a value.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::{Context, Poll};

use super::care::check_value;
use crate::Instant;
use crate::cleanup::Why;
use crate::event::EventKind;
use crate::hooks::Hooks;
use crate::opening::{Refusal, make_ready, open_value};
use crate::pool::openings::{Drawn, Noted, Ticket, fallback_delay};
use crate::pool::shared::{Phase, Queue, Shared};
use crate::pool::slot::{Birth, Generation, Slot};
use crate::resource::LocalResource;
use crate::retry::ErrorClass;
use crate::runtime::Clock;
use crate::sync::{self, Arc};
use crate::work::Wakes;

/// An opening under way: a slot is reserved for what comes of it.
pub(crate) struct OpenDuty<R: LocalResource, C: Clock> {
    shared: Arc<Shared<R, C>>,
    ticket: Ticket,
    /// The generation of what comes of it: of when it began.
    generation: Generation,
    settled: bool,
    /// Open, and not yet ready for its first use.
    unfinished: Option<R::Value>,
    /// What that is to be closed for, if it never becomes ready.
    unfit: Why,
    /// Whether the value counts as opened, and as under care.
    counted: bool,
}

impl<R: LocalResource, C: Clock> OpenDuty<R, C> {
    /// Claims an opening that is due, unless another pool was faster to take the last place that they
    /// share. Under the queue's lock.
    pub(crate) fn claim(
        shared: &Arc<Shared<R, C>>,
        queue: &mut Queue<R::Value>,
        now: Option<Instant>,
    ) -> Option<Self> {
        if !queue.take_slot(now) {
            return None;
        }
        queue.opening += 1;
        let ticket = queue.openings.begin(now);
        Some(Self {
            shared: shared.clone(),
            ticket,
            generation: queue.limits.generation,
            settled: false,
            unfinished: None,
            unfit: Why::CheckCutOff,
            counted: false,
        })
    }

    pub(crate) const fn ticket(&self) -> Ticket {
        self.ticket
    }

    pub(crate) async fn perform(mut self) {
        let shared = self.shared.clone();
        let attempt = self.ticket.attempt;
        shared
            .reporter
            .send(&shared.clock, EventKind::OpenBegan { attempt });
        let began_at = shared.now();
        // Dropped unless it answers: the slot is free then, and another opening takes its place.
        let Some(result) = unless_called_off(&shared, self.ticket, self.open()).await else {
            return;
        };
        let took = shared.now().zip(began_at).map(|(now, began)| now - began);
        if let (Some(timings), Some(took)) = (&shared.timings, took) {
            timings.with(|timings| timings.opened.record(took));
        }
        match result {
            Ok(value) => {
                let opened = EventKind::Opened { attempt, took };
                shared.reporter.send(&shared.clock, opened);
                self.opened(value);
            }
            Err(refusal) => self.failed(refusal),
        }
    }

    async fn open(&mut self) -> Result<R::Value, Refusal> {
        let shared = self.shared.clone();
        let (limit, checks) = (shared.config.open_timeout, shared.config.check_on.open);
        let value = open_value(&shared.resource, &shared.clock, &shared.reporter, limit).await?;
        if !checks && !R::HOOKS.has(Hooks::AFTER_OPEN) {
            return Ok(value);
        }
        shared.queue.with(|queue| {
            queue.ledger.tally.opened += 1;
            queue.finishing += 1;
            queue.openings.has_value(self.ticket);
        });
        self.counted = true;
        let value = self.unfinished.insert(value);
        if checks {
            let limit = shared.config.check_timeout;
            if let Err(cause) = check_value(&shared, value, limit).await {
                self.unfit = Why::CheckFailed;
                let class = ErrorClass::Retry;
                return Err(Refusal { class, cause });
            }
        }
        if R::HOOKS.has(Hooks::AFTER_OPEN) {
            self.unfit = Why::HookCutOff;
            let limit = shared.config.hook_timeout;
            let (resource, clock) = (&shared.resource, &shared.clock);
            let ready = make_ready(resource, clock, &shared.reporter, limit, value);
            if let Err(refusal) = ready.await {
                self.unfit = Why::HookFailed;
                return Err(refusal);
            }
        }
        match self.unfinished.take() {
            Some(value) => Ok(value),
            None => unreachable!("it was put there above"),
        }
    }

    fn opened(&mut self, value: R::Value) {
        self.settled = true;
        let shared = &self.shared;
        let birth = Birth {
            at: shared.now().unwrap_or_default(),
            generation: self.generation,
            lottery: shared.random.with(|random| random.next_u64() as u8),
        };
        let mut wakes = Wakes::default();
        shared.queue.with(|queue| {
            queue.opening -= 1;
            wakes.drop_waker(queue.openings.ended(self.ticket));
            // It is counted in the same moment as it gets its place.
            if self.counted {
                queue.finishing -= 1;
            } else {
                queue.ledger.tally.opened += 1;
            }
            queue.tell_time(Some(birth.at));
            wakes.drop_cause(queue.openings.succeeded(self.ticket));
            if queue.phase == Phase::Open {
                shared.give(queue, Slot::new(value, birth), &mut wakes);
            } else {
                queue.retire(value, Why::OpenedTooLate);
            }
            shared.poke(queue, &mut wakes);
        });
        shared.wake(wakes);
    }

    fn failed(&mut self, Refusal { class, cause }: Refusal) {
        let shared = self.shared.clone();
        let drawn = shared.draw_delay();
        let now = shared.now();
        let mut wakes = Wakes::default();
        let retry_in = shared.queue.with(|queue| {
            queue.tell_time(now);
            self.settle(queue, &mut wakes);
            queue.ledger.tally.open_failed += 1;
            let openings = &mut queue.openings;
            let Noted {
                retry_in,
                forgotten,
            } = openings.failed(self.ticket, class, cause.clone(), now, drawn);
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

    /// Gives the slot back, or leaves it to the value that is to be closed, if there is one already.
    fn settle(&mut self, queue: &mut Queue<R::Value>, wakes: &mut Wakes) {
        self.settled = true;
        queue.opening -= 1;
        wakes.drop_waker(queue.openings.ended(self.ticket));
        match self.unfinished.take() {
            Some(value) => {
                queue.finishing -= 1;
                queue.retire(value, self.unfit);
            }
            None => queue.free_slots(1, wakes),
        }
        self.shared.settle_gates(queue);
    }
}

impl<R: LocalResource, C: Clock> Drop for OpenDuty<R, C> {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let shared = self.shared.clone();
        let mut wakes = Wakes::default();
        shared.queue.with(|queue| {
            self.settle(queue, &mut wakes);
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

impl<R: LocalResource, C: Clock> Shared<R, C> {
    /// Draws the delay after a failure. A custom backoff is user code: it runs under no lock, and its panic is
    /// contained.
    fn draw_delay(&self) -> Drawn {
        let mut delays = self.queue.with(|queue| queue.openings.delays());
        let delay = match sync::contain(|| delays.next()) {
            Ok(delay) => delay.unwrap_or_default(),
            Err(message) => {
                self.reporter.swallowed(&self.clock, "backoff", message);
                fallback_delay()
            }
        };
        Drawn { delays, delay }
    }

    /// Returns `true` if an opening was called off. Else its task is woken when it is.
    fn is_called_off(&self, ticket: Ticket, cx: &Context<'_>) -> bool {
        let waker = cx.waker();
        let watched = |watched: Option<bool>| watched.is_none_or(|watched| watched);
        let before = self
            .queue
            .with(|queue| queue.openings.is_watched(ticket, waker));
        if watched(before) {
            return before.is_none();
        }
        let waker = waker.clone();
        let (is_called_off, _replaced) = self.queue.with(|queue| {
            let replaced = queue.openings.watch(ticket, waker);
            let is_called_off = queue.openings.is_watched(ticket, cx.waker()).is_none();
            (is_called_off, replaced)
        });
        is_called_off
    }
}

/// Awaits an opening. Returns `None` once it is called off, and has dropped it then.
async fn unless_called_off<R: LocalResource, C: Clock, F: Future>(
    shared: &Shared<R, C>,
    ticket: Ticket,
    opening: F,
) -> Option<F::Output> {
    let mut opening = pin!(opening);
    poll_fn(|cx| {
        if shared.is_called_off(ticket, cx) {
            return Poll::Ready(None);
        }
        opening.as_mut().poll(cx).map(Some)
    })
    .await
}
