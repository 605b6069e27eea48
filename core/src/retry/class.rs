//! How an attempt failed, and what follows from it.

use core::fmt;
use core::time::Duration;

use crate::name::Redacted;

/// How an attempt failed: the question to a classifier.
///
/// A timeout and a panic are failures as an error is, though there is no error value to look at. A
/// classifier decides on all three, so that an operation which must not run twice can say so of an attempt
/// that timed out.
///
/// ```
/// use tenure_core::{ErrorClass, Failure};
///
/// // A payment that was cut off may have been made.
/// fn classify(failure: Failure<'_, std::io::Error>) -> ErrorClass {
///     match failure {
///         Failure::Error(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => ErrorClass::Retry,
///         _ => ErrorClass::GiveUp,
///     }
/// }
/// assert_eq!(classify(Failure::TimedOut), ErrorClass::GiveUp);
/// ```
#[derive(PartialEq, Eq)]
pub enum Failure<'a, E> {
    /// It returned an error.
    Error(&'a E),
    /// It took longer than its timeout, or than what was left of the deadline, and was dropped.
    TimedOut,
    /// It panicked, where panics are contained.
    Panicked,
}

impl<'a, E> Failure<'a, E> {
    /// Returns the error, if there is one.
    ///
    /// ```
    /// use tenure_core::Failure;
    /// assert_eq!(Failure::Error(&7).error(), Some(&7));
    /// assert_eq!(Failure::<u8>::TimedOut.error(), None);
    /// ```
    #[must_use]
    pub const fn error(self) -> Option<&'a E> {
        match self {
            Self::Error(error) => Some(error),
            Self::TimedOut | Self::Panicked => None,
        }
    }
}

// By hand, because the text of the user's error is shown redacted.
impl<E: fmt::Debug> fmt::Debug for Failure<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => f.debug_tuple("Error").field(&Redacted(error)).finish(),
            Self::TimedOut => f.write_str("TimedOut"),
            Self::Panicked => f.write_str("Panicked"),
        }
    }
}

// By hand, because a derive would ask the same of the error.
impl<E> Clone for Failure<'_, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Failure<'_, E> {}

/// What to do about a failure: the answer of a classifier.
///
/// Without a classifier every failure is worth a [`Retry`](ErrorClass::Retry). Say
/// [`GiveUp`](ErrorClass::GiveUp) of what would fail again, such as a rejected password or bad input.
///
/// ```
/// use core::time::Duration;
/// use tenure_core::{ErrorClass, Failure};
///
/// enum DbError { Forbidden, Disconnected, Throttled { seconds: u64 } }
///
/// fn classify(failure: Failure<'_, DbError>) -> ErrorClass {
///     match failure {
///         Failure::Error(DbError::Forbidden) => ErrorClass::GiveUp,
///         Failure::Error(DbError::Disconnected) => ErrorClass::Reconnect,
///         Failure::Error(DbError::Throttled { seconds }) => ErrorClass::RetryAfter(Duration::from_secs(*seconds)),
///         Failure::TimedOut | Failure::Panicked => ErrorClass::Retry,
///     }
/// }
/// assert_eq!(classify(Failure::Error(&DbError::Forbidden)), ErrorClass::GiveUp);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorClass {
    /// It may go better the next time.
    #[default]
    Retry,
    /// It would fail again: no retry.
    GiveUp,
    /// The value is broken: open a new one, then retry.
    ///
    /// A delay that would leave no time for the retry is shortened to half of what is left, rather than ending the retry
    /// early: the new value may be there soon, and it is the pace of opening that spares the server.
    ///
    /// Where no value is held, as in [`retry`](crate::retry()), it means [`Retry`](ErrorClass::Retry).
    Reconnect,
    /// The value is broken: open a new one, but no retry. For what may have been done already and must not be done
    /// twice.
    ///
    /// Where no value is held, as in [`retry`](crate::retry()), it means [`GiveUp`](ErrorClass::GiveUp).
    ReconnectOnly,
    /// The server said when to come back.
    ///
    /// The delay is then the longer of this one and the backoff's own, as HTTP's `Retry-After` means a
    /// least time to wait (RFC 9110, 10.2.3): a server cannot hurry the caller, and jitter only adds to
    /// what the server said. A time beyond the backoff's cap ends the retry with
    /// [`StopReason::RetryAfter`](crate::StopReason::RetryAfter), since an attempt any earlier would be refused as well;
    /// one that ends past the policy's deadline ends it too.
    ///
    /// Of an opening it tells the callers that wait for it in the same way. The pool, managed value or
    /// connection itself waits in full, however long that is, before it opens the next value.
    RetryAfter(Duration),
    /// The server said exactly when to come back, as gRPC's pushback does: the delay is this one, not the backoff's,
    /// which begins anew after it. A time beyond the backoff's cap is treated as that of a
    /// [`RetryAfter`](ErrorClass::RetryAfter).
    RetryIn(Duration),
    /// The operation has certainly not run: the connection was gone before the request was written, or the server
    /// refused it before it did anything with it.
    ///
    /// The first such failure of a [`retry`](crate::retry()) or a call is repeated at once, whatever the policy: it is
    /// not counted as a retry, and no budget pays for it. Only the deadline can prevent it. Later ones are worth a
    /// [`Retry`](ErrorClass::Retry) or a [`Reconnect`](ErrorClass::Reconnect), and so is each in [`Retry::decide`](
    /// crate::Retry::decide), which does not know of the attempts before. This is gRPC's transparent retry (gRFC A6).
    NotRun {
        /// Whether the value is broken, so that a new one is opened.
        reconnect: bool,
    },
}

impl ErrorClass {
    /// Whether it says that the value is broken which the operation failed on.
    ///
    /// ```
    /// # use tenure_core::ErrorClass;
    /// assert!(ErrorClass::Reconnect.is_of_broken_value());
    /// assert!(!ErrorClass::GiveUp.is_of_broken_value());
    /// ```
    #[must_use]
    pub const fn is_of_broken_value(self) -> bool {
        matches!(
            self,
            Self::Reconnect | Self::ReconnectOnly | Self::NotRun { reconnect: true }
        )
    }

    /// Returns the time that the server asked to wait before anything is attempted again, or zero.
    ///
    /// For a loop of your own that goes on after [`Retry::decide`](crate::Retry::decide) says to stop.
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use tenure_core::ErrorClass;
    /// let hour = Duration::from_secs(3_600);
    /// assert_eq!(ErrorClass::RetryAfter(hour).least_delay(), hour);
    /// assert_eq!(ErrorClass::Retry.least_delay(), Duration::ZERO);
    /// ```
    #[must_use]
    pub const fn least_delay(self) -> Duration {
        match self {
            Self::RetryAfter(asked) | Self::RetryIn(asked) => asked,
            Self::Retry
            | Self::GiveUp
            | Self::Reconnect
            | Self::ReconnectOnly
            | Self::NotRun { .. } => Duration::ZERO,
        }
    }
}
