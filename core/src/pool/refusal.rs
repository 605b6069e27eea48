//! What a waiter is told that gets no value: its time is over, or it waits for itself.

use alloc::boxed::Box;
use core::time::Duration;

use super::error::AcquireError;
use super::openings::Since;
use super::queue::End;
use super::shared::{Phase, Queue, Shared};
use super::waiting::{Waiter, Working};
use crate::Instant;
use crate::cause::Cause;
use crate::event::EventKind;
use crate::resource::LocalResource;
use crate::retry::StopReason;
use crate::runtime::Clock;
use crate::work::Wakes;

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

impl<R: LocalResource, C: Clock> Waiter<'_, R, C> {
    /// The next one is asked for at the front, for it was this waiter's turn.
    pub(super) fn note_rejected(&mut self, cause: Cause, worked_on: Working) {
        self.end = End::Front;
        let took = match (worked_on, self.shared.now()) {
            (Working::Preparing { since }, Some(now)) => now - since,
            _ => Duration::ZERO,
        };
        self.rejected = Some(Rejected::another(self.rejected.take(), took, cause));
    }

    pub(super) fn time_is_over(&mut self, now: Option<Instant>) -> AcquireError {
        let shared = self.shared;
        let waited = now.map_or(Duration::ZERO, |now| now - self.began_at);
        let rejected = self.rejected.take();
        shared.queue.with(|queue| {
            let pool = shared.reporter.name.clone();
            if queue.suspended {
                return AcquireError::Suspended { pool, waited };
            }
            if let Some(since) = self.since() {
                let reason = queue.openings.verdict(since);
                if let Some(error) = shared.backend_down(queue, since, reason, now) {
                    return error;
                }
            }
            let status = Box::new(shared.status_under_lock(queue));
            if let Some(family_max_size) = queue.family_that_is_full(&shared.config) {
                return AcquireError::FamilyExhausted {
                    pool,
                    waited,
                    family_max_size,
                    status,
                };
            }
            match rejected {
                // Those who wait for a user to be done have waited for that, whatever came before.
                Some(rejected) if status.in_use < status.max_size => AcquireError::Rejected {
                    pool,
                    waited,
                    rejected: rejected.values,
                    cause: rejected.cause,
                    status,
                },
                // An opening could have served it, and has not answered, or was not allowed to begin yet.
                None if queue.opening > 0
                    || (queue.size < queue.max_size && queue.openings.are_failing(now)) =>
                {
                    AcquireError::OpenPending {
                        pool,
                        waited,
                        under_way: queue.openings.longest_under_way(now),
                        status,
                    }
                }
                rejected => AcquireError::Exhausted {
                    pool,
                    waited,
                    in_care: rejected.map_or(Duration::ZERO, |rejected| rejected.in_care),
                    self_deadlock: self.self_deadlock,
                    status,
                },
            }
        })
    }

    /// Takes note, as it begins to wait, that its own task holds all it waits for.
    pub(super) fn notice_self_deadlock(&mut self) {
        if let Some(held) = self.shared.held_by_this_task() {
            self.self_deadlock = true;
            let waits = EventKind::SelfDeadlock { held };
            self.shared.reporter.send(&self.shared.clock, waits);
        }
    }

    /// How many values its task holds, if it is to be refused for that.
    pub(super) fn refused_for_self_deadlock(&self) -> Option<usize> {
        if self.self_deadlock && self.shared.config.refuses_self_deadlock {
            self.shared.held_by_this_task()
        } else {
            None
        }
    }
}

impl<R: LocalResource, C: Clock> Shared<R, C> {
    /// Hands on what a caller is told. If it is how openings fail, a retry around it counts their attempts.
    #[cold]
    pub(crate) fn told_within_retries(&self, error: AcquireError) -> AcquireError {
        if let AcquireError::BackendDown { failure, .. } = &error {
            let max_attempts = self.queue.with(|queue| queue.openings.max_attempts());
            failure.count_within_retries(max_attempts);
        }
        error
    }

    /// The error that says how openings failed while a caller waited, if any did.
    pub(crate) fn backend_down(
        &self,
        queue: &Queue<R::Value>,
        since: Since,
        reason: Option<StopReason>,
        now: Option<Instant>,
    ) -> Option<AcquireError> {
        let failure = queue.openings.failure_since(since, reason, now)?;
        Some(AcquireError::BackendDown {
            pool: self.reporter.name.clone(),
            failure,
            status: Box::new(self.status_under_lock(queue)),
        })
    }

    /// Marks the openings that are overdue by now. Those who drive openings call it, and have set an alarm for it.
    pub(crate) fn note_time(
        &self,
        queue: &mut Queue<R::Value>,
        now: Option<Instant>,
        wakes: &mut Wakes,
    ) {
        let (newly_overdue, forgotten) = queue.openings.note_time(now);
        wakes.drop_cause(forgotten);
        if newly_overdue {
            // Another may begin, or those be told for which it was the last hope.
            self.poke(queue, wakes);
        }
    }

    /// Tells those waiters that the server is down for which openings have failed for long enough, or for good, if
    /// nothing else could serve them: no value is in service, and, unless their time is over, none is on its way.
    pub(crate) fn tell_without_hope(&self, queue: &mut Queue<R::Value>, wakes: &mut Wakes) {
        let may_tell = queue.phase == Phase::Open
            && !queue.suspended
            && queue.waiters.waiting() > 0
            && !queue.openings.are_well()
            && queue.in_service() == queue.gathered.len();
        if !may_tell {
            return;
        }
        let none_on_its_way = queue.openings.fresh() == 0;
        let openings = &queue.openings;
        let reason_for = |since| {
            let reason = openings.verdict(since)?;
            (none_on_its_way || reason == StopReason::Deadline).then_some(reason)
        };
        if !queue.waiters.any_since(|since| reason_for(since).is_some()) {
            return;
        }
        // What was gathered for the first goes to whoever is the first after that.
        let gathered = core::mem::take(&mut queue.gathered);
        queue.waiters.first_lost(gathered.len() as u32);
        let status = self.status_under_lock(queue);
        let Queue {
            openings, waiters, ..
        } = queue;
        let reason_for = |since| {
            let reason = openings.verdict(since)?;
            (none_on_its_way || reason == StopReason::Deadline).then_some(reason)
        };
        waiters.answer_each(
            |_, since| {
                let reason = reason_for(since)?;
                let failure = openings.failure_since(since, Some(reason), None)?;
                Some(Err(Box::new(AcquireError::BackendDown {
                    pool: self.reporter.name.clone(),
                    failure,
                    status: Box::new(status),
                })))
            },
            |waker| wakes.push(waker),
        );
        self.settle_gates(queue);
        self.give_each(queue, gathered, wakes);
    }
}
