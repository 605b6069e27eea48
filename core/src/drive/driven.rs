//! A holder whose work is driven by a Runner, or by a task that waits: the Runner's loop, and the shutdown.
//!
//! - [`Holder`]: where its clock, its events and its changes are.
//! - [`Driven`]: what its [Runner](run) asks. A scope is no more than this.
//! - [`ShutsDown`]: what its [shutdown](shut_down) asks: a pool, a managed and a shared resource.
//! - [`Closes`](super::Closes): how its values end, where the values are its own: a pool and a managed resource.
//!
//! Runner and shutdown may run on different threads, and each may be dropped at any await. They meet under the holder's lock
//! alone: whichever claims a job there has it, and the job gives itself back when it is dropped. A claim wakes no task, since
//! the driver that claims would wake itself, and never rest. Jobs, wakers and events are user code, and run under no lock.

use core::future::Future;
use core::task::{Context, Waker};
use core::time::Duration;

use super::{JobSet, Round, go_round, go_round_by};
use crate::ending::Why;
use crate::event::EventKind;
use crate::reporter::Reporter;
use crate::runtime::Clock;
use crate::signal::Signal;
use crate::sync::{self, Arc};
use crate::time::Instant;

/// A holder of values or finalizers.
pub(crate) trait Holder: Sized {
    type Clock: Clock;

    fn clock(&self) -> &Self::Clock;

    fn reporter(&self) -> &Reporter;

    /// The signal that something has changed.
    fn changed(&self) -> &Signal;
}

/// A holder whose background work a Runner does.
pub(crate) trait Driven: Holder {
    /// A piece of work that was claimed.
    type Job;
    /// State that a Runner keeps from turn to turn.
    type Maintenance;

    /// Counts a Runner as attached from here on. Returns `true` if it takes the place of one that was lost.
    fn attach_runner(&self) -> bool;

    /// Forgets the Runner, which has come to its end. Spawns nothing: where a runtime drops its tasks, there is none to
    /// spawn on.
    fn detach_runner(&self, end: RunnerEnd);

    fn leave_runner_waker(&self, waker: Waker);

    fn begin_maintenance(&self, is_restarted: bool) -> Self::Maintenance;

    /// Looks after what no caller asks for, and begins the jobs that come of it.
    fn begin_turn(
        _this: &Arc<Self>,
        _maintenance: &mut Self::Maintenance,
        _now: Option<Instant>,
        _begin: impl FnMut(Self::Job),
    ) {
    }

    /// Claims a piece of work, or says when to look again. Wakes no task.
    fn claim_for_runner(
        this: &Arc<Self>,
        maintenance: &mut Self::Maintenance,
        now: Option<Instant>,
    ) -> Turn<Self::Job>;

    /// Ends a turn, after its jobs were polled. Returns `true` if there is more to do at once.
    fn end_turn(
        _maintenance: &mut Self::Maintenance,
        _now: Option<Instant>,
        _some_ended: bool,
    ) -> bool {
        false
    }

    /// Returns `true` for a job for which a shutdown waits, and which it does not call off.
    fn is_of_shutdown(job: &Self::Job) -> bool;

    fn perform(job: Self::Job) -> impl Future<Output = ()>;
}

/// A holder that is shut down for good.
pub(crate) trait ShutsDown: Driven {
    fn has_handles(&self) -> bool;

    /// Refuses every request from here on. Does nothing, and wakes no task, if that is so already.
    fn begin_closing(&self, why: Why);

    /// Returns `true` once every value has ended.
    fn is_closed(&self) -> bool;

    /// Claims what a shutdown has to do itself, and what is over by `deadline`. Wakes no task.
    fn claim_for_shutdown(this: &Arc<Self>, deadline: Option<Instant>) -> Option<Self::Job>;

    /// Ends every value at once, as there is no time left: a close under way counts as timed out, and what waits to be closed
    /// is abandoned.
    fn cut_short(&self);
}

/// What a Runner finds to do, at one moment.
pub(crate) struct Turn<J> {
    pub(crate) job: Option<J>,
    /// The time at which there may be more to do, if there is no job.
    pub(crate) wake_at: Option<Instant>,
    /// `true` if what serves users is called off.
    pub(crate) is_closing: bool,
    /// Changes when closes under way count as over.
    pub(crate) era: u64,
    /// `true` if nothing will be left to do, so that the Runner comes to its end.
    pub(crate) is_over: bool,
}

/// The way in which a Runner has come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunnerEnd {
    /// It was dropped before it was polled, so that nothing was opened under its runtime.
    Unpolled,
    /// It was dropped while it had work to do, or might have had.
    CutOff,
    /// It had nothing left to do.
    Finished,
}

/// Does the background work until the holder is shut down, or its last handle is dropped, and every value has ended. It
/// counts as there from this call on, and until the future is dropped.
pub(crate) fn run<H: Driven>(holder: Arc<H>) -> impl Future<Output = ()> + use<H> {
    AttachedRunner::new(holder).drive()
}

