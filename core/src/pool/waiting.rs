//! The future that waits for a value.

use alloc::boxed::Box;
use core::future::Future;
use core::panic::Location;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use pin_project_lite::pin_project;

use super::error::AcquireError;
use super::job::{CareDuty, CloseDuty, Done, Job, OpenDuty};
use super::lend::found_broken;
use super::openings::{Since, Ticket};
use super::queue::{End, Look, Place};
use super::refusal::Rejected;
use super::shared::{Answer, Entry, Handed, Request, Shared};
use super::slot::Slot;
use crate::Instant;
use crate::alarm::Alarm;
use crate::cleanup::Why;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::sync::Arc;
use crate::work::{OneJob, Rounds, Wakes};

pin_project! {
    /// Waits for one value or for several at once, for a limited time.
    ///
    /// Where there is no Runner, the waiter also does the work it needs: it opens a value, or first
    /// closes a dying one whose slot it needs. An opening loses the race against a value that comes back;
    /// a close is finished first, within the waiter's own time.
    pub(crate) struct Waiting<'p, R: LocalResource, C: Clock, P, J, L> {
        waiter: Waiter<'p, R, C>,
        // How a job is performed. A type of its own, because that of the future has no name.
        perform: P,
        // What is made of what was handed over.
        lend: L,
        work: OneJob<J>,
        working: Working,
        #[pin]
        alarm: Alarm<C::Sleep>,
    }
}

/// What is waited for.
pub(crate) struct Wish {
    pub(crate) wanted: u32,
    pub(crate) end: End,
    /// For how long, in all.
    pub(crate) within: Option<Duration>,
    /// Whether it is an acquire of its own, not a part of one.
    pub(crate) timed: bool,
    /// What was handed over before, and was no good.
    pub(crate) rejected: Option<Box<Rejected>>,
    /// Who asks.
    pub(crate) asked_at: &'static Location<'static>,
}

/// A place in the queue. Dropping it gives back the place, or what came of it.
pub(super) struct Waiter<'p, R: LocalResource, C: Clock> {
    pub(super) shared: &'p Arc<Shared<R, C>>,
    place: Option<Place>,
    wanted: u32,
    stage: Stage,
    pub(super) end: End,
    /// Whether a Runner saw it join, until that was made use of.
    is_driven: bool,
    timed: bool,
    /// `true` until it has tried to spawn a lost Runner: once, for the executor may be gone.
    may_respawn: bool,
    pub(super) self_deadlock: bool,
    /// Whether it has joined the queue before.
    has_joined: bool,
    pub(super) began_at: Instant,
    /// How many attempts had failed when it joined the queue.
    failed_before: u32,
    /// Until it has begun, this is how long it may take, counted from the epoch.
    deadline: Instant,
    asked_at: &'static Location<'static>,
    /// What was handed over and was no good.
    pub(super) rejected: Option<Box<Rejected>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Unpolled,
    Begun,
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Working {
    /// On nothing, or on a value that came back.
    Interruptible,
    /// On an opening, which loses against an answer.
    Opening { newest: Ticket },
    /// On a close, which is finished first.
    Closing,
    /// On the value that is to be lent.
    Preparing { since: Instant },
}

impl<'p, R: LocalResource, C: Clock, P, J, L> Waiting<'p, R, C, P, J, L>
where
    P: Fn(Job<R, C>) -> J,
    J: Future<Output = Done<R, C>>,
{
    #[inline]
    pub(crate) fn new(shared: &'p Arc<Shared<R, C>>, wish: Wish, perform: P, lend: L) -> Self {
        let within = wish
            .within
            .map_or(Instant::MAX, |within| Instant::EPOCH + within);
        Self {
            waiter: Waiter {
                shared,
                place: None,
                wanted: wish.wanted,
                stage: Stage::Unpolled,
                end: wish.end,
                is_driven: false,
                timed: wish.timed,
                may_respawn: true,
                self_deadlock: false,
                began_at: Instant::EPOCH,
                failed_before: 0,
                has_joined: false,
                deadline: within,
                asked_at: wish.asked_at,
                rejected: wish.rejected,
            },
            perform,
            lend,
            work: OneJob::none(),
            working: Working::Interruptible,
            alarm: Alarm::unset(),
        }
    }
}

