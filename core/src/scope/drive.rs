//! Running the finalizers of a scope, one after the other.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use super::book::Work;
use super::finalizer::Kind;
use super::shared::{ScopeShared, ScopeStep};
use crate::drive::Rounds;
use crate::ending::Ending;
use crate::runtime::Clock;
use crate::signal::Listener;
use crate::sync::Arc;

/// Runs the finalizers of a scope that has ended, and of its child scopes, until none is left.
///
/// Dropped half-way, it leaves them to the next driver, also the one under way; where there is none, they
/// are abandoned.
#[must_use = "finalizers run only while it is polled"]
pub(crate) struct Drive<K: Kind, C: Clock> {
    shared: Arc<ScopeShared<K, C>>,
    scope: u64,
    in_hand: Option<Work<K>>,
    change: Option<Listener>,
    /// Still so when it is dropped: the finalizer panicked, and nothing caught that.
    is_polling: bool,
    is_done: bool,
}

impl<K: Kind, C: Clock> Drive<K, C> {
    /// Drives a scope that counts one more driver already.
    pub(crate) const fn new(shared: Arc<ScopeShared<K, C>>, scope: u64) -> Self {
        Self {
            shared,
            scope,
            in_hand: None,
            change: None,
            is_polling: false,
            is_done: false,
        }
    }
}

impl<K: Kind, C: Clock> Future for Drive<K, C> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let mut rounds = Rounds::new();
        while rounds.go_on(cx) {
            let work = match &mut this.in_hand {
                Some(work) => work,
                None => {
                    let changed = &this.shared.changed;
                    let listener = this.change.get_or_insert_with(|| changed.listen());
                    if Pin::new(listener).poll(cx).is_ready() {
                        this.change = None;
                        continue;
                    }
                    match this.shared.claim(this.scope) {
                        ScopeStep::Work(work) => this.in_hand.insert(work),
                        ScopeStep::Wait => return Poll::Pending,
                        ScopeStep::Nothing => {
                            this.is_done = true;
                            return Poll::Ready(());
                        }
                    }
                }
            };
            this.is_polling = true;
            let polled = work.future.as_mut().poll(cx);
            this.is_polling = false;
            match (polled, this.in_hand.take()) {
                (Poll::Ready(outcome), Some(work)) => this.shared.settle(work, &outcome),
                (_, in_hand) => {
                    this.in_hand = in_hand;
                    return Poll::Pending;
                }
            }
        }
        Poll::Pending
    }
}

impl<K: Kind, C: Clock> Drop for Drive<K, C> {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        let mut in_hand = self.in_hand.take();
        if let Some(work) = in_hand.take_if(|_| self.is_polling) {
            self.shared.settle(work, &(Ending::CloseFailed, None));
        }
        self.shared
            .with(|book, effects| book.stop_driving(self.scope, in_hand, effects));
        self.shared.abandon_orphans();
    }
}
