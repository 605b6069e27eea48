//! The ways in which a value ends, and the reasons for it.

use core::fmt;

/// How a value ended. Every value that was opened ends in exactly one of these.
///
/// ```
/// use tenure_core::Ending;
/// assert_eq!(Ending::CloseTimedOut.to_string(), "close timed out");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ending {
    /// `close` succeeded.
    Closed,
    /// `close` answered with an error, or panicked.
    CloseFailed,
    /// `close` took longer than it was given, and was dropped.
    CloseTimedOut,
    /// Nothing could await `close`: `abandon` was called, or a close under way was dropped.
    Abandoned,
    /// The user took the value out of the pool for good.
    Detached,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::CloseFailed => "close failed",
            Self::CloseTimedOut => "close timed out",
            Self::Abandoned => "abandoned",
            Self::Detached => "detached",
        })
    }
}

/// Why a value had to end.
///
/// ```
/// use tenure_core::Why;
/// assert_eq!(Why::IdleTooLong.to_string(), "idle too long");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Why {
    /// Its user said that it is broken, or it showed when it came back.
    Broken,
    /// It was given away.
    Detached,
    /// Its checks failed.
    CheckFailed,
    /// Its check was cut off half-way, so that nothing is known of it.
    CheckCutOff,
    /// An operation on it was cut off half-way, and nothing can check what that left behind.
    OperationCutOff,
    /// It was idle for longer than allowed, and more were open than needed.
    IdleTooLong,
    /// It was opened after nobody could use it any more.
    OpenedTooLate,
    /// A shutdown.
    Shutdown,
    /// It had lived for as long as values may.
    TooOld,
    /// It had been lent as often as values may.
    UsedUp,
    /// All values that were open at some moment were called in.
    Evicted,
    /// Another value has taken its place.
    Replaced,
    /// There were more values than the maximum, since it was lowered.
    Surplus,
    /// The predicate of a `retain` said so.
    NotRetained,
    /// A hook failed.
    HookFailed,
    /// A hook was cut off half-way.
    HookCutOff,
    /// The last handle was dropped without a shutdown.
    HandlesDropped,
    /// The runtime under which it was opened has ended: see
    /// [`OUTLIVES_RUNTIME`](crate::Resource::OUTLIVES_RUNTIME).
    RuntimeEnded,
    /// The scope that opened it has ended.
    ScopeEnded,
    /// The scope that opened it was dropped before it ended.
    ScopeCancelled,
}

impl Why {
    /// Returns `true` if the value was found broken, or may be: its peer may never answer a farewell. So may a value whose
    /// operation was cut off, perhaps because no answer came, and one whose runtime has ended.
    ///
    /// ```
    /// use tenure_core::Why;
    /// assert!(Why::CheckFailed.is_of_broken_value());
    /// assert!(!Why::IdleTooLong.is_of_broken_value());
    /// ```
    #[must_use]
    pub const fn is_of_broken_value(self) -> bool {
        matches!(
            self,
            Self::Broken
                | Self::CheckFailed
                | Self::CheckCutOff
                | Self::OperationCutOff
                | Self::HookFailed
                | Self::HookCutOff
                | Self::RuntimeEnded
        )
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Broken => "broken",
            Self::Detached => "given away",
            Self::CheckFailed => "check failed",
            Self::CheckCutOff => "check cut off",
            Self::OperationCutOff => "operation cut off",
            Self::IdleTooLong => "idle too long",
            Self::OpenedTooLate => "opened too late",
            Self::Shutdown => "shutdown",
            Self::TooOld => "too old",
            Self::UsedUp => "used up",
            Self::Evicted => "evicted",
            Self::Replaced => "replaced",
            Self::Surplus => "surplus",
            Self::NotRetained => "not retained",
            Self::HookFailed => "hook failed",
            Self::HookCutOff => "hook cut off",
            Self::HandlesDropped => "all handles dropped",
            Self::RuntimeEnded => "runtime ended",
            Self::ScopeEnded => "scope ended",
            Self::ScopeCancelled => "scope cancelled",
        })
    }
}
