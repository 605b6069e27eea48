#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod clock;

use std::collections::hash_map::RandomState;
use std::future::Future;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tenure_core::{Instant, Spawn, SpawnLocal, Timer};
use tokio::runtime::{EnterGuard, Handle, RuntimeFlavor};

use clock::{can_be_paused, epoch, time_here};

/// The tokio runtime, as tenure sees it: a clock, a timer, and spawning. A clone costs one counter.
///
/// The runtime used is the one around the caller. Where there is none, it is the one in which
/// [`Tokio::current`] was called. So a pool in a `static` outlives the runtime it was built in and serves
/// the next, as with many `#[tokio::test]`s, and a plain thread may use a pool while its runtime lives.
///
/// The clock is tokio's, so it follows `tokio::time::pause`. Both [`Spawn`] and [`SpawnLocal`] are here;
/// the second needs a `LocalSet` or a `LocalRuntime`. Do not use it where no tokio runtime lives.
///
/// # Panics
/// Sleeping and spawning panic with neither a runtime around the caller nor one around the call of
/// [`Tokio::current`]. A sleep panics, too, where that runtime has no time driver or has ended; a future
/// spawned on one that has ended is dropped. Telling the time never panics.
///
/// ```
/// use tenure_core::Spawn;
/// use tenure_tokio::Tokio;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let (done, finished) = futures::channel::oneshot::channel();
/// Tokio::current().spawn(async move { done.send(7).expect("the receiver waits") });
/// assert_eq!(finished.await, Ok(7));
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct Tokio {
    captured: Option<Handle>,
}

impl Tokio {
    /// The runtime this is called in, or, called outside of any, whichever one is around later.
    ///
    /// ```
    /// use tenure_core::Timer;
    ///
    /// let clock = tenure_tokio::Tokio::current();
    /// assert!(clock.now() <= clock.now(), "the time can be told without a runtime");
    /// ```
    #[must_use]
    pub fn current() -> Self {
        Self {
            captured: Handle::try_current().ok(),
        }
    }

    /// Enters the captured runtime, unless there is one around the caller.
    fn enter(&self) -> Option<EnterGuard<'_>> {
        let captured = self.captured.as_ref()?;
        let is_apart = || Handle::try_current().is_err_and(|error| error.is_missing_context());
        // A task is in its runtime, and says so without touching a counter that all threads share.
        (tokio::task::try_id().is_none() && is_apart()).then(|| captured.enter())
    }
}

impl Timer for Tokio {
    const ACCEPTS_WRAPPED_WAKERS: bool = true;
    type Sleep = Sleep;

    fn now(&self) -> Instant {
        // Only a current-thread runtime can pause its clock, and only where tokio was built for that; elsewhere every
        // thread reads the same one, and entering would make all threads write to the same counter.
        let _entered = match &self.captured {
            Some(handle)
                if can_be_paused() && handle.runtime_flavor() == RuntimeFlavor::CurrentThread =>
            {
                self.enter()
            }
            _ => None,
        };
        time_here()
    }

    fn sleep_until(&self, at: Instant) -> Sleep {
        Sleep {
            runtime: self.clone(),
            at,
            armed: None,
        }
    }

    fn entropy(&self) -> u64 {
        RandomState::new().build_hasher().finish()
    }

    fn current_task(&self) -> Option<u64> {
        let task = tokio::task::try_id()?;
        Some(BuildHasherDefault::<NumberHasher>::default().hash_one(task))
    }
}

impl Spawn for Tokio {
    fn spawn<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        let _entered = self.enter();
        assert_runtime_here();
        tokio::spawn(future);
    }
}

impl SpawnLocal for Tokio {
    /// Runs `future` on the `LocalSet` or `LocalRuntime` that the caller runs in.
    ///
    /// # Panics
    /// Outside of one, because tokio has no other place for a future that is not `Send`.
    fn spawn_local<F: Future<Output = ()> + 'static>(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

pin_project! {
    /// The sleep of [`Tokio`]: it ends at its instant, and never before.
    ///
    /// It enters the timer of the runtime in which it is first polled, and stays with that one.
    /// # Cancel safety
    /// It may be dropped at any time; nothing remains in the timer.
    ///
    /// # Panics
    /// Polling it panics where [`Tokio`] says so.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tenure_core::Timer;
    /// use tenure_tokio::{Sleep, Tokio};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let clock = Tokio::current();
    /// let sleep: Sleep = clock.sleep_until(clock.now() + Duration::from_millis(2));
    /// sleep.await;
    /// # });
    /// ```
    #[derive(Debug)]
    #[must_use = "a sleep does nothing unless it is awaited"]
    pub struct Sleep {
        runtime: Tokio,
        at: Instant,
        #[pin]
        armed: Option<tokio::time::Sleep>,
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let deadline = match epoch().checked_add(Duration::from_nanos(this.at.as_nanos())) {
            Some(deadline) if *this.at != Instant::MAX => deadline,
            _ => return Poll::Pending,
        };
        let _entered = this.runtime.enter();
        // Tokio's timer rounds up to a millisecond, and may not have seen yet what has passed.
        while time_here() < *this.at {
            if this.armed.is_none() {
                assert_runtime_here();
                this.armed.set(Some(tokio::time::sleep_until(deadline)));
            }
            if let Some(sleep) = this.armed.as_mut().as_pin_mut() {
                ready!(sleep.poll(cx));
            }
            // It ended by the clock of another runtime, whose pause ran ahead: wait on this one.
            this.armed.set(None);
        }
        Poll::Ready(())
    }
}

/// Gives the number back that is hashed: that of a task is unique as it is.
#[derive(Default)]
struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[track_caller]
fn assert_runtime_here() {
    assert!(
        Handle::try_current().is_ok(),
        "no tokio runtime: run this inside one, or call `Tokio::current()` inside one that stays alive"
    );
}
