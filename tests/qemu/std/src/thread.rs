//! The one thread.

use core::time::Duration;

/// Lets the processor work for nothing. The clock of the tests does not move meanwhile.
pub fn sleep(_: Duration) {
    for _ in 0..1_000 {
        core::hint::spin_loop();
    }
}

/// The one thread.
pub struct Thread(());

/// Which thread it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadId(());

/// Returns the one thread.
pub fn current() -> Thread {
    Thread(())
}

impl Thread {
    /// Returns which thread it is.
    pub fn id(&self) -> ThreadId {
        ThreadId(())
    }
}

/// Another thread, which there never is.
pub struct JoinHandle<T>(core::marker::PhantomData<T>);

impl<T> JoinHandle<T> {
    /// Never called.
    pub fn join(self) -> Result<T, ()> {
        Err(())
    }

    /// Never called.
    pub fn is_finished(&self) -> bool {
        true
    }
}

/// Panics: there are no other threads.
pub fn spawn<T>(_: impl FnOnce() -> T) -> JoinHandle<T> {
    panic!("this machine has one thread")
}
