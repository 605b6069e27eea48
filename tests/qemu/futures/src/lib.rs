//! The crate `futures`, and what the tests use of it that it keeps for `std`.
#![no_std]

extern crate alloc;

mod future_ext;
#[cfg(not(target_has_atomic = "ptr"))]
pub mod oneshot;
mod remote_handle;
mod shared;

pub use futures::*;

pub use future_ext::FutureExt;

pub mod future {
    pub use futures::future::*;

    pub use crate::future_ext::FutureExt;
    pub use crate::remote_handle::RemoteHandle;
    pub use crate::shared::Shared;
}

pub mod channel {
    #[cfg(target_has_atomic = "ptr")]
    pub use futures::channel::oneshot;

    #[cfg(not(target_has_atomic = "ptr"))]
    pub use crate::oneshot;
}

pub mod executor {
    use core::future::Future;
    use core::pin::pin;
    use core::task::{Context, Poll, Waker};

    /// Polls `future` again and again until it ends.
    pub fn block_on<F: Future>(future: F) -> F::Output {
        let mut future = pin!(future);
        loop {
            let polled = future
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()));
            if let Poll::Ready(output) = polled {
                return output;
            }
        }
    }
}

fn locked<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    match mutex.lock() {
        Ok(guard) => guard,
        Err(poisoned) => poisoned.into_inner(),
    }
}
