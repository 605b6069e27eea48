//! Why a managed resource could not be had, or a call on it failed.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::error::Error;
use core::fmt;
use core::time::Duration;

use crate::cause::Cause;
use crate::name::Name;
use crate::opening::OpenError;
use crate::retry::{AttemptRecord, StopReason};
use crate::sync::Text;

/// Why a check did not pass.
///
/// ```
/// # fn show(error: tenure_core::CheckError) {
/// use tenure_core::CheckError;
/// match error {
///     CheckError::Failed { cause, .. } => println!("unhealthy: {cause}"),
///     CheckError::NotOpen { .. } => println!("there is nothing to check"),
///     _ => println!("{error}"),
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CheckError {
    /// The check failed, timed out or panicked.
    Failed {
        /// The resource's name.
        name: Name,
        /// What it said.
        cause: Cause,
    },
    /// There is no value to check.
    NotOpen {
        /// The resource's name.
        name: Name,
    },
}

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { name, .. } => write!(f, "{name} failed its check"),
            Self::NotOpen { name } => write!(f, "{name} is not open"),
        }
    }
}

impl Error for CheckError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed { cause, .. } => Some(cause.as_source()),
            Self::NotOpen { .. } => None,
        }
    }
}

/// Waiting for a state that can no longer come.
///
/// ```
/// # fn show(error: tenure_core::Unreachable) {
/// println!("{} will not come, it is {}", error.wanted, error.state);
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Unreachable {
    /// The resource's name.
    pub name: Name,
    /// The state that was waited for.
    pub wanted: crate::state::State,
    /// The state it is in, from which the other cannot be reached.
    pub state: crate::state::State,
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is {} and cannot become {} any more",
            self.name, self.state, self.wanted
        )
    }
}

impl Error for Unreachable {}

/// Why [`Managed::call`](crate::Managed::call) did not succeed.
///
/// [`cause`](CallError::cause) is what the operation itself answered last; as the
/// [`source`](Error::source) of this error it can be walked, and
/// [`downcast_ref`](CallError::downcast_ref) gives it back typed.
///
/// ```
/// # fn show(error: tenure_core::CallError) {
/// println!("{} failed after {} attempts", error.operation(), error.attempts());
/// if let Some(io) = error.downcast_ref::<std::io::Error>() {
///     println!("{:?}", io.kind());
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct CallError(Box<CallErrorDetails>);

#[derive(Clone, Debug)]
struct CallErrorDetails {
    name: Name,
    operation: Text,
    attempts: u32,
    elapsed: Duration,
    reason: StopReason,
    timed_out: bool,
    was_begun: bool,
    error: Option<CallFailure>,
    /// What the operation itself said last.
    answer: Option<Cause>,
    history: Vec<AttemptRecord>,
}

/// The value that an operation ran on was given up while it ran, and the operation with it. It may have run.
///
/// See [`CallError::revoked`].
///
/// ```
/// # fn show(revoked: &tenure_core::managed::Revoked) {
/// use tenure_core::managed::RevokedFor;
/// if revoked.why == RevokedFor::FoundDead {
///     println!("{} has to be asked whether it was done", revoked.name);
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Revoked {
    /// The resource's name.
    pub name: Name,
    /// What it was given up for.
    pub why: RevokedFor,
}

/// What a value was given up for while calls used it.
///
/// ```
/// use tenure_core::managed::RevokedFor;
/// assert_ne!(RevokedFor::FoundDead, RevokedFor::Shutdown);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RevokedFor {
    /// It was found dead, and the grace period is over.
    FoundDead,
    /// The timeout of a shutdown has expired.
    Shutdown,
}

impl fmt::Display for Revoked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match self.why {
            RevokedFor::FoundDead => write!(f, "{name} was found dead")?,
            RevokedFor::Shutdown => write!(f, "{name} was shut down")?,
        }
        f.write_str(" while the operation was under way; it may have run")
    }
}

impl Error for Revoked {}

/// What the last attempt of a call said.
#[derive(Clone, Debug)]
pub(crate) enum CallFailure {
    /// There was no value to call.
    Open(OpenError),
    /// The operation's own error.
    Operation(Cause),
    /// The value was given up while the operation ran.
    Revoked(Revoked),
    /// The policy of the call is not valid.
    Policy(crate::config::ConfigError),
}

impl CallFailure {
    pub(crate) fn cause(&self) -> Cause {
        match self {
            Self::Open(error) => Cause::new(error.clone()),
            Self::Operation(cause) => cause.clone(),
            Self::Revoked(revoked) => Cause::new(revoked.clone()),
            Self::Policy(error) => Cause::new(*error),
        }
    }
}

impl CallError {
    pub(crate) fn new<E>(
        name: Name,
        operation: Text,
        error: crate::retry::RetryError<E>,
        was_begun: bool,
        answer: Option<Cause>,
        absence: Option<OpenError>,
        into_failure: impl FnOnce(E) -> CallFailure,
    ) -> Self {
        let history: Vec<_> = error.history().copied().collect();
        let timed_out = history
            .last()
            .is_some_and(|attempt| attempt.ended == crate::retry::Ended::TimedOut);
        let (attempts, elapsed, reason) = (error.attempts(), error.elapsed(), error.reason());
        let error = match error.invalid_policy() {
            Some(invalid) => Some(CallFailure::Policy(invalid)),
            None => {
                let failure = error.into_cause().map(into_failure);
                failure.or_else(|| absence.filter(|_| timed_out).map(CallFailure::Open))
            }
        };
        let reason = match error {
            Some(CallFailure::Revoked(_)) => StopReason::Revoked,
            _ => reason,
        };
        Self(Box::new(CallErrorDetails {
            name,
            operation,
            attempts,
            elapsed,
            reason,
            timed_out,
            was_begun,
            error,
            answer,
            history,
        }))
    }

