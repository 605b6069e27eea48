//! What a retry says when it has not succeeded.

use core::convert::Infallible;
use core::error::Error;
use core::fmt;
use core::time::Duration;

use super::{AttemptRecord, Ended, StopReason};
use crate::config::ConfigError;
use crate::name::Redacted;
use crate::sync::{Apart, Latest, Text};

/// How many attempts [`RetryError::history`] remembers: all of every preset's.
const REMEMBERED: usize = 16;

pub(super) type History = Latest<AttemptRecord, REMEMBERED>;

/// Why an operation did not succeed in spite of its retries: which one, how many attempts, over how
/// long, why no more, and its last error.
///
/// It is displayed in one line, the last error included, since `E` need not be an
/// [`Error`](core::error::Error) with a source to walk. Where it is one, [`source`](Error::source)
/// returns it.
///
/// `R` is what the error holds of a value that [`until`](super::Retrying::until) rejected; without
/// `until` leave it out.
///
/// ```
/// # use futures::executor::block_on;
#[doc = include_str!("doc_timer.txt")]
/// use std::io;
/// use tenure_core::{Retry, RetryError, StopReason, retry};
///
/// # let timer = Virtual::default();
/// let result: Result<(), RetryError<io::Error>> = block_on(
///     retry(&timer, Retry::DEFAULT, async || Err(io::Error::other("refused"))).named("ping"),
/// );
/// let error = result.unwrap_err();
/// assert_eq!(error.name(), Some("ping"));
/// assert_eq!(error.attempts(), 4);
/// assert_eq!(error.reason(), StopReason::Attempts);
/// assert_eq!(error.cause().unwrap().to_string(), "refused");
/// println!("{error}"); // `ping` failed after 4 attempts over 3.1s, no retries are left: refused
/// ```
#[derive(Clone)]
pub struct RetryError<E, R = Infallible> {
    // Apart, so that a result is no larger for an error that it hardly ever is.
    details: Apart<RetryErrorDetails<E, R>>,
}

#[derive(Clone)]
struct RetryErrorDetails<E, R> {
    name: Option<Text>,
    failure: RetryFailure<E, R>,
}

/// Either there was no attempt at all, or there is something to tell of the attempts.
#[derive(Clone, Debug)]
enum RetryFailure<E, R> {
    NotBegun(ConfigError),
    Stopped(Stopped<E, R>),
}

#[derive(Clone)]
pub(super) struct Stopped<E, R> {
    pub(super) reason: StopReason,
    pub(super) attempts: u32,
    pub(super) elapsed: Duration,
    pub(super) last: Option<Ended>,
    pub(super) cause: Option<E>,
    pub(super) rejected: Option<R>,
    pub(super) history: History,
}

impl<E, R> RetryError<E, R> {
    pub(super) fn not_begun(name: Option<Text>, error: ConfigError) -> Self {
        Self::of(name, RetryFailure::NotBegun(error))
    }

    pub(super) fn stopped(name: Option<Text>, stopped: Stopped<E, R>) -> Self {
        Self::of(name, RetryFailure::Stopped(stopped))
    }

    fn of(name: Option<Text>, failure: RetryFailure<E, R>) -> Self {
        let details = Apart::new(RetryErrorDetails { name, failure });
        Self { details }
    }

