//! What one attempt was, told while it is fresh and kept afterwards.

use core::fmt;
use core::time::Duration;

use super::Decision;
use crate::name::Redacted;

/// One attempt that has just ended, as [`Retrying::on_attempt`](super::Retrying::on_attempt) sees it.
///
/// ```
/// use tenure_core::retry::{Attempt, Outcome};
///
/// fn log<T, E: std::fmt::Display>(attempt: &Attempt<'_, T, E>) {
///     if let Outcome::Failed(error) = attempt.outcome {
///         println!("attempt {} failed after {:?}: {error}", attempt.number, attempt.took);
///     }
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Attempt<'a, T, E> {
    /// The operation's name, if it was given one.
    pub name: Option<&'a str>,
    /// The first attempt is 1.
    pub number: u32,
    /// The time since the first attempt began; zero where there is no timer.
    pub elapsed: Duration,
    /// The time since this attempt began; zero where there is no timer.
    pub took: Duration,
    /// How it ended.
    pub outcome: Outcome<'a, T, E>,
    /// What follows; nothing follows a success.
    pub next: Option<Decision>,
}

/// How an attempt ended, with what it gave.
///
/// ```
/// use tenure_core::retry::Outcome;
///
/// fn is_timeout<T, E>(outcome: &Outcome<'_, T, E>) -> bool {
///     matches!(outcome, Outcome::TimedOut)
/// }
/// assert!(is_timeout(&Outcome::<(), ()>::TimedOut));
/// ```
#[non_exhaustive]
pub enum Outcome<'a, T, E> {
    /// With a value that counts.
    Succeeded(&'a T),
    /// With a value that does not count.
    Rejected(&'a T),
    /// With an error.
    Failed(&'a E),
    /// It was cut off, by the timeout of the attempt or the deadline of the whole.
    TimedOut,
}

// By hand, for the texts of the user's values and errors are shown redacted.
impl<T: fmt::Debug, E: fmt::Debug> fmt::Debug for Outcome<'_, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, field): (_, Option<&dyn fmt::Debug>) = match self {
            Self::Succeeded(value) => ("Succeeded", Some(value)),
            Self::Rejected(value) => ("Rejected", Some(value)),
            Self::Failed(error) => ("Failed", Some(error)),
            Self::TimedOut => ("TimedOut", None),
        };
        match field {
            Some(field) => f.debug_tuple(name).field(&Redacted(field)).finish(),
            None => f.write_str(name),
        }
    }
}

/// What is kept of an attempt that did not succeed; see
/// [`RetryError::history`](super::RetryError::history).
///
/// ```
/// use tenure_core::RetryError;
/// use tenure_core::retry::Ended;
///
/// fn timeouts<E, R>(error: &RetryError<E, R>) -> usize {
///     error.history().filter(|attempt| attempt.ended == Ended::TimedOut).count()
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttemptRecord {
    /// The first attempt is 1.
    pub number: u32,
    /// The time from the beginning of the first attempt to the end of this one, as far as it was
    /// [looked at](super::retry#time).
    pub elapsed: Duration,
    /// How long this attempt took, as far as it was looked at.
    pub took: Duration,
    /// How it ended.
    pub ended: Ended,
    /// What followed.
    pub next: Decision,
}

/// How an attempt ended that did not succeed.
///
/// ```
/// use tenure_core::retry::Ended;
/// assert_ne!(Ended::Failed, Ended::TimedOut);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ended {
    /// With an error.
    Failed,
    /// With a value that does not count.
    Rejected,
    /// It was cut off.
    TimedOut,
}
