//! The policy of retries, and the one function that decides.

use core::fmt;
use core::time::Duration;

use super::{Budget, ErrorClass};
use crate::backoff::Backoff;
use crate::config::{self, ConfigError};

/// The least time between attempts that nobody asked for, once the policy is exhausted: a policy without
/// delays must not make a busy loop of them.
pub(crate) const LEAST_PAUSE: Duration = Duration::from_millis(100);

/// When to try again, and when to stop: a plain value, `Copy` and built by `const` functions.
///
/// Start from a preset or from [`Retry::new`], and change what differs; a preset stays as it is, so one
/// call can override what the next does not.
///
/// The Python system that this library follows named no presets but gave these numbers, which are ours:
/// [`DEFAULT`](Retry::DEFAULT) are its defaults, [`USER_FACING`](Retry::USER_FACING) and
/// [`BACKGROUND`](Retry::BACKGROUND) its examples, and [`CRITICAL`](Retry::CRITICAL) its network clients.
///
/// | preset | retries | first delay | cap | deadline |
/// |---|---|---|---|---|
/// | `DEFAULT` | 3 | 1 s | 30 s | none |
/// | `CRITICAL` | 5 | 1 s | 60 s | none |
/// | `USER_FACING` | 2 | 0.5 s | 30 s | 5 s |
/// | `BACKGROUND` | 10 | 1 s | 30 s | 120 s |
/// | `NEVER` | 0 | | | none |
///
/// All double their delays and spread them with [`Jitter::Full`](crate::Jitter::Full).
///
/// ```
/// use core::time::Duration;
/// use tenure_core::{Backoff, Retry};
///
/// const UPLOAD: Retry = Retry::new(Backoff::exponential(Duration::from_millis(200)))
///     .max_retries(4)
///     .attempt_timeout(Duration::from_secs(2))
///     .deadline(Duration::from_secs(10));
/// assert!(UPLOAD.validate().is_ok());
///
/// let patient = Retry::USER_FACING.deadline(Duration::from_secs(8));
/// assert!(patient.validate().is_ok());
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Retry {
    pub(crate) backoff: Backoff,
    max_retries: u32,
    pub(crate) attempt_timeout: Option<Duration>,
    pub(crate) deadline: Option<Duration>,
    pub(super) multiplies: bool,
}

impl Retry {
    /// The original's defaults: 3 retries after the first attempt, [`Backoff::DEFAULT`], no time limit.
    pub const DEFAULT: Self = Self::new(Backoff::DEFAULT);

    /// One attempt, and no retry.
    pub const NEVER: Self = Self::DEFAULT.max_retries(0);

    /// For what the program cannot do without: 5 retries, from 1 s.
    ///
    /// The original asks for "more retries, longer max delay" and gives no number for the latter; its
    /// default being 30 s, this is 60 s. Five doublings reach 16 s, so the cap shows only in how long a
    /// server may ask to wait, and once retries are added.
    pub const CRITICAL: Self = Self::DEFAULT
        .max_retries(5)
        .backoff(Backoff::DEFAULT.cap(Duration::from_secs(60)));

    /// For what somebody waits for: 2 retries, from 0.5 s, all within 5 s.
    pub const USER_FACING: Self = Self::new(Backoff::exponential(Duration::from_millis(500)))
        .max_retries(2)
        .deadline(Duration::from_secs(5));

    /// For what nobody waits for: 10 retries, from 1 s to 30 s, all within 120 s.
    pub const BACKGROUND: Self = Self::DEFAULT
        .max_retries(10)
        .deadline(Duration::from_secs(120));

    /// 3 retries with this backoff, and no time limit.
    ///
    /// ```
    /// # use tenure_core::{Backoff, Retry};
    /// let policy = Retry::new(Backoff::DEFAULT);
    /// assert!(policy.validate().is_ok());
    /// ```
    pub const fn new(backoff: Backoff) -> Self {
        Self {
            backoff,
            max_retries: 3,
            attempt_timeout: None,
            deadline: None,
            multiplies: false,
        }
    }

    /// The delays between the attempts.
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use tenure_core::{Backoff, Retry};
    /// let eager = Retry::USER_FACING.backoff(Backoff::constant(Duration::from_millis(50)));
    /// assert!(eager.validate().is_ok());
    /// ```
    pub const fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// How many attempts may follow the first. `u32::MAX` means no limit; set a deadline then.
    ///
    /// ```
    /// # use tenure_core::Retry;
    /// const FOUR_ATTEMPTS: Retry = Retry::DEFAULT.max_retries(3);
    /// ```
    pub const fn max_retries(mut self, max_retries: u32) -> Self {
        self.max_retries = max_retries;
        self
    }

    /// How long one attempt may take. It is then dropped, and counts as failed and worth a retry.
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use tenure_core::Retry;
    /// const SNAPPY: Retry = Retry::DEFAULT.attempt_timeout(Duration::from_secs(2));
    /// ```
    pub const fn attempt_timeout(mut self, attempt_timeout: Duration) -> Self {
        self.attempt_timeout = Some(attempt_timeout);
        self
    }

