//! How long acquires waited, openings took, and values were in use.

use core::time::Duration;

use super::loans::Loans;
use super::shared::PoolShared;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::time::{self, Instant};

/// Three histograms of a pool that was built with [`timings`](crate::pool::PoolBuilder::timings).
///
/// ```
/// # use tenure_core::pool::Timings;
/// # fn show(timings: Timings) {
/// println!("99 of 100 waited for at most {:?}", timings.waited.quantile(0.99));
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Timings {
    /// How long acquires took in all, those that failed included. One that found a value at once took no time.
    pub waited: Histogram,
    /// How long attempts to open took, those that failed included.
    pub opened: Histogram,
    /// How long values were on loan.
    pub used: Histogram,
}

/// How often a time was how long. A bucket spans a quarter of a power of two, so that a quantile is at most
/// a quarter too high.
///
/// ```
/// use std::time::Duration;
/// use tenure_core::pool::Histogram;
///
/// let mut histogram = Histogram::default();
/// for millis in 1..=100 {
///     histogram.record(Duration::from_millis(millis));
/// }
/// let median = histogram.quantile(0.5);
/// assert!(median >= Duration::from_millis(50) && median <= Duration::from_millis(63));
/// assert_eq!((histogram.count(), histogram.max()), (100, Duration::from_millis(100)));
/// ```
#[derive(Clone, Debug)]
pub struct Histogram {
    buckets: [u64; BUCKETS],
    count: u64,
    /// In nanoseconds.
    sum: u128,
    max: u64,
}

/// Each power of two is split in so many.
const STEPS: usize = 4;
/// From a microsecond on, and up to some 36 minutes; what is longer falls into the last.
const POWERS: usize = 31;
const BUCKETS: usize = POWERS * STEPS + 1;

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: [0; BUCKETS],
            count: 0,
            sum: 0,
            max: 0,
        }
    }
}

impl Histogram {
    /// Counts one more time.
    #[inline]
    pub fn record(&mut self, time: Duration) {
        let nanos = time::nanos(time);
        self.buckets[bucket_of(nanos)] += 1;
        self.count += 1;
        self.sum += u128::from(nanos);
        self.max = self.max.max(nanos);
    }

    /// Counts so many times that were none at all.
    const fn record_nothing(&mut self, times: u64) {
        self.buckets[0] += times;
        self.count += times;
    }

    fn add(&mut self, other: &Self) {
        for (bucket, more) in self.buckets.iter_mut().zip(&other.buckets) {
            *bucket += more;
        }
        self.count += other.count;
        self.sum += other.sum;
        self.max = self.max.max(other.max);
    }

    /// How many times were recorded.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// All times together.
    #[must_use]
    pub const fn sum(&self) -> Duration {
        const SECOND: u128 = 1_000_000_000;
        // 584 years by 18 billion would not fit, nor would they have passed.
        Duration::new((self.sum / SECOND) as u64, (self.sum % SECOND) as u32)
    }

    /// The longest.
    #[must_use]
    pub const fn max(&self) -> Duration {
        Duration::from_nanos(self.max)
    }

    /// A time that this part of all, from 0 to 1, did not exceed. Zero if nothing was recorded.
    #[must_use]
    pub fn quantile(&self, part: f64) -> Duration {
        let rank = (self.count as f64 * part.clamp(0.0, 1.0)).max(1.0);
        let mut seen = 0;
        for (index, bucket) in self.buckets.iter().enumerate() {
            seen += bucket;
            if seen as f64 >= rank {
                return upper_bound(index).min(self.max());
            }
        }
        self.max()
    }
}

/// What one stack's threads have waited, and had values. An acquire that waited for nothing is counted with its
/// [loan](super::loans), not here.
#[derive(Debug, Default)]
pub(super) struct StackTimes {
    pub(super) waited: Histogram,
    pub(super) used: Histogram,
}

impl StackTimes {
    pub(super) fn add(&mut self, other: &Self) {
        self.waited.add(&other.waited);
        self.used.add(&other.used);
    }
}

impl<R: LocalResource, C: Clock> PoolShared<R, C> {
    pub(super) fn timings(&self) -> Option<Timings> {
        let opened = self.times_of_openings.as_ref()?;
        let StackTimes { mut waited, used } = self.stacks.times()?;
        waited.record_nothing(self.loans.as_ref().map_or(0, Loans::at_once));
        let opened = opened.with(|opened| opened.clone());
        Some(Timings {
            waited,
            opened,
            used,
        })
    }

    /// The time, where it counts how long acquires take.
    pub(super) fn time_that_counts(&self) -> Option<Instant> {
        if self.stacks.keep_times() {
            self.now()
        } else {
            None
        }
    }

    /// Takes note of how long an acquire took in all, where that counts. Returns the time then.
    #[inline(always)]
    pub(super) fn record_wait(&self, began_at: Instant) -> Option<Instant> {
        if self.stacks.keep_times() {
            self.record_wait_that_counts(began_at)
        } else {
            None
        }
    }

    #[inline(never)]
    fn record_wait_that_counts(&self, began_at: Instant) -> Option<Instant> {
        let now = self.now()?;
        self.stacks.note_wait(now - began_at);
        Some(now)
    }
}

#[inline]
fn bucket_of(nanos: u64) -> usize {
    // In quarters of a microsecond, of which the shortest steps are made.
    let quarters = nanos / 250;
    if quarters < STEPS as u64 {
        return 0;
    }
    // The two bits below the highest one are the step.
    let power = quarters.ilog2() as usize - 2;
    let step = (quarters >> power) as usize & 3;
    (1 + power * STEPS + step).min(BUCKETS - 1)
}

/// Just above the longest time of this bucket.
fn upper_bound(bucket: usize) -> Duration {
    let Some(index) = bucket.checked_sub(1) else {
        return Duration::from_micros(1);
    };
    if bucket == BUCKETS - 1 {
        return Duration::MAX;
    }
    let (power, step) = (index / STEPS, index % STEPS);
    let quarter = 250 << power;
    Duration::from_nanos(quarter * (STEPS + step + 1) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_lies_in_the_bucket_that_ends_above_it() {
        for nanos in (0..60).flat_map(|power| [1_u64 << power, (1 << power) + (1 << power) / 3]) {
            let time = Duration::from_nanos(nanos);
            let bucket = bucket_of(nanos);
            assert!(time < upper_bound(bucket), "{time:?} in {bucket}");
            assert!(bucket == 0 || time >= upper_bound(bucket - 1) || bucket == BUCKETS - 1);
        }
    }
}
