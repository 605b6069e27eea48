//! The platform as the loom checker knows it: it tries every order in which threads can come by.

use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::Ordering;
use core::task::{Context, Poll, Waker};
use std::sync::PoisonError;

use super::Arc;

pub(crate) use loom::sync::atomic::AtomicUsize;

/// A lock that is held for the length of a closure, so never across an await.
#[derive(Debug, Default)]
pub(crate) struct Lock<T>(loom::sync::Mutex<T>);

impl<T> Lock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub(crate) fn with<U>(&self, f: impl FnOnce(&mut T) -> U) -> U {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A number for the current thread: consecutive threads get consecutive numbers, in each execution anew.
pub(crate) fn thread_number() -> usize {
    loom::lazy_static! {
        static ref NEXT: AtomicUsize = AtomicUsize::new(0);
    }
    loom::thread_local! {
        static MINE: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    MINE.try_with(|number| *number).unwrap_or(0)
}

/// As few stacks as can be more than one.
pub(crate) fn parallelism() -> usize {
    2
}

/// Stands in for `event_listener`'s event, which wakes tasks under a lock that the checker cannot see:
/// another thread that came by then would wait for it for ever.
#[derive(Debug, Default)]
pub(crate) struct Signal(Arc<Lock<Listening>>);

#[derive(Debug)]
pub(crate) struct Listener {
    number: u64,
    listening: Arc<Lock<Listening>>,
}

/// Those who have not heard the signal yet.
#[derive(Debug, Default)]
struct Listening {
    next: u64,
    wakers: Vec<(u64, Option<Waker>)>,
}

impl Signal {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn listen(&self) -> Listener {
        let number = self.0.with(|listening| {
            let number = listening.next;
            listening.next += 1;
            listening.wakers.push((number, None));
            number
        });
        Listener {
            number,
            listening: self.0.clone(),
        }
    }

    /// Tells everybody who listens, which is the only way in which the core uses it.
    pub(crate) fn notify(&self, most: usize) {
        assert_eq!(most, usize::MAX);
        let told = self
            .0
            .with(|listening| core::mem::take(&mut listening.wakers));
        for waker in told.into_iter().filter_map(|(_, waker)| waker) {
            waker.wake();
        }
    }
}

impl Future for Listener {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let replaced = self.listening.with(|listening| {
            let mut wakers = listening.wakers.iter_mut();
            let (_, mine) = wakers.find(|(number, _)| *number == self.number)?;
            Some(mine.replace(waker))
        });
        match replaced {
            Some(_) => Poll::Pending,
            None => Poll::Ready(()),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.listening.with(|listening| {
            listening
                .wakers
                .retain(|(number, _)| *number != self.number);
        });
    }
}
