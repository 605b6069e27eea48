//! A holder whose work is driven by a Runner, or by whoever waits: the Runner's loop, and the shutdown.

use alloc::collections::VecDeque;
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::{Poll, Waker};
use core::time::Duration;

use super::close::{CloseJob, Closes};
use super::{JobSet, Round, Rounds, go_round};
use crate::alarm::Alarm;
use crate::cleanup::{RetiredValue, abandon_value};
use crate::ending::{Ending, Why};
use crate::event::EventKind;
use crate::runtime::Clock;
use crate::signal::Signal;
use crate::sync::Arc;
use crate::time::Instant;

/// A holder of values, as those see it who drive its work.
pub(crate) trait Driven: Closes {
    /// A piece of work that was claimed.
    type Job;
    /// What a Runner keeps in mind from turn to turn.
    type Maintenance;

    /// What is signalled when something has changed.
    fn changed(&self) -> &Signal;

    fn has_handles(&self) -> bool;

    // What a Runner asks.

    /// A Runner counts as attached from here on. Returns `true` if it takes the place of one that was lost.
    fn attach_runner(&self) -> bool;

    /// The Runner has ended. If it `had_begun`, values may have been opened under its runtime. Spawns nothing: where a
    /// runtime drops its tasks, there is none to spawn on.
    fn detach_runner(&self, had_begun: bool);

    fn leave_runner_waker(&self, waker: Waker);

    fn begin_maintenance(&self, is_restarted: bool) -> Self::Maintenance;

    /// Looks after what nobody asks for, and begins the jobs that come of it.
    fn begin_turn(
        this: &Arc<Self>,
        maintenance: &mut Self::Maintenance,
        now: Option<Instant>,
        begin: impl FnMut(Self::Job),
    );

    /// Claims a piece of work, or says when to look again.
    fn claim_for_runner(
        this: &Arc<Self>,
        maintenance: &mut Self::Maintenance,
        now: Option<Instant>,
    ) -> Turn<Self::Job>;

    /// The jobs of this turn were polled, and some have ended or not. Returns `true` if there is more to do at once.
    fn end_turn(
        maintenance: &mut Self::Maintenance,
        now: Option<Instant>,
        some_ended: bool,
    ) -> bool;

    /// Returns `true` for a job for which a shutdown waits, and which it does not call off.
    fn is_of_shutdown(job: &Self::Job) -> bool;

    fn perform(job: Self::Job) -> impl Future<Output = ()>;

    // What a shutdown asks.

    /// From here on nobody is served. Does nothing if that is so already.
    fn begin_closing(&self, why: Why);

    fn is_closed(&self) -> bool;

    /// Claims a close that is over by `until`, if no Runner does them.
    fn claim_close(this: &Arc<Self>, until: Option<Instant>) -> Option<CloseJob<Self>>;

    /// What is being closed counts as timed out, and what waits to be closed as abandoned. Has that told before anybody is
    /// woken.
    fn give_up_closing(&self, tell: impl FnOnce(GivenUp<Self::Retired>));
}

/// What a Runner finds to do.
pub(crate) struct Turn<J> {
    pub(crate) job: Option<J>,
    /// When there may be more, if there is none.
    pub(crate) wake_at: Option<Instant>,
    /// What serves users is called off.
    pub(crate) is_closing: bool,
    /// Changes when closes under way count as over.
    pub(crate) era: u64,
}

/// What a shutdown leaves unclosed whose time is over.
pub(crate) struct GivenUp<V> {
    /// How many closes were under way.
    pub(crate) timed_out: usize,
    pub(crate) abandoned: VecDeque<RetiredValue<V>>,
}

impl<V> GivenUp<V> {
    /// How each of these ends, and why.
    pub(crate) fn endings(&self) -> impl Iterator<Item = (Ending, Why)> {
        let timed_out = (0..self.timed_out).map(|_| (Ending::CloseTimedOut, Why::Shutdown));
        let abandoned = { self.abandoned.iter() }.map(|retired| (Ending::Abandoned, retired.why));
        timed_out.chain(abandoned)
    }
}

/// Does the background work until the holder is shut down, or its last handle is dropped, and every value has ended. It
/// counts as there from this call on, and until the future is dropped.
pub(crate) fn run<H: Driven>(holder: Arc<H>) -> impl Future<Output = ()> + use<H> {
    let attached = AttachedRunner::new(holder);
    async move { attached.drive().await }
}

/// The holder knows of its Runner for as long as this lives.
struct AttachedRunner<H: Driven> {
    holder: Arc<H>,
    /// `true` if it takes the place of one that was lost.
    is_restarted: bool,
    /// `true` once it was polled.
    has_begun: bool,
}

