//! A value of the pool, with what the pool keeps about it.

use core::time::Duration;

use crate::Instant;

/// A value and its ages.
///
/// No clock is read when a value comes back, since a reading costs as much as a whole acquire: the next
/// sweep of the Runner notes the time. A value thus counts as idle from the first sweep after its last
/// use, never earlier.
#[derive(Debug)]
pub(crate) struct Slot<V> {
    pub(crate) value: V,
    pub(crate) opened_at: Instant,
    /// When a sweep first saw it idle since its last use, if one did.
    pub(crate) idle_since: Instant,
    pub(crate) check_at: Instant,
    /// How many loans of it have ended.
    pub(crate) uses: u32,
    /// Of which generation of the pool it is. Only equality counts, so it may come round.
    pub(crate) generation: u16,
    /// By how much its life is shorter than the longest: a drawn part of the spread.
    pub(crate) lottery: u8,
    /// Whether a sweep has seen it since its last use. A `bool` also leaves room for the tags of all the
    /// enums that hold a slot, so that they are no larger than it is.
    pub(crate) seen_idle: u8,
}

impl<V> Slot<V> {
    pub(crate) const fn new(value: V, birth: Birth) -> Self {
        Self {
            value,
            opened_at: birth.at,
            idle_since: Instant::EPOCH,
            check_at: Instant::MAX,
            uses: 0,
            generation: birth.generation,
            lottery: birth.lottery,
            seen_idle: 0,
        }
    }

    /// A loan of it has ended.
    #[inline(always)]
    pub(crate) const fn loan_ended(&mut self) {
        self.uses = self.uses.saturating_add(1);
        self.seen_idle = 0;
    }
}

/// What a value is born with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Birth {
    pub(crate) at: Instant,
    pub(crate) generation: u16,
    pub(crate) lottery: u8,
}

/// What makes a value not fit to be used again, as far as a look at it shows. Each stack has a copy,
/// so that a release meets no lock but its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The generation that is served.
    pub(crate) generation: u16,
    pub(crate) max_uses: u32,
    pub(crate) lifetime: Option<Lifetime>,
    /// Nothing that was opened later than this is too old: the one comparison that a release makes.
    young_after: Instant,
}

/// How long values live, and how late it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetime {
    longest: Duration,
    /// The time of the last sweep: a release reads no clock.
    now: Instant,
}

/// Lives end up to a tenth early, so that values that were opened together do not end together.
const SPREAD_PARTS: u32 = 10;

impl Lifetime {
    /// When the life of this value ends.
    pub(crate) fn ends_at<V>(self, slot: &Slot<V>) -> Instant {
        let spread = crate::time::nanos(self.longest / SPREAD_PARTS);
        let early = (u128::from(spread) * u128::from(slot.lottery)) >> u8::BITS;
        slot.opened_at + (self.longest - Duration::from_nanos(early as u64))
    }
}

impl Limits {
    pub(crate) fn new(max_uses: u32, longest: Option<Duration>, now: Option<Instant>) -> Self {
        let mut limits = Self {
            generation: 0,
            max_uses,
            lifetime: None,
            young_after: Instant::EPOCH,
        };
        if let (Some(longest), Some(now)) = (longest, now) {
            limits.lifetime = Some(Lifetime { longest, now });
            limits.set_time(now);
        }
        limits
    }

    /// It is as late as that.
    pub(crate) fn set_time(&mut self, now: Instant) {
        if let Some(lifetime) = &mut self.lifetime {
            lifetime.now = now;
            let surely = lifetime.longest - lifetime.longest / SPREAD_PARTS;
            let surely = crate::time::nanos(surely);
            self.young_after = Instant::from_nanos(now.as_nanos().saturating_sub(surely));
        }
    }

    #[inline]
    pub(crate) fn allow<V>(&self, slot: &Slot<V>) -> bool {
        slot.generation == self.generation
            && slot.uses < self.max_uses
            && (slot.opened_at >= self.young_after || self.is_young(slot))
    }

    /// The same for the end of a loan, before it is counted.
    #[inline]
    pub(crate) fn allow_after_loan<V>(&self, slot: &Slot<V>) -> bool {
        slot.uses < self.max_uses.saturating_sub(1) && self.allow(slot)
    }

    #[cold]
    fn is_young<V>(&self, slot: &Slot<V>) -> bool {
        let is_over = |lifetime: Lifetime| lifetime.now >= lifetime.ends_at(slot);
        !self.lifetime.is_some_and(is_over)
    }
}
