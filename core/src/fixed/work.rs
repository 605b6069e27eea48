//! Opening, checking and closing one value.
//!
//! A piece of work was counted when it was claimed. Dropped half-way, it gives back what it held, and somebody else is
//! called to do it.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;

use super::state::FixedWork;
use super::{FixedEvent, FixedPool, Slot};
use crate::ending::{Ending, Why};
use crate::kernel::{Birth, Drawn, Generation, Life, OpeningTicket, Place};
use crate::local_resource::LocalResource;
use crate::retry::{ErrorClass, Failure};
use crate::runtime::Clock;
use crate::time::Instant;
use crate::timeout::{Elapsed, Limited};

impl<R: LocalResource, C: Clock, const VALUES: usize, const WAITERS: usize>
    FixedPool<R, C, VALUES, WAITERS>
{
    /// Does what was claimed, and is answerable for it from now on, polled or not. It is over by `until`, where whoever
    /// drives it has no more time than that.
    pub(super) fn perform(
        &self,
        work: FixedWork<R::Value>,
        until: Option<Instant>,
    ) -> impl Future<Output = ()> {
        let work = match work {
            FixedWork::Open(ticket, generation) => Claimed::Open(Opening {
                pool: self,
                ticket,
                generation,
                is_settled: false,
            }),
            FixedWork::Check(slot) => Claimed::Check(Check {
                pool: self,
                slot: Some(slot),
                unfit: Why::CheckCutOff,
            }),
            FixedWork::Close { value, why, era } => Claimed::Close(Closing {
                pool: self,
                value: Some(value),
                why,
                era,
                ending: Ending::Abandoned,
            }),
        };
        async move {
            match work {
                Claimed::Open(opening) => opening.perform().await,
                Claimed::Check(mut check) => {
                    if check.passes(until).await {
                        check.place();
                    }
                }
                Claimed::Close(closing) => closing.perform(until).await,
            }
        }
    }

    /// Has nothing closed that is retired: there is nobody to do it.
    pub(super) fn abandon_retired(&self) {
        let mut retired = [const { None }; VALUES];
        self.adjust(|state| {
            for place in &mut retired {
                *place = state.take_retired();
            }
            // Together, so that whoever looks finds as many as are counted.
            state.kernel.all_closed();
        });
        for (value, why) in retired.into_iter().flatten() {
            self.abandon(value, why);
        }
        self.transact(|_| ());
    }

    fn abandon(&self, value: R::Value, why: Why) {
        self.resource.abandon(value, why);
        self.send(None, |error| FixedEvent::Ended {
            ending: Ending::Abandoned,
            why,
            error,
        });
    }

    /// A limit, or less where there is less time.
    fn limit(
        &self,
        general: Option<core::time::Duration>,
        until: Option<Instant>,
    ) -> Option<core::time::Duration> {
        let left = until.zip(self.clock.try_now());
        let left = left.map(|(until, now)| until - now);
        left.into_iter().chain(general).min()
    }

    async fn within<F: Future>(
        &self,
        limit: Option<core::time::Duration>,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        Limited::new(self.clock.clone(), limit, future).await
    }
}

