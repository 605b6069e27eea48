//! The attempt of a retry as it is shown to what is polled within it.

/// The attempts of a retry and of all retries within its attempts, as one number.
///
/// An attempt that holds others is no work of its own: the first that begins within it counts in its
/// stead. So what is counted are the attempts that do something, also those that were cut off, are
/// still under way, or succeeded before something else failed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AttemptLedger {
    pub(crate) attempts: u32,
    /// The most attempts that any of the retries may make by itself; `u32::MAX` is no limit.
    pub(crate) limit: u32,
    /// The most attempts that came at once: what one more may cost.
    largest: u32,
}

impl AttemptLedger {
    pub(crate) const fn new(limit: u32) -> Self {
        Self {
            attempts: 0,
            limit,
            largest: 1,
        }
    }

    /// Whether a retry could make it more than one above the limit.
    pub(crate) const fn is_spent(&self) -> bool {
        let after_another = self.attempts.saturating_add(self.largest);
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
    /// Whether the attempt counts as one; not any more once something within it does.
    pub(crate) is_counted: bool,
}

impl Enclosing {
    /// Counts attempts that are made within this one: one that begins, or all of an opening's.
    pub(crate) fn count(&mut self, attempts: u32) {
        let stead = u32::from(core::mem::take(&mut self.is_counted));
        let ledger = &mut self.ledger;
        ledger.attempts = ledger.attempts.saturating_add(attempts);
        ledger.attempts = ledger.attempts.saturating_sub(stead);
        ledger.largest = ledger.largest.max(attempts);
    }
}
