//! Background work as values: who drives it, and how several pieces of it run in one task.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use pin_project_lite::pin_project;

use crate::Instant;
use crate::alarm::Alarm;
use crate::cause::Cause;
use crate::event::Reporter;
use crate::retry::nested::show;
use crate::runtime::Clock;
use crate::signal::Signal;
use crate::sync;

/// The least time between attempts that nobody asked for, once the policy is exhausted: a policy without
/// delays must not make a busy loop of them.
pub(crate) const LEAST_PAUSE: Duration = Duration::from_millis(100);

/// The shortest period of what is looked at again and again, however short it is set: a timer that tells less apart
/// would wake the task for nothing, and a period of no time would never let it rest.
pub(crate) const LEAST_PERIOD: Duration = Duration::from_millis(1);

/// Counts how often a task has gone round within one poll, so that work which is always done at once
/// does not keep the executor to itself.
pub(crate) struct Rounds(u32);

impl Rounds {
    const MOST: u32 = 64;

    pub(crate) const fn new() -> Self {
        Self(0)
    }

    /// Whether the task may go round once more; if not, it is woken to go on at its next poll.
    pub(crate) fn go_on(&mut self, cx: &Context<'_>) -> bool {
        self.0 += 1;
        if self.0 > Self::MOST {
            cx.waker().wake_by_ref();
        }
        self.0 <= Self::MOST
    }
}

/// What one round of a task that drives others' work came to.
pub(crate) enum Round<T> {
    Done(T),
    /// Something has ended or begun: there may be more to do at once.
    Again,
    /// There is nothing to do but to wait for a wake, or until then.
    Wait {
        until: Option<Instant>,
    },
}

