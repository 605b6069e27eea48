//! Retries within each other: what they count together, and how they find each other.

use super::Retry;
use crate::enclosing::{AttemptLedger, Enclosing, EnclosingCell};
use crate::sync;

/// Looks at the attempt that is being polled, if one is.
#[inline]
pub(crate) fn enclosing<U>(look: impl FnOnce(&mut Enclosing) -> U) -> Option<U> {
    sync::with_enclosing(|shown| {
        let mut attempt = shown.get()?;
        let seen = look(&mut attempt);
        shown.change(Some(attempt));
        Some(seen)
    })
}

/// Shows another attempt, or none, until the guard ends: what a task does for others is not within its
/// own retries.
pub(crate) fn show(attempt: Option<Enclosing>) -> Shown {
    sync::with_enclosing(|shown| {
        let before = shown.get();
        shown.set(attempt);
        Shown {
            before,
            is_within: false,
        }
    })
}

/// Brings back what was shown before, also after a panic.
#[must_use = "the attempt is shown for as long as this lives"]
pub(crate) struct Shown {
    before: Option<Enclosing>,
    /// Whether both are on one ledger, so that what was counted stays counted.
    is_within: bool,
}

impl Shown {
    /// Returns what has become of the attempt that was shown, if it was changed.
    #[inline]
    fn restore(&self) -> Option<Enclosing> {
        sync::with_enclosing(|shown| {
            let changed = match shown.is_changed() {
                true => shown.get(),
                false => None,
            };
            match self.before {
                None => shown.set(None),
                Some(before) => self.restore_around(shown, before, changed),
            }
            changed
        })
    }

    /// Whether what is around was changed before is not known here, so it is taken to be.
    #[cold]
    fn restore_around(
        &self,
        shown: &EnclosingCell,
        mut before: Enclosing,
        changed: Option<Enclosing>,
    ) {
        if let (true, Some(changed)) = (self.is_within, changed) {
            before.ledger = changed.ledger;
        }
        shown.change(Some(before));
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.restore();
    }
}

/// A retry among others: by itself, unless it is polled within an attempt of another.
pub(crate) struct Nesting {
    /// What it counts while it is by itself.
    own: AttemptLedger,
    /// As [`Enclosing`] has it, of the attempt under way.
    own_count: u32,
    max_attempts: u32,
    /// Whether it was told to have nothing to do with those around it.
    multiplies: bool,
}

impl Nesting {
    pub(crate) const fn new(policy: &Retry) -> Self {
        Self {
            own: AttemptLedger::new(policy.max_attempts()),
            own_count: 0,
            max_attempts: policy.max_attempts(),
            multiplies: policy.multiplies,
        }
    }

    #[inline]
    pub(crate) fn attempt_begins(&mut self) {
        self.among_others(|attempt| attempt.count(1));
        self.own_count = 1;
    }

    /// Whether the attempts of all are used up, so that none of them makes another.
    pub(crate) fn is_spent(&mut self) -> bool {
        self.among_others(|attempt| attempt.ledger.is_spent())
    }

    /// Polls the attempt under way, shown to what is within it.
    #[inline]
    pub(crate) fn poll<U>(&mut self, attempt: impl FnOnce() -> U) -> U {
        let shown = self
            .show_alone()
            .unwrap_or_else(|| self.show_within_another());
        let polled = attempt();
        let (changed, is_within) = (shown.restore(), shown.is_within);
        core::mem::forget(shown);
        // Without threads' own variables nothing was shown.
        if let Some(changed) = changed {
            self.own_count = changed.own_count;
            if !is_within {
                self.own = changed.ledger;
            }
        }
        polled
    }

    /// Shows the attempt under way, unless another is shown.
    #[inline]
    fn show_alone(&self) -> Option<Shown> {
        sync::with_enclosing(|shown| {
            if shown.is_shown() {
                return None;
            }
            shown.set(Some(Enclosing {
                ledger: self.own,
                own_count: self.own_count,
            }));
            Some(Shown {
                before: None,
                is_within: false,
            })
        })
    }

    /// Shows the attempt under way in place of one that is.
    #[cold]
    fn show_within_another(&self) -> Shown {
        let around = self.around(|around| around.ledger);
        let mut shown = show(Some(Enclosing {
            ledger: around.unwrap_or(self.own),
            own_count: self.own_count,
        }));
        shown.is_within = around.is_some();
        shown
    }

    /// Changes what is shown of the attempt around this retry, or else its own ledger.
    #[inline]
    fn among_others<U>(&mut self, change: impl Fn(&mut Enclosing) -> U) -> U {
        let max_attempts = self.max_attempts;
        let taking_part = |attempt: &mut Enclosing| {
            attempt.ledger.limit = attempt.ledger.limit.max(max_attempts);
            change(attempt)
        };
        self.around(taking_part).unwrap_or_else(|| {
            let mut alone = Enclosing {
                ledger: self.own,
                own_count: 0,
            };
            let changed = change(&mut alone);
            self.own = alone.ledger;
            changed
        })
    }

    #[inline]
    fn around<U>(&self, look: impl FnOnce(&mut Enclosing) -> U) -> Option<U> {
        if self.multiplies {
            return None;
        }
        enclosing(look)
    }
}
