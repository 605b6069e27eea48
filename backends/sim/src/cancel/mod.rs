//! Dropping an operation wherever it can be dropped.

mod moment;
mod pairs;
mod plan;
mod single;

use std::fmt;

pub use pairs::cancel_pairs;
pub use single::cancel_everywhere;

/// How many times an operation was dropped, each time in a fresh world, and in which way.
///
/// ```
/// # use tenure_sim::cancel_everywhere;
/// let cancelled = cancel_everywhere(
///     0..1,
///     async |sim| sim,
///     async |sim| sim.yield_now().await,
///     async |_sim| {},
/// );
/// assert_eq!((cancelled.after_polls, cancelled.instead_of_polls), (1, 2));
/// assert_eq!(cancelled.to_string(), "dropped 1 times after a poll, 2 in place of a poll, \
///     1 after a step, 2 by a panic");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cancelled {
    /// After a poll, so that it waits.
    pub after_polls: u64,
    /// In place of a poll: it was woken, and perhaps handed something, and does not come to see it.
    pub instead_of_polls: u64,
    /// After a step of any task, so between what others do.
    pub after_steps: u64,
    /// By a panic in place of a poll, so that its destructors run while the stack unwinds.
    pub by_panic: u64,
}

impl Cancelled {
    /// How many worlds that makes.
    ///
    /// ```
    /// # let cancelled = tenure_sim::Cancelled::default();
    /// assert_eq!(cancelled.total(), 0);
    /// ```
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.after_polls + self.instead_of_polls + self.after_steps + self.by_panic
    }
}

impl std::ops::AddAssign for Cancelled {
    fn add_assign(&mut self, other: Self) {
        self.after_polls += other.after_polls;
        self.instead_of_polls += other.instead_of_polls;
        self.after_steps += other.after_steps;
        self.by_panic += other.by_panic;
    }
}

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            after_polls,
            instead_of_polls,
            after_steps,
            by_panic,
        } = self;
        write!(
            f,
            "dropped {after_polls} times after a poll, {instead_of_polls} in place of a poll, \
             {after_steps} after a step, {by_panic} by a panic"
        )
    }
}
