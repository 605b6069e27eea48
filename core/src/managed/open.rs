//! Waiting for the value to be open.

use core::task::Poll;
use core::time::Duration;

use super::error::OpenError;
use super::job::{CloseDuty, Job, OpenDuty};
use super::shared::{Cell, Flight, Shared};
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::state::{Event, State};
use crate::sync::Arc;
use crate::work::{OneJob, Round, go_round};

/// Waits until the value is open, for at most `timeout`; opens it where no Runner does.
pub(crate) async fn wait_until_open<R: LocalResource<Value: Clone>, C: Clock>(
    shared: &Arc<Shared<R, C>>,
    timeout: Option<Duration>,
) -> Result<Arc<R::Value>, OpenError> {
    let look = |cell: &mut Cell<R::Value>| (opened(cell), cell.runner.claim_respawn());
    let (value, respawns) = shared.cell.with(look);
    if respawns {
        shared.respawn();
    }
    if let Some(value) = value {
        return Ok(value);
    }
    // Once, for the executor may be gone.
    let mut may_respawn = !respawns;
    let deadline = shared
        .now()
        .zip(timeout)
        .map(|(now, timeout)| now + timeout);
    let mut demand = Demand {
        shared,
        joined: None,
    };
    let mut work = OneJob::none();
    let mut is_closing = false;
    go_round(&shared.clock, &shared.changed, |cx| {
        if work.poll(cx).is_some() {
            is_closing = false;
            return Round::Again;
        }
        if is_closing {
            // A close that was begun is finished. It has no more time than this caller.
            return Round::Wait { until: None };
        }
        if let Poll::Ready(answer) = demand.look() {
            if let Err(OpenError::Failed { failure, .. }) = &answer {
                failure.count_within_retries(shared.config.retry.max_attempts());
            }
            return Round::Done(answer);
        }
        let now = shared.now();
        let left = deadline.zip(now).map(|(deadline, now)| deadline - now);
        if left == Some(Duration::ZERO) {
            let waited = timeout.unwrap_or_default();
            return Round::Done(Err(shared.not_open_after(waited)));
        }
        if may_respawn && shared.cell.with(|cell| cell.runner.claim_respawn()) {
            may_respawn = false;
            shared.respawn();
            return Round::Again;
        }
        if work.is_none() {
            if let Some(job) = shared.claim_for_opener(left) {
                is_closing = job.is_close();
                work.begin(job.perform());
                return Round::Again;
            }
        }
        Round::Wait { until: deadline }
    })
    .await
}

/// One task that wants the value to be open.
struct Demand<'a, R: LocalResource, C: Clock> {
    shared: &'a Arc<Shared<R, C>>,
    /// The opening it waits for.
    joined: Option<u64>,
}

impl<R: LocalResource, C: Clock> Demand<'_, R, C> {
    fn look(&mut self) -> Poll<Result<Arc<R::Value>, OpenError>> {
        let now = self.shared.now();
        let joined = &mut self.joined;
        let name = &self.shared.reporter.name;
        self.shared.with(|cell, effects| {
            if let Some(value) = opened(cell) {
                return Poll::Ready(Ok(value));
            }
            if cell.is_closing() {
                return Poll::Ready(Err(OpenError::Closed { name: name.clone() }));
            }
            if let (Some(joined), Some((generation, failure))) = (*joined, &cell.failure) {
                if *generation >= joined {
                    let (name, failure) = (name.clone(), failure.clone());
                    return Poll::Ready(Err(OpenError::Failed { name, failure }));
                }
            }
            cell.step(Event::OpenWanted, now, effects);
            if joined.replace(cell.machine.generation()).is_none() {
                cell.waiting += 1;
            }
            Poll::Pending
        })
    }
}

impl<R: LocalResource, C: Clock> Drop for Demand<'_, R, C> {
    fn drop(&mut self) {
        if self.joined.is_none() {
            return;
        }
        let now = self.shared.now();
        self.shared.with(|cell, effects| {
            cell.waiting -= 1;
            let nobody = cell.waiting == 0 && !cell.runner.is_attached();
            if nobody && cell.flight == Flight::Due {
                cell.flight = Flight::None;
                let generation = cell.machine.generation();
                cell.step(Event::OpenCalledOff { generation }, now, effects);
            }
        });
    }
}

fn opened<V>(cell: &Cell<V>) -> Option<Arc<V>> {
    cell.current.as_ref().map(|held| held.value.clone())
}

impl<R: LocalResource<Value: Clone>, C: Clock> Shared<R, C> {
    /// Work that a task which wants the value open has to do itself, where there is no Runner: first
    /// it closes what is out of use, since a device may not allow two openings at once.
    fn claim_for_opener(self: &Arc<Self>, left: Option<Duration>) -> Option<Job<R, C>> {
        self.cell.with(|cell| {
            if cell.runner.is_attached() {
                return None;
            }
            self.claim_close(cell, left)
                .or_else(|| self.claim_open(cell))
        })
    }

    pub(crate) fn claim_open(self: &Arc<Self>, cell: &mut Cell<R::Value>) -> Option<Job<R, C>> {
        let may_open = cell.flight == Flight::Due
            && cell.state() == State::Initializing
            && cell.graveyard.is_empty()
            && cell.closing == 0;
        if !may_open {
            return None;
        }
        cell.flight = Flight::UnderWay;
        Some(Job::Open(OpenDuty::claim(self, cell.machine.generation())))
    }

    pub(crate) fn claim_close(
        self: &Arc<Self>,
        cell: &mut Cell<R::Value>,
        limit: Option<Duration>,
    ) -> Option<Job<R, C>> {
        let corpse = cell.graveyard.pop_front()?;
        cell.closing += 1;
        Some(Job::Close(
            CloseDuty::claim(self, corpse.why, cell.era, limit),
            corpse.value,
        ))
    }

    pub(crate) fn not_open_after(&self, waited: Duration) -> OpenError {
        let last = self.cell.with(|cell| cell.last_error.clone());
        OpenError::TimedOut {
            name: self.reporter.name.clone(),
            waited,
            last,
        }
    }
}