/// Goes round until a round is the last one: at once while there is something to do, else whenever a job wakes
/// the task, something has changed, or the time has come that the last round named.
///
/// A change that comes during a round is heard after it. Whatever a round drives, it polls by itself.
pub(crate) async fn go_round<C: Clock, T>(
    clock: &C,
    changed: &Signal,
    mut round: impl FnMut(&mut Context<'_>) -> Round<T>,
) -> T {
    let mut change = None;
    let mut alarm = pin!(Alarm::unset());
    poll_fn(|cx| {
        let mut rounds = Rounds::new();
        while rounds.go_on(cx) {
            let listener = change.get_or_insert_with(|| changed.listen());
            if Pin::new(listener).poll(cx).is_ready() {
                change = None;
                continue;
            }
            let until = match round(cx) {
                Round::Done(outcome) => return Poll::Ready(outcome),
                Round::Again => continue,
                Round::Wait { until } => until,
            };
            if alarm.as_mut().poll(clock, until, cx).is_pending() {
                return Poll::Pending;
            }
        }
        Poll::Pending
    })
    .await
}

/// Several futures that run within one task, each polled with that task's own context.
///
/// Nothing wraps the waker, because some executors accept only their own: a wake of the task polls
/// every job. There are as many jobs as values being opened, checked or closed at once.
///
/// What a job runs of the user's is contained where it is called. A panic that reaches this place all the same
/// ends that job alone, and never whoever drives it.
pub(crate) struct JobSet<F> {
    jobs: Vec<Pin<Box<F>>>,
    /// What a job panicked with, until it is told.
    panicked: Option<String>,
}

impl<F: Future<Output = ()>> JobSet<F> {
    pub(crate) const fn new() -> Self {
        Self {
            jobs: Vec::new(),
            panicked: None,
        }
    }

    pub(crate) fn push(&mut self, job: F) {
        self.jobs.push(Box::pin(job));
    }

    /// Polls every job and forgets those that ended. Says whether any did.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        let before = self.jobs.len();
        let _for_others = show(None);
        let panicked = &mut self.panicked;
        self.jobs.retain_mut(|job| {
            let polled = sync::contain(|| job.as_mut().poll(cx));
            polled
                .map(|polled| polled.is_pending())
                .unwrap_or_else(|message| {
                    *panicked = Some(message);
                    false
                })
        });
        if self.jobs.is_empty() {
            // A set that was once large would keep its room for as long as its task lives.
            self.jobs = Vec::new();
        }
        self.jobs.len() < before
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Drops every job: what each held gives itself back.
    pub(crate) fn clear(&mut self) {
        for job in core::mem::take(&mut self.jobs) {
            if let Err(message) = sync::contain(|| drop(job)) {
                self.panicked = Some(message);
            }
        }
    }

    /// Tells of a job that panicked, if one did since the last time.
    pub(crate) fn tell_panics(&mut self, reporter: &Reporter, clock: &impl Clock) {
        if let Some(message) = self.take_panic() {
            reporter.swallowed(clock, "background work", message);
        }
    }

    /// Takes what a job panicked with, to tell it.
    pub(crate) const fn take_panic(&mut self) -> Option<String> {
        self.panicked.take()
    }
}

/// At most one future, boxed while it runs: a task that may have to do a piece of work pays for it only
/// then. Another may be begun beside one that takes too long.
pub(crate) struct OneJob<F> {
    job: Option<Pin<Box<Running<F>>>>,
}

pin_project! {
    struct Running<F> {
        #[pin]
        future: F,
        // One that runs on beside it.
        older: Option<Pin<Box<Running<F>>>>,
    }
}

impl<F> OneJob<F> {
    pub(crate) const fn none() -> Self {
        Self { job: None }
    }

    pub(crate) fn begin(&mut self, future: F) {
        self.job = Some(Box::pin(Running {
            future,
            older: None,
        }));
    }

    /// Begins a job beside the one that runs, if one does. Of two that run, the later is dropped.
    pub(crate) fn begin_beside(&mut self, future: F) {
        let mut before = self.job.take();
        let oldest = { before.as_mut() }.and_then(|job| job.as_mut().project().older.take());
        let older = oldest.or_else(|| before.take());
        self.job = Some(Box::pin(Running { future, older }));
    }

    pub(crate) const fn is_none(&self) -> bool {
        self.job.is_none()
    }

    /// Drops the job: what it held gives itself back.
    #[inline(always)]
    pub(crate) fn clear(&mut self) {
        if self.job.is_some() {
            self.job = None;
        }
    }
}

impl<F: Future> OneJob<F> {
    /// Polls the job that was begun last, if there is one, and gives what came of it once it has ended.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Option<F::Output> {
        let running = self.job.as_mut()?.as_mut().project();
        // What is opened here is opened for all who wait, and not within the retries of this task.
        let for_others = show(None);
        let polled = running.future.poll(cx);
        drop(for_others);
        match polled {
            Poll::Pending => None,
            Poll::Ready(output) => {
                self.job = running.older.take();
                Some(output)
            }
        }
    }

    /// Polls the job that runs beside that one, and forgets it once it has ended.
    pub(crate) fn poll_older(&mut self, cx: &mut Context<'_>) {
        let Some(running) = &mut self.job else {
            return;
        };
        let older = running.as_mut().project().older;
        if let Some(job) = older {
            let for_others = show(None);
            let polled = job.as_mut().project().future.poll(cx);
            drop(for_others);
            if polled.is_ready() {
                *older = None;
            }
        }
    }
}

/// Whether a Runner does the background work, and how to wake it.
#[derive(Debug, Default)]
pub(crate) enum Attachment {
    /// Nobody does: whoever needs the work done drives it.
    #[default]
    Absent,
    /// A Runner does. It has no waker between being woken and its next poll.
    Attached(Option<Waker>),
    /// The next use of the holder spawns a Runner: the one that `build` spawned has ended before its time, as with its
    /// runtime, or none was needed so far, as of a key that was only looked up.
    Lost,
}

impl Attachment {
    pub(crate) const fn is_attached(&self) -> bool {
        matches!(self, Self::Attached(_))
    }

    /// Returns `true` if the next use is to spawn another Runner.
    pub(crate) const fn is_lost(&self) -> bool {
        matches!(self, Self::Lost)
    }

    /// Returns `true` to the one caller that is to spawn another Runner, once no lock is held.
    ///
    /// Until that one is attached there is none, as far as others see. If it is dropped before, unpolled,
    /// the Runner is lost again, and the next use tries.
    pub(crate) fn claim_respawn(&mut self) -> bool {
        let lost = self.is_lost();
        if lost {
            *self = Self::Absent;
        }
        lost
    }

