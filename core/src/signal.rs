//! Telling everybody who waits for a change that there was one.

use alloc::collections::BTreeMap;
use alloc::string::String;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use crate::sync::{self, Arc, Lock};

/// A change that many may wait for.
///
/// Whoever listens looks at what may have changed, waits for the signal, and looks again. A waker is woken and
/// dropped outside the lock, since it is user code: it may drop a task that listens here as well.
#[derive(Debug, Default)]
pub(crate) struct Signal(Arc<Lock<Listening>>);

/// Waits for the next signal. One that came since it was made counts.
#[derive(Debug)]
pub(crate) struct Listener {
    number: u64,
    listening: Arc<Lock<Listening>>,
}

/// Those who have not heard the signal yet.
#[derive(Debug, Default)]
struct Listening {
    next: u64,
    wakers: BTreeMap<u64, Option<Waker>>,
}

impl Signal {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn listen(&self) -> Listener {
        let number = self.0.with(|listening| {
            let number = listening.next;
            listening.next += 1;
            listening.wakers.insert(number, None);
            number
        });
        Listener {
            number,
            listening: self.0.clone(),
        }
    }

    /// Wakes all who listen. A waker that panics keeps nobody else from being woken, nor ends the caller.
    pub(crate) fn notify_all(&self) {
        let _ = self.notify_contained();
    }

    /// Like [`notify_all`](Signal::notify_all), and returns what a waker panicked with, if one did.
    pub(crate) fn notify_contained(&self) -> Result<(), String> {
        let told = self
            .0
            .with(|listening| core::mem::take(&mut listening.wakers));
        let mut woken = Ok(());
        for waker in told.into_values().flatten() {
            woken = woken.and(sync::contain(|| waker.wake()));
        }
        woken
    }
}

impl Future for Listener {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let known = self.listening.with(|listening| {
            let mine = listening.wakers.get(&self.number)?.as_ref();
            Some(mine.is_some_and(|waker| waker.will_wake(cx.waker())))
        });
        match known {
            None => return Poll::Ready(()),
            Some(true) => return Poll::Pending,
            Some(false) => {}
        }
        // Cloned outside the lock, so the signal may have come meanwhile.
        let waker = cx.waker().clone();
        let replaced = self.listening.with(|listening| {
            let mine = listening.wakers.get_mut(&self.number)?;
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
        let unneeded = self
            .listening
            .with(|listening| listening.wakers.remove(&self.number));
        drop(unneeded);
    }
}