/// Work under way.
enum Claimed<'p, R: LocalResource, C: Clock, const VALUES: usize, const WAITERS: usize> {
    Open(Opening<'p, R, C, VALUES, WAITERS>),
    Check(Check<'p, R, C, VALUES, WAITERS>),
    Close(Closing<'p, R, C, VALUES, WAITERS>),
}

/// An opening under way: a place is reserved for what comes of it.
struct Opening<'p, R: LocalResource, C: Clock, const VALUES: usize, const WAITERS: usize> {
    pool: &'p FixedPool<R, C, VALUES, WAITERS>,
    ticket: OpeningTicket,
    generation: Generation,
    is_settled: bool,
}

impl<R: LocalResource, C: Clock, const VALUES: usize, const WAITERS: usize>
    Opening<'_, R, C, VALUES, WAITERS>
{
    async fn perform(mut self) {
        let (pool, attempt) = (self.pool, self.ticket.attempt);
        pool.send(None, |_| FixedEvent::OpenBegan { attempt });
        let config = &pool.config;
        let limits = config.open_timeout.into_iter();
        let limit = limits.chain(config.open_retry.attempt_timeout).min();
        let opening = pool.within(limit, pool.resource.open());
        // Dropped unless it answers: the place is free then, and another opening takes it.
        match self.unless_called_off(opening).await {
            None => {}
            Some(Ok(Ok(value))) => {
                pool.send(None, |_| FixedEvent::Opened { attempt });
                self.opened(value);
            }
            Some(Ok(Err(error))) => {
                let class = pool.resource.classify(Failure::Error(&error));
                self.failed(class, Some(error));
            }
            Some(Err(Elapsed { .. })) => {
                let class = pool.resource.classify(Failure::TimedOut);
                self.failed(class, None);
            }
        }
    }

    async fn unless_called_off<F: Future>(&self, opening: F) -> Option<F::Output> {
        let mut opening = pin!(opening);
        poll_fn(|cx| {
            let mut waker = Some(cx.waker().clone());
            let ticket = self.ticket;
            let is_called_off =
                { self.pool }.adjust(|state| state.is_called_off(ticket, &mut waker));
            if is_called_off {
                return Poll::Ready(None);
            }
            opening.as_mut().poll(cx).map(Some)
        })
        .await
    }

    fn opened(&mut self, value: R::Value) {
        let (pool, generation) = (self.pool, self.generation);
        // The clock is user code: if it panics, the opening is given up as any that is dropped.
        let at = pool.clock.try_now().unwrap_or_default();
        self.is_settled = true;
        let ticket = self.ticket;
        let unneeded = pool.transact(|state| {
            let from = state.kernel.opened(ticket, false, at);
            let slot = Slot {
                value,
                life: Life::new(Birth {
                    at,
                    generation,
                    lifetime_jitter: 0,
                }),
            };
            if state.kernel.is_open() {
                state.place(slot, from);
            } else {
                state.retire(slot, from, Why::OpenedTooLate);
            }
            state.forget_opener(ticket)
        });
        drop(unneeded);
    }

    fn failed(&mut self, class: ErrorClass, error: Option<R::Error>) {
        let (pool, ticket) = (self.pool, self.ticket);
        let mut delays = pool.adjust(|state| state.kernel.openings().delays());
        let delay = delays.next().unwrap_or_default();
        let now = pool.clock.try_now();
        self.is_settled = true;
        let (noted, waker) = pool.adjust(|state| {
            state.kernel.gave_up_opening(ticket, Place::Opening);
            let drawn = Drawn { delays, delay };
            let noted = state.note_failure(ticket, class, now, drawn);
            (noted, state.forget_opener(ticket))
        });
        drop(waker);
        // Before anybody is told of it, so that what follows is told after it.
        let attempt = ticket.attempt;
        pool.send(error.as_ref(), |error| FixedEvent::OpenFailed {
            attempt,
            error,
            retry_in: noted.retry_in,
        });
        let unneeded = pool.transact(|state| {
            if noted.is_told {
                state.keep_error(error)
            } else {
                error
            }
        });
        drop(unneeded);
    }
}

impl<R: LocalResource, C: Clock, const VALUES: usize, const WAITERS: usize> Drop
    for Opening<'_, R, C, VALUES, WAITERS>
{
    fn drop(&mut self) {
        if self.is_settled {
            return;
        }
        let ticket = self.ticket;
        let unneeded = self.pool.transact(|state| {
            state.kernel.gave_up_opening(ticket, Place::Opening);
            state.kernel.retry_without_clock();
            state.forget_opener(ticket)
        });
        drop(unneeded);
        let attempt = ticket.attempt;
        self.pool
            .send(None, |_| FixedEvent::OpenCalledOff { attempt });
    }
}

/// A value under a check, counted as such. Dropped before it has passed, it is closed: nobody knows how far that came.
struct Check<'p, R: LocalResource, C: Clock, const VALUES: usize, const WAITERS: usize> {
    pool: &'p FixedPool<R, C, VALUES, WAITERS>,
    slot: Option<Slot<R::Value>>,
    unfit: Why,
}

