//! Who is to be woken once a lock is released.

use alloc::string::String;
use alloc::vec::Vec;
use core::task::Waker;

use crate::cause::Cause;
use crate::signal::Signal;
use crate::sync;

/// Wakers collected under a lock, to be woken outside it, and what must not be dropped under one.
#[derive(Debug, Default)]
#[must_use = "whoever waits sleeps on until `wake` is called"]
pub(crate) struct Wakes {
    first: Option<Waker>,
    unneeded: Option<Waker>,
    signals: bool,
    /// `true` if other pools of a family have something to do.
    errands: bool,
    more: Vec<Leftover>,
}

/// Something that is to be woken or told once the lock is released, or whose `drop` is user code.
#[derive(Debug)]
enum Leftover {
    Wakes(Waker),
    Unneeded { _waker: Waker },
    Forgotten { _cause: Cause },
}

impl Wakes {
    #[inline(always)]
    pub(crate) fn push(&mut self, waker: Option<Waker>) {
        match waker {
            Some(waker) if self.first.is_none() => self.first = Some(waker),
            Some(waker) => self.more.push(Leftover::Wakes(waker)),
            None => {}
        }
    }

    /// Keeps a waker that is not needed any more until the lock is released.
    #[inline]
    pub(crate) fn drop_waker(&mut self, waker: Option<Waker>) {
        match waker {
            Some(waker) if self.unneeded.is_none() => self.unneeded = Some(waker),
            Some(_waker) => self.more.push(Leftover::Unneeded { _waker }),
            None => {}
        }
    }

    /// Keeps an error that is not needed any more until the lock is released.
    pub(crate) fn drop_cause(&mut self, cause: Option<Cause>) {
        self.more
            .extend(cause.map(|_cause| Leftover::Forgotten { _cause }));
    }

    /// Whoever listens for changes is to hear of one.
    pub(crate) const fn signal(&mut self) {
        self.signals = true;
    }

    /// Other pools of this family have something to do.
    pub(crate) const fn tell_family(&mut self) {
        self.errands = true;
    }

    /// Returns `true` if other pools of this family have something to do, which is no part of [`wake`](Self::wake).
    pub(crate) const fn have_errands(&self) -> bool {
        self.errands
    }

    /// Returns `true` if nothing was collected.
    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        let none = self.first.is_none() && self.unneeded.is_none() && !self.signals;
        none && !self.errands && self.more.capacity() == 0
    }

    /// Wakes and drops what was collected. Each waker and each `drop` is user code: a panic of one keeps nobody
    /// else from being woken, and is handed out for an event.
    #[inline(always)]
    #[must_use = "a panic that was contained is told as an event"]
    pub(crate) fn wake(self, changed: &Signal) -> Result<(), String> {
        let mut woken = Ok(());
        if self.signals {
            woken = changed.notify_contained();
        }
        if let Some(waker) = self.first {
            woken = woken.and(sync::contain(|| waker.wake()));
        }
        if let Some(waker) = self.unneeded {
            woken = woken.and(sync::contain(|| drop(waker)));
        }
        if !self.more.is_empty() {
            woken = woken.and(wake_all(self.more));
        }
        woken
    }
}

#[cold]
fn wake_all(leftovers: Vec<Leftover>) -> Result<(), String> {
    let mut woken = Ok(());
    for leftover in leftovers {
        woken = woken.and(sync::contain(|| match leftover {
            Leftover::Wakes(waker) => waker.wake(),
            unneeded @ (Leftover::Unneeded { .. } | Leftover::Forgotten { .. }) => drop(unneeded),
        }));
    }
    woken
}
