//! Why an acquire gave no value.

use core::fmt;

use crate::retry::{ErrorClass, StopReason};

/// Why [`FixedPool::acquire`](super::FixedPool::acquire) gave no value.
///
/// ```
#[doc = include_str!("doc_setting.txt")]
/// # struct NoCard;
/// # impl LocalResource for NoCard {
/// #     type Value = u32;
/// #     type Error = &'static str;
/// #     async fn open(&self) -> Result<u32, &'static str> { Err("no SIM card") }
/// #     fn classify(&self, _: Failure<'_, &'static str>) -> ErrorClass { ErrorClass::GiveUp }
/// # }
/// # block_on(async {
/// # let pool = FixedPool::<_, _, 1, 4>::new(NoCard, NoTimer);
/// match pool.acquire().await {
///     Err(FixedError::OpenFailed { error, attempts, .. }) => {
///         assert_eq!((error, attempts), (Some("no SIM card"), 1));
///     }
///     _ => unreachable!(),
/// }
/// # });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FixedError<E> {
    /// The pool was shut down.
    Closed,
    /// As many tasks wait already as there is room for.
    QueueFull,
    /// The time was over, and every value was in use, or its opening had not answered.
    TimedOut,
    /// Openings failed while the caller waited, and it was over, or is of no use to wait on.
    OpenFailed {
        /// The error of the latest that counts, for the first caller who is told. The others know it by its class. There is
        /// none of an opening that took longer than its limit.
        error: Option<E>,
        /// What the resource made of it.
        class: ErrorClass,
        /// How many attempts have failed since the caller came.
        attempts: u32,
        /// Why there are no more of them for this caller, if the policy said so.
        stopped: Option<StopReason>,
    },
}

impl<E: fmt::Display> fmt::Display for FixedError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the pool is closed"),
            Self::QueueFull => f.write_str("as many wait already as there is room for"),
            Self::TimedOut => f.write_str("no value came in time"),
            Self::OpenFailed {
                error, attempts, ..
            } => {
                let plural = if *attempts == 1 { "" } else { "s" };
                write!(f, "no value could be opened in {attempts} attempt{plural}")?;
                match error {
                    Some(error) => write!(f, ": {error}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl<E: core::error::Error + 'static> core::error::Error for FixedError<E> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::OpenFailed {
                error: Some(error), ..
            } => Some(error),
            _ => None,
        }
    }
}
