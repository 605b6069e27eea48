//! The background work of a scope: running what is left behind by scopes that are dropped.
//!
//! A scope gets a Runner with the first thing that it has to close, and counts on it from the moment in which that is
//! registered. The Runner is let go in the moment in which it is seen to have nothing left to do. Both happen under the scope's
//! lock, so that whatever is registered late finds either a Runner that will see it or none, and then spawns another.

use core::future::Future;
use core::task::Waker;

use super::drive::Drive;
use super::finalizer::Kind;
use super::shared::ScopeShared;
use crate::drive::{Attachment, Driven, Holder, RunnerEnd, Turn};
use crate::reporter::Reporter;
use crate::runtime::Clock;
use crate::signal::Signal;
use crate::sync::Arc;
use crate::time::Instant;

impl<K: Kind, C: Clock> Holder for ScopeShared<K, C> {
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

impl<K: Kind, C: Clock> Driven for ScopeShared<K, C> {
    type Job = Drive<K, C>;
    type Maintenance = ();

    fn attach_runner(&self) -> bool {
        // It counts as attached since it was found to be needed, and none takes the place of another.
        false
    }

    fn detach_runner(&self, end: RunnerEnd) {
        if end == RunnerEnd::Finished {
            // It was let go before, and another may be attached by now.
            return;
        }
        self.with(|book, effects| {
            effects.wakes.drop_waker(book.runner.take_waker());
            effects.wakes.signal();
            book.runner = Attachment::Absent;
        });
        self.abandon_orphans();
    }

    fn leave_runner_waker(&self, waker: Waker) {
        let replaced = self.book.with(|book| book.runner.leave_waker(waker));
        drop(replaced);
    }

    fn begin_maintenance(&self, _is_restarted: bool) {}

    fn claim_for_runner(this: &Arc<Self>, (): &mut (), _now: Option<Instant>) -> Turn<Drive<K, C>> {
        let (scope, is_over) = this.with(|book, effects| {
            let scope = book.claim_scope_for_runner();
            let is_over = scope.is_none() && book.needs_no_runner();
            if is_over {
                effects.wakes.drop_waker(book.runner.take_waker());
                book.runner = Attachment::Absent;
            }
            (scope, is_over)
        });
        Turn {
            job: scope.map(|scope| Drive::new(this.clone(), scope)),
            wake_at: None,
            is_closing: false,
            era: 0,
            is_over,
        }
    }

    fn is_of_shutdown(_drive: &Drive<K, C>) -> bool {
        true
    }

    fn perform(drive: Drive<K, C>) -> impl Future<Output = ()> {
        drive
    }
}
