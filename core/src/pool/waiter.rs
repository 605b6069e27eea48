//! The future that waits for a value.

use alloc::boxed::Box;
use core::future::Future;
use core::mem::ManuallyDrop;
use core::panic::Location;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use super::config::PoolConfig;
use super::error::AcquireError;
use super::job::{CheckJob, Done, PoolJob};
use super::loans::LoanStart;
use super::shared::PoolShared;
use super::slot::Slot;
use super::state::{Answer, Entered, Handed, WaiterLook};
use super::validation::found_broken;
use crate::alarm::Alarm;
use crate::cause::Cause;
use crate::drive::{OneJob, Rounds};
use crate::ending::Why;
use crate::event::EventKind;
use crate::kernel::{CanDo, Driver, End, QueueRequest, Since, Timekeeping, WaiterId};
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::sync::{self, Arc};
use crate::time::Instant;

/// Waits for one value or for several at once, for a limited time.
///
/// Where there is no Runner, the waiter also does the work it needs: it opens a value, or first
/// closes a dying one whose slot it needs. An opening loses the race against a value that comes back;
/// a close is finished first, within the waiter's own time.
pub(crate) struct Waiting<'p, R: LocalResource, C: Clock, P, J, L> {
    shared: &'p Arc<PoolShared<R, C>>,
    request: AcquireRequest,
    /// How a job is performed. A type of its own, because that of the future has no name.
    perform: P,
    /// What is made of what was handed over.
    lend: L,
    progress: AcquireProgress<Slow<'p, R, C, J>>,
}

/// Nothing in it is pinned in place.
impl<R: LocalResource, C: Clock, P, J, L> Unpin for Waiting<'_, R, C, P, J, L> {}

/// How far an acquire has come. Most find a value as they come, so nothing but one look is done where it is dropped with
/// nothing to give up.
struct AcquireProgress<T>(ManuallyDrop<AcquireStage<T>>);

enum AcquireStage<T> {
    Begins,
    /// It has to wait, or to look closer.
    Waits(T),
    Over,
}

impl<T> Drop for AcquireProgress<T> {
    #[inline(always)]
    fn drop(&mut self) {
        if matches!(*self.0, AcquireStage::Waits(_)) {
            self.end();
        }
    }
}

impl<T> AcquireProgress<T> {
    const fn at(stage: AcquireStage<T>) -> Self {
        Self(ManuallyDrop::new(stage))
    }

    /// From the beginning, which leaves nothing to drop.
    #[inline(always)]
    fn moves_on(&mut self, stage: AcquireStage<T>) {
        self.0 = ManuallyDrop::new(stage);
    }

    #[cold]
    #[inline(never)]
    fn end(&mut self) {
        *self.0 = AcquireStage::Over;
    }
}

/// What it takes to wait.
struct Slow<'p, R: LocalResource, C: Clock, J> {
    waiter: Waiter<'p, R, C>,
    work: OneJob<J>,
    working: Working,
    /// Boxed, since few need one, and it may be as large as all the rest.
    alarm: Option<Pin<Box<Alarm<C::Sleep>>>>,
}

/// How a value is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AcquireRequest {
    pub(crate) within: Within,
    /// Who asks.
    pub(crate) asked_at: &'static Location<'static>,
}

impl AcquireRequest {
    #[inline]
    #[track_caller]
    pub(crate) fn new(within: Within) -> Self {
        let asked_at = Location::caller();
        Self { within, asked_at }
    }
}

/// For how long somebody waits, in all.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Within {
    /// As the pool says.
    AsBuilt,
    Limit(Option<Duration>),
}

impl Within {
    fn limit(self, config: &PoolConfig) -> Option<Duration> {
        match self {
            Self::AsBuilt => config.acquire_timeout,
            Self::Limit(limit) => limit,
        }
    }
}

