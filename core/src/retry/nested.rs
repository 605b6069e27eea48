//! Retries within each other: what they count together, and how they find each other.

use crate::sync;

use super::Retry;

/// The attempts of a retry and of all retries within its attempts, as one number.
///
/// An attempt that holds others is no work of its own: the first that begins within it counts in its
/// stead. So what is counted are the attempts that do something, also those that were cut off, are
/// still under way, or succeeded before something else failed.
#[derive(Clone, Copy, Debug)]
struct Ledger {
    attempts: u32,
    /// The most attempts that any of the retries may make by itself; `u32::MAX` is no limit.
    limit: u32,
    /// The most attempts that came at once: what one more may cost.
    largest: u32,
}

impl Ledger {
    const fn new(limit: u32) -> Self {
        Self {
            attempts: 0,
            limit,
            largest: 1,
        }
    }

    /// Whether a retry could make it more than one above the limit.
    const fn is_spent(&self) -> bool {
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
    ledger: Ledger,
    /// Whether the attempt counts as one; not any more once something within it does.
    is_counted: bool,
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

/// Looks at the attempt that is being polled, if one is.
pub(crate) fn enclosing<U>(look: impl FnOnce(&mut Enclosing) -> U) -> Option<U> {
    sync::with_enclosing(|shown| {
        let mut attempt = shown.get()?;
        let seen = look(&mut attempt);
        shown.set(Some(attempt));
        Some(seen)
    })
}

/// Shows another attempt, or none, until the guard ends: what a task does for others is not within its
/// own retries.
pub(crate) fn show(attempt: Option<Enclosing>) -> Shown {
    let before = sync::with_enclosing(|shown| shown.replace(attempt));
    Shown {
        before,
        is_within: false,
    }
}

/// Brings back what was shown before, also after a panic.
#[must_use = "the attempt is shown for as long as this lives"]
pub(crate) struct Shown {
    before: Option<Enclosing>,
    /// Whether both are on one ledger, so that what was counted stays counted.
    is_within: bool,
}

impl Drop for Shown {
    fn drop(&mut self) {
        sync::with_enclosing(|shown| {
            let mut before = self.before;
            if let (true, Some(before), Some(now)) = (self.is_within, &mut before, shown.get()) {
                before.ledger = now.ledger;
            }
            shown.set(before);
        });
    }
}

/// A retry among others: by itself, unless it is polled within an attempt of another.
pub(crate) struct Nesting {
    /// What it counts while it is by itself.
    own: Ledger,
    /// As [`Enclosing`] has it, of the attempt under way.
    is_counted: bool,
    max_attempts: u32,
    /// Whether it was told to have nothing to do with those around it.
    multiplies: bool,
}

impl Nesting {
    pub(crate) const fn new(policy: &Retry) -> Self {
        Self {
            own: Ledger::new(policy.max_attempts()),
            is_counted: false,
            max_attempts: policy.max_attempts(),
            multiplies: policy.multiplies,
        }
    }

    pub(crate) fn attempt_begins(&mut self) {
        self.among_others(|attempt| attempt.count(1));
        self.is_counted = true;
    }

    /// Whether the attempts of all are used up, so that none of them makes another.
    pub(crate) fn is_spent(&mut self) -> bool {
        self.among_others(|attempt| attempt.ledger.is_spent())
    }

    /// Polls the attempt under way, shown to what is within it.
    pub(crate) fn poll<U>(&mut self, attempt: impl FnOnce() -> U) -> U {
        let around = self.around(|around| around.ledger);
        let mut shown = show(Some(Enclosing {
            ledger: around.unwrap_or(self.own),
            is_counted: self.is_counted,
        }));
        shown.is_within = around.is_some();
        let polled = attempt();
        // Without threads' own variables nothing was shown.
        if let Some(after) = enclosing(|attempt| *attempt) {
            self.is_counted = after.is_counted;
            if !shown.is_within {
                self.own = after.ledger;
            }
        }
        polled
    }

    /// Changes what is shown of the attempt around this retry, or else its own ledger.
    fn among_others<U>(&mut self, change: impl Fn(&mut Enclosing) -> U) -> U {
        let max_attempts = self.max_attempts;
        let taking_part = |attempt: &mut Enclosing| {
            attempt.ledger.limit = attempt.ledger.limit.max(max_attempts);
            change(attempt)
        };
        self.around(taking_part).unwrap_or_else(|| {
            let mut alone = Enclosing {
                ledger: self.own,
                is_counted: false,
            };
            let changed = change(&mut alone);
            self.own = alone.ledger;
            changed
        })
    }

    fn around<U>(&self, look: impl FnOnce(&mut Enclosing) -> U) -> Option<U> {
        if self.multiplies {
            return None;
        }
        enclosing(look)
    }
}