impl<R: LocalResource, C: Clock, const VALUES: usize, const WAITERS: usize>
    Check<'_, R, C, VALUES, WAITERS>
{
    async fn passes(&mut self, until: Option<Instant>) -> bool {
        let pool = self.pool;
        let Some(slot) = &mut self.slot else {
            return false;
        };
        let limit = pool.limit(pool.config.check_timeout, until);
        let checked = { pool.within(limit, pool.resource.check(&mut slot.value)) }.await;
        let error = match checked {
            Ok(Ok(())) => {
                slot.life.standing = crate::kernel::Standing::USED;
                return true;
            }
            Ok(Err(error)) => Some(error),
            Err(Elapsed { .. }) => None,
        };
        self.unfit = Why::CheckFailed;
        pool.send(error.as_ref(), |error| FixedEvent::CheckFailed { error });
        false
    }

    /// It goes to the next who asks.
    fn place(mut self) {
        if let Some(slot) = self.slot.take() {
            self.pool
                .transact(|state| state.place(slot, Place::Checking));
        }
    }
}

impl<R: LocalResource, C: Clock, const VALUES: usize, const WAITERS: usize> Drop
    for Check<'_, R, C, VALUES, WAITERS>
{
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            let why = self.unfit;
            self.pool
                .transact(|state| state.retire(slot, Place::Checking, why));
        }
    }
}

/// A close under way. Dropped before it is called, it abandons the value; after that it is cut off.
struct Closing<'p, R: LocalResource, C: Clock, const VALUES: usize, const WAITERS: usize> {
    pool: &'p FixedPool<R, C, VALUES, WAITERS>,
    value: Option<R::Value>,
    why: Why,
    era: u64,
    ending: Ending,
}

impl<R: LocalResource, C: Clock, const VALUES: usize, const WAITERS: usize>
    Closing<'_, R, C, VALUES, WAITERS>
{
    async fn perform(mut self, until: Option<Instant>) {
        let (pool, why) = (self.pool, self.why);
        let limit = pool.limit(pool.config.close_timeout, until);
        let Some(value) = self.value.take() else {
            return;
        };
        let closed = pool.within(limit, pool.resource.close(value, why)).await;
        let error = match closed {
            Ok(Ok(())) => {
                self.ending = Ending::Closed;
                None
            }
            Ok(Err(error)) => {
                self.ending = Ending::CloseFailed;
                Some(error)
            }
            Err(Elapsed { .. }) => {
                self.ending = Ending::CloseTimedOut;
                None
            }
        };
        let ending = self.ending;
        pool.send(error.as_ref(), |error| FixedEvent::Ended {
            ending,
            why,
            error,
        });
    }
}

impl<R: LocalResource, C: Clock, const VALUES: usize, const WAITERS: usize> Drop
    for Closing<'_, R, C, VALUES, WAITERS>
{
    fn drop(&mut self) {
        // Counted once its value is gone, and even if that panics.
        let _counted = CountedClose {
            pool: self.pool,
            why: self.why,
            era: self.era,
        };
        if let Some(value) = self.value.take() {
            self.pool.abandon(value, self.why);
        } else if self.ending == Ending::Abandoned {
            // Its close was cut off.
            let why = self.why;
            self.pool.send(None, |error| FixedEvent::Ended {
                ending: Ending::Abandoned,
                why,
                error,
            });
        }
    }
}

/// Gives the place of a value that was closed to the next.
struct CountedClose<'p, R: LocalResource, C: Clock, const VALUES: usize, const WAITERS: usize> {
    pool: &'p FixedPool<R, C, VALUES, WAITERS>,
    why: Why,
    era: u64,
}

impl<R: LocalResource, C: Clock, const VALUES: usize, const WAITERS: usize> Drop
    for CountedClose<'_, R, C, VALUES, WAITERS>
{
    fn drop(&mut self) {
        self.pool.transact(|state| {
            // Else a shutdown that had no more time has counted it.
            if state.kernel.era() == self.era {
                state.kernel.closed(self.why);
            }
        });
    }
}

/// How often a task has gone round without a rest. What is always done at once must not keep the executor to itself.
pub(super) struct Turns(u32);

impl Turns {
    const MOST: u32 = 16;

    pub(super) const fn new() -> Self {
        Self(0)
    }

    /// Lets others run now and then.
    pub(super) async fn one_more(&mut self) {
        self.0 += 1;
        if self.0 < Self::MOST {
            return;
        }
        self.0 = 0;
        let mut has_yielded = false;
        poll_fn(|cx| {
            if core::mem::replace(&mut has_yielded, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}