impl<'p, R, C, P, J, L, T> Future for Waiting<'p, R, C, P, J, L>
where
    R: LocalResource,
    C: Clock,
    P: Fn(Job<R, C>) -> J,
    J: Future<Output = Done<R, C>>,
    L: Fn(&'p Arc<Shared<R, C>>, Handed<R::Value>, &'static Location<'static>) -> T,
{
    type Output = Result<T, AcquireError>;

    // So that the lease is made where it is used. Handed out of a call it would be copied while it is still
    // being written, and the processor would wait for that.
    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let waiter = this.waiter;
        let shared = waiter.shared;
        // The whole of the common case.
        if waiter.stage == Stage::Unpolled && waiter.is_plain() {
            while let Some(mut slot) = shared.take_idle() {
                if !shared.is_broken(&mut slot) {
                    waiter.stage = Stage::Over;
                    return Poll::Ready(Ok((this.lend)(
                        shared,
                        Handed::One(slot),
                        waiter.asked_at,
                    )));
                }
                shared.doubt_others();
                waiter.retire_idle(slot, Why::Broken);
            }
        }
        let jobs = Jobs {
            work: &mut *this.work,
            working: this.working,
        };
        let answer = waiter.poll_slowly(this.perform, jobs, this.alarm, cx);
        answer.map(|answer| {
            // An opening that lost against the answer is called off now, whenever this is dropped.
            this.work.clear();
            match answer {
                Ok(handed) => Ok((this.lend)(shared, handed, waiter.asked_at)),
                Err(error) => Err(shared.told_within_retries(*error)),
            }
        })
    }
}

