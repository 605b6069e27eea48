//! What an error deserves.

use core::time::Duration;

/// What to do about an error: the answer of a classifier.
///
/// Without a classifier every error is worth a [`Retry`](ErrorClass::Retry). Say
/// [`GiveUp`](ErrorClass::GiveUp) of what would fail again, such as a rejected password or bad input.
///
/// ```
/// use core::time::Duration;
/// use tenure_core::ErrorClass;
///
/// enum Failure { Timeout, Forbidden, Disconnected, Throttled { seconds: u64 } }
///
/// fn classify(failure: &Failure) -> ErrorClass {
///     match failure {
///         Failure::Timeout => ErrorClass::Retry,
///         Failure::Forbidden => ErrorClass::GiveUp,
///         Failure::Disconnected => ErrorClass::Reconnect,
///         Failure::Throttled { seconds } => ErrorClass::RetryAfter(Duration::from_secs(*seconds)),
///     }
/// }
/// assert_eq!(classify(&Failure::Forbidden), ErrorClass::GiveUp);
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
    /// least time to wait (RFC 9110, 10.2.3), but never longer than the backoff's cap. A server can so
    /// neither hurry the caller nor park it for an hour. If it would end past the policy's deadline,
    /// there is no retry at all.
    RetryAfter(Duration),
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
        matches!(self, Self::Reconnect | Self::ReconnectOnly)
    }
}