/// A place in the queue. Dropping it gives back the place, or what came of it.
struct Waiter<'p, R: LocalResource, C: Clock> {
    shared: &'p Arc<PoolShared<R, C>>,
    place: Option<WaiterId>,
    wanted: u32,
    has_begun: bool,
    /// Whether it drives a piece of work.
    is_driving: bool,
    end: End,
    /// Whether a Runner saw it join, until that was made use of.
    is_driven: bool,
    timed: bool,
    /// Whether it waits for as long as the pool says.
    has_common_timeout: bool,
    timekeeping: Timekeeping,
    /// `true` until it has tried to spawn a lost Runner: once, for the executor may be gone.
    may_respawn: bool,
    self_deadlock: bool,
    /// Whether it has joined the queue before.
    has_joined: bool,
    began_at: Instant,
    /// How many attempts had failed when it joined the queue.
    failed_before: u32,
    /// Until it has begun, this is how long it may take, counted from the epoch.
    deadline: Instant,
    /// What was handed over and was no good.
    rejected: Option<Box<Rejected>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Working {
    /// On nothing, or on a value that came back.
    Interruptible,
    /// On an opening, which loses against an answer.
    Opening { newest: u64 },
    /// On a close, which is finished first.
    Closing,
    /// On the value that is to be lent.
    Preparing { since: Instant },
}

impl<'p, R: LocalResource, C: Clock, P, J, L> Waiting<'p, R, C, P, J, L>
where
    P: Fn(PoolJob<R, C>) -> J,
    J: Future<Output = Done<R, C>>,
{
    /// For one value.
    #[inline]
    pub(crate) fn new(
        shared: &'p Arc<PoolShared<R, C>>,
        request: AcquireRequest,
        perform: P,
        lend: L,
    ) -> Self {
        Self {
            shared,
            request,
            perform,
            lend,
            progress: AcquireProgress::at(AcquireStage::Begins),
        }
    }

    /// For so many values. How long that takes is for the caller to note.
    pub(crate) fn for_many(mut self, wanted: u32) -> Self {
        let mut slow = Slow::new(self.shared, self.request, End::Back);
        slow.waiter.wanted = wanted;
        slow.waiter.timed = false;
        self.progress.moves_on(AcquireStage::Waits(slow));
        self
    }

    /// For one that was served already, with something that was no good: it is its turn. How long that takes is for the
    /// caller to note.
    pub(crate) fn once_more(mut self, rejected: Option<Box<Rejected>>) -> Self {
        let mut slow = Slow::new(self.shared, self.request, End::Front);
        slow.waiter.rejected = rejected;
        slow.waiter.timed = false;
        self.progress.moves_on(AcquireStage::Waits(slow));
        self
    }
}

impl<'p, R: LocalResource, C: Clock, J> Slow<'p, R, C, J> {
    fn new(shared: &'p Arc<PoolShared<R, C>>, request: AcquireRequest, end: End) -> Self {
        let within = request.within.limit(&shared.config);
        Self {
            waiter: Waiter {
                shared,
                place: None,
                wanted: 1,
                has_begun: false,
                is_driving: false,
                end,
                is_driven: false,
                timed: true,
                has_common_timeout: within.is_some() && within == shared.config.acquire_timeout,
                timekeeping: Timekeeping::Own,
                may_respawn: true,
                self_deadlock: false,
                began_at: Instant::EPOCH,
                failed_before: 0,
                has_joined: false,
                deadline: within.map_or(Instant::MAX, |within| Instant::EPOCH + within),
                rejected: None,
            },
            work: OneJob::none(),
            working: Working::Interruptible,
            alarm: None,
        }
    }
}

