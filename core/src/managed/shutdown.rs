//! Closing a managed resource, on every way to its end.

use core::time::Duration;

use super::error::RevokedFor;
use super::shared::ManagedShared;
use crate::cleanup::Report;
use crate::drive::{self, GivenUp};
use crate::ending::Why;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::state::{Event, State};
use crate::sync::Arc;

/// Closes the resource and waits until its values have ended, or until `within` is over.
pub(crate) async fn close_managed<R: LocalResource<Value: Clone>, C: Clock>(
    shared: &Arc<ManagedShared<R, C>>,
    within: Option<Duration>,
    why: Why,
) -> Report {
    drive::shut_down(shared, within, why).await;
    shared.report()
}

impl<R: LocalResource, C: Clock> ManagedShared<R, C> {
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

    /// There is no time left: what is being closed counts as timed out, and what waits to be closed
    /// is abandoned.
    pub(crate) fn cut_short(&self) {
        self.give_up(|given_up| drive::abandon_all(self, given_up));
    }

    pub(super) fn give_up(&self, tell: impl FnOnce(GivenUp<Arc<R::Value>>)) {
        let now = self.now();
        self.change_and_tell(
            |cell, effects| {
                let timed_out = core::mem::take(&mut cell.closing);
                cell.closing_broken = 0;
                for (held, _) in &cell.retired {
                    let revocation = held.revocation.clone();
                    effects.revoked.push((revocation, RevokedFor::Shutdown));
                }
                let given_up = GivenUp {
                    timed_out,
                    abandoned: core::mem::take(&mut cell.closing_queue),
                };
                for (ending, why) in given_up.endings() {
                    let forgotten = cell.ledger.record(ending, why, None);
                    effects.wakes.drop_cause(forgotten);
                }
                cell.era += 1;
                cell.finish_if_drained(now, effects);
                effects.wakes.push(cell.runner.take_waker());
                effects.wakes.signal();
                given_up
            },
            tell,
        );
    }

    /// With neither a Runner nor a handle left nobody can await a close: what is open is abandoned.
    pub(crate) fn close_if_orphaned(&self) {
        let orphaned = !self.has_handles() && self.cell.with(|cell| !cell.runner.is_attached());
        if orphaned {
            self.begin_closing(Why::HandlesDropped);
            self.cut_short();
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
