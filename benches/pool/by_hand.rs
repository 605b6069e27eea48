//! Futures that wait, polled by hand, so that a queue is as long as it is to be and no executor is
//! measured along.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// Waiters of one pool, in places of their own that are used again and again.
pub(crate) struct Waiters<F> {
    places: Vec<Pin<Box<Option<F>>>>,
}

impl<F: Future> Waiters<F> {
    pub(crate) fn with_places(count: usize) -> Self {
        Self {
            places: (0..count).map(|_| Box::pin(None)).collect(),
        }
    }

    /// Lets a future wait in this place, which must be free.
    pub(crate) fn join(&mut self, place: usize, future: F) {
        self.places[place].set(Some(future));
        assert!(
            self.poll(place).is_none(),
            "nothing is free, so whoever joins has to wait"
        );
    }

    /// Drops the future that waits in this place.
    pub(crate) fn leave(&mut self, place: usize) {
        self.places[place].set(None);
    }

    /// What the waiter of this place was handed. It should be its turn.
    ///
    /// Some pools take a value back in a task of its own, which has to run first.
    pub(crate) async fn served(&mut self, place: usize) -> F::Output {
        const PATIENCE: usize = 100;
        for _ in 0..PATIENCE {
            if let Some(output) = self.poll(place) {
                return output;
            }
            tokio::task::yield_now().await;
        }
        panic!("a value was given back, and nobody handed it to the first who waits");
    }

    fn poll(&mut self, place: usize) -> Option<F::Output> {
        let future = self.places[place].as_mut().as_pin_mut()?;
        match future.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => {
                self.places[place].set(None);
                Some(output)
            }
            Poll::Pending => None,
        }
    }
}
