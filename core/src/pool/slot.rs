//! A value of the pool, with what the pool keeps about it.

use crate::Instant;

/// A value and its ages.
///
/// No clock is read when a value comes back, since a reading costs as much as a whole acquire. A
/// value that was just used carries [`Slot::FRESH`]; the next sweep of the Runner writes the time
/// there. A value thus counts as idle from the first sweep after its last use, never earlier.
#[derive(Debug)]
pub(crate) struct Slot<V> {
    pub(crate) value: V,
    pub(crate) idle_since: Instant,
    pub(crate) check_at: Instant,
}

impl<V> Slot<V> {
    /// Stands in `idle_since` of a value that no sweep has seen since it was used.
    pub(crate) const FRESH: Instant = Instant::MAX;

    pub(crate) const fn new(value: V) -> Self {
        Self {
            value,
            idle_since: Self::FRESH,
            check_at: Instant::MAX,
        }
    }
}
