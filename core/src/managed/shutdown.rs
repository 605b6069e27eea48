//! Closing a managed resource, on every way to its end.

use core::time::Duration;

use super::error::RevokedFor;
use super::shared::Shared;
use crate::cleanup::{Corpse, Ending, Report, Why, abandon_value};
use crate::event::EventKind;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::state::{Event, State};
use crate::sync::Arc;
use crate::work::{JobSet, Round, go_round};

/// Closes the resource and waits until its values have ended, or until `within` is over.
pub(crate) async fn close_managed<R: LocalResource<Value: Clone>, C: Clock>(
    shared: &Arc<Shared<R, C>>,
    within: Option<Duration>,
    why: Why,
) -> Report {
    let deadline = shared.now().zip(within).map(|(now, within)| now + within);
    shared.begin_closing(why);
    let mut closings = JobSet::new();
    go_round(&shared.clock, &shared.changed, |cx| {
        if shared.is_closed() {
            return Round::Done(());
        }
        let now = shared.now();
        let limit = deadline.zip(now).map(|(deadline, now)| deadline - now);
        while let Some(job) = Shared::claim_close_for_shutdown(shared, limit) {
            closings.push(job.perform());
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

impl<R: LocalResource<Value: Clone>, C: Clock> Shared<R, C> {
    fn claim_close_for_shutdown(
        this: &Arc<Self>,
        limit: Option<Duration>,
    ) -> Option<super::job::Job<R, C>> {
        this.cell.with(|cell| {
            if cell.runner.is_attached() {
                None
            } else {
                Self::claim_close(this, cell, limit)
            }
        })
    }
}

impl<R: LocalResource, C: Clock> Shared<R, C> {
    /// From here on nothing is opened and nobody served. Does nothing if that is so already.
    pub(crate) fn begin_closing(&self, why: Why) {
        let now = self.now();
        self.with(|cell, effects| {
            if cell.is_closing() {
                return;
            }
            for failure in cell.ledger.begin_shutdown(now) {
                effects.wakes.drop_cause(failure.cause);
            }
            cell.close_why = why;
            cell.step(Event::CloseWanted, now, effects);
            cell.finish_if_drained(now, effects);
        });
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.cell.with(|cell| cell.state() == State::Closed)
    }

    /// There is no time left: what is being closed counts as timed out, and what waits to be closed
    /// is abandoned.
    pub(crate) fn cut_short(&self) {
        let now = self.now();
        let (timed_out, abandoned) = self.with(|cell, effects| {
            let timed_out = core::mem::take(&mut cell.closing);
            cell.closing_broken = 0;
            for (held, _) in &cell.retired {
                let revocation = held.revocation.clone();
                effects.revoked.push((revocation, RevokedFor::Shutdown));
            }
            let abandoned = core::mem::take(&mut cell.graveyard);
            let cut_off = (0..timed_out).map(|_| (Ending::CloseTimedOut, Why::Shutdown));
            let given_up = abandoned
                .iter()
                .map(|corpse| (Ending::Abandoned, corpse.why));
            for (ending, why) in cut_off.chain(given_up) {
                let forgotten = cell.ledger.record(ending, why, None);
                effects.wakes.drop_cause(forgotten);
            }
            cell.era += 1;
            cell.finish_if_drained(now, effects);
            effects.wakes.push(cell.runner.take_waker());
            effects.wakes.signal();
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
            self.abandon(corpse);
        }
    }

    /// With neither a Runner nor a handle left nobody can await a close: what is open is abandoned.
    pub(crate) fn close_if_orphaned(&self) {
        let orphaned = !self.has_handles() && self.cell.with(|cell| !cell.runner.is_attached());
        if orphaned {
            self.begin_closing(Why::HandlesDropped);
            self.cut_short();
        }
    }

    fn abandon(&self, corpse: Corpse<Arc<R::Value>>) {
        let Corpse { value, why } = corpse;
        match self.unshare(value) {
            Ok(value) => {
                let corpse = Corpse { value, why };
                abandon_value(&self.resource, &self.clock, &self.reporter, corpse);
            }
            Err(cause) => {
                let (ending, error) = (Ending::Abandoned, Some(&cause));
                self.reporter
                    .send(&self.clock, EventKind::Ended { ending, why, error });
            }
        }
    }

    fn report(&self) -> Report {
        let now = self.now();
        self.cell.with(|cell| {
            if cell.state() == State::Closed {
                cell.ledger.end_shutdown(now);
            }
            cell.ledger
                .report(&self.reporter.name, now, cell.retired.len() as u64)
        })
    }
}