    /// The operation's name, if it was [given one](super::Retrying::named).
    ///
    /// ```
    #[doc = include_str!("doc_timer.txt")]
    #[doc = include_str!("doc_refused.txt")]
    /// assert_eq!(error.name(), Some("ping"));
    /// ```
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.details.name.as_ref().map(AsRef::as_ref)
    }

    /// Why there was no further attempt.
    ///
    /// ```
    #[doc = include_str!("doc_timer.txt")]
    #[doc = include_str!("doc_refused.txt")]
    /// # use tenure_core::StopReason;
    /// assert_eq!(error.reason(), StopReason::Attempts);
    /// ```
    #[must_use]
    pub fn reason(&self) -> StopReason {
        match &self.details.failure {
            RetryFailure::NotBegun(_) => StopReason::InvalidPolicy,
            RetryFailure::Stopped(stopped) => stopped.reason,
        }
    }

    /// What is wrong with the policy, if that is the [`reason`](RetryError::reason).
    ///
    /// ```
    #[doc = include_str!("doc_timer.txt")]
    /// # use futures::executor::block_on;
    /// # use core::time::Duration;
    /// # use tenure_core::{Retry, retry};
    /// # let timer = Virtual::default();
    /// let policy = Retry::DEFAULT.deadline(Duration::ZERO);
    /// let error = block_on(retry(&timer, policy, async || Ok::<_, String>(1))).unwrap_err();
    /// assert_eq!(error.invalid_policy().unwrap().field(), "retry.deadline");
    /// ```
    #[must_use]
    pub fn invalid_policy(&self) -> Option<ConfigError> {
        match &self.details.failure {
            RetryFailure::NotBegun(error) => Some(*error),
            RetryFailure::Stopped(_) => None,
        }
    }

    /// How many attempts there were, the first included; none if the policy was invalid.
    ///
    /// ```
    #[doc = include_str!("doc_timer.txt")]
    #[doc = include_str!("doc_refused.txt")]
    /// assert_eq!(error.attempts(), 4);
    /// ```
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.as_stopped().map_or(0, |stopped| stopped.attempts)
    }

    /// The time from the first attempt to the decision to stop; zero where there is no timer.
    ///
    /// If the policy has no time limit and there was no hook, it counts [from the end of the first poll](
    /// crate::retry()#time).
    ///
    /// ```
    #[doc = include_str!("doc_timer.txt")]
    #[doc = include_str!("doc_refused.txt")]
    /// # use tenure_core::Timer;
    /// assert_eq!(error.elapsed(), timer.now() - tenure_core::Instant::EPOCH);
    /// ```
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.as_stopped()
            .map_or(Duration::ZERO, |stopped| stopped.elapsed)
    }

    /// The last error of the operation. There is none if each attempt was cut off or gave a value that
    /// did not count; if only the last one was, it is the error of an earlier attempt.
    ///
    /// ```
    #[doc = include_str!("doc_timer.txt")]
    #[doc = include_str!("doc_refused.txt")]
    /// assert_eq!(error.cause(), Some(&"refused"));
    /// ```
    #[must_use]
    pub fn cause(&self) -> Option<&E> {
        self.as_stopped()?.cause.as_ref()
    }

    /// [`cause`](RetryError::cause), taken out.
    ///
    /// ```
    #[doc = include_str!("doc_timer.txt")]
    #[doc = include_str!("doc_refused.txt")]
    /// assert_eq!(error.into_cause(), Some("refused"));
    /// ```
    #[must_use]
    pub fn into_cause(self) -> Option<E> {
        self.into_stopped()?.cause
    }

    /// The last value of the operation that did not count, if there was one.
    ///
    /// ```
    #[doc = include_str!("doc_timer.txt")]
    /// # use futures::executor::block_on;
    /// # use tenure_core::{Retry, retry};
    /// # let timer = Virtual::default();
    /// let get = retry(&timer, Retry::DEFAULT, async || Ok::<u16, String>(503));
    /// let error = block_on(get.until(|status| *status < 500)).unwrap_err();
    /// assert_eq!(error.rejected(), Some(&503));
    /// ```
    #[must_use]
    pub fn rejected(&self) -> Option<&R> {
        self.as_stopped()?.rejected.as_ref()
    }

    /// [`rejected`](RetryError::rejected), taken out.
    ///
    /// ```
    #[doc = include_str!("doc_timer.txt")]
    /// # use futures::executor::block_on;
    /// # use tenure_core::{Retry, retry};
    /// # let timer = Virtual::default();
    /// let get = retry(&timer, Retry::DEFAULT, async || Ok::<u16, String>(503));
    /// let error = block_on(get.until(|status| *status < 500)).unwrap_err();
    /// assert_eq!(error.into_rejected(), Some(503));
    /// ```
    #[must_use]
    pub fn into_rejected(self) -> Option<R> {
        self.into_stopped()?.rejected
    }

    /// The latest attempts, at most 16 of them, the oldest first, with times as in [`elapsed`](RetryError::elapsed).
    ///
    /// It is kept only with the `alloc` feature; without, it is empty, and
    /// [`on_attempt`](super::Retrying::on_attempt) tells each attempt as it ends.
    ///
    /// ```
    #[doc = include_str!("doc_timer.txt")]
    #[doc = include_str!("doc_refused.txt")]
    /// for attempt in error.history() {
    ///     println!("{}: {:?} at {:?}", attempt.number, attempt.ended, attempt.elapsed);
    /// }
    /// ```
    pub fn history(&self) -> impl Iterator<Item = &AttemptRecord> {
        self.as_stopped()
            .into_iter()
            .flat_map(|stopped| stopped.history.iter())
    }

    fn as_stopped(&self) -> Option<&Stopped<E, R>> {
        match &self.details.failure {
            RetryFailure::Stopped(stopped) => Some(stopped),
            RetryFailure::NotBegun(_) => None,
        }
    }

    fn into_stopped(self) -> Option<Stopped<E, R>> {
        match self.details.into_inner().failure {
            RetryFailure::Stopped(stopped) => Some(stopped),
            RetryFailure::NotBegun(_) => None,
        }
    }
}

