//! Waiting for the value to be open.

use core::time::Duration;

use super::job::{ManagedJob, ManagedOpenJob};
use super::openings::{Patience, WaitedSince};
use super::shared::{Flight, ManagedCell, ManagedShared};
use crate::drive::{OneJob, Round, go_round};
use crate::opening::OpenError;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::state::{Event, State};
use crate::sync::Arc;
use crate::time::Instant;

/// Waits until the value is open, for at most `timeout`; opens it where no Runner does.
pub(crate) async fn wait_until_open<R: LocalResource<Value: Clone>, C: Clock>(
    shared: &Arc<ManagedShared<R, C>>,
    timeout: Option<Duration>,
    patience: Patience,
) -> Result<Arc<R::Value>, OpenError> {
    let look = |cell: &mut ManagedCell<R::Value>| (opened(cell), cell.runner.claim_respawn());
    let (value, respawns) = shared.cell.with(look);
    if respawns {
        ManagedShared::respawn(shared);
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
        patience,
        since: None,
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
        let now = shared.now();
        let look_at = match demand.look(now) {
            Look::Done(answer) => {
                if let Err(OpenError::Failed { failure, .. }) = &answer {
                    failure.count_within_retries(shared.config.most_counted_attempts());
                }
                return Round::Done(answer);
            }
            Look::Wait { until } => until,
        };
        let left = deadline.zip(now).map(|(deadline, now)| deadline - now);
        if left == Some(Duration::ZERO) {
            let waited = timeout.unwrap_or_default();
            return Round::Done(Err(shared.not_open_after(waited)));
        }
        if may_respawn && shared.cell.with(|cell| cell.runner.claim_respawn()) {
            may_respawn = false;
            ManagedShared::respawn(shared);
            return Round::Again;
        }
        if work.is_none() {
            if let Some(job) = ManagedShared::claim_for_opener(shared, left) {
                is_closing = job.is_close();
                work.begin(job.perform());
                return Round::Again;
            }
        }
        Round::Wait {
            until: deadline.into_iter().chain(look_at).min(),
        }
    })
    .await
}

/// What a task finds that wants the value to be open.
enum Look<T> {
    Done(T),
    /// There is nothing for it but to wait for a change, or until then.
    Wait {
        until: Option<Instant>,
    },
}

/// One task that wants the value to be open.
struct Demand<'a, R: LocalResource, C: Clock> {
    shared: &'a Arc<ManagedShared<R, C>>,
    patience: Patience,
    /// When it began to wait, once it does.
    since: Option<WaitedSince>,
}

impl<R: LocalResource, C: Clock> Demand<'_, R, C> {
    fn look(&mut self, now: Option<Instant>) -> Look<Result<Arc<R::Value>, OpenError>> {
        let name = &self.shared.reporter.name;
        let config = &self.shared.config;
        self.shared.with(|cell, effects| {
            if let Some(value) = opened(cell) {
                return Look::Done(Ok(value));
            }
            if cell.is_closing() {
                return Look::Done(Err(OpenError::Closed { name: name.clone() }));
            }
            let since = *self.since.get_or_insert_with(|| {
                cell.waiting += 1;
                cell.openings.since(now)
            });
            let refusal = cell.openings.refusal(
                since,
                now,
                self.patience,
                &config.open_retry,
                config.refuse_after,
            );
            if let Some(failure) = refusal {
                let name = name.clone();
                return Look::Done(Err(OpenError::Failed { name, failure }));
            }
            // After a failure the next attempt has its time. One that was not worth a retry has none: it is made
            // because this task asks.
            let recover_at = cell.recover_at.filter(|_| cell.state() == State::Error);
            let is_early = recover_at.zip(now).is_some_and(|(at, now)| now < at);
            if !is_early {
                cell.step(Event::OpenWanted, now, effects);
            }
            // Until an attempt fails there is nothing to be told, and a failure wakes all who wait.
            let limit = config.refuse_after.filter(|_| {
                matches!(self.patience, Patience::AsBuilt) && cell.openings.has_failed_since(since)
            });
            let told_at = since.at.zip(limit).map(|(at, limit)| at + limit);
            let told_at = told_at.filter(|at| now.is_some_and(|now| now < *at));
            let recover_at = recover_at.filter(|_| is_early);
            Look::Wait {
                until: told_at.into_iter().chain(recover_at).min(),
            }
        })
    }
}

impl<R: LocalResource, C: Clock> Drop for Demand<'_, R, C> {
    fn drop(&mut self) {
        if self.since.is_none() {
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

fn opened<V>(cell: &ManagedCell<V>) -> Option<Arc<V>> {
    cell.current.as_ref().map(|held| held.value.clone())
}

impl<R: LocalResource<Value: Clone>, C: Clock> ManagedShared<R, C> {
    /// Work that a task which wants the value open has to do itself, where there is no Runner: first
    /// it closes what is out of use, since a device may not allow two openings at once.
    fn claim_for_opener(this: &Arc<Self>, left: Option<Duration>) -> Option<ManagedJob<R, C>> {
        let until = this.now().zip(left).map(|(now, left)| now + left);
        this.cell.with(|cell| {
            if cell.runner.is_attached() {
                return None;
            }
            let close = cell.closer.claim(this, until).map(ManagedJob::Close);
            close.or_else(|| Self::claim_open(this, cell))
        })
    }

    pub(crate) fn claim_open(
        this: &Arc<Self>,
        cell: &mut ManagedCell<R::Value>,
    ) -> Option<ManagedJob<R, C>> {
        let may_open = cell.flight == Flight::Due
            && cell.state() == State::Initializing
            && !cell.closer.holds_up_opening(R::EXCLUSIVE);
        if !may_open {
            return None;
        }
        cell.flight = Flight::UnderWay;
        Some(ManagedJob::Open(ManagedOpenJob::claim(
            this,
            cell.machine.generation(),
        )))
    }

    /// Why there is no value yet, for a caller that has waited for so long: only what happened meanwhile.
    pub(crate) fn not_open_after(&self, waited: Duration) -> OpenError {
        let name = self.reporter.name.clone();
        let now = self.now();
        self.cell.with(|cell| {
            let last = cell.openings.cause_within(now, waited);
            let under_way = cell.openings.unanswered_for(now);
            if last.is_none() && (under_way.is_some() || cell.openings.pausing_until().is_some()) {
                return OpenError::Pending {
                    name,
                    waited,
                    under_way,
                };
            }
            OpenError::TimedOut { name, waited, last }
        })
    }
}

impl<R: LocalResource, C: Clock> ManagedShared<R, C> {
    /// How the latest attempt failed, for a caller that does not wait for the next. `None` if none has failed, or if
    /// the caller has to make the next attempt itself.
    pub(crate) fn latest_failure(&self) -> Option<OpenError> {
        let now = self.now();
        self.with(|cell, effects| {
            if cell.current.is_some() || cell.is_closing() {
                return None;
            }
            let failure = cell.openings.latest_failure(now)?;
            if cell.runner.is_attached() {
                if cell.recover_at.is_none() {
                    // The Runner makes it, because this caller asks.
                    cell.step(Event::OpenWanted, now, effects);
                }
            } else {
                let next_at = cell.openings.next_at().zip(now);
                let is_early = next_at.is_some_and(|(at, now)| now < at);
                if !is_early && cell.flight != Flight::UnderWay {
                    return None;
                }
            }
            let name = self.reporter.name.clone();
            Some(OpenError::Failed { name, failure })
        })
    }
}
