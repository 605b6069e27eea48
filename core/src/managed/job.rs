//! The work of a managed resource: opening, checking and closing its value.
//!
//! A job was marked as under way when it was claimed: dropping it half-way gives it back for somebody else to do.

use super::attempts::{Exhausted, open_at_pace};
use super::shared::{Flight, ManagedShared, ManagedSuspicion, ManagedValue};
use crate::cause::{Cause, Panicked};
use crate::contain::hook;
use crate::drive::CloseJob;
use crate::ending::Why;
use crate::event::EventKind;
use crate::resource::LocalResource;
use crate::retry::LEAST_PAUSE;
use crate::runtime::Clock;
use crate::state::{Action, Event};
use crate::sync::{self, Arc};

pub(crate) enum ManagedJob<R: LocalResource, C: Clock> {
    Open(ManagedOpenJob<R, C>),
    Check(ManagedCheckJob<R, C>),
    Close(CloseJob<ManagedShared<R, C>>),
}

impl<R: LocalResource, C: Clock> ManagedJob<R, C> {
    pub(crate) const fn is_close(&self) -> bool {
        matches!(self, Self::Close(_))
    }

    /// Returns `true` for what a shutdown waits for, and does not call off.
    pub(crate) const fn is_of_shutdown(&self) -> bool {
        match self {
            Self::Close(_) => true,
            Self::Check(job) => matches!(job.purpose, Purpose::Suspicion),
            Self::Open(_) => false,
        }
    }

    pub(crate) async fn perform(self) {
        match self {
            Self::Open(job) => job.perform().await,
            Self::Check(job) => {
                // The verdict is in the state and in the events; a background check has no caller.
                let _ = job.perform().await;
            }
            Self::Close(job) => job.perform().await,
        }
    }
}

/// The opening under way, its retries included.
pub(crate) struct ManagedOpenJob<R: LocalResource, C: Clock> {
    shared: Arc<ManagedShared<R, C>>,
    generation: u64,
    settled: bool,
}

impl<R: LocalResource, C: Clock> ManagedOpenJob<R, C> {
    /// Takes on an opening that is due and was marked as under way.
    pub(crate) fn claim(shared: &Arc<ManagedShared<R, C>>, generation: u64) -> Self {
        Self {
            shared: shared.clone(),
            generation,
            settled: false,
        }
    }

    async fn perform(mut self) {
        let shared = self.shared.clone();
        match open_at_pace(&shared, self.generation).await {
            Ok(value) => self.opened(value),
            Err(exhausted) => self.failed(exhausted),
        }
    }

    fn opened(&mut self, value: R::Value) {
        self.settled = true;
        let shared = &self.shared;
        let now = shared.now();
        let check_at = shared.config.check_every.zip(now).map(|(every, now)| {
            // An initial delay is a time of grace: not a moment less.
            now + shared
                .config
                .initial_delay
                .unwrap_or_else(|| shared.jittered(every))
        });
        let generation = self.generation;
        let value = Arc::new(value);
        let called_off = shared.with(|cell, effects| {
            cell.flight = Flight::None;
            let called_off = cell.openings.round_ended();
            cell.closer.tally().opened += 1;
            let forgotten = cell.openings.succeeded(now);
            effects.wakes.drop_cause(forgotten);
            if cell.step(Event::Opened { generation }, now, effects) == Action::Keep {
                cell.current = Some(ManagedValue {
                    value,
                    generation,
                    calls: 0,
                    used_at: None,
                    revocation: Arc::default(),
                    suspicion: ManagedSuspicion::None,
                });
                cell.check_at = check_at;
                effects.wakes.push(cell.runner.take_waker());
            } else {
                cell.closer.retire(value, Why::OpenedTooLate);
                cell.queue_unused_for_closing(effects);
            }
            called_off
        });
        self.report_called_off(called_off);
    }

    fn failed(&mut self, exhausted: Exhausted) {
        self.settled = true;
        let shared = &self.shared;
        let (now, generation) = (shared.now(), self.generation);
        let called_off = shared.with(|cell, effects| {
            cell.flight = Flight::None;
            if let Some(last) = exhausted.last {
                last.note(cell, generation, effects);
            }
            let called_off = cell.openings.round_ended();
            cell.closer.tally().open_failed += 1;
            cell.step(Event::OpenFailed { generation }, now, effects);
            // What is not worth a retry is not worth an attempt that nobody asked for either.
            // A policy without delays must not make a busy loop.
            let next_at = cell.openings.next_at().filter(|at| now < Some(*at));
            let recover_at = next_at.or_else(|| now.map(|now| now + LEAST_PAUSE));
            cell.recover_at = recover_at.filter(|_| exhausted.recovers);
            cell.finish_if_drained(now, effects);
            effects.wakes.push(cell.runner.take_waker());
            effects.wakes.signal();
            called_off
        });
        self.report_called_off(called_off);
    }

