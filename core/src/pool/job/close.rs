//! The end of a value.

use core::time::Duration;

use crate::Instant;
use crate::cause::Cause;
use crate::cleanup::{Corpse, Ending, Why, abandon_quietly, close_value, take_leave};
use crate::event::EventKind;
use crate::pool::shared::{Queue, Shared};
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::sync::Arc;
use crate::work::Wakes;

/// A close under way.
pub(crate) struct CloseDuty<R: LocalResource, C: Clock> {
    shared: Arc<Shared<R, C>>,
    /// Here until its close is called. Dropped before, it is abandoned; after that its close is cut off.
    value: Option<R::Value>,
    why: Why,
    /// When whoever drives it has no more time.
    until: Option<Instant>,
    era: u64,
    settled: bool,
}

impl<R: LocalResource, C: Clock> CloseDuty<R, C> {
    /// Claims the value that has waited longest to be closed. Under the queue's lock. It is over by
    /// `until`, where whoever drives it has no more time than that.
    pub(crate) fn claim(
        shared: &Arc<Shared<R, C>>,
        queue: &mut Queue<R::Value>,
        until: Option<Instant>,
    ) -> Option<Self> {
        let Corpse { value, why } = queue.graveyard.pop_front()?;
        queue.closing += 1;
        Some(Self {
            shared: shared.clone(),
            value: Some(value),
            why,
            until,
            era: queue.era,
            settled: false,
        })
    }

    pub(crate) async fn perform(mut self) {
        let shared = self.shared.clone();
        let limit = self.limit(shared.config.hook_timeout);
        if let Some(value) = &mut self.value {
            let (resource, clock) = (&shared.resource, &shared.clock);
            take_leave(resource, clock, &shared.reporter, limit, value).await;
        }
        if let Some(value) = self.value.take() {
            let limit = self.limit(shared.config.close_timeout);
            let why = self.why;
            let corpse = Corpse { value, why };
            let (ending, error) = close_value(&shared.resource, &shared.clock, limit, corpse).await;
            self.settle(ending, error);
        }
    }

    fn limit(&self, general: Option<Duration>) -> Option<Duration> {
        let shared = &self.shared;
        let broken =
            { shared.config.broken_close_timeout }.filter(|_| self.why.is_of_broken_value());
        let left = self.until.zip(shared.now()).map(|(until, now)| until - now);
        left.into_iter().chain(general).chain(broken).min()
    }

    fn settle(&mut self, ending: Ending, error: Option<Cause>) {
        self.settled = true;
        let (shared, why) = (&self.shared, self.why);
        let mut wakes = Wakes::default();
        let counts = shared.queue.with(|queue| {
            let counts = queue.era == self.era;
            if counts {
                queue.closing -= 1;
                wakes.drop_cause(queue.ledger.record(ending, why, error.clone()));
                queue.retired_ended(why, &mut wakes);
                shared.poke(queue, &mut wakes);
            }
            counts
        });
        if counts {
            // Before anything is woken, so that what follows from the end is told after it.
            let error = error.as_ref();
            let ended = EventKind::Ended { ending, why, error };
            shared.reporter.send(&shared.clock, ended);
        }
        shared.wake(wakes);
    }
}

impl<R: LocalResource, C: Clock> Drop for CloseDuty<R, C> {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let why = self.why;
        let error = self
            .value
            .take()
            .and_then(|value| abandon_quietly(&self.shared.resource, Corpse { value, why }));
        self.settle(Ending::Abandoned, error);
    }
}
