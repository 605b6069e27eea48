//! Opening a value.

use alloc::boxed::Box;
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::{Context, Poll};

use super::check::check_value;
use crate::ending::{Ending, Why};
use crate::event::EventKind;
use crate::hooks::Hooks;
use crate::kernel::{Birth, Generation, Life};
use crate::kernel::{Drawn, OpeningTicket, Place, fallback_delay};
use crate::opening::{Refusal, make_ready, open_value};
use crate::pool::shared::PoolShared;
use crate::pool::slot::Slot;
use crate::pool::state::Transaction;
use crate::resource::LocalResource;
use crate::retry::ErrorClass;
use crate::runtime::Clock;
use crate::sync::{self, Arc, CacheLine};

/// An opening under way: a slot is reserved for what comes of it.
pub(crate) struct OpenJob<R: LocalResource, C: Clock> {
    shared: Arc<PoolShared<R, C>>,
    ticket: OpeningTicket,
    /// The generation of what comes of it: of when it began.
    generation: Generation,
    settled: bool,
    /// Open, and not yet ready for its first use.
    unfinished: Option<R::Value>,
    /// What that is to be closed for, if it never becomes ready.
    unfit: Why,
    /// Whether there is a value, which counts as opened and is being made ready.
    is_finishing: bool,
}

impl<R: LocalResource, C: Clock> OpenJob<R, C> {
    /// Takes over an opening that was counted as begun.
    pub(super) fn new(
        shared: &Arc<PoolShared<R, C>>,
        ticket: OpeningTicket,
        generation: Generation,
    ) -> Self {
        Self {
            shared: shared.clone(),
            ticket,
            generation,
            settled: false,
            unfinished: None,
            unfit: Why::CheckCutOff,
            is_finishing: false,
        }
    }

    pub(crate) const fn ticket(&self) -> OpeningTicket {
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
        if let (Some(opened), Some(took)) = (&shared.times_of_openings, took) {
            opened.with(|opened| opened.record(took));
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
        shared.adjust(|transaction| {
            transaction.ledger().tally.opened += 1;
            transaction.kernel().finishes(self.ticket);
        });
        self.is_finishing = true;
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
        let shared = &self.shared;
        // The clock is user code: if it panics, the opening is given up as any that is dropped.
        let birth = Birth {
            at: shared.now().unwrap_or_default(),
            generation: self.generation,
            lifetime_jitter: shared.random.with(|random| random.next_u64() as u8),
        };
        let slot = Box::new(Slot {
            value,
            life: Life::new(birth),
            loan: shared.loan_note(),
            _line: CacheLine,
        });
        self.settled = true;
        shared.transact(|transaction| {
            transaction.forget_opening_waker(self.ticket);
            let kernel = transaction.kernel();
            let from = kernel.opened(self.ticket, self.is_finishing, birth.at);
            let is_open = kernel.is_open();
            // It is counted in the same moment as it gets its place.
            if from == Place::Opening {
                transaction.ledger().tally.opened += 1;
            }
            if is_open {
                transaction.place(slot, from);
            } else {
                transaction.retire(slot, from, Why::OpenedTooLate);
            }
        });
    }

    fn failed(&mut self, Refusal { class, cause }: Refusal) {
        let shared = self.shared.clone();
        let drawn = shared.draw_delay();
        let now = shared.now();
        let attempt = self.ticket.attempt;
        let failure = (class, cause.clone());
        shared.transact_and_tell(
            |transaction| {
                transaction.kernel().tell_time(now);
                self.settle(transaction);
                transaction.ledger().tally.open_failed += 1;
                let noted = transaction.note_failure(self.ticket, failure, now, drawn);
                noted.retry_in
            },
            |retry_in| {
                let failed = EventKind::OpenFailed {
                    attempt,
                    error: &cause,
                    retry_in,
                };
                shared.reporter.send(&shared.clock, failed);
            },
        );
    }

    /// Gives the slot back, or leaves it to the value that is to be closed, if there is one already.
    fn settle(&mut self, transaction: &mut Transaction<'_, R::Value>) {
        self.settled = true;
        transaction.forget_opening_waker(self.ticket);
        match self.unfinished.take() {
            Some(value) => {
                transaction
                    .kernel()
                    .gave_up_finishing(self.ticket, self.unfit);
                transaction.keep_retired(value, self.unfit);
            }
            None if self.is_finishing => {
                // The clock has panicked as the value was about to be placed, and has taken it along.
                let kernel = transaction.kernel();
                kernel.gave_up_opening(self.ticket, Place::Finishing);
                transaction.record_ending(Ending::Abandoned, self.unfit, None);
            }
            None => {
                let kernel = transaction.kernel();
                kernel.gave_up_opening(self.ticket, Place::Opening);
            }
        }
    }
}

impl<R: LocalResource, C: Clock> Drop for OpenJob<R, C> {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let shared = self.shared.clone();
        shared.transact_and_tell(
            |transaction| {
                self.settle(transaction);
                transaction.ledger().tally.open_called_off += 1;
                transaction.kernel().retry_without_clock();
            },
            |()| {
                shared
                    .reporter
                    .send(&shared.clock, EventKind::OpenCalledOff);
            },
        );
    }
}

impl<R: LocalResource, C: Clock> PoolShared<R, C> {
    /// Draws the delay after a failure. A custom backoff is user code: it runs under no lock, and its panic is
    /// contained.
    fn draw_delay(&self) -> Drawn {
        let mut delays = self.look(|kernel| kernel.openings().delays());
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
    fn is_called_off(&self, ticket: OpeningTicket, cx: &Context<'_>) -> bool {
        let waker = cx.waker();
        let (is_called_off, is_watched) = self.adjust(|transaction| {
            let is_called_off = transaction.kernel().openings().has_called_off(ticket);
            (is_called_off, transaction.is_watched_by(ticket, waker))
        });
        if is_called_off || is_watched {
            return is_called_off;
        }
        let waker = waker.clone();
        self.adjust(|transaction| {
            transaction.watch_opening(ticket, waker);
            transaction.kernel().openings().has_called_off(ticket)
        })
    }
}

/// Awaits an opening. Returns `None` once it is called off, and has dropped it then.
async fn unless_called_off<R: LocalResource, C: Clock, F: Future>(
    shared: &PoolShared<R, C>,
    ticket: OpeningTicket,
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
