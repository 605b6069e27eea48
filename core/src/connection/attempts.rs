//! What an operation is told of the attempt that it is.

use core::time::Duration;

use crate::retry::Retry;
use crate::runtime::Clock;
use crate::time::Instant;

/// Which attempt of a call it is, and how long it has. Told to the operation by
/// [`Request::run_attempts`](crate::connection::Request::run_attempts).
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// # block_on(async {
/// let (connection, _runner) = Connection::builder("db:5432", Db).build_with_runner(Virtual::default())?;
/// let number = connection
///     .request(CallOptions::named("ask"))
///     .run_attempts(|_session, attempt| async move { Ok(attempt.number) })
///     .await?;
/// assert_eq!(number, 1);
/// # Ok::<(), BoxError>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallAttempt {
    /// The first attempt is 1.
    pub number: u32,
    /// When it is cut off, by its own timeout or by the deadline of the whole; never, if `None`.
    pub ends_at: Option<Instant>,
}

/// Tells the attempts of one call apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct CallAttempts {
    number: u32,
    /// What is left to all of them.
    deadline: Option<Instant>,
    timeout: Option<Duration>,
    /// What is left to this one.
    ends_at: Option<Instant>,
}

impl CallAttempts {
    /// Of a call that begins now. The clock is asked only where there is a limit.
    pub(super) fn under(policy: &Retry, clock: &impl Clock) -> Self {
        let deadline = policy.deadline;
        let deadline = deadline.and_then(|limit| Some(clock.try_now()?.saturating_add(limit)));
        Self {
            number: 0,
            deadline,
            timeout: policy.attempt_timeout,
            ends_at: None,
        }
    }

    /// Another begins, with its wait for a connection.
    pub(super) fn begin(&mut self, now: Option<Instant>) {
        self.number = self.number.saturating_add(1);
        let own = now.zip(self.timeout);
        let own = own.map(|(now, limit)| now.saturating_add(limit));
        self.ends_at = [self.deadline, own].into_iter().flatten().min();
    }

    pub(super) const fn is_retry(&self) -> bool {
        self.number > 1
    }

    pub(super) const fn current(&self) -> CallAttempt {
        CallAttempt {
            number: self.number,
            ends_at: self.ends_at,
        }
    }
}