    /// Attempts that another one has made needless.
    fn report_called_off(&self, attempts: usize) {
        let shared = &self.shared;
        for _ in 0..attempts {
            shared
                .reporter
                .send(&shared.clock, EventKind::OpenCalledOff);
        }
    }
}

impl<R: LocalResource, C: Clock> Drop for ManagedOpenJob<R, C> {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let (now, generation) = (self.shared.now(), self.generation);
        // The opening counts as under way until this is told, so that no other begins before.
        let called_off = self.shared.cell.with(|cell| cell.openings.round_ended());
        self.report_called_off(called_off.max(1));
        self.shared.with(|cell, effects| {
            cell.flight = Flight::None;
            cell.closer.tally().open_called_off += 1;
            if cell.waiting > 0 && !cell.is_closing() {
                // Some caller still wants the value: the next of them starts anew.
                cell.flight = Flight::Due;
            } else {
                cell.step(Event::OpenCalledOff { generation }, now, effects);
            }
            cell.finish_if_drained(now, effects);
            effects.wakes.push(cell.runner.take_waker());
            effects.wakes.signal();
        });
    }
}

/// A check under way.
pub(crate) struct ManagedCheckJob<R: LocalResource, C: Clock> {
    shared: Arc<ManagedShared<R, C>>,
    value: Arc<R::Value>,
    generation: u64,
    purpose: Purpose,
}

/// What a check is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A caller asks.
    Asked,
    /// The Runner makes it, by its schedule.
    Schedule,
    /// One call has found the value broken, and others still use it.
    Suspicion,
}

impl<R: LocalResource, C: Clock> ManagedCheckJob<R, C> {
    pub(crate) fn claim(
        shared: &Arc<ManagedShared<R, C>>,
        held: &ManagedValue<R::Value>,
        purpose: Purpose,
    ) -> Self {
        let (value, generation) = (held.value.clone(), held.generation);
        Self {
            shared: shared.clone(),
            value,
            generation,
            purpose,
        }
    }

    /// Checks the value, and tells the machine.
    pub(crate) async fn perform(self) -> Result<(), Cause> {
        let shared = &*self.shared;
        let limit = shared.config.check_timeout;
        let mut is_dead = true;
        let verdict = match sync::contain(|| (shared.clone_value)(&self.value)) {
            Ok(mut value) => {
                let check = hook(&shared.clock, limit, || shared.resource.check(&mut value));
                let verdict = check.await.map_err(|error| {
                    let counts = || shared.resource.counts_as_dead(error.as_failure());
                    is_dead = sync::contain(counts).unwrap_or_else(|message| {
                        let phase = "counts_as_dead";
                        shared.reporter.swallowed(&shared.clock, phase, message);
                        true
                    });
                    shared.resource.cause_of_hook(error)
                });
                // The clone is the user's to drop, and it may panic.
                if let Err(message) = sync::contain(|| drop(value)) {
                    let reporter = &shared.reporter;
                    reporter.swallowed(&shared.clock, "drop of a value", message);
                }
                verdict
            }
            Err(message) => Err(Cause::new(Panicked::new(message))),
        };
        let (now, generation) = (shared.now(), self.generation);
        let event = match &verdict {
            Ok(()) => {
                shared.reporter.send(&shared.clock, EventKind::CheckPassed);
                Event::CheckPassed { generation }
            }
            Err(error) => {
                shared
                    .reporter
                    .send(&shared.clock, EventKind::CheckFailed { error });
                if is_dead {
                    Event::CheckFailed { generation }
                } else {
                    Event::Unwell { generation }
                }
            }
        };
        shared.with(|cell, effects| {
            // A value that is out of use, and was checked for the sake of its calls, proves nothing of the next.
            let proves = verdict.is_ok() && self.purpose != Purpose::Suspicion;
            if proves && cell.openings.proven(generation) {
                effects.wakes.signal();
            }
            let current = cell.current.as_ref().map(|held| held.generation);
            if let (Err(error), true) = (&verdict, current == Some(generation)) {
                let forgotten = cell.last_error.replace(error.clone());
                effects.wakes.drop_cause(forgotten);
            }
            cell.step(event, now, effects);
            if self.purpose == Purpose::Suspicion {
                cell.settle_suspicion(generation, is_dead && verdict.is_err(), effects);
            }
        });
        verdict
    }
}

impl<R: LocalResource, C: Clock> Drop for ManagedCheckJob<R, C> {
    fn drop(&mut self) {
        let shared = &self.shared;
        match self.purpose {
            Purpose::Asked => return,
            Purpose::Schedule => {}
            Purpose::Suspicion => {
                return shared.with(|cell, effects| {
                    cell.suspect_again(self.generation, effects);
                });
            }
        }
        let next = shared
            .now()
            .zip(shared.config.check_every)
            .map(|(now, every)| now + shared.jittered(every));
        shared.with(|cell, effects| {
            if cell.checking == Some(self.generation) {
                cell.checking = None;
            }
            if cell.current.is_some() && cell.machine.generation() == self.generation {
                cell.check_at = next;
            }
            effects.wakes.push(cell.runner.take_waker());
        });
    }
}
