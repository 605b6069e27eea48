//! What the lock of a shared resource guards.

use alloc::vec::Vec;
use core::time::Duration;

use super::generation::{Lent, SharedGeneration};
use crate::cleanup::{Audit, Report};
use crate::ending::Why;
use crate::managed::{Managed, Runner};
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::sync::Arc;
use crate::time::Instant;

pub(crate) struct GenerationBook<R: LocalResource, C: Clock> {
    /// What the next generation is opened with.
    pub(crate) resource: Arc<R>,
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
    pub(crate) arrived: Vec<Runner<Lent<R>, C>>,
    pub(crate) has_runner: bool,
    /// `true` once a Runner was there.
    pub(crate) had_runner: bool,
    /// `true` if the Runner that `build` spawned has ended before its time: the next use spawns another.
    pub(crate) runner_lost: bool,
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
        if self.has_runner {
            self.arrived.push(runner);
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

    /// A generation that nobody gets or uses any more, and whose close nobody drives. It is marked as being closed.
    pub(crate) fn claim_retired(&mut self) -> Option<u64> {
        let mut generations = self.generations.iter_mut();
        let retired = generations.find(|generation| {
            generation.retired.is_some() && !generation.is_used() && !generation.is_closing
        })?;
        retired.is_closing = true;
        Some(retired.number)
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
