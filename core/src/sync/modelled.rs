//! The platform as the loom checker knows it: it tries every order in which threads can come by.

use core::sync::atomic::Ordering;
use std::sync::PoisonError;

use crate::enclosing::EnclosingCell;

pub(crate) use loom::sync::atomic::AtomicUsize;

/// A lock that is held for the length of a closure, so never across an await.
#[derive(Debug, Default)]
pub(crate) struct Lock<T>(loom::sync::Mutex<T>);

impl<T> Lock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub(crate) fn with<U>(&self, f: impl FnOnce(&mut T) -> U) -> U {
        f(&mut self.hold())
    }

    /// For `locked` alone.
    pub(crate) fn hold(&self) -> loom::sync::MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

/// The attempt of a retry that this thread polls, as it shows it to what is within.
pub(crate) fn with_enclosing<U>(look: impl FnOnce(&EnclosingCell) -> U) -> U {
    loom::thread_local! {
        static SHOWN: EnclosingCell = EnclosingCell::new();
    }
    SHOWN.with(look)
}

/// As few stacks as can be more than one.
pub(crate) fn parallelism() -> usize {
    2
}