    /// The name of the operation.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let refuse = |_| async { Err::<(), _>(std::io::Error::other("refused")) };
    /// let error = block_on(managed.call("query", refuse)).unwrap_err();
    /// assert_eq!(error.operation(), "query");
    /// ```
    #[must_use]
    pub fn operation(&self) -> &str {
        &self.0.operation
    }

    /// How many attempts were made.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let refuse = |_| async { Err::<(), _>(std::io::Error::other("refused")) };
    /// let error = block_on(managed.call("query", refuse)).unwrap_err();
    /// assert_eq!(error.attempts(), 4);
    /// ```
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// How long they took in all, the delays between them included; zero without a clock.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let refuse = |_| async { Err::<(), _>(std::io::Error::other("refused")) };
    /// let error = block_on(managed.call("query", refuse)).unwrap_err();
    /// assert!(error.elapsed() < Duration::from_secs(30));
    /// ```
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed
    }

    /// Why there was no further attempt.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let refuse = |_| async { Err::<(), _>(std::io::Error::other("refused")) };
    /// let error = block_on(managed.call("query", refuse)).unwrap_err();
    /// assert_eq!(error.reason(), StopReason::Attempts);
    /// ```
    #[must_use]
    pub fn reason(&self) -> StopReason {
        self.0.reason
    }

    /// Whether the last attempt was cut off by its timeout or by the deadline.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let refuse = |_| async { Err::<(), _>(std::io::Error::other("refused")) };
    /// let error = block_on(managed.call("query", refuse)).unwrap_err();
    /// assert!(!error.is_timeout());
    /// ```
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.0.timed_out
    }

    /// Whether the operation was called at all. If not, there was never a value to call it with: what it would have
    /// sent was not sent, and doing it elsewhere does no harm.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let (managed, _runner) = Managed::builder(Down).build_with_runner(NoTimer)?;
    /// let error = block_on(managed.call("query", |_| async { Ok(()) })).unwrap_err();
    /// assert!(!error.was_begun());
    /// # Ok::<(), ConfigError>(())
    /// ```
    #[must_use]
    pub fn was_begun(&self) -> bool {
        self.0.was_begun
    }

    /// What the operation itself answered last, if it ever answered: also where a later attempt found
    /// no value to call.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let refuse = |_| async { Err::<(), _>(std::io::Error::other("refused")) };
    /// let error = block_on(managed.call("query", refuse)).unwrap_err();
    /// assert_eq!(error.cause().unwrap().to_string(), "refused");
    /// ```
    #[must_use]
    pub fn cause(&self) -> Option<&Cause> {
        self.0.answer.as_ref()
    }

    /// Why there was no value to call, if that was it.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let (managed, _runner) = Managed::builder(Down).build_with_runner(NoTimer)?;
    /// let error = block_on(managed.call("query", |_| async { Ok(()) })).unwrap_err();
    /// assert!(matches!(error.open_error(), Some(OpenError::Failed { .. })));
    /// # Ok::<(), ConfigError>(())
    /// ```
    #[must_use]
    pub fn open_error(&self) -> Option<&OpenError> {
        match &self.0.error {
            Some(CallFailure::Open(error)) => Some(error),
            _ => None,
        }
    }

    /// Returns what the value was given up for while the last attempt used it, if that was it. The operation may have
    /// run.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let refuse = |_| async { Err::<(), _>(std::io::Error::other("refused")) };
    /// let error = block_on(managed.call("query", refuse)).unwrap_err();
    /// assert!(error.revoked().is_none());
    /// ```
    #[must_use]
    pub fn revoked(&self) -> Option<&Revoked> {
        match &self.0.error {
            Some(CallFailure::Revoked(revoked)) => Some(revoked),
            _ => None,
        }
    }

    /// The operation's last error, as its own type.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let refuse = |_| async { Err::<(), _>(std::io::Error::other("refused")) };
    /// let error = block_on(managed.call("query", refuse)).unwrap_err();
    /// assert!(error.downcast_ref::<std::io::Error>().is_some());
    /// ```
    #[must_use]
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        self.cause().and_then(|cause| cause.downcast_ref::<E>())
    }

    /// The latest attempts, the oldest first.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let refuse = |_| async { Err::<(), _>(std::io::Error::other("refused")) };
    /// let error = block_on(managed.call("query", refuse)).unwrap_err();
    /// assert_eq!(error.history().len(), 4);
    /// ```
    #[must_use]
    pub fn history(&self) -> &[AttemptRecord] {
        &self.0.history
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CallErrorDetails {
            name,
            operation,
            attempts,
            elapsed,
            reason,
            timed_out,
            error,
            ..
        } = &*self.0;
        write!(f, "{name}: {operation}")?;
        if let Some(CallFailure::Policy(_)) = error {
            return f.write_str(" was not attempted");
        }
        let plural = if *attempts == 1 { "" } else { "s" };
        let how = if *timed_out { "timed out" } else { "failed" };
        write!(
            f,
            " {how} after {attempts} attempt{plural} in {elapsed:?} ({reason})"
        )
    }
}

impl Error for CallError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(match self.0.error.as_ref()? {
            CallFailure::Open(error) => error,
            CallFailure::Operation(cause) => cause.as_source(),
            CallFailure::Revoked(revoked) => revoked,
            CallFailure::Policy(error) => error,
        })
    }
}
