//! Ending the calls on a value that was found dead, or whose shutdown has no time left.
//!
//! Each value has a [`Revocation`] that its calls share. A call looks at it once its operation has been polled without a
//! result, and from then on whenever it is told to: it registers before it looks, so that no end of calls is missed. The
//! operation goes first at every poll and wins a tie. The grace period is waited for by each call itself, so that
//! it needs no Runner; the sleep is made only once their end is known.

use alloc::boxed::Box;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::error::RevokedFor;
use crate::runtime::Clock;
use crate::signal::{Listener, Signal};
use crate::sync::Lock;
use crate::time::Instant;

/// What the calls on one value have to know of it.
#[derive(Debug, Default)]
pub(crate) struct Revocation {
    end: Lock<Option<EndOfCalls>>,
    told: Signal,
}

/// Reason and time for the end of calls. Without a time they end at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EndOfCalls {
    pub(crate) why: RevokedFor,
    pub(crate) ends_at: Option<Instant>,
}

impl Revocation {
    /// Wakes calls: not to be called under a lock. An earlier end stands.
    pub(crate) fn revoke(&self, end: EndOfCalls) {
        self.end.with(|current| {
            let stands = current.is_some_and(|earlier| match (earlier.ends_at, end.ends_at) {
                (None, _) => true,
                (Some(earlier), Some(later)) => earlier <= later,
                (Some(_), None) => false,
            });
            if !stands {
                *current = Some(end);
            }
        });
        self.told.notify_all();
    }

    fn end(&self) -> Option<EndOfCalls> {
        self.end.with(|end| *end)
    }
}

pin_project! {
    /// An operation that ends early if its value is revoked.
    pub(crate) struct Revocable<'a, F, C: Clock> {
        #[pin]
        operation: F,
        clock: &'a C,
        revocation: &'a Revocation,
        // Absent until the operation has been polled without a result.
        listener: Option<Listener>,
        // What it was told, and the sleep until then.
        ending: Option<Pin<Box<Ending<C::Sleep>>>>,
    }
}

pin_project! {
    struct Ending<S> {
        end: EndOfCalls,
        #[pin]
        sleep: Option<S>,
    }
}

impl<'a, F: Future, C: Clock> Revocable<'a, F, C> {
    pub(crate) const fn new(operation: F, clock: &'a C, revocation: &'a Revocation) -> Self {
        Self {
            operation,
            clock,
            revocation,
            listener: None,
            ending: None,
        }
    }
}

impl<F: Future, C: Clock> Future for Revocable<'_, F, C> {
    type Output = Result<F::Output, RevokedFor>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.operation.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        loop {
            let listener = match this.listener {
                Some(listener) => listener,
                None => {
                    let listener = this.listener.insert(this.revocation.told.listen());
                    // Looked at after the registration, so that what is told from now on is heard.
                    if let Some(end) = this.revocation.end() {
                        let sleep = match end.ends_at {
                            Some(at) => this.clock.try_sleep_until(at),
                            None => return Poll::Ready(Err(end.why)),
                        };
                        *this.ending = Some(Box::pin(Ending { end, sleep }));
                    }
                    listener
                }
            };
            if Pin::new(listener).poll(cx).is_pending() {
                break;
            }
            *this.listener = None;
        }
        let Some(ending) = this.ending else {
            return Poll::Pending;
        };
        let ending = ending.as_mut().project();
        let slept = ending
            .sleep
            .as_pin_mut()
            .map_or(Poll::Ready(()), |sleep| sleep.poll(cx));
        slept.map(|()| Err(ending.end.why))
    }
}
