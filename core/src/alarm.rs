//! One sleep that is set, moved and switched off.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::runtime::Clock;
use crate::time::Instant;

pin_project! {
    /// A sleep until whatever instant is asked for last. Nothing is set up until somebody polls.
    pub(crate) struct Alarm<S> {
        // `Instant::MAX` while it is switched off.
        at: Instant,
        #[pin]
        sleep: Option<S>,
    }
}

impl<S: Future<Output = ()>> Alarm<S> {
    pub(crate) const fn unset() -> Self {
        Self {
            at: Instant::MAX,
            sleep: None,
        }
    }

    /// Waits until `at`; for ever, if `None`. Ready once for each instant that comes.
    pub(crate) fn poll<C: Clock<Sleep = S>>(
        self: Pin<&mut Self>,
        clock: &C,
        at: Option<Instant>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let mut this = self.project();
        let wanted = at.unwrap_or(Instant::MAX);
        if *this.at != wanted {
            *this.at = wanted;
            this.sleep.set(at.and_then(|at| clock.try_sleep_until(at)));
        }
        let Some(sleep) = this.sleep.as_mut().as_pin_mut() else {
            return Poll::Pending;
        };
        if sleep.poll(cx).is_pending() {
            return Poll::Pending;
        }
        *this.at = Instant::MAX;
        this.sleep.set(None);
        Poll::Ready(())
    }
}
