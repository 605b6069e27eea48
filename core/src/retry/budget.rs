//! A limit on the retries of many callers together.

use crate::config::{self, ConfigError};
use crate::sync::StaticLock;

/// A token bucket that keeps the retries of all who share it to a share of their calls.
///
/// A limit on each call's own retries multiplies the load on a server that is down: with three retries,
/// by four. A budget bounds it for all callers together. Each call (its first attempt) deposits a
/// fraction of a retry, each retry withdraws a whole one, and with less than one left there is no
/// retry, until calls have deposited again. The bucket starts full and never holds more than its
/// reserve, so that `n` calls make at most `reserve + n * percent / 100` retries.
///
/// It knows no time, so it needs no clock; the price is that a reserve which was used up is refilled by
/// calls alone. Share it by reference, in a `static`, or in an `Arc`; one for each server that can be
/// down on its own.
///
/// [`Budget::standard`] reserves 100 retries and adds 20 % of the calls. Those are the numbers of
/// Finagle's `RetryBudget` (20 %, and at least 10 retries a second, kept for 10 s) and of the AWS SDKs'
/// standard mode (500 tokens, a retry costs 5, a call that succeeds at once brings 1). gRPC's
/// `retryThrottling` works likewise, with no default numbers.
///
/// ```
/// use tenure_core::Budget;
///
/// static SEARCH: Budget = Budget::new(2, 50);
///
/// assert!(SEARCH.withdraw());
/// assert!(SEARCH.withdraw());
/// assert!(!SEARCH.withdraw(), "the reserve is used up");
/// SEARCH.deposit();
/// SEARCH.deposit();
/// assert!(SEARCH.withdraw(), "two calls at 50 % pay for one retry");
/// ```
#[derive(Debug)]
pub struct Budget {
    /// Hundredths of a retry, so that a percentage is a whole number of them.
    tokens: StaticLock<u64>,
    reserve: u32,
    percent: u32,
}

/// What a retry costs, in the bucket's unit.
const RETRY: u64 = 100;

impl Budget {
    /// A full bucket of `reserve` retries, to which each call adds `percent` hundredths of one.
    ///
    /// A reserve of zero could never pay for a retry: [`validate`](Budget::validate) refuses it, and so
    /// does a retry that is given such a budget. Zero percent is allowed, and makes the reserve all
    /// there ever is.
    ///
    /// ```
    /// # use tenure_core::Budget;
    /// assert_eq!(Budget::new(10, 20).available(), 10);
    /// ```
    #[must_use]
    pub const fn new(reserve: u32, percent: u32) -> Self {
        Self {
            tokens: StaticLock::new(reserve as u64 * RETRY),
            reserve,
            percent,
        }
    }

    /// A reserve of 100 retries, and 20 % of the calls.
    ///
    /// ```
    /// # use tenure_core::Budget;
    /// static BUDGET: Budget = Budget::standard();
    /// assert_eq!(BUDGET.available(), 100);
    /// ```
    #[must_use]
    pub const fn standard() -> Self {
        Self::new(100, 20)
    }

    /// Counts a call, which pays for a part of a retry. [`retry`](crate::retry()) does it by itself.
    ///
    /// ```
    /// # use tenure_core::Budget;
    /// let budget = Budget::new(1, 100);
    /// budget.withdraw();
    /// budget.deposit();
    /// assert_eq!(budget.available(), 1);
    /// ```
    pub fn deposit(&self) {
        let full = u64::from(self.reserve) * RETRY;
        self.tokens
            .with(|tokens| *tokens = full.min(*tokens + u64::from(self.percent)));
    }

    /// Takes one retry, if there is one left. [`Retry::decide`](crate::Retry::decide) does it last,
    /// when nothing else speaks against a retry.
    ///
    /// ```
    /// # use tenure_core::Budget;
    /// let budget = Budget::new(1, 20);
    /// assert!(budget.withdraw());
    /// assert!(!budget.withdraw());
    /// ```
    #[must_use = "says whether the retry may be made"]
    pub fn withdraw(&self) -> bool {
        self.tokens.with(|tokens| match tokens.checked_sub(RETRY) {
            Some(left) => {
                *tokens = left;
                true
            }
            None => false,
        })
    }

    /// How many retries are left at the moment.
    ///
    /// For metrics; another caller may take them before you do.
    ///
    /// ```
    /// # use tenure_core::Budget;
    /// assert_eq!(Budget::new(3, 20).available(), 3);
    /// ```
    #[must_use]
    pub fn available(&self) -> u32 {
        let whole = self.tokens.with(|tokens| *tokens / RETRY);
        u32::try_from(whole).unwrap_or(u32::MAX)
    }

    /// Says whether the settings make sense.
    ///
    /// # Errors
    /// The reserve is zero.
    ///
    /// ```
    /// # use tenure_core::Budget;
    /// let error = Budget::new(0, 20).validate().unwrap_err();
    /// assert_eq!(error.to_string(), "`budget.reserve` (0) must be at least 1");
    /// ```
    pub fn validate(&self) -> Result<(), ConfigError> {
        config::above_zero("budget.reserve", self.reserve)
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::standard()
    }
}

#[cfg(test)]
mod tests {
    use super::Budget;

    fn spend(budget: &Budget) -> u32 {
        (0..).take_while(|_| budget.withdraw()).count() as u32
    }

    #[test]
    fn b02_budget_starts_full_and_ends_empty() {
        let budget = Budget::standard();
        assert_eq!(spend(&budget), 100);
        assert_eq!(budget.available(), 0);
        assert!(!budget.withdraw());
    }

    #[test]
    fn b02_budget_refills_by_the_share_of_calls() {
        let budget = Budget::new(50, 20);
        spend(&budget);
        for _ in 0..100 {
            budget.deposit();
        }
        assert_eq!(spend(&budget), 20);
        for _ in 0..4 {
            budget.deposit();
        }
        assert_eq!(spend(&budget), 0, "four fifths of a retry are none");
        budget.deposit();
        assert_eq!(spend(&budget), 1, "but they are kept");
    }

    #[test]
    fn b02_budget_holds_no_more_than_its_reserve() {
        let budget = Budget::new(3, u32::MAX);
        for _ in 0..1_000 {
            budget.deposit();
        }
        assert_eq!(budget.available(), 3);
        let largest = Budget::new(u32::MAX, u32::MAX);
        largest.deposit();
        assert_eq!(largest.available(), u32::MAX);
    }
}
