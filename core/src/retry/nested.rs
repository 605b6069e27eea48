//! Retries within each other: what they count together, and how they find each other.

use super::Retry;
use crate::enclosing::{AttemptLedger, Enclosing};
use crate::sync;

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
    own: AttemptLedger,
    /// As [`Enclosing`] has it, of the attempt under way.
    is_counted: bool,
    max_attempts: u32,
    /// Whether it was told to have nothing to do with those around it.
    multiplies: bool,
}

impl Nesting {
    pub(crate) const fn new(policy: &Retry) -> Self {
        Self {
            own: AttemptLedger::new(policy.max_attempts()),
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