    /// How long it may take in all, attempts and delays together.
    ///
    /// An attempt under way is cut off when it comes. A delay that would leave no time for an attempt
    /// is not begun: better to fail at once than to wait for nothing.
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use tenure_core::Retry;
    /// const WITHIN_A_MINUTE: Retry = Retry::CRITICAL.deadline(Duration::from_secs(60));
    /// ```
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Whether it makes all its attempts in each attempt of a retry around it, however many that are.
    ///
    /// Without it, retries within each other [share](crate::retry()#within-each-other) the attempts of
    /// the one that has most. Say it of the inner policy, and only where the numbers are meant to be
    /// multiplied: where the inner retry bridges a moment, and the outer one an outage. The outer one
    /// then counts an attempt as one, and retries further in count with this one.
    ///
    /// ```
    /// # use futures::executor::block_on;
    #[doc = include_str!("doc_timer.txt")]
    /// use tenure_core::{Retry, retry};
    ///
    /// const READ: Retry = Retry::DEFAULT.max_retries(2);
    ///
    /// # let timer = Virtual::default();
    /// let reads = |policy| {
    ///     let reads = std::cell::Cell::new(0);
    ///     let read = async || {
    ///         reads.set(reads.get() + 1);
    ///         Err::<(), _>("interrupted")
    ///     };
    ///     let outcome = block_on(retry(&timer, Retry::DEFAULT, || retry(&timer, policy, read)));
    ///     assert!(outcome.is_err());
    ///     reads.get()
    /// };
    /// assert_eq!(reads(READ), 4, "as many as the larger of the two makes alone");
    /// assert_eq!(reads(READ.multiply_when_nested(true)), 12, "three in each of four");
    /// ```
    pub const fn multiply_when_nested(mut self, multiply: bool) -> Self {
        self.multiplies = multiply;
        self
    }

    /// Decides what follows an attempt that failed. Every retry in this library is decided here.
    ///
    /// `attempt` is the number of that attempt, the first being 1; `elapsed` the time since the first
    /// began, or `None` where there is no clock; `delay` the next of the backoff's
    /// [`delays`](Backoff::delays). The budget is asked last and pays for the retry that is granted.
    ///
    /// A loop that goes on by itself, as the openings of a pool do, waits at least as long as an
    /// [`ErrorClass::RetryAfter`] says, whatever the decision: [`StopReason::RetryAfter`] is only one of the
    /// reasons that may come with it.
    ///
    /// For a loop of your own; [`retry`](crate::retry()) does it for you. It knows nothing of retries
    /// within each other.
    ///
    /// ```
    /// use core::time::Duration;
    /// use tenure_core::{Decision, ErrorClass, Retry, StopReason};
    ///
    /// let policy = Retry::USER_FACING;
    /// let second = Duration::from_secs(1);
    /// let decide = |attempt, elapsed, class| policy.decide(attempt, Some(elapsed), class, second, None);
    ///
    /// assert_eq!(decide(1, second, ErrorClass::Retry), Decision::RetryIn(second));
    /// assert_eq!(decide(1, second, ErrorClass::GiveUp), Decision::Stop(StopReason::GivenUp));
    /// assert_eq!(decide(3, second, ErrorClass::Retry), Decision::Stop(StopReason::Attempts));
    /// assert_eq!(decide(2, 4 * second, ErrorClass::Retry), Decision::Stop(StopReason::Deadline));
    /// ```
    #[must_use]
    pub fn decide(
        &self,
        attempt: u32,
        elapsed: Option<Duration>,
        class: ErrorClass,
        delay: Duration,
        budget: Option<&Budget>,
    ) -> Decision {
        self.decide_nested(attempt, elapsed, class, delay, budget, false)
    }

    /// As [`decide`](Retry::decide), where retries within each other may have used up the attempts that
    /// they share.
    pub(crate) fn decide_nested(
        &self,
        attempt: u32,
        elapsed: Option<Duration>,
        class: ErrorClass,
        delay: Duration,
        budget: Option<&Budget>,
        is_spent: bool,
    ) -> Decision {
        let cap = self.backoff.longest();
        let delay = delay.min(cap);
        // What the server asked for, and the delay that follows from it.
        let (asked, delay) = match class {
            ErrorClass::GiveUp | ErrorClass::ReconnectOnly => {
                return Decision::Stop(StopReason::GivenUp);
            }
            ErrorClass::RetryAfter(least) => (least, delay.max(least)),
            ErrorClass::RetryIn(exact) => (exact, exact),
            ErrorClass::Retry | ErrorClass::Reconnect | ErrorClass::NotRun { .. } => {
                (Duration::ZERO, delay)
            }
        };

        if elapsed.is_some_and(|elapsed| self.is_past_deadline(elapsed)) {
            return Decision::Stop(StopReason::Deadline);
        }
        if self.max_retries < u32::MAX && attempt > self.max_retries {
            return Decision::Stop(StopReason::Attempts);
        }
        if is_spent {
            return Decision::Stop(StopReason::Nested);
        }
        let Some(elapsed) = elapsed else {
            return Decision::Stop(StopReason::NoTimer);
        };
        if asked > cap {
            return Decision::Stop(StopReason::RetryAfter(asked));
        }
        let mut delay = delay;
        if self.is_past_deadline(elapsed.saturating_add(delay)) {
            let half = self.deadline.unwrap_or_default().saturating_sub(elapsed) / 2;
            // Halved a few times at most, or it would be tried ever faster as the deadline comes near.
            let is_shortened = half >= delay / 16
                && matches!(class, ErrorClass::Reconnect | ErrorClass::NotRun { .. });
            if !is_shortened {
                return Decision::Stop(StopReason::Deadline);
            }
            delay = half;
        }
        if budget.is_some_and(|budget| !budget.withdraw()) {
            return Decision::Stop(StopReason::Budget);
        }
        Decision::RetryIn(delay)
    }

