//! Telling everybody who waits for a change that there was one.

use alloc::string::String;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use crate::sync::{self, Arc, Lock};

/// A change that many tasks may wait for.
///
/// A task listens, looks at what may have changed, waits for the signal, and looks again. A waker is woken and
/// dropped outside the lock, since it is user code: it may drop a task that listens here as well.
#[derive(Debug, Default)]
pub(crate) struct Signal(Arc<Lock<Listening>>);

/// Waits for the next signal. One that came since it was made counts.
#[derive(Debug)]
pub(crate) struct Listener {
    /// The number of signals that had come before.
    heard: u64,
    /// Index of its place, which is its own until the next signal.
    place: usize,
    listening: Arc<Lock<Listening>>,
}

/// The listeners that have not heard the latest signal.
#[derive(Debug, Default)]
struct Listening {
    signals: u64,
    places: Vec<ListenerPlace>,
    /// Index of the first free place, or past the end.
    free: usize,
}

#[derive(Debug)]
enum ListenerPlace {
    Taken(Option<Waker>),
    Free { next: usize },
}

impl Signal {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn listen(&self) -> Listener {
        let (heard, place) = self
            .0
            .with(|listening| (listening.signals, listening.take_place()));
        Listener {
            heard,
            place,
            listening: self.0.clone(),
        }
    }

    /// Wakes all who listen. A waker that panics keeps nobody else from being woken, nor ends the caller.
    pub(crate) fn notify_all(&self) {
        let _ = self.notify_contained();
    }

    /// Like [`notify_all`](Signal::notify_all), and returns what a waker panicked with, if one did.
    pub(crate) fn notify_contained(&self) -> Result<(), String> {
        let told = self.0.with(|listening| {
            listening.signals += 1;
            listening.free = 0;
            core::mem::take(&mut listening.places)
        });
        let mut woken = Ok(());
        for place in told {
            if let ListenerPlace::Taken(Some(waker)) = place {
                woken = woken.and(sync::contain(|| waker.wake()));
            }
        }
        woken
    }
}

impl Listening {
    fn take_place(&mut self) -> usize {
        let index = self.free;
        match self.places.get_mut(index) {
            Some(place) => {
                if let ListenerPlace::Free { next } = *place {
                    self.free = next;
                }
                *place = ListenerPlace::Taken(None);
            }
            None => {
                self.places.push(ListenerPlace::Taken(None));
                self.free = self.places.len();
            }
        }
        index
    }

    /// Returns the waker of a listener, unless a signal has come since it began to listen.
    fn waker_of(&mut self, listener: &Listener) -> Option<&mut Option<Waker>> {
        match self.places.get_mut(listener.place) {
            Some(ListenerPlace::Taken(waker)) if self.signals == listener.heard => Some(waker),
            _ => None,
        }
    }
}

impl Future for Listener {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let known = self.listening.with(|listening| {
            let mine = listening.waker_of(&self)?.as_ref();
            Some(mine.is_some_and(|waker| waker.will_wake(cx.waker())))
        });
        match known {
            None => return Poll::Ready(()),
            Some(true) => return Poll::Pending,
            Some(false) => {}
        }
        // Cloned outside the lock, so the signal may have come meanwhile. Then the waker is not taken, and dropped outside.
        let mut waker = Some(cx.waker().clone());
        let replaced = self.listening.with(|listening| {
            let mine = listening.waker_of(&self)?;
            Some(core::mem::replace(mine, waker.take()))
        });
        match replaced {
            Some(_) => Poll::Pending,
            None => Poll::Ready(()),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let unneeded = self.listening.with(|listening| {
            let waker = listening.waker_of(self)?.take();
            listening.places[self.place] = ListenerPlace::Free {
                next: listening.free,
            };
            listening.free = self.place;
            waker
        });
        drop(unneeded);
    }
}
