//! Closing a managed resource, on every way to its end.

use core::time::Duration;

use super::error::RevokedFor;
use super::job::ManagedJob;
use super::shared::ManagedShared;
use crate::cause::Cause;
use crate::cleanup::Report;
use crate::drive::{self, CloseLimits, CloseOutcome, Closes, GivenUp, Holder, ShutsDown};
use crate::ending::Why;
use crate::held::HeldResource;
use crate::reporter::Reporter;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::signal::Signal;
use crate::state::{Event, State};
use crate::sync::Arc;
use crate::time::Instant;

/// Closes the resource and waits until its values have ended, or until the timeout is over.
pub(crate) async fn close_managed<R: LocalResource<Value: Clone>, C: Clock>(
    shared: &Arc<ManagedShared<R, C>>,
    timeout: Option<Duration>,
    why: Why,
) -> Report {
    drive::shut_down(shared, timeout, why).await;
    shared.report()
}

impl<R: LocalResource, C: Clock> Holder for ManagedShared<R, C> {
    type Clock = C;

    fn clock(&self) -> &C {
        &self.clock
    }

    fn reporter(&self) -> &Reporter {
        &self.reporter
    }

    fn changed(&self) -> &Signal {
        &self.changed
    }
}

impl<R: LocalResource<Value: Clone>, C: Clock> ShutsDown for ManagedShared<R, C> {
    fn has_handles(&self) -> bool {
        self.has_handles()
    }

    fn begin_closing(&self, why: Why) {
        self.begin_closing(why);
    }

    fn is_closed(&self) -> bool {
        self.cell.with(|cell| cell.state() == State::Closed)
    }

    fn claim_for_shutdown(this: &Arc<Self>, deadline: Option<Instant>) -> Option<ManagedJob<R, C>> {
        this.cell.with(|cell| {
            if cell.runner.is_attached() {
                return None;
            }
            cell.closer.claim(this, deadline).map(ManagedJob::Close)
        })
    }

    fn cut_short(&self) {
        self.cut_short();
    }
}

impl<R: LocalResource, C: Clock> Closes for ManagedShared<R, C> {
    type Resource = R;
    type Retired = Arc<R::Value>;

    fn resource(&self) -> &HeldResource<R> {
        &self.resource
    }

    fn close_limits(&self) -> CloseLimits {
        CloseLimits {
            hook: self.config.hook_timeout,
            close: self.config.close_timeout,
            broken: self.config.broken_close_timeout,
        }
    }

    fn take_out(&self, value: Arc<R::Value>) -> Result<R::Value, Cause> {
        self.unshare(value)
    }

    fn close_ended(&self, era: u64, end: &CloseOutcome, tell: impl FnOnce()) {
        let now = self.now();
        self.change_and_tell(
            |cell, effects| {
                let counts = cell.closer.close_ended(era, end, &mut effects.wakes);
                cell.finish_if_drained(now, effects);
                effects.wakes.push(cell.runner.take_waker());
                effects.wakes.signal();
                counts
            },
            |counts| {
                if counts {
                    tell();
                }
            },
        );
    }

    fn give_up_closing(&self, tell: impl FnOnce(GivenUp<Arc<R::Value>>)) {
        let now = self.now();
        self.change_and_tell(
            |cell, effects| {
                for (held, _) in &cell.retired {
                    let revocation = held.revocation.clone();
                    effects.revoked.push((revocation, RevokedFor::Shutdown));
                }
                let given_up = cell.closer.give_up(&mut effects.wakes);
                cell.finish_if_drained(now, effects);
                effects.wakes.push(cell.runner.take_waker());
                effects.wakes.signal();
                given_up
            },
            tell,
        );
    }
}

// For values that are not known to be `Clone` too, as those of a handle that is dropped.
impl<R: LocalResource, C: Clock> ManagedShared<R, C> {
    /// Opens nothing and refuses every request from here on. Does nothing if that is so already.
    pub(crate) fn begin_closing(&self, why: Why) {
        let now = self.now();
        self.with(|cell, effects| {
            if cell.is_closing() {
                return;
            }
            cell.closer.begin_shutdown(now, &mut effects.wakes);
            cell.close_why = why;
            cell.step(Event::CloseWanted, now, effects);
            cell.finish_if_drained(now, effects);
        });
    }

    /// Ends every value at once, as there is no time left: a close under way counts as timed out, and what waits to be closed
    /// is abandoned.
    pub(crate) fn cut_short(&self) {
        drive::abandon_unclosed(self);
    }

    /// Abandons what is open if neither a Runner nor a handle is left, since no task can await a close then.
    pub(crate) fn close_if_orphaned(&self) {
        let orphaned = !self.has_handles() && self.cell.with(|cell| !cell.runner.is_attached());
        if orphaned {
            self.begin_closing(Why::HandlesDropped);
            self.cut_short();
        }
    }

    pub(super) fn report(&self) -> Report {
        let now = self.now();
        self.cell.with(|cell| {
            let is_over = cell.state() == State::Closed;
            let still_in_use = cell.retired.len() as u64;
            let name = &self.reporter.name;
            cell.closer.report(name, now, is_over, still_in_use)
        })
    }
}
