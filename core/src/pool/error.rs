//! Why no value could be had.

use alloc::boxed::Box;
use core::error::Error;
use core::fmt;
use core::time::Duration;

use super::status::Status;
use crate::cause::{Cause, Told};
use crate::config::ConfigError;
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
        /// How long the caller waited in all.
        waited: Duration,
        /// How long of that went by in checks and hooks, on values that then were no good.
        in_care: Duration,
        /// Whether the caller's own task held every value there is, so that it waited for itself. Known
        /// where the backend can tell tasks apart and the pool keeps account of its loans: with an event
        /// sink, with timings, where leaks are looked for, or where such a wait is refused.
        self_deadlock: bool,
        /// How the pool stood when the time was over.
        status: Box<Status>,
    },
    /// The family of a [`KeyedPool`](super::KeyedPool) had as many values open as it may have for as long as
    /// the caller would wait, and none of this key's own came back. The key's own pool had room for another.
    FamilyExhausted {
        /// The name of the key's pool.
        pool: Name,
        /// How long the caller waited in all.
        waited: Duration,
        /// Maximum number of values of all keys together.
        family_max_size: usize,
        /// How the key's own pool stood when the time was over.
        status: Box<Status>,
    },
    /// No value could be opened.
    BackendDown {
        /// The pool's name.
        pool: Name,
        /// How the latest openings failed, and for how long.
        failure: OpenFailure,
        /// How the pool stood.
        status: Box<Status>,
    },
    /// A value could have been opened for the caller, but no opening answered while it waited.
    ///
    /// Not [`BackendDown`](Self::BackendDown), since no attempt failed meanwhile.
    OpenPending {
        /// The pool's name.
        pool: Name,
        /// How long the caller waited in all.
        waited: Duration,
        /// How long the oldest opening has been under way. None is if `None`: after a failure before the caller came,
        /// the next opening had to wait for its time.
        under_way: Option<Duration>,
        /// How the pool stood when the time was over.
        status: Box<Status>,
    },
    /// There were values, but none passed its check or its hook.
    Rejected {
        /// The pool's name.
        pool: Name,
        /// How long the caller waited in all.
        waited: Duration,
        /// How many values were tried.
        rejected: u32,
        /// What was wrong with the last of them.
        cause: Cause,
        /// How the pool stood when the time was over.
        status: Box<Status>,
    },
    /// The pool was suspended for as long as the caller would wait.
    Suspended {
        /// The pool's name.
        pool: Name,
        /// How long the caller waited.
        waited: Duration,
    },
    /// So many wait already that no more may.
    QueueFull {
        /// The pool's name.
        pool: Name,
        /// How the pool stood.
        status: Box<Status>,
    },
    /// The caller's task holds every value that there may be, and asked for one more.
    SelfDeadlock {
        /// The pool's name.
        pool: Name,
        /// How many values the task holds.
        held: usize,
    },
    /// More values were asked for at once than there may be.
    TooMany {
        /// The pool's name.
        pool: Name,
        /// How many were asked for.
        wanted: usize,
        /// How many there may be.
        max_size: usize,
    },
    /// The pool is closing or closed.
    Closed {
        /// The pool's name.
        pool: Name,
    },
    /// The settings given for a key of a [`KeyedPool`](super::KeyedPool) are invalid, so the key has no pool.
    InvalidSettings {
        /// The setting at fault.
        error: ConfigError,
    },
}

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exhausted {
                pool,
                waited,
                in_care,
                self_deadlock,
                status,
            } => {
                write!(f, "pool {pool} had no value free for {waited:?}")?;
                if !in_care.is_zero() {
                    write!(f, ", of which {in_care:?} in checks and hooks")?;
                }
                if *self_deadlock {
                    write!(f, ", because the task that asked holds them all")?;
                }
                write!(f, " ({status})")
            }
            Self::FamilyExhausted {
                pool,
                waited,
                family_max_size,
                status,
            } => write!(
                f,
                "pool {pool} could not open a value for {waited:?}, because its family has as many as it \
                 may have, {family_max_size} over all keys ({status})"
            ),
            Self::BackendDown { pool, failure, .. } => write!(f, "pool {pool}: {failure}"),
            Self::OpenPending {
                pool,
                waited,
                under_way,
                status,
            } => {
                write!(f, "pool {pool} opened no value within {waited:?}: ")?;
                match under_way {
                    Some(under_way) => {
                        write!(
                            f,
                            "an opening has not answered for {under_way:?} ({status})"
                        )
                    }
                    None => write!(f, "the next opening had to wait after a failure ({status})"),
                }
            }
            Self::Rejected {
                pool,
                waited,
                rejected,
                cause,
                ..
            } => write!(
                f,
                "pool {pool} had no good value for {waited:?}, {rejected} were tried: {}",
                Told(cause)
            ),
            Self::Suspended { pool, waited } => write!(f, "pool {pool} is suspended ({waited:?})"),
            Self::QueueFull { pool, status } => {
                write!(f, "too many wait for pool {pool} ({status})")
            }
            Self::SelfDeadlock { pool, held } => write!(
                f,
                "the task holds all {held} values of pool {pool} and asks for one more"
            ),
            Self::TooMany {
                pool,
                wanted,
                max_size,
            } => write!(f, "pool {pool} has {max_size} values at most, not {wanted}"),
            Self::Closed { pool } => write!(f, "pool {pool} is closed"),
            Self::InvalidSettings { error } => {
                write!(f, "the settings for this key are invalid: {error}")
            }
        }
    }
}

impl Error for AcquireError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::BackendDown { failure, .. } => Some(failure.cause.as_source()),
            Self::Rejected { cause, .. } => Some(cause.as_source()),
            Self::InvalidSettings { error } => Some(error),
            _ => None,
        }
    }
}
