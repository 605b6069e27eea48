//! The attempt of a retry as it is shown to what is polled within it.

use core::cell::Cell;
use core::num::NonZeroU32;

/// The attempts of a retry and of all retries within its attempts, as one number.
///
/// An attempt that holds others is no work of its own: the first that begins within it counts in its
/// stead. So what is counted are the attempts that do something, also those that were cut off, are
/// still under way, or succeeded before something else failed.
///
/// For the order of its fields see [`EnclosingCell`].
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct AttemptLedger {
    pub(crate) attempts: u32,
    /// The most attempts that came at once: what one more may cost.
    largest: NonZeroU32,
    /// The most attempts that any of the retries may make by itself; `u32::MAX` is no limit.
    pub(crate) limit: u32,
}

impl AttemptLedger {
    pub(crate) const fn new(limit: u32) -> Self {
        Self {
            attempts: 0,
            limit,
            largest: NonZeroU32::MIN,
        }
    }

    /// Whether a retry could make it more than one above the limit.
    pub(crate) const fn is_spent(&self) -> bool {
        let after_another = self.attempts.saturating_add(self.largest.get());
        self.limit < u32::MAX
            && (self.attempts >= self.limit || after_another > self.limit.saturating_add(1))
    }
}

/// An attempt, as it is shown to what is polled within it.
///
/// The thread shows it for the length of the poll. So a retry finds the one around it on whichever
/// thread that is, and there is nothing to allocate, to share or to give back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Enclosing {
    pub(crate) ledger: AttemptLedger,
    /// What the attempt itself counts: 1, or 0 once something within it counts in its stead.
    pub(crate) own_count: u32,
}

impl Enclosing {
    /// Counts attempts that are made within this one: one that begins, or all of an opening's.
    #[inline]
    pub(crate) fn count(&mut self, attempts: u32) {
        let stead = core::mem::take(&mut self.own_count);
        let ledger = &mut self.ledger;
        ledger.attempts = ledger.attempts.saturating_add(attempts);
        ledger.attempts = ledger.attempts.saturating_sub(stead);
        if let Some(attempts) = NonZeroU32::new(attempts) {
            ledger.largest = ledger.largest.max(attempts);
        }
    }
}

/// Where a thread shows the attempt that it polls.
///
/// Each poll of a retry shows its attempt here, and hardly any has another retry within. So nothing is read back of what was
/// not changed. A processor waits a dozen cycles where it reads at once what was just written in two parts. So the fields that
/// are written at the beginning of an attempt lie where the compiler copies each by itself: apart from the others here, and
/// in a ledger before the one that tells `None`.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct EnclosingCell {
    attempts: Cell<u32>,
    own_count: Cell<u32>,
    limit: Cell<u32>,
    is_changed: Cell<bool>,
    /// `None` while no attempt is shown.
    largest: Cell<Option<NonZeroU32>>,
}

impl EnclosingCell {
    pub(crate) const fn new() -> Self {
        Self {
            attempts: Cell::new(0),
            limit: Cell::new(0),
            largest: Cell::new(None),
            own_count: Cell::new(0),
            is_changed: Cell::new(false),
        }
    }

    /// Returns `true` while an attempt is shown.
    #[inline]
    pub(crate) fn is_shown(&self) -> bool {
        self.largest.get().is_some()
    }

    /// Returns `true` if what is shown is not as it was when it was [set](Self::set).
    #[inline]
    pub(crate) fn is_changed(&self) -> bool {
        self.is_changed.get()
    }

    #[inline]
    pub(crate) fn get(&self) -> Option<Enclosing> {
        let largest = self.largest.get()?;
        Some(Enclosing {
            ledger: AttemptLedger {
                attempts: self.attempts.get(),
                limit: self.limit.get(),
                largest,
            },
            own_count: self.own_count.get(),
        })
    }

    #[inline]
    pub(crate) fn set(&self, attempt: Option<Enclosing>) {
        self.is_changed.set(false);
        let Some(Enclosing { ledger, own_count }) = attempt else {
            return self.largest.set(None);
        };
        self.attempts.set(ledger.attempts);
        self.limit.set(ledger.limit);
        self.largest.set(Some(ledger.largest));
        self.own_count.set(own_count);
    }

    /// As [`set`](Self::set), of an attempt that may differ from the one that was set before.
    pub(crate) fn change(&self, attempt: Option<Enclosing>) {
        self.set(attempt);
        self.is_changed.set(true);
    }
}
