//! Starting and stopping members, by whoever wants it done.

use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::Poll;
use core::time::Duration;

use super::members::Members;
use super::plan::{Goal, Plan, PlanStep};
use super::shared::GroupShared;
use crate::cause::Cause;
use crate::contain::{HookError, hook};
use crate::drive::{JobSet, Round, go_round};
use crate::runtime::Clock;
use crate::sync::Arc;
use crate::time::Instant;

/// Does what the plan says until `is_done` says so of it, or `deadline` has come. Dropped half-way it gives back what it
/// had begun; several may drive one plan, and each has a part of it. Starts that have a task of their own go on.
pub(crate) async fn drive<C: Clock, M: Members>(
    shared: &Arc<GroupShared<C, M>>,
    deadline: Option<Instant>,
    is_done: impl Fn(&Plan) -> bool,
) {
    let mut starts = JobSet::new(&shared.clock);
    let mut stops = JobSet::new(&shared.clock);
    go_round(&shared.clock, &shared.changed, |cx| {
        let (goal, done) = shared
            .book
            .with(|book| (book.plan.goal(), is_done(&book.plan)));
        if goal == Goal::Down && !starts.is_empty() {
            starts.clear();
            return Round::Again;
        }
        if done {
            return Round::Done(());
        }
        while let Some(job) = GroupShared::claim(shared) {
            match (job.step, shared.spawner()) {
                (PlanStep::Start(_), Some(spawn)) => spawn(job.in_a_task()),
                (PlanStep::Start(_) | PlanStep::Restart { .. }, _) => starts.push(job.perform()),
                (PlanStep::Stop { .. }, _) => stops.push(job.perform()),
            }
        }
        if starts.poll(cx) | stops.poll(cx) {
            return Round::Again;
        }
        let is_over = |at| shared.now().is_some_and(|now| now >= at);
        match deadline {
            Some(at) if is_over(at) && stops.is_empty() => Round::Done(()),
            // Each stop was given no more time than there was, but its clock began to run a little later: its own end
            // has yet to come, and to be told.
            Some(at) if is_over(at) => Round::Wait { until: None },
            until => Round::Wait { until },
        }
    })
    .await;
}

/// A step that was claimed. Dropping it gives it back.
pub(crate) struct StepJob<C: Clock, M: Members> {
    pub(crate) shared: Arc<GroupShared<C, M>>,
    step: PlanStep,
    within: Option<Duration>,
    is_over: bool,
    /// It waits in a task for its first poll.
    is_spawned: bool,
}

impl<C: Clock, M: Members> StepJob<C, M> {
    pub(crate) fn new(
        shared: &Arc<GroupShared<C, M>>,
        step: PlanStep,
        within: Option<Duration>,
    ) -> Self {
        Self {
            shared: shared.clone(),
            step,
            within,
            is_over: false,
            is_spawned: false,
        }
    }

    fn in_a_task(mut self) -> Self {
        self.is_spawned = true;
        self
    }

    /// Performs a start in a task of its own, unless it is called off.
    pub(crate) async fn perform_in_task(mut self) {
        self.is_spawned = false;
        let shared = self.shared.clone();
        let mut called_off = shared.called_off.listen();
        // Of what was before it listened, it is not told.
        if shared.is_called_off() {
            return;
        }
        let mut work = pin!(self.perform());
        poll_fn(|cx| {
            if Pin::new(&mut called_off).poll(cx).is_ready() {
                return Poll::Ready(());
            }
            work.as_mut().poll(cx)
        })
        .await;
    }

    pub(crate) async fn perform(mut self) {
        let began_at = self.shared.now();
        let result = match self.step {
            PlanStep::Start(member)
            | PlanStep::Restart {
                member,
                begun: false,
            } => self.start(member).await,
            PlanStep::Restart { member, .. } => self.restart(member).await,
            PlanStep::Stop { member, begun, .. } => self.stop(member, begun).await,
        };
        let took = began_at.zip(self.shared.now()).map(|(from, to)| to - from);
        self.is_over = true;
        let step = self.step;
        let succeeded = result.is_ok();
        // What it said before is dropped outside the lock, as all that is the user's.
        let member = step.member();
        let (is_gone, _forgotten) = self.shared.change(|book| {
            let row = &mut book.rows[member];
            let (said, duration) = match step {
                PlanStep::Start(_) | PlanStep::Restart { .. } => {
                    (&mut row.start_error, &mut row.started_in)
                }
                PlanStep::Stop { .. } => (&mut row.stop_error, &mut row.stopped_in),
            };
            *duration = took;
            let forgotten = core::mem::replace(said, result.err());
            match step {
                PlanStep::Start(_) => book.plan.started(member, succeeded),
                PlanStep::Restart { .. } => book.plan.restarted(member, succeeded),
                PlanStep::Stop { .. } => book.plan.stopped(member),
            }
            (book.plan.is_gone(member), forgotten)
        });
        // Whoever removed it may have been dropped since.
        if is_gone {
            self.shared.forget(member);
        }
    }

    async fn start(&self, member: usize) -> Result<(), Cause> {
        let shared = &self.shared;
        hook(&shared.clock, self.within, || shared.members.start(member))
            .await
            .map_err(HookError::into_cause)
    }

    async fn restart(&self, member: usize) -> Result<(), Cause> {
        let shared = &self.shared;
        hook(&shared.clock, self.within, || {
            shared.members.restart(member)
        })
        .await
        .map_err(HookError::into_cause)
    }

    async fn stop(&self, member: usize, begun: bool) -> Result<(), Cause> {
        let shared = &self.shared;
        if !begun && !shared.members.is_always_stopped(member) {
            return Ok(());
        }
        // A little less than it has, so that it ends by itself and says what it could not do.
        let told = self.within.map(|within| within - within / 8);
        let stopped = hook(&shared.clock, self.within, || {
            shared.members.stop(member, told)
        });
        stopped.await.map_err(|error| {
            if !matches!(error, HookError::Failed(_)) {
                shared.abandon(member);
            }
            error.into_cause()
        })
    }
}

impl<C: Clock, M: Members> Drop for StepJob<C, M> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let step = self.step;
        self.shared.change(|book| {
            book.is_spawner_gone |= self.is_spawned;
            match step {
                PlanStep::Start(member) => book.plan.start_called_off(member),
                PlanStep::Restart { member, .. } => book.plan.restarted(member, false),
                PlanStep::Stop { member, .. } => book.plan.stop_called_off(member),
            }
        });
    }
}

impl PlanStep {
    const fn member(self) -> usize {
        match self {
            Self::Start(member) | Self::Restart { member, .. } | Self::Stop { member, .. } => {
                member
            }
        }
    }
}
