//! How a scope fails.

use core::error::Error;
use core::fmt;
use core::time::Duration;

use crate::cause::Cause;
use crate::cleanup::Report;
use crate::config::ConfigError;
use crate::name::Redacted;
use crate::opening::OpenError;

/// Why a scope did not simply succeed: its body's own error, or what went wrong at its end.
///
/// The body's error stays what it was, whatever the finalizers say: what went wrong with them is beside
/// it, in the [`Report`]. Nor is the value of a body lost that succeeded before a finalizer did not. The
/// body's error needs `Display` and `Debug` alone, so that `anyhow::Error` and
/// [`BoxError`](crate::BoxError) serve; for the same reason it is shown, and is not the
/// [`source`](Error::source).
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// # block_on(async {
/// let failed = scope_inline(&NoTimer, |s| async move {
///     s.defer(|_| async { Err("the table is locked".into()) });
///     Err::<(), _>("no such user")
/// });
/// match failed.await {
///     Err(ScopeError::Body { error, report }) => {
///         assert_eq!(error, "no such user");
///         assert_eq!(report.finalize_failed, 1);
///     }
///     other => panic!("{other:?}"),
/// }
/// # });
/// ```
#[non_exhaustive]
pub enum ScopeError<E, T = ()> {
    /// The body failed.
    Body {
        /// What the body said.
        error: E,
        /// How the scope's finalizers ended.
        report: Report,
    },
    /// The body succeeded, and one of the finalizers did not, or a value was still in use.
    Cleanup {
        /// What the body gave.
        value: T,
        /// How the scope's finalizers ended.
        report: Report,
    },
    /// The body was cut off by the scope's [timeout](super::ScopeBuilder::timeout).
    TimedOut {
        /// That limit.
        limit: Duration,
        /// How the scope's finalizers ended.
        report: Report,
    },
    /// The body was not run, for the resource was not opened, or the parent scope had ended.
    Unopened {
        /// Why.
        error: OpenError,
    },
    /// The body was not run, for a setting makes no sense.
    Config {
        /// Which.
        error: ConfigError,
    },
}

impl<E, T> ScopeError<E, T> {
    /// The body's own error, as if there had been no scope.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// let failed = scope_inline(&NoTimer, |_| async { Err::<(), _>("no such user") }).await;
    /// assert_eq!(failed.unwrap_err().into_body().unwrap(), "no such user");
    /// # });
    /// ```
    ///
    /// # Errors
    /// The error as it was, if it is not the body's.
    #[expect(
        clippy::result_large_err,
        reason = "it is what the method was called on"
    )]
    pub fn into_body(self) -> Result<E, Self> {
        match self {
            Self::Body { error, .. } => Ok(error),
            other => Err(other),
        }
    }

    /// The same without the value of the body: for values that may not go into an error that is passed
    /// on, since they borrow something or are not `Send` and `Sync`.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// async fn first(words: &[String]) -> Result<&str, BoxError> {
    ///     let first = scope_inline(&NoTimer, |_| async { Ok::<_, BoxError>(words[0].as_str()) });
    ///     Ok(first.await.map_err(ScopeError::without_value)?)
    /// }
    /// assert_eq!(block_on(first(&["one".into()])).unwrap(), "one");
    /// ```
    #[must_use]
    pub fn without_value(self) -> ScopeError<E> {
        match self {
            Self::Body { error, report } => ScopeError::Body { error, report },
            Self::Cleanup { report, .. } => ScopeError::Cleanup { value: (), report },
            Self::TimedOut { limit, report } => ScopeError::TimedOut { limit, report },
            Self::Unopened { error } => ScopeError::Unopened { error },
            Self::Config { error } => ScopeError::Config { error },
        }
    }

    /// How the scope's finalizers ended, if the body was run.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// let failed = scope_inline(&NoTimer, |_| async { Err::<(), _>("no such user") }).await;
    /// assert!(failed.unwrap_err().report().unwrap().is_clean());
    /// # });
    /// ```
    #[must_use]
    pub const fn report(&self) -> Option<&Report> {
        match self {
            Self::Body { report, .. }
            | Self::Cleanup { report, .. }
            | Self::TimedOut { report, .. } => Some(report),
            Self::Unopened { .. } | Self::Config { .. } => None,
        }
    }
}

impl<E: fmt::Display, T> fmt::Display for ScopeError<E, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body { error, report } if report.is_clean() => write!(f, "{}", Redacted(error)),
            Self::Body { error, report } => {
                write!(f, "{}; then {}", Redacted(error), ToldEndings(report))
            }
            Self::Cleanup { report, .. } => write!(f, "{}", ToldEndings(report)),
            Self::TimedOut { limit, report } => {
                write!(f, "{} timed out after {limit:?}", report.name)?;
                if report.is_clean() {
                    return Ok(());
                }
                write!(f, "; then {}", ToldEndings(report))
            }
            Self::Unopened { error } => write!(f, "{error}"),
            Self::Config { error } => write!(f, "{error}"),
        }
    }
}

impl<E: fmt::Debug, T> fmt::Debug for ScopeError<E, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body { error, report } => f
                .debug_struct("Body")
                .field("error", &Redacted(error))
                .field("report", report)
                .finish(),
            Self::Cleanup { report, .. } => f
                .debug_struct("Cleanup")
                .field("report", report)
                .finish_non_exhaustive(),
            Self::TimedOut { limit, report } => f
                .debug_struct("TimedOut")
                .field("limit", limit)
                .field("report", report)
                .finish(),
            Self::Unopened { error } => f.debug_struct("Unopened").field("error", error).finish(),
            Self::Config { error } => f.debug_struct("Config").field("error", error).finish(),
        }
    }
}

impl<E: fmt::Debug + fmt::Display, T> Error for ScopeError<E, T> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Body { .. } | Self::TimedOut { .. } => None,
            Self::Cleanup { report, .. } => {
                let mut causes = report
                    .failures
                    .iter()
                    .filter_map(|failure| failure.cause.as_ref());
                causes.next().map(Cause::as_source)
            }
            Self::Unopened { error } => error.source(),
            Self::Config { error } => error.source(),
        }
    }
}

/// A report with all of its failures.
struct ToldEndings<'a>(&'a Report);

impl fmt::Display for ToldEndings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        self.0
            .failures
            .iter()
            .try_for_each(|failure| write!(f, "; {failure}"))
    }
}
