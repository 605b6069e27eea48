//! Callers who do not wait for ever.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tenure_sim::Sim;

/// When a caller drops what it awaits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    /// Never.
    Endless,
    /// After so many polls. One more wake drops it in place of the next poll.
    Polls(u64),
    /// After so much time.
    Time(Duration),
}

impl Patience {
    pub(crate) fn drawn(sim: &Sim) -> Self {
        match sim.below(5) {
            0 => Self::Polls(1 + sim.below(4)),
            1 => Self::Time(Duration::from_millis(sim.below(3_000))),
            _ => Self::Endless,
        }
    }

    /// The same, with an end.
    pub(crate) fn at_most(self, limit: Duration) -> Self {
        match self {
            Self::Endless => Self::Time(limit),
            Self::Polls(_) | Self::Time(_) => self,
        }
    }

    /// Awaits `future`, unless patience ends before.
    pub(crate) async fn wait<F: Future>(self, sim: &Sim, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let (mut polls_left, limit) = match self {
            Self::Endless => return Some(future.await),
            // A future that nothing wakes is not to be waited for either.
            Self::Polls(polls) => (polls, Duration::from_secs(60)),
            Self::Time(time) => (u64::MAX, time),
        };
        let mut sleep = pin!(sim.sleep(limit));
        poll_fn(|cx| {
            if polls_left == 0 {
                return Poll::Ready(None);
            }
            polls_left -= 1;
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            sleep.as_mut().poll(cx).map(|()| None)
        })
        .await
    }
}