impl<H: Driven> AttachedRunner<H> {
    fn new(holder: Arc<H>) -> Self {
        Self {
            is_restarted: holder.attach_runner(),
            holder,
            has_begun: false,
        }
    }

    async fn drive(mut self) {
        self.has_begun = true;
        let holder = &self.holder;
        let (clock, reporter) = (holder.clock(), holder.reporter());
        let mut maintenance = holder.begin_maintenance(self.is_restarted);
        if self.is_restarted {
            reporter.send(clock, EventKind::RunnerRestarted);
        }
        // What a shutdown calls off, and what it waits for.
        let mut services = JobSet::new(clock);
        let mut closings = JobSet::new(clock);
        let mut era = 0;
        let mut alarm = pin!(Alarm::unset());
        poll_fn(|cx| {
            let mut rounds = Rounds::new();
            while rounds.go_on(cx) {
                holder.leave_runner_waker(cx.waker().clone());
                if !holder.has_handles() {
                    holder.begin_closing(Why::HandlesDropped);
                }
                let now = clock.try_now();
                H::begin_turn(holder, &mut maintenance, now, |job| {
                    services.push(H::perform(job));
                });
                let wake_at = loop {
                    let turn = H::claim_for_runner(holder, &mut maintenance, now);
                    if turn.is_closing {
                        services.clear();
                    }
                    if turn.era != era {
                        era = turn.era;
                        closings.clear();
                    }
                    let Some(job) = turn.job else {
                        break turn.wake_at;
                    };
                    let jobs = if H::is_of_shutdown(&job) {
                        &mut closings
                    } else {
                        &mut services
                    };
                    jobs.push(H::perform(job));
                };
                let some_ended = services.poll(cx);
                let goes_on = H::end_turn(&mut maintenance, now, some_ended);
                let goes_on = goes_on | some_ended | closings.poll(cx);
                services.tell_panics(reporter, clock);
                closings.tell_panics(reporter, clock);
                if holder.is_closed() {
                    return Poll::Ready(());
                }
                if !goes_on && alarm.as_mut().poll(clock, wake_at, cx).is_pending() {
                    return Poll::Pending;
                }
            }
            Poll::Pending
        })
        .await;
    }
}

impl<H: Driven> Drop for AttachedRunner<H> {
    fn drop(&mut self) {
        self.holder.detach_runner(self.has_begun);
    }
}

/// Shuts the holder down, and waits until every value has ended, or until `within` is over.
pub(crate) async fn shut_down<H: Driven>(holder: &Arc<H>, within: Option<Duration>, why: Why) {
    let clock = holder.clock();
    let deadline = clock
        .try_now()
        .zip(within)
        .map(|(now, within)| now + within);
    holder.begin_closing(why);
    let mut closings = JobSet::new(clock);
    go_round(clock, holder.changed(), |cx| {
        if holder.is_closed() {
            return Round::Done(());
        }
        let now = clock.try_now();
        while let Some(job) = H::claim_close(holder, deadline) {
            closings.push(job.perform());
        }
        if closings.poll(cx) {
            return Round::Again;
        }
        if { deadline.zip(now) }.is_some_and(|(deadline, now)| now >= deadline) {
            cut_short(&**holder);
            return Round::Done(());
        }
        Round::Wait { until: deadline }
    })
    .await;
}

/// There is no time left: what is being closed counts as timed out, and what waits to be closed is abandoned.
pub(crate) fn cut_short<H: Driven>(holder: &H) {
    holder.give_up_closing(|given_up| abandon_all(holder, given_up));
}

/// Tells of what a shutdown leaves unclosed, and abandons it.
pub(crate) fn abandon_all<H: Closes>(holder: &H, given_up: GivenUp<H::Retired>) {
    let (resource, clock, reporter) = (holder.resource(), holder.clock(), holder.reporter());
    for _ in 0..given_up.timed_out {
        let (ending, why) = (Ending::CloseTimedOut, Why::Shutdown);
        let error = None;
        reporter.send(clock, EventKind::Ended { ending, why, error });
    }
    for RetiredValue { value, why } in given_up.abandoned {
        match holder.take_out(value) {
            Ok(value) => abandon_value(resource, clock, reporter, RetiredValue { value, why }),
            Err(cause) => {
                let (ending, error) = (Ending::Abandoned, Some(&cause));
                reporter.send(clock, EventKind::Ended { ending, why, error });
            }
        }
    }
}
