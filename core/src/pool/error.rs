//! Why no value could be had.

use core::error::Error;
use core::fmt;
use core::time::Duration;

use super::status::Status;
use crate::failure::OpenFailure;
use crate::name::Name;

/// Why [`Pool::acquire`](crate::Pool::acquire) gave no value.
///
/// ```
/// use tenure_core::AcquireError;
/// # fn show(error: AcquireError) {
/// match error {
///     AcquireError::Exhausted { waited, status, .. } => println!("busy for {waited:?}: {status}"),
///     AcquireError::BackendDown { failure, .. } => println!("down: {}", failure.cause),
///     AcquireError::Closed { pool } => println!("{pool} is shut down"),
///     _ => println!("{error}"),
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AcquireError {
    /// All values were in use for as long as the caller would wait.
    Exhausted {
        /// The pool's name.
        pool: Name,
        /// How long the caller waited.
        waited: Duration,
        /// How the pool stood when the time was over.
        status: Status,
    },
    /// No value could be opened.
    BackendDown {
        /// The pool's name.
        pool: Name,
        /// How the latest openings failed.
        failure: OpenFailure,
        /// How the pool stood.
        status: Status,
    },
    /// The pool is closing or closed.
    Closed {
        /// The pool's name.
        pool: Name,
    },
}

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exhausted {
                pool,
                waited,
                status,
            } => {
                write!(f, "pool {pool} had no value free for {waited:?} ({status})")
            }
            Self::BackendDown { pool, failure, .. } => write!(f, "pool {pool}: {failure}"),
            Self::Closed { pool } => write!(f, "pool {pool} is closed"),
        }
    }
}

impl Error for AcquireError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::BackendDown { failure, .. } => Some(failure.cause.as_source()),
            Self::Exhausted { .. } | Self::Closed { .. } => None,
        }
    }
}
