//! The background task that finalizes what a dropped scope leaves behind.

use core::future::poll_fn;
use core::task::{Poll, Waker};

use super::drive::Drive;
use super::finalizer::Kind;
use super::shared::ScopeShared;
use crate::drive::{Attachment, JobSet, Rounds};
use crate::runtime::Clock;
use crate::sync::Arc;

/// The scope knows of its Runner for as long as this lives.
pub(crate) struct AttachedScopeRunner<K: Kind, C: Clock> {
    pub(crate) shared: Arc<ScopeShared<K, C>>,
    has_ended: bool,
}

impl<K: Kind, C: Clock> AttachedScopeRunner<K, C> {
    /// The Runner of a scope that counts on it already.
    pub(crate) const fn new(shared: Arc<ScopeShared<K, C>>) -> Self {
        Self {
            shared,
            has_ended: false,
        }
    }

    /// Waits for scopes that are dropped, and finalizes them, until all have ended and every guard is back.
    pub(crate) async fn run(mut self) {
        let shared = self.shared.clone();
        let mut drives = JobSet::new(&shared.clock);
        poll_fn(|cx| {
            let mut rounds = Rounds::new();
            while rounds.go_on(cx) {
                shared.leave_runner_waker(cx.waker());
                while let Some(scope) = shared.book.with(|book| book.claim_scope_for_runner()) {
                    drives.push(Drive::new(shared.clone(), scope));
                }
                let progressed = drives.poll(cx);
                if let Some(message) = drives.take_panic() {
                    shared.swallowed("background work", message);
                }
                if progressed {
                    continue;
                }
                if shared.end_runner() {
                    self.has_ended = true;
                    return Poll::Ready(());
                }
                return Poll::Pending;
            }
            Poll::Pending
        })
        .await;
    }
}

impl<K: Kind, C: Clock> Drop for AttachedScopeRunner<K, C> {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        self.shared.with(|book, effects| {
            effects.wakes.drop_waker(book.runner.take_waker());
            effects.wakes.signal();
            book.runner = Attachment::Absent;
        });
        self.shared.abandon_orphans();
    }
}

impl<K: Kind, C: Clock> ScopeShared<K, C> {
    /// Lets the Runner go, if it will have nothing to do. What is registered after that spawns another.
    fn end_runner(&self) -> bool {
        self.with(|book, effects| {
            let ends = book.needs_no_runner();
            if ends {
                effects.wakes.drop_waker(book.runner.take_waker());
                book.runner = Attachment::Absent;
            }
            ends
        })
    }

    fn leave_runner_waker(&self, waker: &Waker) {
        let waker = waker.clone();
        let replaced = self.book.with(|book| book.runner.leave_waker(waker));
        drop(replaced);
    }
}