    /// Takes the Runner's waker, to be woken once no lock is held.
    pub(crate) fn take_waker(&mut self) -> Option<Waker> {
        match self {
            Self::Absent | Self::Lost => None,
            Self::Attached(waker) => waker.take(),
        }
    }

    /// Leaves the Runner's waker, and hands back the one that it replaces.
    pub(crate) fn leave_waker(&mut self, new: Waker) -> Option<Waker> {
        match self {
            Self::Absent | Self::Lost => Some(new),
            Self::Attached(waker) => waker.replace(new),
        }
    }
}

/// Wakers collected under a lock, to be woken outside it, and what must not be dropped under one.
#[derive(Debug, Default)]
#[must_use = "whoever waits sleeps on until `wake` is called"]
pub(crate) struct Wakes {
    first: Option<Waker>,
    unneeded: Option<Waker>,
    signals: bool,
    /// `true` if other pools of a family have something to do.
    errands: bool,
    more: Vec<Leftover>,
}

/// Something that is to be woken or told once the lock is released, or whose `drop` is user code.
#[derive(Debug)]
enum Leftover {
    Wakes(Waker),
    Unneeded { _waker: Waker },
    Forgotten { _cause: Cause },
}

impl Wakes {
    #[inline(always)]
    pub(crate) fn push(&mut self, waker: Option<Waker>) {
        match waker {
            Some(waker) if self.first.is_none() => self.first = Some(waker),
            Some(waker) => self.more.push(Leftover::Wakes(waker)),
            None => {}
        }
    }

    /// Keeps a waker that is not needed any more until the lock is released.
    #[inline]
    pub(crate) fn drop_waker(&mut self, waker: Option<Waker>) {
        match waker {
            Some(waker) if self.unneeded.is_none() => self.unneeded = Some(waker),
            Some(_waker) => self.more.push(Leftover::Unneeded { _waker }),
            None => {}
        }
    }

    /// Keeps an error that is not needed any more until the lock is released.
    pub(crate) fn drop_cause(&mut self, cause: Option<Cause>) {
        self.more
            .extend(cause.map(|_cause| Leftover::Forgotten { _cause }));
    }

    /// Whoever listens for changes is to hear of one.
    pub(crate) const fn signal(&mut self) {
        self.signals = true;
    }

    /// Other pools of this family have something to do.
    pub(crate) const fn tell_family(&mut self) {
        self.errands = true;
    }

    /// Returns `true` if other pools of this family have something to do, which is no part of [`wake`](Self::wake).
    pub(crate) const fn have_errands(&self) -> bool {
        self.errands
    }

    /// Returns `true` if nothing was collected.
    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        let none = self.first.is_none() && self.unneeded.is_none() && !self.signals;
        none && !self.errands && self.more.capacity() == 0
    }

    /// Wakes and drops what was collected. Each waker and each `drop` is user code: a panic of one keeps nobody
    /// else from being woken, and is handed out for an event.
    #[inline(always)]
    #[must_use = "a panic that was contained is told as an event"]
    pub(crate) fn wake(self, changed: &Signal) -> Result<(), String> {
        let mut woken = Ok(());
        if self.signals {
            woken = changed.notify_contained();
        }
        if let Some(waker) = self.first {
            woken = woken.and(sync::contain(|| waker.wake()));
        }
        if let Some(waker) = self.unneeded {
            woken = woken.and(sync::contain(|| drop(waker)));
        }
        if !self.more.is_empty() {
            woken = woken.and(wake_all(self.more));
        }
        woken
    }
}

#[cold]
fn wake_all(leftovers: Vec<Leftover>) -> Result<(), String> {
    let mut woken = Ok(());
    for leftover in leftovers {
        woken = woken.and(sync::contain(|| match leftover {
            Leftover::Wakes(waker) => waker.wake(),
            unneeded @ (Leftover::Unneeded { .. } | Leftover::Forgotten { .. }) => drop(unneeded),
        }));
    }
    woken
}