impl<'p, R, C, P, J, L, T> Future for Waiting<'p, R, C, P, J, L>
where
    R: LocalResource,
    C: Clock,
    P: Fn(PoolJob<R, C>) -> J,
    J: Future<Output = Done<R, C>>,
    L: Fn(&'p Arc<PoolShared<R, C>>, Handed<R::Value>, LoanStart) -> T,
{
    type Output = Result<T, AcquireError>;

    // So that the lease is made where it is used. Handed out of a call it would be copied while it is still
    // being written, and the processor would wait for that.
    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let shared = this.shared;
        if matches!(*this.progress.0, AcquireStage::Begins) {
            let mut end = End::Back;
            // The whole of the common case.
            if shared.lends_plainly {
                while let Some(mut slot) = shared.take_idle() {
                    if !shared.is_broken(&mut slot) {
                        this.progress.moves_on(AcquireStage::Over);
                        let start = LoanStart {
                            is_at_once: true,
                            ..LoanStart::at(this.request.asked_at)
                        };
                        return Poll::Ready(Ok((this.lend)(shared, Handed::One(slot), start)));
                    }
                    shared.retire_broken(slot);
                    // It was this one's turn, and still is.
                    end = End::Front;
                }
            }
            let slow = Slow::new(shared, this.request, end);
            this.progress.moves_on(AcquireStage::Waits(slow));
        }
        this.poll_slowly(cx)
    }
}

