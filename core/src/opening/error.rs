//! Why a value could not be opened, for whoever waited for it.

use core::error::Error;
use core::fmt;
use core::time::Duration;

use crate::cause::Cause;
use crate::failure::OpenFailure;
use crate::name::Name;

/// Why [`Managed::get`](crate::Managed::get), or [`Scope::open`](crate::Scope::open), gave no value.
///
/// It tells of what happened while the caller waited, and of nothing before.
///
/// ```
/// # fn show(error: tenure_core::OpenError) {
/// use tenure_core::OpenError;
/// match error {
///     OpenError::Failed { failure, .. } => println!("{} attempts: {}", failure.attempts, failure.cause),
///     OpenError::TimedOut { waited, .. } => println!("not open after {waited:?}"),
///     OpenError::Closed { name } => println!("{name} is shut down"),
///     _ => println!("{error}"),
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The opening failed for good.
    Failed {
        /// The resource's name.
        name: Name,
        /// How it failed.
        failure: OpenFailure,
    },
    /// The caller's own time was over first. The opening goes on, if anybody drives it.
    TimedOut {
        /// The resource's name.
        name: Name,
        /// How long the caller waited.
        waited: Duration,
        /// What the latest attempt said, if one has failed.
        last: Option<Cause>,
    },
    /// The caller's own time was over, and no attempt to open has answered while it waited.
    Pending {
        /// The resource's name.
        name: Name,
        /// How long the caller waited.
        waited: Duration,
        /// How long the oldest attempt has been under way. None is if `None`: after a failure before the caller came,
        /// the next attempt had to wait for its time.
        under_way: Option<Duration>,
    },
    /// The resource is closing or closed.
    Closed {
        /// The resource's name.
        name: Name,
    },
    /// The [scope](crate::scope()) that was to open it has ended.
    ScopeEnded {
        /// The scope's name.
        name: Name,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { name, failure } => write!(f, "{name}: {failure}"),
            Self::TimedOut { name, waited, .. } => {
                write!(f, "{name} was not open after {waited:?}")
            }
            Self::Pending {
                name,
                waited,
                under_way,
            } => {
                write!(f, "{name} was not open after {waited:?}: ")?;
                match under_way {
                    Some(under_way) => {
                        write!(f, "an attempt has not answered for {under_way:?}")
                    }
                    None => f.write_str("the next attempt had to wait after a failure"),
                }
            }
            Self::Closed { name } => write!(f, "{name} is closed"),
            Self::ScopeEnded { name } => write!(f, "{name}: the scope has ended"),
        }
    }
}

impl Error for OpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed { failure, .. } => Some(failure.cause.as_source()),
            Self::TimedOut { last, .. } => last.as_ref().map(Cause::as_source),
            Self::Pending { .. } | Self::Closed { .. } | Self::ScopeEnded { .. } => None,
        }
    }
}