    /// Says whether the settings make sense together. What is built from a policy calls it.
    ///
    /// # Errors
    /// What [`Backoff::validate`] says; a time limit of zero; retries without limit and without a delay, which would keep a
    /// thread busy for as long as the server is down.
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use tenure_core::Retry;
    /// let error = Retry::DEFAULT.deadline(Duration::ZERO).validate().unwrap_err();
    /// assert_eq!(error.to_string(), "`retry.deadline` (0ns) must be above zero");
    /// ```
    #[inline]
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.backoff.validate()?;
        if self.attempt_timeout == Some(Duration::ZERO) {
            return Err(config::zero("retry.attempt_timeout", Duration::ZERO));
        }
        if self.deadline == Some(Duration::ZERO) {
            return Err(config::zero("retry.deadline", Duration::ZERO));
        }
        if self.max_retries == u32::MAX && self.backoff.has_no_delay() {
            return Err(config::zero("backoff.delay", Duration::ZERO));
        }
        Ok(())
    }

    /// The first attempt counted; `u32::MAX` means no limit.
    pub(crate) const fn max_attempts(&self) -> u32 {
        self.max_retries.saturating_add(1)
    }

    /// At the deadline itself there is no time left either.
    pub(super) fn is_past_deadline(&self, elapsed: Duration) -> bool {
        self.deadline.is_some_and(|deadline| elapsed >= deadline)
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What follows an attempt that failed.
///
/// ```
/// use core::time::Duration;
/// use tenure_core::{Decision, ErrorClass, Retry, StopReason};
///
/// let decision = Retry::NEVER.decide(1, None, ErrorClass::Retry, Duration::ZERO, None);
/// assert_eq!(decision, Decision::Stop(StopReason::Attempts));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Another attempt, after this delay.
    RetryIn(Duration),
    /// No further attempt.
    Stop(StopReason),
}

impl Decision {
    /// How long until the next attempt, if there is one.
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use tenure_core::{Decision, StopReason};
    /// assert_eq!(Decision::RetryIn(Duration::ZERO).retry_in(), Some(Duration::ZERO));
    /// assert_eq!(Decision::Stop(StopReason::Attempts).retry_in(), None);
    /// ```
    #[must_use]
    pub const fn retry_in(self) -> Option<Duration> {
        match self {
            Self::RetryIn(delay) => Some(delay),
            Self::Stop(_) => None,
        }
    }
}

/// Why there is no further attempt.
///
/// ```
/// use tenure_core::StopReason;
/// assert_eq!(StopReason::Budget.to_string(), "the retry budget is used up");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StopReason {
    /// The error's class was [`ErrorClass::GiveUp`].
    GivenUp,
    /// All retries were made.
    Attempts,
    /// Retries within each other have used up the attempts that they
    /// [share](crate::retry()#within-each-other).
    Nested,
    /// The deadline has come, or would come before another attempt.
    Deadline,
    /// The server asked for a longer wait than the cap of the policy's backoff: this long, by
    /// [`ErrorClass::RetryAfter`]. An attempt any earlier would be one that it asked not to be sent.
    RetryAfter(Duration),
    /// The shared [`Budget`] had no retry left.
    Budget,
    /// There is no timer to wait with.
    NoTimer,
    /// The value that the operation ran on was given up while it ran. It may have run, so it is not repeated.
    Revoked,
    /// The policy or the budget makes no sense, so there was no attempt at all;
    /// [`RetryError::invalid_policy`](crate::RetryError::invalid_policy) says what is wrong with it.
    InvalidPolicy,
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RetryAfter(after) => {
                return write!(
                    f,
                    "the server asked to wait {after:?}, which is longer than the backoff's cap"
                );
            }
            Self::GivenUp => "it is not worth a retry",
            Self::Attempts => "no retries are left",
            Self::Nested => "the retries within each other have used up their attempts",
            Self::Deadline => "no time is left",
            Self::Budget => "the retry budget is used up",
            Self::NoTimer => "there is no timer to wait with",
            Self::Revoked => "its value was given up while it ran",
            Self::InvalidPolicy => "the policy is invalid",
        })
    }
}