impl<E: fmt::Display, R> fmt::Display for RetryError<E, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "`{name}`")?,
            None => f.write_str("the operation")?,
        }
        match &self.details.failure {
            RetryFailure::NotBegun(error) => {
                write!(f, " was not attempted, invalid policy: {error}")
            }
            RetryFailure::Stopped(stopped) => write!(f, " {stopped}"),
        }
    }
}

impl<E: fmt::Display, R> fmt::Display for Stopped<E, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.attempts == 1 { "" } else { "s" };
        write!(f, "failed after {} attempt{plural}", self.attempts)?;
        if self.reason != StopReason::NoTimer {
            write!(f, " over {:.1?}", self.elapsed)?;
        }
        write!(f, ", {}", self.reason)?;
        match self.last {
            Some(Ended::TimedOut) => f.write_str(": the last attempt timed out")?,
            Some(Ended::Rejected) => f.write_str(": the last value was rejected")?,
            Some(Ended::Failed) | None => {}
        }
        match (&self.cause, self.last) {
            (Some(cause), Some(Ended::TimedOut | Ended::Rejected)) => {
                write!(f, ", the last error was: {}", Redacted(cause))
            }
            (Some(cause), _) => write!(f, ": {}", Redacted(cause)),
            (None, _) => Ok(()),
        }
    }
}

impl<E: fmt::Debug, R: fmt::Debug> fmt::Debug for Stopped<E, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stopped")
            .field("reason", &self.reason)
            .field("attempts", &self.attempts)
            .field("elapsed", &self.elapsed)
            .field("last", &self.last)
            .field("cause", &self.cause.as_ref().map(Redacted))
            .field("rejected", &self.rejected.as_ref().map(Redacted))
            .field("history", &self.history)
            .finish()
    }
}

impl<E: fmt::Debug, R: fmt::Debug> fmt::Debug for RetryError<E, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryError")
            .field("name", &self.details.name)
            .field("failure", &self.details.failure)
            .finish()
    }
}

impl<E: Error + 'static, R: fmt::Debug> Error for RetryError<E, R> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.details.failure {
            RetryFailure::NotBegun(error) => Some(error),
            RetryFailure::Stopped(stopped) => Some(stopped.cause.as_ref()?),
        }
    }
}
