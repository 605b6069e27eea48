#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

use core::cell::Cell;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use critical_section::Mutex;
use embassy_time_driver::TICK_HZ;

mod ticks;

use ticks::{NEVER, instant_of, ticks_until};

pub use tenure_core::*;

/// The background work of a [`Pool`] on Embassy, as the type of a task's argument.
///
/// ```no_run
/// use tenure_embassy::{LocalResource, PoolRunner};
///
/// async fn background<R: LocalResource>(runner: PoolRunner<R>) {
///     runner.run().await
/// }
/// ```
#[cfg(feature = "alloc")]
pub type PoolRunner<R> = pool::Runner<R, Embassy>;

/// The background work of a [`Managed`] or a [`Connection`] on Embassy, as the type of a task's argument.
///
/// ```no_run
/// use tenure_embassy::{LocalResource, ManagedRunner};
///
/// async fn background<R: LocalResource<Value: Clone>>(runner: ManagedRunner<R>) {
///     runner.run().await
/// }
/// ```
#[cfg(feature = "alloc")]
pub type ManagedRunner<R> = managed::Runner<R, Embassy>;

/// The background work of a [`Shared`] on Embassy, as the type of a task's argument.
///
/// ```no_run
/// use tenure_embassy::{LocalResource, SharedRunner};
///
/// async fn background<R: LocalResource<Value: Clone>>(runner: SharedRunner<R>) {
///     runner.run().await
/// }
/// ```
#[cfg(feature = "alloc")]
pub type SharedRunner<R> = shared::Runner<R, Embassy>;

/// The clock and the timer of the program's Embassy time driver.
///
/// It needs no set-up and works from every task and executor. Its time starts at the boot of the device and advances by
/// whole ticks of the driver: a sleep ends at the first tick at which its instant has passed, and never before.
///
/// It spawns nothing, because Embassy's tasks are static: see the [crate's documentation](crate).
///
/// ```no_run
/// use core::time::Duration;
/// use tenure_embassy::{Embassy, Timer};
///
/// #[embassy_executor::task]
/// async fn wait() {
///     Embassy.sleep_until(Embassy.now() + Duration::from_millis(5)).await;
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Embassy;

impl Embassy {
    /// Seeds the random numbers that spread delays and lifetimes, for all that is built from here on.
    ///
    /// Devices that boot at the same moment with the same seed draw the same jitter, and ask a server at the same
    /// moments. Give a number of the hardware's random number generator, or else what tells this device from the
    /// others, such as its serial number.
    ///
    /// ```no_run
    /// use tenure_embassy::Embassy;
    ///
    /// # fn hardware_random_number() -> u64 { 4 }
    /// Embassy::seed_jitter(hardware_random_number());
    /// ```
    pub fn seed_jitter(seed: u64) {
        critical_section::with(|section| JITTER.borrow(section).set(seed));
    }
}

impl Timer for Embassy {
    type Sleep = Sleep;

    fn now(&self) -> Instant {
        instant_of(embassy_time_driver::now(), TICK_HZ)
    }

    fn sleep_until(&self, at: Instant) -> Sleep {
        Sleep {
            ticks: ticks_until(at, TICK_HZ),
        }
    }

    fn entropy(&self) -> u64 {
        // Steps of another generator than the one that the core seeds with this (Knuth's MMIX), lest two holders
        // draw the same sequence, one of them a number later.
        let drawn = critical_section::with(|section| {
            let state = JITTER.borrow(section);
            state.set(
                state
                    .get()
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407),
            );
            state.get()
        });
        drawn ^ embassy_time_driver::now()
    }
}

/// In a critical section, since not every microcontroller swaps 64 bits, or any, atomically.
static JITTER: Mutex<Cell<u64>> = Mutex::new(Cell::new(0));

/// The sleep of [`Embassy`]: it ends at the first tick at which its instant has passed.
///
/// # Panics
/// With the integrated timer queue of `embassy-executor`, polling it panics in anything but a task of that executor, and
/// in a combinator that makes its own wakers.
///
/// # Cancel safety
/// It may be dropped at any time. The driver then wakes the task once for nothing, at the sleep's instant.
///
/// ```no_run
/// use core::time::Duration;
/// use tenure_embassy::{Embassy, Sleep, Timer};
///
/// #[embassy_executor::task]
/// async fn wait() {
///     let sleep: Sleep = Embassy.sleep_until(Embassy.now() + Duration::from_millis(5));
///     sleep.await;
/// }
/// ```
#[derive(Debug)]
#[must_use = "a sleep does nothing unless it is awaited"]
pub struct Sleep {
    ticks: u64,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.ticks == NEVER {
            return Poll::Pending;
        }
        if embassy_time_driver::now() >= self.ticks {
            return Poll::Ready(());
        }
        // At each poll: a queue keeps one moment for each task, the earliest, and forgets it as it wakes the task.
        embassy_time_driver::schedule_wake(self.ticks, cx.waker());
        Poll::Pending
    }
}
