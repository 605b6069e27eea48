//! What one thread needs of locks: to be told when it takes one twice.

#[cfg(target_has_atomic = "ptr")]
pub use alloc::sync::{Arc, Weak};
use core::cell::{LazyCell, OnceCell, RefCell, RefMut};
use core::ops::Deref;

#[cfg(not(target_has_atomic = "ptr"))]
pub use portable_atomic_util::{Arc, Weak};

pub use portable_atomic as atomic;

/// A lock that panics when it is taken twice. No interrupt of the tests' machines takes one.
#[derive(Debug, Default)]
pub struct Mutex<T>(RefCell<T>);

// SAFETY: the program has one thread, and no handler of an interrupt touches what the tests lock.
unsafe impl<T: Send> Sync for Mutex<T> {}

pub type MutexGuard<'a, T> = RefMut<'a, T>;

/// Nothing is poisoned where a panic ends the program.
pub struct PoisonError<T>(T);

impl<T> core::fmt::Debug for PoisonError<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("PoisonError")
    }
}

impl<T> PoisonError<T> {
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Mutex<T> {
    pub const fn new(value: T) -> Self {
        Self(RefCell::new(value))
    }

    pub fn lock(&self) -> Result<MutexGuard<'_, T>, PoisonError<MutexGuard<'_, T>>> {
        Ok(self.0.borrow_mut())
    }
}

/// A cell that is filled once.
#[derive(Debug)]
pub struct OnceLock<T>(OnceCell<T>);

// SAFETY: as of `Mutex`.
unsafe impl<T: Send + Sync> Sync for OnceLock<T> {}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> OnceLock<T> {
    pub const fn new() -> Self {
        Self(OnceCell::new())
    }

    pub fn get(&self) -> Option<&T> {
        self.0.get()
    }

    pub fn set(&self, value: T) -> Result<(), T> {
        self.0.set(value)
    }

    pub fn get_or_init(&self, init: impl FnOnce() -> T) -> &T {
        self.0.get_or_init(init)
    }
}

/// A value that is made when it is first used.
#[derive(Debug)]
pub struct LazyLock<T, F = fn() -> T>(LazyCell<T, F>);

// SAFETY: as of `Mutex`.
unsafe impl<T: Send + Sync, F: Send> Sync for LazyLock<T, F> {}

impl<T, F: FnOnce() -> T> LazyLock<T, F> {
    pub const fn new(init: F) -> Self {
        Self(LazyCell::new(init))
    }
}

impl<T, F: FnOnce() -> T> Deref for LazyLock<T, F> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
