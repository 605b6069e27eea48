//! Opening the minimum before the first use.

use super::error::AcquireError;
use super::job::{CloseDuty, Job, OpenDuty};
use super::openings::Since;
use super::shared::{Phase, Queue, Shared};
use crate::Instant;
use crate::resource::LocalResource;
use crate::retry::StopReason;
use crate::runtime::Clock;
use crate::sync::Arc;
use crate::work::{JobSet, Round, Wakes, go_round};

/// Waits until the minimum is open, and fails when it cannot be opened.
pub(crate) async fn start_pool<R: LocalResource, C: Clock>(
    shared: &Arc<Shared<R, C>>,
) -> Result<(), AcquireError> {
    let starter = Starter::new(shared);
    Shared::respawn_if_lost(shared);
    let mut openings = JobSet::new();
    let mut closings = JobSet::new();
    go_round(&shared.clock, &shared.changed, |cx| {
        let resumes_at = match starter.progress() {
            // A close that was begun is finished.
            Progress::Done(result) if closings.is_empty() => return Round::Done(result),
            Progress::Done(_) => None,
            Progress::Work(job) => {
                let jobs = if job.is_close() {
                    &mut closings
                } else {
                    &mut openings
                };
                jobs.push(job.perform_quietly());
                return Round::Again;
            }
            Progress::Wait { resumes_at } => resumes_at,
        };
        if openings.poll(cx) | closings.poll(cx) {
            return Round::Again;
        }
        Round::Wait { until: resumes_at }
    })
    .await
    .map_err(|error| shared.told_within_retries(error))
}

/// While it lives, the pool keeps its minimum even without a Runner.
struct Starter<'a, R: LocalResource, C: Clock> {
    shared: &'a Arc<Shared<R, C>>,
    since: Since,
}

enum Progress<R: LocalResource, C: Clock> {
    Done(Result<(), AcquireError>),
    Work(Job<R, C>),
    Wait { resumes_at: Option<Instant> },
}

impl<'a, R: LocalResource, C: Clock> Starter<'a, R, C> {
    fn new(shared: &'a Arc<Shared<R, C>>) -> Self {
        let at = shared.now().unwrap_or_default();
        let mut wakes = Wakes::default();
        let since = shared.queue.with(|queue| {
            queue.starters += 1;
            queue.warm = true;
            queue.openings.try_soon();
            shared.poke(queue, &mut wakes);
            let failed = queue.openings.failed_attempts();
            Since { at, failed }
        });
        shared.wake(wakes);
        Self { shared, since }
    }

    fn progress(&self) -> Progress<R, C> {
        let shared = self.shared;
        let now = shared.now();
        let mut wakes = Wakes::default();
        let progress = shared.queue.with(|queue| self.step(queue, now, &mut wakes));
        shared.wake(wakes);
        progress
    }

    fn step(
        &self,
        queue: &mut Queue<R::Value>,
        now: Option<Instant>,
        wakes: &mut Wakes,
    ) -> Progress<R, C> {
        let shared = self.shared;
        if queue.phase != Phase::Open {
            let pool = shared.reporter.name.clone();
            return Progress::Done(Err(AcquireError::Closed { pool }));
        }
        let least = queue.least(&shared.config);
        if queue.in_service() >= least {
            return Progress::Done(Ok(()));
        }
        let reason = queue
            .openings
            .verdict(self.since)
            .filter(|reason| queue.openings.fresh() == 0 || *reason == StopReason::Deadline);
        if reason.is_some() {
            if let Some(error) = shared.backend_down(queue, self.since, reason, now) {
                return Progress::Done(Err(error));
            }
        }
        if queue.runner.is_attached() {
            return Progress::Wait { resumes_at: None };
        }
        shared.settle_family_in_turn(queue, now, wakes);
        shared.note_time(queue, now, wakes);
        let wanted = queue.openings_wanted(&shared.config) > 0;
        let due = queue.openings_due(&shared.config) > 0;
        let wants_place = queue.wants_place(&shared.config);
        if (wanted || wants_place) && !queue.may_open(now) {
            let resumes_at = queue.opens_at(true);
            return Progress::Wait { resumes_at };
        }
        if wants_place {
            wakes.push(queue.openings.give_way());
        }
        let resumes_at = queue.opens_at(false);
        if !due {
            let missing = queue.in_service() + queue.opening < least;
            let full = queue.size >= queue.max_size;
            // A value on its way out holds the slot that is needed.
            let close = (missing && full).then(|| CloseDuty::claim(shared, queue, None));
            return match close.flatten() {
                Some(duty) => Progress::Work(Job::Close(duty)),
                None => Progress::Wait { resumes_at },
            };
        }
        match OpenDuty::claim(shared, queue, now) {
            Some(duty) => Progress::Work(Job::Open(duty)),
            None => Progress::Wait { resumes_at },
        }
    }
}

impl<R: LocalResource, C: Clock> Drop for Starter<'_, R, C> {
    fn drop(&mut self) {
        let mut wakes = Wakes::default();
        self.shared.queue.with(|queue| {
            queue.starters -= 1;
            self.shared.poke(queue, &mut wakes);
        });
        self.shared.wake(wakes);
    }
}
