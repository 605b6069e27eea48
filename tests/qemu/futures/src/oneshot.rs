//! A value from one task to another, for processors on which the crate `futures` has no such channel.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use std::sync::{Arc, Mutex};

use crate::locked;

struct Common<T> {
    value: Option<T>,
    is_over: bool,
    waiting: Option<Waker>,
}

/// Sends one value.
pub struct Sender<T>(Arc<Mutex<Common<T>>>);

/// Receives one value.
pub struct Receiver<T>(Arc<Mutex<Common<T>>>);

/// The sender was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Canceled;

pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let common = Arc::new(Mutex::new(Common {
        value: None,
        is_over: false,
        waiting: None,
    }));
    (Sender(common.clone()), Receiver(common))
}

impl<T> Sender<T> {
    pub fn send(self, value: T) -> Result<(), T> {
        let mut common = locked(&self.0);
        if common.is_over {
            return Err(value);
        }
        common.value = Some(value);
        Ok(())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let waiting = {
            let mut common = locked(&self.0);
            common.is_over = true;
            common.waiting.take()
        };
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        locked(&self.0).is_over = true;
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, Canceled>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut common = locked(&self.0);
        if let Some(value) = common.value.take() {
            return Poll::Ready(Ok(value));
        }
        if common.is_over {
            return Poll::Ready(Err(Canceled));
        }
        common.waiting = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender")
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receiver")
    }
}

impl fmt::Display for Canceled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the sender was dropped")
    }
}

impl core::error::Error for Canceled {}
