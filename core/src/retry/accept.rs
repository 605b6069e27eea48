//! Which values count as success.

use core::convert::Infallible;

/// Which of an operation's values count as success.
///
/// [`AnyValue`] unless [`Retrying::until`](super::Retrying::until) was called. You meet it only in the
/// signature of [`Retrying`](super::Retrying), and cannot implement it.
///
/// ```
/// use tenure_core::retry::{Accept, AnyValue};
///
/// fn is_accept<T, A: Accept<T>>(_: A) {}
/// is_accept::<u32, _>(AnyValue);
/// ```
pub trait Accept<T>: sealed::Sealed {
    /// What the error holds of a rejected value: the value, or nothing where none is ever rejected.
    type Rejected;

    #[doc(hidden)]
    fn accepts(&mut self, value: &T) -> bool;

    #[doc(hidden)]
    fn keep(value: T) -> Option<Self::Rejected>;
}

/// Every value counts: no value is a reason to retry.
///
/// ```
/// use tenure_core::RetryError;
///
/// // The error type of a retry without `until`: it can hold no rejected value.
/// fn cause(error: RetryError<std::io::Error>) -> Option<std::io::Error> {
///     assert!(error.rejected().is_none());
///     error.into_cause()
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct AnyValue;

impl sealed::Sealed for AnyValue {}

impl<T> Accept<T> for AnyValue {
    type Rejected = Infallible;

    fn accepts(&mut self, _value: &T) -> bool {
        true
    }

    fn keep(_value: T) -> Option<Infallible> {
        None
    }
}

/// Values count for which the closure given to [`Retrying::until`](super::Retrying::until) says so.
///
/// ```
/// use tenure_core::RetryError;
///
/// // The error type of a retry with `until`: it may hold the last value, which was rejected.
/// fn last_status(error: RetryError<std::io::Error, u16>) -> Option<u16> {
///     error.into_rejected()
/// }
/// ```
#[derive(Clone, Copy)]
pub struct Until<F>(pub(super) F);

impl<F> core::fmt::Debug for Until<F> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Until").finish_non_exhaustive()
    }
}

impl<F> sealed::Sealed for Until<F> {}

impl<T, F: FnMut(&T) -> bool> Accept<T> for Until<F> {
    type Rejected = T;

    fn accepts(&mut self, value: &T) -> bool {
        (self.0)(value)
    }

    fn keep(value: T) -> Option<T> {
        Some(value)
    }
}

mod sealed {
    pub trait Sealed {}
}
