//! A future that is dropped before it ends.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

/// When a future is dropped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// It is polled so often, whenever it is woken.
    pub(crate) polls: usize,
    /// Then others get so many turns, while it is not polled though it may have been woken.
    pub(crate) turns: usize,
}

/// Polls `future` until it is dropped. Says whether it was: it may have ended by itself.
pub(crate) async fn drops<F: Future>(future: F, when: Moment) -> bool {
    let mut future = pin!(future);
    let mut polls = 0;
    let is_dropped = poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(_) => Poll::Ready(false),
        Poll::Pending => {
            polls += 1;
            if polls == when.polls {
                Poll::Ready(true)
            } else {
                Poll::Pending
            }
        }
    })
    .await;
    if is_dropped {
        for _ in 0..when.turns {
            tokio::task::yield_now().await;
        }
    }
    is_dropped
}
