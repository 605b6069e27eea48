//! What an acquire comes to.

use std::fmt::Display;

use async_lock::{SemaphoreGuard, SemaphoreGuardArc};
use simple_pool::ResourcePoolGuard;

/// A guard, or a result of one.
pub(crate) trait Taken: Send {
    type Guard: Send;

    /// Turns the contender's error into the application's.
    fn or_message(self) -> Result<Self::Guard, String>;
}

impl<G: Send, E: Display + Send> Taken for Result<G, E> {
    type Guard = G;

    fn or_message(self) -> Result<G, String> {
        self.map_err(|error| error.to_string())
    }
}

macro_rules! impl_taken_for_guards {
    ($($Guard:ty),*) => {$(
        impl Taken for $Guard {
            type Guard = Self;

            fn or_message(self) -> Result<Self, String> {
                Ok(self)
            }
        }
    )*};
}

impl_taken_for_guards!(
    ResourcePoolGuard<u64>,
    tub::Guard<u64>,
    SemaphoreGuard<'static>,
    SemaphoreGuardArc
);
