//! What is known of a value without the value: how old it is, how it stands, and whether that makes it fit.

use core::time::Duration;

use crate::time::Instant;

/// The ages of a value, and how it stands.
///
/// No clock is read when a value comes back, since a reading costs as much as a whole acquire: the next
/// sweep of the Runner notes the time. A value thus counts as idle from the first sweep after its last
/// use, never earlier. Where limits are strict, and where there is no Runner and values are checked after they have
/// lain idle, the time is noted as they come back.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) opened_at: Instant,
    /// When a sweep first saw it idle since its last use, if one did; where limits are strict, when it came back.
    /// While it is in use: when it was opened or last checked before a loan, if that was later.
    pub(crate) idle_since: Instant,
    pub(crate) check_at: Instant,
    /// How many loans of it have ended.
    pub(crate) uses: u32,
    /// Of which generation of the pool it is. Only equality counts, so it may come round.
    pub(crate) generation: Generation,
    /// By how much its life is shorter than the longest: a drawn part of the spread.
    pub(crate) lifetime_jitter: u8,
    pub(crate) standing: Standing,
}

impl Life {
    pub(crate) const fn new(birth: Birth) -> Self {
        Self {
            opened_at: birth.at,
            idle_since: birth.at,
            check_at: Instant::MAX,
            uses: 0,
            generation: birth.generation,
            lifetime_jitter: birth.lifetime_jitter,
            standing: Standing::USED,
        }
    }

    /// A loan of it has ended.
    #[inline(always)]
    pub(crate) const fn loan_ended(&mut self) {
        // It cannot overflow: with as many as there may be, at most `u32::MAX`, a value is not lent again.
        self.uses += 1;
        self.standing = Standing::USED;
    }

    /// The same where its last operation may have been cut off.
    pub(crate) fn loan_ended_as_it_stands(&mut self) {
        let standing = self.standing;
        self.loan_ended();
        if standing == Standing::SUSPECT {
            self.standing = standing;
        }
    }

    /// Notes that it was seen idle at that time, unless it was before.
    pub(crate) fn seen_idle(&mut self, now: Instant, standing: Standing) -> bool {
        let is_new = self.standing == Standing::USED;
        if is_new {
            self.idle_since = now;
            self.standing = standing;
        }
        is_new
    }

    /// It stands at least as badly as that from now on.
    pub(crate) fn worsen(&mut self, standing: Standing) {
        self.standing = self.standing.max(standing);
    }
}

/// How a value has spent its time since its last use.
///
/// A number, and not an enum: the enums that hold a slot would keep their tags in the values that an enum leaves, and
/// finding out which of them it is would cost each loan more instructions than the byte that this saves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Standing(u8);

impl Standing {
    /// No sweep has seen it since.
    pub(crate) const USED: Self = Self(0);
    /// A sweep has seen it idle.
    pub(crate) const IDLE: Self = Self(1);
    /// The same, and before it is lent the pool looks for how long that was.
    pub(crate) const RESTED: Self = Self(2);
    /// It was idle for too long: it is checked before it is lent.
    pub(crate) const STALE: Self = Self(3);
    /// An operation on it is under way, or was cut off. Never idle: it is checked or closed before.
    pub(crate) const SUSPECT: Self = Self(4);
}

/// What a value is born with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Birth {
    pub(crate) at: Instant,
    pub(crate) generation: Generation,
    pub(crate) lifetime_jitter: u8,
}

/// Values that are called in together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation(u16);

impl Generation {
    const FIRST: Self = Self(1);
    /// Of a value that is not to be lent again. No pool ever serves it.
    pub(crate) const REVOKED: Self = Self(0);

    /// The one after this.
    pub(crate) const fn next(self) -> Self {
        match self.0.wrapping_add(1) {
            0 => Self::FIRST,
            next => Self(next),
        }
    }
}

/// What makes a value not fit to be used again, as far as a look at it shows. Each stack has a copy,
/// so that a release meets no lock but its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The generation that is served.
    pub(crate) generation: Generation,
    pub(crate) max_uses: u32,
    pub(crate) lifetime: Option<Lifetime>,
    /// Nothing that was opened before this is lent again: such values were called in.
    evicted_before: Instant,
    /// Nothing that was opened since is too old, or was called in: the one comparison that a release makes.
    young_after: Instant,
}

/// How long values live, and how late it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetime {
    pub(crate) longest: Duration,
    /// The time of the last sweep: a release reads no clock.
    pub(crate) now: Instant,
}

/// Lives end up to a tenth early, so that values that were opened together do not end together.
const SPREAD_PARTS: u32 = 10;

impl Lifetime {
    /// When the life of this value ends.
    pub(crate) fn ends_at(self, life: &Life) -> Instant {
        let spread = crate::time::nanos(self.longest / SPREAD_PARTS);
        let early = (u128::from(spread) * u128::from(life.lifetime_jitter)) >> u8::BITS;
        life.opened_at + (self.longest - Duration::from_nanos(early as u64))
    }
}

impl Limits {
    pub(crate) fn new(max_uses: u32, longest: Option<Duration>, now: Option<Instant>) -> Self {
        let mut limits = Self {
            generation: Generation::FIRST,
            max_uses,
            lifetime: None,
            evicted_before: Instant::EPOCH,
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
            let young_after = Instant::from_nanos(now.as_nanos().saturating_sub(surely));
            self.young_after = young_after.max(self.evicted_before);
        }
    }

    /// Calls in what was opened before that time.
    pub(crate) fn evict_before(&mut self, opened: Instant) {
        self.evicted_before = self.evicted_before.max(opened);
        self.young_after = self.young_after.max(opened);
    }

    /// Returns `true` if the value was called in.
    pub(crate) fn has_evicted(&self, life: &Life) -> bool {
        self.have_evicted(life.generation, life.opened_at)
    }

    /// The same for a value that is known by these.
    pub(crate) fn have_evicted(&self, generation: Generation, opened_at: Instant) -> bool {
        generation != self.generation || opened_at < self.evicted_before
    }

    #[inline]
    pub(crate) fn allow(&self, life: &Life) -> bool {
        life.uses < self.max_uses && self.serve(life)
    }

    /// Returns `true` if the value is of the generation that is served, and not too old.
    #[inline]
    fn serve(&self, life: &Life) -> bool {
        life.generation == self.generation
            && (life.opened_at >= self.young_after || self.is_young(life))
    }

    /// The same for the end of a loan, before it is counted.
    #[inline]
    pub(crate) fn allow_after_loan(&self, life: &Life) -> bool {
        life.uses + 1 < self.max_uses && self.serve(life)
    }

    #[cold]
    fn is_young(&self, life: &Life) -> bool {
        let is_over = |lifetime: Lifetime| lifetime.now >= lifetime.ends_at(life);
        life.opened_at >= self.evicted_before && !self.lifetime.is_some_and(is_over)
    }
}
