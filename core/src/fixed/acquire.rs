//! Taking a value.

use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use core::time::Duration;

use super::error::FixedError;
use super::lease::FixedLease;
use super::state::{FixedEntry, FixedWork};
use super::work::Turns;
use super::{FixedPool, Slot};
use crate::alarm::Alarm;
use crate::kernel::{CanDo, Driver, End, QueueRequest, Since, WaiterId};
use crate::local_resource::LocalResource;
use crate::runtime::Clock;
use crate::time::Instant;

impl<R: LocalResource, C: Clock, const VALUES: usize, const WAITERS: usize>
    FixedPool<R, C, VALUES, WAITERS>
{
    /// Takes a value: one that lies idle, else whichever comes first, one that is given back or one newly opened. Whoever
    /// came first is served first.
    ///
    /// ```
    #[doc = include_str!("doc_setting.txt")]
    /// # futures::executor::block_on(async {
    /// let pool: FixedPool<Modem, NoTimer, 1, 4> = FixedPool::new(Modem, NoTimer);
    /// let value = pool.acquire().await.unwrap();
    /// assert_eq!(*value, 7);
    /// # });
    /// ```
    ///
    /// # Errors
    /// [`FixedError`] says whether the time was over, openings fail, too many wait, or the pool is closed.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: its place goes to those behind it, and a value that it had been handed goes to the
    /// next of them. An opening that it drove is called off.
    pub async fn acquire(
        &self,
    ) -> Result<FixedLease<'_, R, C, VALUES, WAITERS>, FixedError<R::Error>> {
        self.take_one(self.config.acquire_timeout).await
    }

    /// Takes a value like [`acquire`](FixedPool::acquire), waiting for at most `timeout` in all.
    ///
    /// ```
    #[doc = include_str!("doc_setting.txt")]
    /// # block_on(async {
    /// let pool = FixedPool::<_, _, 1, 4>::new(Modem, NoTimer);
    /// assert!(pool.acquire_within(Duration::from_millis(20)).await.is_ok());
    /// # });
    /// ```
    ///
    /// # Errors
    /// As [`acquire`](FixedPool::acquire).
    ///
    /// # Cancel safety
    /// As [`acquire`](FixedPool::acquire).
    pub async fn acquire_within(
        &self,
        timeout: Duration,
    ) -> Result<FixedLease<'_, R, C, VALUES, WAITERS>, FixedError<R::Error>> {
        self.take_one(Some(timeout)).await
    }

    async fn take_one(
        &self,
        limit: Option<Duration>,
    ) -> Result<FixedLease<'_, R, C, VALUES, WAITERS>, FixedError<R::Error>> {
        let now = self.clock.try_now();
        let waiter = FixedWaiter {
            pool: self,
            came_at: now.unwrap_or_default(),
            ends_at: now.zip(limit).map(|(now, limit)| now + limit),
            place: None,
            is_answered: false,
            since: None,
            end: End::Back,
        };
        waiter.wait().await
    }
}

/// A place in the queue. Dropping it gives back the place, or what came of it.
struct FixedWaiter<'p, R: LocalResource, C: Clock, const VALUES: usize, const WAITERS: usize> {
    pool: &'p FixedPool<R, C, VALUES, WAITERS>,
    came_at: Instant,
    ends_at: Option<Instant>,
    place: Option<WaiterId>,
    /// Whether it has its answer. It keeps the place until that turns out to be good.
    is_answered: bool,
    /// Since when it waits for openings, once it has joined the queue.
    since: Option<Since>,
    end: End,
}

/// What comes of waiting.
type FixedOutcome<R> =
    Result<Slot<<R as LocalResource>::Value>, FixedError<<R as LocalResource>::Error>>;

/// What a waiter finds at a turn.
enum FixedTurn<V, E> {
    Answered(Result<Slot<V>, FixedError<E>>),
    Work(FixedWork<V>),
}

