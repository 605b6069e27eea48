//! What the lock of a shared resource guards.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use super::generation::{Lent, SharedGeneration};
use crate::cleanup::{Audit, Report};
use crate::drive::Attachment;
use crate::ending::Why;
use crate::held::HeldResource;
use crate::managed::{Managed, Runner};
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::sync::Arc;
use crate::time::Instant;

pub(crate) struct GenerationBook<R: LocalResource, C: Clock> {
    /// What the next generation is opened with.
    pub(crate) resource: Arc<HeldResource<R>>,
    /// Those that have not ended, the oldest first.
    pub(crate) generations: Vec<SharedGeneration<R, C>>,
    /// The number of the one that new users get.
    pub(crate) current: Option<u64>,
    pub(crate) latest: u64,
    /// The swap under way that others may join.
    pub(crate) standby: Option<Standby>,
    /// The latest generation whose resource has become that of all after it.
    pub(crate) resource_from: u64,
    /// The background work of new generations, until the Runner takes it.
    pub(crate) arrived: VecDeque<Runner<Lent<R>, C>>,
    pub(crate) runner: Attachment,
    /// `true` once the Runner that is attached was polled, and so closes what there is.
    pub(crate) runner_has_begun: bool,
    /// `true` once a Runner was attached.
    pub(crate) had_runner: bool,
    /// `true` while a lost Runner is being spawned: if it is dropped meanwhile, its executor is gone.
    pub(crate) is_spawning: bool,
    pub(crate) is_shut: bool,
    pub(crate) shut_at: Option<Instant>,
    /// Those that have ended.
    pub(crate) ended: Audit,
    /// Those that have ended since the shutdown began.
    pub(crate) report: Report,
}

/// A generation that is opened to take the place of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standby {
    pub(crate) number: u64,
    /// The one that was current when the swap began.
    pub(crate) replaces: Option<u64>,
}

impl<R: LocalResource, C: Clock> GenerationBook<R, C> {
    pub(crate) fn generation(&mut self, number: u64) -> Option<&mut SharedGeneration<R, C>> {
        let mut generations = self.generations.iter_mut();
        generations.find(|generation| generation.number == number)
    }

    pub(crate) fn current(&mut self) -> Option<&mut SharedGeneration<R, C>> {
        let number = self.current?;
        self.generation(number)
    }

    /// Takes in a generation that nobody waits for yet, and its background work if a Runner does that.
    pub(crate) fn add(
        &mut self,
        managed: Managed<Lent<R>, C>,
        runner: Runner<Lent<R>, C>,
    ) -> (u64, Option<Runner<Lent<R>, C>>) {
        self.latest += 1;
        self.generations.push(SharedGeneration {
            number: self.latest,
            managed,
            waiting: 0,
            holding: 0,
            idle_since: None,
            retired: None,
            is_closing: false,
        });
        if self.runner.is_attached() {
            self.arrived.push_back(runner);
            (self.latest, None)
        } else {
            (self.latest, Some(runner))
        }
    }

    /// The generation under way that is to take the place of the current one, if there is any that is waited for.
    pub(crate) fn standby(&mut self) -> Option<(Standby, &mut SharedGeneration<R, C>)> {
        let standby = self.standby?;
        if standby.replaces != self.current {
            return None;
        }
        let generation = self.generation(standby.number)?;
        (generation.waiting > 0).then_some((standby, generation))
    }

    /// Returns a generation that is to be closed, and whose close is not under way: it is out of use and has no user. From a
    /// shutdown on, those that wait for it to open are told by its close; and if that is out of time, those that hold the value
    /// have it closed under them.
    pub(crate) fn closable(&mut self, is_out_of_time: bool) -> Option<&mut SharedGeneration<R, C>> {
        let is_shut = self.is_shut;
        self.generations.iter_mut().find(|generation| {
            let is_used = if is_shut {
                generation.holding > 0 && !is_out_of_time
            } else {
                generation.is_used()
            };
            generation.retired.is_some() && !generation.is_closing && !is_used
        })
    }

    /// Returns `true` once all is shut down and every generation has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_shut && self.generations.is_empty()
    }

    /// From now on all get that value.
    pub(crate) fn install(&mut self, number: u64) {
        self.retire_current(Why::Replaced);
        if let Some(generation) = self.generation(number) {
            generation.retired = None;
        }
        self.current = Some(number);
    }

    /// From now on nobody gets the current value.
    pub(crate) fn retire_current(&mut self, why: Why) {
        if let Some(current) = self.current() {
            current.retired = Some(why);
        }
        self.current = None;
    }

    /// Retires the current value, if it has been idle for too long.
    pub(crate) fn expire(&mut self, now: Option<Instant>, idle_timeout: Option<Duration>) {
        let over = self.idle_until(idle_timeout).zip(now);
        if over.is_some_and(|(until, now)| now >= until) {
            self.retire_current(Why::IdleTooLong);
        }
    }

    /// Until when the current value may be idle, if it is.
    pub(crate) fn idle_until(&mut self, idle_timeout: Option<Duration>) -> Option<Instant> {
        let current = self.current().filter(|current| !current.is_used())?;
        Some(current.idle_since? + idle_timeout?)
    }

    /// One user less.
    pub(crate) fn leave(&mut self, number: u64, held: bool, now: Option<Instant>) {
        let Some(generation) = self.generation(number) else {
            return;
        };
        if held {
            generation.holding -= 1;
        } else {
            generation.waiting -= 1;
        }
        if !generation.is_used() {
            generation.idle_since = now;
        }
    }

    /// Nobody will use these again, and nobody closes them.
    pub(crate) fn take_orphans(&mut self) -> Vec<SharedGeneration<R, C>> {
        let (orphans, used) = core::mem::take(&mut self.generations)
            .into_iter()
            .partition(|generation| !generation.is_used());
        self.generations = used;
        orphans
    }
}

impl<R: LocalResource<Value: Clone>, C: Clock> GenerationBook<R, C> {
    /// A generation was closed. It is handed out, to be dropped outside the lock.
    pub(crate) fn end(&mut self, number: u64, report: Report) -> Option<SharedGeneration<R, C>> {
        let place = self
            .generations
            .iter()
            .position(|generation| generation.number == number)?;
        let generation = self.generations.remove(place);
        self.ended += generation.audit();
        if self.is_shut {
            self.report.add(report);
            self.report.still_in_use += u64::try_from(generation.holding).unwrap_or(u64::MAX);
        }
        Some(generation)
    }
}
