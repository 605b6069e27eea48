//! Closing the pool, on every way to its end.

use core::time::Duration;

use super::error::AcquireError;
use super::job::{CloseDuty, Job};
use super::shared::{Phase, Queue, Shared};
use crate::Instant;
use crate::cleanup::{Corpse, Ending, Report, Why, abandon_value};
use crate::event::EventKind;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::sync::Arc;
use crate::work::{JobSet, Round, Wakes, go_round};

/// Closes the pool and waits until every value has ended, or until `within` is over.
pub(crate) async fn close_pool<R: LocalResource, C: Clock>(
    shared: &Arc<Shared<R, C>>,
    within: Option<Duration>,
) -> Report {
    let deadline = shared.now().zip(within).map(|(now, within)| now + within);
    shared.begin_closing(Why::Shutdown);
    let mut closings = JobSet::new();
    go_round(&shared.clock, &shared.changed, |cx| {
        if shared.is_closed() {
            return Round::Done(());
        }
        let now = shared.now();
        while let Some(job) = Shared::claim_close(shared, deadline) {
            closings.push(job.perform_quietly());
        }
        if closings.poll(cx) {
            return Round::Again;
        }
        if deadline
            .zip(now)
            .is_some_and(|(deadline, now)| now >= deadline)
        {
            shared.cut_short();
            return Round::Done(());
        }
        Round::Wait { until: deadline }
    })
    .await;
    shared.report()
}

impl<R: LocalResource, C: Clock> Shared<R, C> {
    /// From here on nobody is served. Does nothing if that is so already.
    pub(crate) fn begin_closing(&self, why: Why) {
        let now = self.now();
        let mut wakes = Wakes::default();
        self.queue.with(|queue| {
            if queue.phase != Phase::Open {
                return;
            }
            queue.phase = Phase::Draining;
            for failure in queue.ledger.begin_shutdown(now) {
                wakes.drop_cause(failure.cause);
            }
            self.stacks.set_gates(true);
            queue.gated = true;
            let mut idle = self.stacks.take_all();
            idle.extend(queue.returned.drain(..));
            queue.graveyard.extend(idle.into_iter().map(|slot| Corpse {
                value: slot.value,
                why,
            }));
            let closed = AcquireError::Closed {
                pool: self.reporter.name.clone(),
            };
            self.refuse_all(queue, &closed, &mut wakes);
            self.poke(queue, &mut wakes);
        });
        self.wake(wakes);
    }

    /// Closes for good once a draining pool holds nothing any more.
    pub(crate) fn finish_if_drained(&self, queue: &mut Queue<R::Value>) {
        let holds_nothing = queue.size == 0 && queue.graveyard.is_empty() && queue.closing == 0;
        if queue.phase == Phase::Draining && holds_nothing {
            queue.phase = Phase::Closed;
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.queue.with(|queue| queue.phase == Phase::Closed)
    }

    /// Claims a close, if no Runner does them. It gets no more time than the shutdown has.
    fn claim_close(this: &Arc<Self>, deadline: Option<Instant>) -> Option<Job<R, C>> {
        this.queue.with(|queue| {
            if queue.runner.is_attached() {
                return None;
            }
            CloseDuty::claim(this, queue, deadline).map(Job::Close)
        })
    }

    /// The shutdown's time is over: what is being closed counts as timed out, and what waits to be
    /// closed is abandoned.
    pub(crate) fn cut_short(&self) {
        let mut wakes = Wakes::default();
        let (timed_out, abandoned) = self.queue.with(|queue| {
            let timed_out = core::mem::take(&mut queue.closing);
            let abandoned = core::mem::take(&mut queue.graveyard);
            let cut_off = (0..timed_out).map(|_| (Ending::CloseTimedOut, Why::Shutdown));
            let given_up = abandoned
                .iter()
                .map(|corpse| (Ending::Abandoned, corpse.why));
            for (ending, why) in cut_off.chain(given_up) {
                wakes.drop_cause(queue.ledger.record(ending, why, None));
            }
            queue.all_retired_ended(timed_out + abandoned.len(), &mut wakes);
            queue.era += 1;
            self.poke(queue, &mut wakes);
            (timed_out, abandoned)
        });
        for _ in 0..timed_out {
            let (ending, why) = (Ending::CloseTimedOut, Why::Shutdown);
            self.reporter.send(
                &self.clock,
                EventKind::Ended {
                    ending,
                    why,
                    error: None,
                },
            );
        }
        for corpse in abandoned {
            abandon_value(&self.resource, &self.clock, &self.reporter, corpse);
        }
        self.wake(wakes);
    }

    fn report(&self) -> Report {
        let now = self.now();
        self.queue.with(|queue| {
            if queue.phase == Phase::Closed {
                queue.ledger.end_shutdown(now);
            }
            let audit = self.audit_under_lock(queue);
            queue
                .ledger
                .report(&self.reporter.name, now, audit.in_use + audit.checking)
        })
    }
}