impl<'p, R: LocalResource, C: Clock, const VALUES: usize, const WAITERS: usize>
    FixedWaiter<'p, R, C, VALUES, WAITERS>
{
    async fn wait(mut self) -> Result<FixedLease<'p, R, C, VALUES, WAITERS>, FixedError<R::Error>> {
        let pool = self.pool;
        let mut alarm = pin!(Alarm::unset());
        let mut unfit = None;
        let mut turns = Turns::new();
        loop {
            turns.one_more().await;
            let turn = poll_fn(|cx| self.poll_turn(&mut unfit, alarm.as_mut(), cx)).await;
            let outcome = match turn {
                FixedTurn::Answered(outcome) => outcome,
                FixedTurn::Work(work) => {
                    let is_opening = matches!(work, FixedWork::Open(..));
                    let mut work = pin!(pool.perform(work, self.ends_at));
                    let driven = |cx: &mut Context<'_>| {
                        self.poll_beside(is_opening, work.as_mut(), alarm.as_mut(), cx)
                    };
                    match poll_fn(driven).await {
                        Some(outcome) => outcome,
                        None => {
                            self.has_hands_free();
                            continue;
                        }
                    }
                }
            };
            let mut lease = FixedLease::new(pool, outcome?);
            // However it came here: it may have broken since.
            if !lease.is_broken() {
                return Ok(lease);
            }
            // It was this one's turn, and still is. The value goes once it has asked again, or what takes its place would
            // go to somebody who came later.
            self.end = End::Front;
            unfit = Some(lease);
        }
    }

    /// Looks for an answer, then for work.
    fn poll_turn(
        &mut self,
        unfit: &mut Option<FixedLease<'p, R, C, VALUES, WAITERS>>,
        mut alarm: Pin<&mut Alarm<C::Sleep>>,
        cx: &mut Context<'_>,
    ) -> Poll<FixedTurn<R::Value, R::Error>> {
        let pool = self.pool;
        loop {
            let answer = self.poll_answer(cx);
            if let Some(unfit) = unfit.take() {
                unfit.give_up_unfit();
            }
            if let Poll::Ready(answer) = answer {
                return Poll::Ready(FixedTurn::Answered(answer));
            }
            let now = pool.clock.try_now();
            if self.is_over(now) {
                return Poll::Ready(FixedTurn::Answered(Err(self.time_is_over(now))));
            }
            let resumes_at = match self.place {
                Some(waiter) => {
                    let driver = Driver::Waiter {
                        waiter,
                        newest: None,
                        may_respawn: false,
                    };
                    let claim = pool.adjust(|state| state.claim(driver, now));
                    drop(claim.forgotten);
                    if let Some(work) = claim.work {
                        return Poll::Ready(FixedTurn::Work(work));
                    }
                    claim.resumes_at
                }
                None => None,
            };
            let wake_at = resumes_at.into_iter().chain(self.ends_at).min();
            if alarm.as_mut().poll(&pool.clock, wake_at, cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Drives a piece of work. An opening loses against an answer, and anything against the end of the time.
    fn poll_beside(
        &mut self,
        is_opening: bool,
        work: Pin<&mut impl Future<Output = ()>>,
        mut alarm: Pin<&mut Alarm<C::Sleep>>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<FixedOutcome<R>>> {
        let pool = self.pool;
        if work.poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        if !is_opening {
            // It has no more time than the waiter.
            return Poll::Pending;
        }
        loop {
            if let Poll::Ready(answer) = self.poll_answer(cx) {
                return Poll::Ready(Some(answer));
            }
            let now = pool.clock.try_now();
            if self.is_over(now) {
                return Poll::Ready(Some(Err(self.time_is_over(now))));
            }
            if alarm
                .as_mut()
                .poll(&pool.clock, self.ends_at, cx)
                .is_pending()
            {
                return Poll::Pending;
            }
        }
    }

    fn poll_answer(&mut self, cx: &Context<'_>) -> Poll<FixedOutcome<R>> {
        // What is left of it is dropped outside the lock.
        let mut waker = Some(cx.waker().clone());
        let Some(place) = self.place.filter(|_| !self.is_answered) else {
            return self.join(&mut waker);
        };
        let answer = self.pool.adjust(|state| state.look(place, &mut waker));
        self.is_answered = answer.is_some();
        answer.map_or(Poll::Pending, Poll::Ready)
    }

    fn join(&mut self, waker: &mut Option<core::task::Waker>) -> Poll<FixedOutcome<R>> {
        let request = QueueRequest {
            wanted: 1,
            end: self.end,
            at: Some(self.came_at),
            failed: self.since.map(|since| since.failed),
            may_respawn: false,
            can_do: CanDo::Anything,
            shares_time: None,
        };
        let answered = self.place.take();
        self.is_answered = false;
        let entered = self.pool.transact(|state| {
            // In the same moment, so that nobody else takes it.
            if let Some(place) = answered {
                state.looked(place);
            }
            state.enter(&request, waker)
        });
        match entered {
            Ok(FixedEntry::Taken(slot)) => Poll::Ready(Ok(slot)),
            Ok(FixedEntry::Waits { waiter, since }) => {
                self.place = Some(waiter);
                self.since = Some(since);
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// The work that it drove has ended.
    fn has_hands_free(&self) {
        if let Some(place) = self.place {
            self.pool.adjust(|state| state.kernel.has_hands_free(place));
        }
    }

    fn is_over(&self, now: Option<Instant>) -> bool {
        now.zip(self.ends_at).is_some_and(|(now, at)| now >= at)
    }

    fn time_is_over(&self, now: Option<Instant>) -> FixedError<R::Error> {
        let since = self.since;
        self.pool.adjust(|state| state.time_is_over(since, now))
    }
}

impl<R: LocalResource, C: Clock, const VALUES: usize, const WAITERS: usize> Drop
    for FixedWaiter<'_, R, C, VALUES, WAITERS>
{
    fn drop(&mut self) {
        match self.place {
            Some(place) if self.is_answered => self.pool.adjust(|state| state.looked(place)),
            Some(place) => drop(self.pool.transact(|state| state.leave(place))),
            None => {}
        }
    }
}
