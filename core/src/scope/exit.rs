//! How a scope ended.

use core::fmt;

use crate::ending::Why;

/// How a scope ended, as its deferred finalizers are told: a transaction is committed if the body
/// succeeded, and else rolled back.
///
/// It is decided once, when the body is over. A scope whose future is dropped while its finalizers run
/// keeps the exit of its body.
///
/// ```
/// use tenure_core::scope::Exit;
/// assert_eq!(Exit::Cancelled.to_string(), "cancelled");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exit {
    /// The body answered with `Ok`.
    Succeeded,
    /// The body answered with an error.
    Failed,
    /// The body panicked. Only with `std`; elsewhere nothing can catch a panic.
    Panicked,
    /// The body was cut off: by the scope's [timeout](super::ScopeBuilder::timeout), because its future was
    /// dropped, or, in a child scope, because the parent has ended.
    Cancelled,
}

impl Exit {
    /// Returns the reason for which the values of a scope that ended so are closed.
    pub(crate) const fn why(self) -> Why {
        match self {
            Self::Cancelled => Why::ScopeCancelled,
            Self::Succeeded | Self::Failed | Self::Panicked => Why::ScopeEnded,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Panicked => "panicked",
            Self::Cancelled => "cancelled",
        })
    }
}
