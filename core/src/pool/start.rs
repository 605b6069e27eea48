//! Opening the minimum before the first use.

use super::error::AcquireError;
use super::job::PoolJob;
use super::shared::PoolShared;
use crate::drive::{JobSet, Round, go_round};
use crate::kernel::{Driver, Since};
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::sync::Arc;
use crate::time::Instant;

/// Waits until the minimum is open, and fails when it cannot be opened.
pub(crate) async fn start_pool<R: LocalResource, C: Clock>(
    shared: &Arc<PoolShared<R, C>>,
) -> Result<(), AcquireError> {
    let starter = Starter::new(shared);
    PoolShared::respawn_if_lost(shared);
    let mut openings = JobSet::new(&shared.clock);
    let mut closings = JobSet::new(&shared.clock);
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
    shared: &'a Arc<PoolShared<R, C>>,
    since: Since,
}

enum Progress<R: LocalResource, C: Clock> {
    Done(Result<(), AcquireError>),
    Work(PoolJob<R, C>),
    Wait { resumes_at: Option<Instant> },
}

impl<'a, R: LocalResource, C: Clock> Starter<'a, R, C> {
    fn new(shared: &'a Arc<PoolShared<R, C>>) -> Self {
        let at = shared.now().unwrap_or_default();
        let since = shared.transact(|transaction| transaction.kernel().starter_came(at));
        Self { shared, since }
    }

    fn progress(&self) -> Progress<R, C> {
        let now = self.shared.now();
        if let Some(result) = self.result(now) {
            return Progress::Done(result);
        }
        let claimed = PoolShared::claim(self.shared, Driver::Starter, now, None);
        let resumes_at = claimed.resumes_at;
        claimed
            .job
            .map_or(Progress::Wait { resumes_at }, Progress::Work)
    }

    fn result(&self, now: Option<Instant>) -> Option<Result<(), AcquireError>> {
        self.shared.adjust(|transaction| {
            let kernel = transaction.kernel();
            if !kernel.is_open() {
                let pool = self.shared.reporter.name.clone();
                return Some(Err(AcquireError::Closed { pool }));
            }
            if kernel.counts().in_service() >= kernel.least() {
                return Some(Ok(()));
            }
            let reason = kernel.start_fails(self.since)?;
            let error = transaction.backend_down(self.since, Some(reason), now)?;
            Some(Err(error))
        })
    }
}

impl<R: LocalResource, C: Clock> Drop for Starter<'_, R, C> {
    fn drop(&mut self) {
        self.shared
            .transact(|transaction| transaction.kernel().starter_left());
    }
}

impl<R: LocalResource, C: Clock> PoolShared<R, C> {
    /// Hands on what a caller is told. If it is how openings fail, a retry around it counts their attempts.
    #[cold]
    pub(super) fn told_within_retries(&self, error: AcquireError) -> AcquireError {
        if let AcquireError::BackendDown { failure, .. } = &error {
            let max_attempts = self.look(|kernel| kernel.openings().max_attempts());
            failure.count_within_retries(max_attempts);
        }
        error
    }
}