/// The attachment of a Runner to its holder, which lasts as long as this lives.
struct AttachedRunner<H: Driven> {
    holder: Arc<H>,
    /// `true` if it takes the place of one that was lost.
    is_restarted: bool,
    /// How it will have ended, if it is dropped now.
    end: RunnerEnd,
}

impl<H: Driven> AttachedRunner<H> {
    fn new(holder: Arc<H>) -> Self {
        Self {
            is_restarted: holder.attach_runner(),
            holder,
            end: RunnerEnd::Unpolled,
        }
    }

    async fn drive(mut self) {
        self.end = RunnerEnd::CutOff;
        let holder = &self.holder;
        let (clock, reporter) = (holder.clock(), holder.reporter());
        let mut maintenance = holder.begin_maintenance(self.is_restarted);
        if self.is_restarted {
            reporter.send(clock, EventKind::RunnerRestarted);
        }
        // What a shutdown calls off, and what it waits for. Both are dropped before the Runner is detached.
        let mut services = JobSet::new(clock);
        let mut closings = JobSet::new(clock);
        let mut era = 0;
        // A change takes the waker, and is seen by the claims of the round that it leads to. So the waker is left before
        // they are made: a change after that finds it.
        let leave_waker = |cx: &mut Context<'_>| {
            holder.leave_runner_waker(cx.waker().clone());
            true
        };
        go_round_by(clock, leave_waker, |cx| {
            let now = clock.try_now();
            H::begin_turn(holder, &mut maintenance, now, |job| {
                services.push(H::perform(job));
            });
            let (wake_at, is_over) = loop {
                let turn = H::claim_for_runner(holder, &mut maintenance, now);
                if turn.is_closing {
                    services.clear();
                }
                if turn.era != era {
                    // A shutdown ran out of time, has counted these, and does not wait for them any more.
                    era = turn.era;
                    closings.clear();
                }
                let Some(job) = turn.job else {
                    break (turn.wake_at, turn.is_over);
                };
                let jobs = if H::is_of_shutdown(&job) {
                    &mut closings
                } else {
                    &mut services
                };
                jobs.push(H::perform(job));
            };
            if is_over {
                // From the claim on it does not count as there: what its jobs would begin now is another Runner's.
                return Round::Done(());
            }
            let some_ended = services.poll(cx);
            let goes_on = H::end_turn(&mut maintenance, now, some_ended);
            let goes_on = goes_on | some_ended | closings.poll(cx);
            services.tell_panics(reporter, clock);
            closings.tell_panics(reporter, clock);
            if goes_on {
                Round::Again
            } else {
                Round::Wait { until: wake_at }
            }
        })
        .await;
        self.end = RunnerEnd::Finished;
    }
}

impl<H: Driven> Drop for AttachedRunner<H> {
    fn drop(&mut self) {
        self.holder.detach_runner(self.end);
    }
}

/// Spawns a Runner of the holder on its own runtime. User code: under no lock.
pub(crate) type SpawnRunner<H> = fn(&Arc<H>);

/// Spawns a Runner, for a caller that has [claimed](super::Attachment::claim_respawn) it. Returns `true` unless `spawn`
/// panicked, which is told.
#[cold]
pub(crate) fn spawn_runner<H: Holder>(holder: &Arc<H>, spawn: SpawnRunner<H>) -> bool {
    let spawned = sync::contain(|| spawn(holder));
    spawned
        .map_err(|message| { holder.reporter() }.swallowed(holder.clock(), "spawn", message))
        .is_ok()
}

/// Begins to close a holder that no handle is left of.
pub(crate) fn close_without_handles<H: ShutsDown>(holder: &H) {
    if !holder.has_handles() {
        holder.begin_closing(Why::HandlesDropped);
    }
}

/// Shuts the holder down, and waits until every value has ended, or until the timeout is over.
pub(crate) async fn shut_down<H: ShutsDown>(holder: &Arc<H>, timeout: Option<Duration>, why: Why) {
    let clock = holder.clock();
    let deadline = clock
        .try_now()
        .zip(timeout)
        .map(|(now, timeout)| now + timeout);
    holder.begin_closing(why);
    let mut closings = JobSet::new(clock);
    go_round(clock, holder.changed(), |cx| {
        if holder.is_closed() {
            return Round::Done(());
        }
        let now = clock.try_now();
        while let Some(job) = H::claim_for_shutdown(holder, deadline) {
            closings.push(H::perform(job));
        }
        let some_ended = closings.poll(cx);
        closings.tell_panics(holder.reporter(), clock);
        if some_ended {
            return Round::Again;
        }
        if { deadline.zip(now) }.is_some_and(|(deadline, now)| now >= deadline) {
            holder.cut_short();
            return Round::Done(());
        }
        Round::Wait { until: deadline }
    })
    .await;
}
