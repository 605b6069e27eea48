//! Converts between the driver's ticks and nanoseconds, rounded so that no sleep ends early.

use tenure_core::Instant;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// The tick that no driver reaches.
pub(crate) const NEVER: u64 = u64::MAX;

/// Returns the latest instant that has certainly passed when a driver of `hz` ticks per second reads `ticks`.
pub(crate) const fn instant_of(ticks: u64, hz: u64) -> Instant {
    let (seconds, rest) = (ticks / hz, ticks % hz);
    // The drivers' rates are below 2^33, so that this stays below 2^63.
    let nanos = rest * NANOS_PER_SECOND / hz;
    Instant::from_nanos(
        seconds
            .saturating_mul(NANOS_PER_SECOND)
            .saturating_add(nanos),
    )
}

/// Returns the first tick at which `at` has passed, or [`NEVER`] for an instant that never comes.
pub(crate) const fn ticks_until(at: Instant, hz: u64) -> u64 {
    let nanos = at.as_nanos();
    if nanos == Instant::MAX.as_nanos() {
        return NEVER;
    }
    let (seconds, rest) = (nanos / NANOS_PER_SECOND, nanos % NANOS_PER_SECOND);
    let ticks = (rest * hz).div_ceil(NANOS_PER_SECOND);
    seconds.saturating_mul(hz).saturating_add(ticks)
}
