//! How an opening failed for good.

use core::fmt;
use core::time::Duration;

use crate::cause::Cause;
use crate::retry::StopReason;
use crate::retry::nested::enclosing;

/// An opening that failed for good: how often it was tried, for how long, why it was given up, and
/// what the last attempt said.
///
/// ```
/// # fn show(failure: tenure_core::OpenFailure) {
/// println!("{} attempts: {}", failure.attempts, failure.cause);
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OpenFailure {
    /// How many attempts were made.
    pub attempts: u32,
    /// How long they took in all, the delays between them included, if there is a clock.
    pub elapsed: Option<Duration>,
    /// Why there was no further attempt; there may yet be one, if `None`.
    pub stopped: Option<StopReason>,
    /// How long ago the last attempt failed, if there is a clock.
    pub age: Option<Duration>,
    /// What the last attempt said.
    pub cause: Cause,
}

impl OpenFailure {
    /// Whoever is told of it within a retry has had these attempts made, but at most as many as the policy
    /// allows: a pool that goes on trying makes the others for nobody.
    pub(crate) fn count_within_retries(&self, max_attempts: u32) {
        enclosing(|attempt| attempt.count(self.attempts.min(max_attempts)));
    }
}

impl fmt::Display for OpenFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            attempts,
            elapsed,
            stopped,
            age,
            ..
        } = self;
        let plural = if *attempts == 1 { "" } else { "s" };
        write!(f, "opening failed after {attempts} attempt{plural}")?;
        if let Some(elapsed) = elapsed {
            write!(f, " in {elapsed:?}")?;
        }
        if let Some(age) = age.filter(|age| !age.is_zero()) {
            write!(f, ", the last of them {age:?} ago")?;
        }
        stopped.map_or(Ok(()), |reason| write!(f, " ({reason})"))
    }
}