impl<R: LocalResource, C: Clock> Waiter<'_, R, C> {
    /// Whether a value that lies idle is the answer as it is.
    #[inline(always)]
    fn is_plain(&self) -> bool {
        self.wanted == 1 && self.shared.lends_plainly
    }

    /// Takes an idle value out of service that is unfit. It was this waiter's turn, and still is.
    #[cold]
    fn retire_idle(&mut self, slot: Slot<R::Value>, why: Why) {
        self.end = End::Front;
        self.shared.bury(slot, why);
    }

    /// Takes an idle value that is within its limits, where those are strict.
    #[cold]
    fn take_within_limits(&mut self, now: Option<Instant>) -> Option<Slot<R::Value>> {
        let shared = self.shared;
        if self.wanted > 1 || shared.prepares() {
            return None;
        }
        while let Some(mut slot) = shared.take_idle() {
            match shared.unfit_to_lend(&mut slot, self.began_at, now) {
                None => return Some(slot),
                Some(why) => self.retire_idle(slot, why),
            }
        }
        None
    }

    #[inline(never)]
    fn poll_slowly<P, J>(
        &mut self,
        perform: &P,
        jobs: Jobs<'_, J>,
        mut alarm: Pin<&mut Alarm<C::Sleep>>,
        cx: &mut Context<'_>,
    ) -> Poll<Answer<R::Value>>
    where
        P: Fn(Job<R, C>) -> J,
        J: Future<Output = Done<R, C>>,
    {
        let shared = self.shared;
        let Jobs { work, working } = jobs;
        assert!(
            self.stage != Stage::Over,
            "an acquire was polled after it had completed"
        );
        let mut now = None;
        if self.stage == Stage::Unpolled {
            now = self.begin();
            if shared.is_strict {
                if let Some(slot) = self.take_within_limits(now) {
                    return self.ends(Ok(Handed::One(slot)));
                }
            }
        }
        let mut rounds = Rounds::new();
        let mut unfit = None;
        while rounds.go_on(cx) {
            let done = if work.is_none() {
                None
            } else {
                // What comes of an older one is in the queue.
                work.poll_older(cx);
                work.poll(cx)
            };
            if let Some(done) = done {
                let worked_on = *working;
                // Else an older opening still runs.
                if work.is_none() {
                    *working = Working::Interruptible;
                }
                self.set_busy(!work.is_none());
                match done {
                    Done::Nothing => {}
                    Done::Ready(slot) => return self.ends(Ok(Handed::One(slot))),
                    Done::Unfit(cause, duty) => {
                        self.note_rejected(cause, worked_on);
                        unfit = Some(duty);
                    }
                }
            }
            match *working {
                Working::Preparing { .. } => {
                    // Its limits are the waiter's own, so that it ends before the deadline does.
                    return Poll::Pending;
                }
                Working::Interruptible | Working::Opening { .. } => {
                    let answer = self.poll_answer(cx);
                    // It has asked again by now.
                    drop(unfit.take());
                    if let Poll::Ready(answer) = answer {
                        match answer {
                            Ok(Handed::One(mut slot)) if self.wanted == 1 => {
                                // Outside all locks, and however it came here: it may have broken since.
                                if let Some(why) =
                                    shared.unfit_to_lend(&mut slot, self.began_at, None)
                                {
                                    self.end = End::Front;
                                    if why == Why::Broken {
                                        self.note_rejected(found_broken(), Working::Interruptible);
                                    }
                                    unfit = Some(CareDuty::claim_unfit(shared, slot, why));
                                    continue;
                                }
                                let checks = shared.checks_before_lending(&slot);
                                if !checks && !shared.prepares() {
                                    return self.ends(Ok(Handed::One(slot)));
                                }
                                now = shared.now();
                                if self.is_over(now) {
                                    // A check without time would be cut off, and the value lost.
                                    shared.return_unused(slot);
                                    let error = self.time_is_over(now);
                                    return self.ends(Err(Box::new(error)));
                                }
                                let since = now.unwrap_or_default();
                                *working = Working::Preparing { since };
                                let duty =
                                    CareDuty::claim_lent(shared, slot, self.deadline, checks);
                                work.begin(perform(Job::Care(duty)));
                                continue;
                            }
                            answer => return self.ends(answer),
                        }
                    }
                }
                Working::Closing => {
                    // It has no more time than the waiter, so it ends before the deadline does.
                    return Poll::Pending;
                }
            }
            if self.deadline != Instant::MAX {
                // After the answer was looked for, since a reading costs as much as all of that.
                now = now.or_else(|| shared.now());
                if self.is_over(now) {
                    let error = self.time_is_over(now);
                    return self.ends(Err(Box::new(error)));
                }
            }
            if let Some(held) = self.refused_for_self_deadlock() {
                let pool = shared.reporter.name.clone();
                return self.ends(Err(Box::new(AcquireError::SelfDeadlock { pool, held })));
            }
            // Whoever has just joined the queue was seen by the Runner, if there is one.
            let is_driven = core::mem::take(&mut self.is_driven);
            let claim = match *working {
                _ if is_driven => Claim::NOTHING,
                Working::Opening { newest } => self.claim(&mut now, Some(newest)),
                _ if work.is_none() => self.claim(&mut now, None),
                _ => Claim::NOTHING,
            };
            // What comes next may come later.
            now = None;
            let resumes_at = match claim {
                Claim::Job(job) => {
                    *working = match &job {
                        Job::Open(duty) => Working::Opening {
                            newest: duty.ticket(),
                        },
                        Job::Close(_) => Working::Closing,
                        Job::Care(_) => Working::Interruptible,
                    };
                    // An opening under way is overdue. It runs on beside this one, unless another does already.
                    work.begin_beside(perform(job));
                    continue;
                }
                Claim::Runner => {
                    self.may_respawn = false;
                    Shared::respawn(shared);
                    continue;
                }
                Claim::Nothing { resumes_at } => resumes_at,
            };
            let wake_at = resumes_at.map_or(self.deadline, |at| at.min(self.deadline));
            let wake_at = (wake_at != Instant::MAX).then_some(wake_at);
            if alarm.as_mut().poll(&shared.clock, wake_at, cx).is_pending() {
                return Poll::Pending;
            }
        }
        Poll::Pending
    }

    /// Reads the clock, if the time counts.
    fn begin(&mut self) -> Option<Instant> {
        self.stage = Stage::Begun;
        let within = core::mem::replace(&mut self.deadline, Instant::MAX);
        if within == Instant::MAX && self.shared.timings.is_none() && !self.shared.is_strict {
            return None;
        }
        let now = self.shared.now()?;
        self.began_at = now;
        if within != Instant::MAX {
            self.deadline = now + (within - Instant::EPOCH);
        }
        Some(now)
    }

    fn is_over(&self, now: Option<Instant>) -> bool {
        self.deadline != Instant::MAX && now.is_some_and(|now| now >= self.deadline)
    }

    #[inline(always)]
    fn ends(&mut self, answer: Answer<R::Value>) -> Poll<Answer<R::Value>> {
        self.stage = Stage::Over;
        if self.timed {
            self.shared.record_wait(self.began_at);
        }
        // A close may have kept the waiter from its answer; from here on it has no place.
        if let Some(place) = self.place.take() {
            self.shared.leave(place);
        }
        Poll::Ready(answer)
    }

    #[inline(always)]
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Answer<R::Value>> {
        let Some(place) = self.place else {
            return self.join(cx);
        };
        match self.look(place, cx) {
            Look::Answered(answer) => self.answered(answer),
            Look::Waiting => Poll::Pending,
            Look::WakerNeeded => self.renew_waker(place, cx),
        }
    }

    /// Since when it waits for openings, if it has joined the queue.
    pub(super) fn since(&self) -> Option<Since> {
        let at = self.began_at;
        let failed = self.failed_before;
        self.has_joined.then_some(Since { at, failed })
    }

    fn join(&mut self, cx: &Context<'_>) -> Poll<Answer<R::Value>> {
        let shared = self.shared;
        // Read already where the time counts, or where somebody asked for it.
        let mut is_known = self.has_joined
            || self.deadline != Instant::MAX
            || shared.timings.is_some()
            || shared.is_strict;
        loop {
            let request = Request {
                wanted: self.wanted,
                end: self.end,
                at: is_known.then_some(self.began_at),
                failed: self.has_joined.then_some(self.failed_before),
            };
            match shared.enter(cx.waker().clone(), request, self.may_respawn) {
                Ok(Entry::Taken(handed)) => return Poll::Ready(Ok(handed)),
                Ok(Entry::Waits {
                    place,
                    driven,
                    failed,
                }) => {
                    self.place = Some(place);
                    self.is_driven = driven;
                    self.failed_before = failed;
                    self.has_joined = true;
                    self.notice_self_deadlock();
                    return Poll::Pending;
                }
                Ok(Entry::RunnerLost) => {
                    self.may_respawn = false;
                    Shared::respawn(shared);
                }
                Ok(Entry::TimeWanted) => {
                    is_known = true;
                    self.began_at = shared.now().unwrap_or_default();
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Clones the task's waker outside the lock, and looks once more when it stores it.
    #[cold]
    #[inline(never)]
    fn renew_waker(&mut self, place: Place, cx: &Context<'_>) -> Poll<Answer<R::Value>> {
        let waker = cx.waker().clone();
        let stored = self
            .shared
            .queue
            .with(|queue| queue.waiters.store_waker(place, waker));
        match stored {
            Ok(_replaced) => Poll::Pending,
            Err(_unneeded) => match self.look(place, cx) {
                Look::Answered(answer) => self.answered(answer),
                Look::Waiting | Look::WakerNeeded => Poll::Pending,
            },
        }
    }

    /// Looks for the answer. A waiter that leaves with it may have been woken to do work: somebody else must.
    #[inline(always)]
    fn look(&self, place: Place, cx: &Context<'_>) -> Look<Answer<R::Value>> {
        let mut wakes = Wakes::default();
        let look = self.shared.queue.with(|queue| {
            let look = queue.waiters.look(place, cx.waker());
            if matches!(look, Look::Answered(_)) {
                self.shared.poke(queue, &mut wakes);
            }
            look
        });
        self.shared.wake(wakes);
        look
    }

    #[inline(always)]
    fn answered(&mut self, answer: Answer<R::Value>) -> Poll<Answer<R::Value>> {
        self.place = None;
        Poll::Ready(answer)
    }

    /// Claims work that this waiter needs done and that no Runner does: while it drives an opening, only another,
    /// once that one is overdue.
    fn claim(&self, now: &mut Option<Instant>, newest: Option<Ticket>) -> Claim<R, C> {
        let shared = self.shared;
        *now = now.or_else(|| shared.now());
        let (now, opens) = (*now, newest.is_some());
        let mut wakes = Wakes::default();
        let claim = shared.queue.with(|queue| {
            let Some(place) = self.place else {
                return Claim::NOTHING;
            };
            if queue.runner.is_attached() {
                return Claim::NOTHING;
            }
            if self.may_respawn && queue.runner.claim_respawn() {
                return Claim::Runner;
            }
            shared.settle_family_in_turn(queue, now, &mut wakes);
            shared.note_time(queue, now, &mut wakes);
            // Had it two that are not overdue, it would drop one for the other on and on.
            let is_fresh = newest.is_some_and(|newest| queue.openings.is_fresh(newest));
            if !opens {
                if let Some(duty) = Shared::claim_returned(shared, queue) {
                    queue.waiters.set_busy(place, true);
                    return Claim::Job(Job::Care(duty));
                }
            }
            let wanted = !is_fresh && queue.openings_wanted(&shared.config) > 0;
            let due = queue.openings_due(&shared.config) > 0;
            let wants_place = !is_fresh && queue.wants_place(&shared.config);
            if wanted || wants_place {
                if !queue.may_open(now) {
                    let resumes_at = queue.opens_at(true);
                    return Claim::Nothing { resumes_at };
                }
                if wants_place {
                    wakes.push(queue.openings.give_way());
                } else if !due {
                    // It is another pool's turn.
                } else if let Some(duty) = OpenDuty::claim(shared, queue, now) {
                    queue.waiters.set_busy(place, true);
                    return Claim::Job(Job::Open(duty));
                }
            }
            if !opens && queue.waiters.wanted() > queue.openings.fresh() {
                if let Some(duty) = CloseDuty::claim(shared, queue, self.until()) {
                    queue.waiters.set_busy(place, true);
                    return Claim::Job(Job::Close(duty));
                }
            }
            let resumes_at = queue.opens_at(false);
            Claim::Nothing { resumes_at }
        });
        shared.wake(wakes);
        claim
    }

    fn until(&self) -> Option<Instant> {
        (self.deadline != Instant::MAX).then_some(self.deadline)
    }

    fn set_busy(&self, busy: bool) {
        if let Some(place) = self.place {
            self.shared
                .queue
                .with(|queue| queue.waiters.set_busy(place, busy));
        }
    }
}

/// What a waiter drives.
struct Jobs<'a, J> {
    work: &'a mut OneJob<J>,
    working: &'a mut Working,
}

/// What a waiter finds to do.
enum Claim<R: LocalResource, C: Clock> {
    Job(Job<R, C>),
    /// The Runner is to be spawned anew.
    Runner,
    /// There is nothing to do here until then.
    Nothing {
        resumes_at: Option<Instant>,
    },
}

impl<R: LocalResource, C: Clock> Claim<R, C> {
    const NOTHING: Self = Self::Nothing { resumes_at: None };
}

impl<R: LocalResource, C: Clock> Drop for Waiter<'_, R, C> {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            self.shared.leave(place);
        }
    }
}