impl<'p, R, C, P, J, L, T> Waiting<'p, R, C, P, J, L>
where
    R: LocalResource,
    C: Clock,
    P: Fn(PoolJob<R, C>) -> J,
    J: Future<Output = Done<R, C>>,
    L: Fn(&'p Arc<PoolShared<R, C>>, Handed<R::Value>, LoanStart) -> T,
{
    // Apart, so that what may be an error is written to where it goes, and not carried past the common case.
    #[inline(never)]
    fn poll_slowly(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, AcquireError>> {
        let shared = self.shared;
        let AcquireStage::Waits(slow) = &mut *self.progress.0 else {
            panic!("an acquire was polled after it had completed")
        };
        let answer = slow.poll_slowly(&self.perform, cx);
        answer.map(|(answer, at)| {
            // An opening that lost against the answer is called off now, whenever this is dropped.
            self.progress.end();
            match answer {
                Ok(handed) => {
                    let start = LoanStart {
                        at,
                        ..LoanStart::at(self.request.asked_at)
                    };
                    Ok((self.lend)(shared, handed, start))
                }
                Err(error) => Err(shared.told_within_retries(*error)),
            }
        })
    }
}

impl<R: LocalResource, C: Clock, J> Slow<'_, R, C, J> {
    /// With the answer, returns the time if it was just read.
    #[inline(always)]
    fn poll_slowly<P>(
        &mut self,
        perform: &P,
        cx: &mut Context<'_>,
    ) -> Poll<(Answer<R::Value>, Option<Instant>)>
    where
        P: Fn(PoolJob<R, C>) -> J,
        J: Future<Output = Done<R, C>>,
    {
        let jobs = Jobs {
            work: &mut self.work,
            working: &mut self.working,
        };
        self.waiter.poll_slowly(perform, jobs, &mut self.alarm, cx)
    }
}

impl<R: LocalResource, C: Clock> Waiter<'_, R, C> {
    /// Takes an idle value out of service that is unfit. It was this waiter's turn, and still is.
    #[cold]
    fn retire_idle(&mut self, slot: Box<Slot<R::Value>>, why: Why) {
        self.end = End::Front;
        self.shared.retire(slot, why);
    }

    /// Takes an idle value that is within its limits, where those are strict.
    #[cold]
    fn take_within_limits(&mut self, now: Option<Instant>) -> Option<Box<Slot<R::Value>>> {
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
        alarm: &mut Option<Pin<Box<Alarm<C::Sleep>>>>,
        cx: &mut Context<'_>,
    ) -> Poll<(Answer<R::Value>, Option<Instant>)>
    where
        P: Fn(PoolJob<R, C>) -> J,
        J: Future<Output = Done<R, C>>,
    {
        let shared = self.shared;
        let Jobs { work, working } = jobs;
        let mut now = None;
        if !self.has_begun {
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
                // If so, it claims again below, by what is left.
                self.is_driving = !work.is_none();
                if let (Some(place), false) = (self.place, self.is_driving) {
                    shared.has_hands_free(place);
                }
                match done {
                    Done::Nothing => {}
                    Done::Ready(slot) => return self.ends(Ok(Handed::One(slot))),
                    Done::Unfit(cause, job) => {
                        self.note_rejected(cause, worked_on);
                        unfit = Some(job);
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
                                    unfit = Some(CheckJob::claim_unfit(shared, slot, why));
                                    continue;
                                }
                                let checks = shared.checks_before_lending(&slot.life);
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
                                let job = CheckJob::claim_lent(shared, slot, self.deadline, checks);
                                work.begin(perform(PoolJob::Check(job)));
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
                _ if is_driven => WaiterTurn::NOTHING,
                Working::Opening { newest } => self.claim(&mut now, Some(newest)),
                _ if work.is_none() => self.claim(&mut now, None),
                _ => WaiterTurn::NOTHING,
            };
            // What comes next may come later.
            let looked_at = now.take();
            let resumes_at = match claim {
                WaiterTurn::Job(job) => {
                    *working = match &job {
                        PoolJob::Open(job) => Working::Opening {
                            newest: job.ticket().number,
                        },
                        PoolJob::Close(_) => Working::Closing,
                        PoolJob::Check(_) => Working::Interruptible,
                    };
                    self.is_driving = true;
                    // An opening under way is overdue. It runs on beside this one, unless another does already.
                    work.begin_beside(perform(job));
                    continue;
                }
                WaiterTurn::Runner => {
                    self.may_respawn = false;
                    PoolShared::respawn(shared);
                    continue;
                }
                WaiterTurn::Nothing { resumes_at } => resumes_at,
            };
            let deadline = self.next_deadline(looked_at);
            let wake_at = resumes_at.map_or(deadline, |at| at.min(deadline));
            let wake_at = (wake_at != Instant::MAX).then_some(wake_at);
            if alarm.is_none() && wake_at.is_none() {
                return Poll::Pending;
            }
            let alarm = alarm.get_or_insert_with(|| Box::pin(Alarm::unset()));
            if alarm.as_mut().poll(&shared.clock, wake_at, cx).is_pending() {
                return Poll::Pending;
            }
        }
        Poll::Pending
    }

    /// Reads the clock, if the time counts.
    fn begin(&mut self) -> Option<Instant> {
        self.has_begun = true;
        let within = core::mem::replace(&mut self.deadline, Instant::MAX);
        if within == Instant::MAX && !self.shared.stacks.keep_times() && !self.shared.is_strict {
            return None;
        }
        let now = self.shared.now()?;
        self.began_at = now;
        if within != Instant::MAX {
            self.deadline = now + (within - Instant::EPOCH);
        }
        Some(now)
    }

    /// The thread on which others may keep its time, if they may.
    fn shares_time(&self) -> Option<usize> {
        let may = self.has_common_timeout && self.deadline != Instant::MAX;
        (may && self.shared.clock.current_task().is_some()).then(sync::thread_number)
    }

    /// When its own alarm is to tell it of a deadline: its own, or that of another who relies on it.
    fn next_deadline(&self, now: Option<Instant>) -> Instant {
        match (self.timekeeping, now) {
            (Timekeeping::ByOthers, _) => Instant::MAX,
            (Timekeeping::ForAll, Some(now)) => {
                let of_others = self.shared.look_at_deadlines(now);
                of_others.map_or(self.deadline, |at| at.min(self.deadline))
            }
            _ => self.deadline,
        }
    }

    fn is_over(&self, now: Option<Instant>) -> bool {
        self.deadline != Instant::MAX && now.is_some_and(|now| now >= self.deadline)
    }

    #[inline(always)]
    fn ends(&mut self, answer: Answer<R::Value>) -> Poll<(Answer<R::Value>, Option<Instant>)> {
        let now = if self.timed {
            self.shared.record_wait(self.began_at)
        } else {
            None
        };
        // A close may have kept the waiter from its answer; from here on it has no place.
        if let Some(place) = self.place.take() {
            self.shared.leave(place);
        }
        Poll::Ready((answer, now))
    }

    #[inline(always)]
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Answer<R::Value>> {
        let Some(place) = self.place else {
            return self.join(cx);
        };
        match self.shared.look_for_answer(place, cx.waker()) {
            WaiterLook::Answered(answer) => self.answered(answer),
            WaiterLook::Waiting => Poll::Pending,
            WaiterLook::WakerNeeded => self.renew_waker(place, cx),
        }
    }

    /// Since when it waits for openings, if it has joined the queue.
    fn since(&self) -> Option<Since> {
        let at = self.began_at;
        let failed = self.failed_before;
        self.has_joined.then_some(Since { at, failed })
    }

    fn join(&mut self, cx: &Context<'_>) -> Poll<Answer<R::Value>> {
        let shared = self.shared;
        // Read already where the time counts, or where somebody asked for it.
        let mut is_known = self.has_joined
            || self.deadline != Instant::MAX
            || shared.stacks.keep_times()
            || shared.is_strict;
        loop {
            let request = QueueRequest {
                wanted: self.wanted,
                end: self.end,
                at: is_known.then_some(self.began_at),
                failed: self.has_joined.then_some(self.failed_before),
                may_respawn: self.may_respawn,
                can_do: if self.is_driving {
                    CanDo::Nothing
                } else {
                    CanDo::Anything
                },
                shares_time: self.shares_time(),
            };
            match shared.enter(cx.waker().clone(), &request) {
                Ok(Entered::Taken(handed)) => return Poll::Ready(Ok(handed)),
                Ok(Entered::Waits {
                    waiter,
                    driven,
                    since,
                    timekeeping,
                }) => {
                    self.place = Some(waiter);
                    self.is_driven = driven;
                    self.timekeeping = timekeeping;
                    self.failed_before = since.failed;
                    self.has_joined = true;
                    self.notice_self_deadlock();
                    return Poll::Pending;
                }
                Ok(Entered::RunnerLost) => {
                    self.may_respawn = false;
                    PoolShared::respawn(shared);
                }
                Ok(Entered::TimeWanted) => {
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
    fn renew_waker(&mut self, place: WaiterId, cx: &Context<'_>) -> Poll<Answer<R::Value>> {
        if self.shared.store_waker(place, cx.waker().clone()) {
            if self.timekeeping == Timekeeping::ByOthers {
                self.timekeeping = Timekeeping::ForAll;
            }
            return Poll::Pending;
        }
        match self.shared.look_for_answer(place, cx.waker()) {
            WaiterLook::Answered(answer) => self.answered(answer),
            WaiterLook::Waiting | WaiterLook::WakerNeeded => Poll::Pending,
        }
    }

    #[inline(always)]
    fn answered(&mut self, answer: Answer<R::Value>) -> Poll<Answer<R::Value>> {
        self.place = None;
        Poll::Ready(answer)
    }

    /// Claims work that this waiter needs done and that no Runner does: while it drives an opening, only another,
    /// once that one is overdue.
    fn claim(&self, now: &mut Option<Instant>, newest: Option<u64>) -> WaiterTurn<R, C> {
        let shared = self.shared;
        *now = now.or_else(|| shared.now());
        let Some(waiter) = self.place else {
            return WaiterTurn::NOTHING;
        };
        let driver = Driver::Waiter {
            waiter,
            newest,
            may_respawn: self.may_respawn,
        };
        let claimed = PoolShared::claim(shared, driver, *now, self.until());
        let resumes_at = claimed.resumes_at;
        match claimed.job {
            Some(job) => WaiterTurn::Job(job),
            None if claimed.respawns => WaiterTurn::Runner,
            None => WaiterTurn::Nothing { resumes_at },
        }
    }

    fn until(&self) -> Option<Instant> {
        (self.deadline != Instant::MAX).then_some(self.deadline)
    }

    /// The next one is asked for at the front, for it was this waiter's turn.
    fn note_rejected(&mut self, cause: Cause, worked_on: Working) {
        self.end = End::Front;
        let took = match (worked_on, self.shared.now()) {
            (Working::Preparing { since }, Some(now)) => now - since,
            _ => Duration::ZERO,
        };
        self.rejected = Some(Rejected::another(self.rejected.take(), took, cause));
    }

    fn time_is_over(&mut self, now: Option<Instant>) -> AcquireError {
        let waited = now.map_or(Duration::ZERO, |now| now - self.began_at);
        let since = self.since();
        let rejected = self.rejected.take();
        let pool = self.shared.reporter.name.clone();
        self.shared
            .adjust(|transaction| {
                if transaction.kernel().is_suspended() {
                    // What was rejected is dropped after the lock.
                    return (AcquireError::Suspended { pool, waited }, rejected);
                }
                if let Some(since) = since {
                    let reason = transaction.kernel().openings().verdict(since);
                    if let Some(error) = transaction.backend_down(since, reason, now) {
                        return (error, rejected);
                    }
                }
                let status = Box::new(transaction.status());
                let kernel = transaction.kernel();
                if let Some(family_max_size) = kernel.family_that_is_full() {
                    let error = AcquireError::FamilyExhausted {
                        pool,
                        waited,
                        family_max_size,
                        status,
                    };
                    return (error, rejected);
                }
                let counts = kernel.counts();
                let error = match rejected {
                    // Those who wait for a user to be done have waited for that, whatever came before.
                    Some(rejected) if status.in_use < status.max_size => AcquireError::Rejected {
                        pool,
                        waited,
                        rejected: rejected.values,
                        cause: rejected.cause,
                        status,
                    },
                    // An opening could have served it, and has not answered, or was not allowed to begin yet.
                    None if counts.openings() > 0
                        || (counts.size() < kernel.max_size()
                            && kernel.openings().are_failing(now)) =>
                    {
                        AcquireError::OpenPending {
                            pool,
                            waited,
                            under_way: kernel.openings().longest_under_way(now),
                            status,
                        }
                    }
                    rejected => {
                        let error = AcquireError::Exhausted {
                            pool,
                            waited,
                            in_care: rejected
                                .as_ref()
                                .map_or(Duration::ZERO, |rejected| rejected.in_care),
                            self_deadlock: self.self_deadlock,
                            status,
                        };
                        return (error, rejected);
                    }
                };
                (error, None)
            })
            .0
    }

    /// Takes note, as it begins to wait, that its own task holds all it waits for.
    fn notice_self_deadlock(&mut self) {
        if let Some(held) = self.shared.held_by_this_task() {
            self.self_deadlock = true;
            let waits = EventKind::SelfDeadlock { held };
            self.shared.reporter.send(&self.shared.clock, waits);
        }
    }

    /// How many values its task holds, if it is to be refused for that.
    fn refused_for_self_deadlock(&self) -> Option<usize> {
        if self.self_deadlock && self.shared.config.refuses_self_deadlock {
            self.shared.held_by_this_task()
        } else {
            None
        }
    }
}

/// What was handed to a waiter and was no good.
#[derive(Debug)]
pub(super) struct Rejected {
    values: u32,
    in_care: Duration,
    cause: Cause,
}

impl Rejected {
    /// One more value that was no good.
    pub(super) fn another(before: Option<Box<Self>>, took: Duration, cause: Cause) -> Box<Self> {
        let (values, in_care) = before.map_or((0, Duration::ZERO), |before| {
            (before.values, before.in_care)
        });
        Box::new(Self {
            values: values + 1,
            in_care: in_care + took,
            cause,
        })
    }
}

/// What a waiter drives.
struct Jobs<'a, J> {
    work: &'a mut OneJob<J>,
    working: &'a mut Working,
}

/// What a waiter finds to do.
enum WaiterTurn<R: LocalResource, C: Clock> {
    Job(PoolJob<R, C>),
    /// The Runner is to be spawned anew.
    Runner,
    /// There is nothing to do here until then.
    Nothing {
        resumes_at: Option<Instant>,
    },
}

impl<R: LocalResource, C: Clock> WaiterTurn<R, C> {
    const NOTHING: Self = Self::Nothing { resumes_at: None };
}

impl<R: LocalResource, C: Clock> Drop for Waiter<'_, R, C> {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            self.shared.leave(place);
        }
    }
}
