//! A point in time that any clock can produce: nanoseconds in a `u64`.

use core::fmt;
use core::ops::{Add, Sub};
use core::time::Duration;

/// A point in time, counted in nanoseconds from the epoch of the [`Timer`](crate::Timer) that gave it.
///
/// The epoch is the timer's own: start of the process, boot of the device, second zero of a
/// simulation. Two instants compare meaningfully only when the same kind of timer made both. A `u64`
/// of nanoseconds lasts for 584 years.
///
/// All arithmetic saturates, because a deadline that overflows means "later than anything", never a
/// panic and never a wrap into the past.
///
/// Do not use it for dates: it says nothing of the calendar.
///
/// ```
/// use core::time::Duration;
/// use tenure_core::Instant;
///
/// let start = Instant::from_nanos(1_000);
/// let end = start + Duration::from_micros(2);
/// assert_eq!(end - start, Duration::from_micros(2));
/// assert_eq!(start - end, Duration::ZERO, "the past is no negative duration");
/// assert_eq!(start + Duration::MAX, Instant::MAX);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(u64);

impl Instant {
    /// The timer's epoch itself.
    pub const EPOCH: Self = Self(0);
    /// Later than every instant a timer reaches.
    pub const MAX: Self = Self(u64::MAX);

    /// The instant this many nanoseconds after the epoch.
    ///
    /// ```
    /// # use tenure_core::Instant;
    /// assert_eq!(Instant::from_nanos(7).as_nanos(), 7);
    /// ```
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the epoch.
    ///
    /// ```
    /// # use tenure_core::Instant;
    /// assert_eq!(Instant::EPOCH.as_nanos(), 0);
    /// ```
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not after it.
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use tenure_core::Instant;
    /// let (a, b) = (Instant::from_nanos(5), Instant::from_nanos(9));
    /// assert_eq!(b.saturating_duration_since(a), Duration::from_nanos(4));
    /// assert_eq!(a.saturating_duration_since(b), Duration::ZERO);
    /// ```
    #[must_use]
    pub const fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This instant moved on by `duration`, at most to [`Instant::MAX`].
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use tenure_core::Instant;
    /// assert_eq!(Instant::EPOCH.saturating_add(Duration::from_nanos(3)).as_nanos(), 3);
    /// ```
    #[must_use]
    pub const fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        self.saturating_add(duration)
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Instant({:?})", Duration::from_nanos(self.0))
    }
}

/// The nanoseconds of `duration`, saturating at what a `u64` holds (584 years).
pub(crate) const fn nanos(duration: Duration) -> u64 {
    let seconds = duration.as_secs().saturating_mul(1_000_000_000);
    seconds.saturating_add(duration.subsec_nanos() as u64)
}
