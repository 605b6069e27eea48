//! What became of a connection's attempts and calls.

use core::fmt;
use core::time::Duration;

use crate::cause::{Cause, Told};
use crate::time::Instant;

/// What a [`Connection`](super::Connection) has done so far. It is complete without the help of whoever wrote the
/// resource, and its counts balance at any moment.
///
/// It prints as a few lines for a person to read.
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// # block_on(async {
/// let (connection, _runner) = Connection::builder("db:5432", Db).build_with_runner(Virtual::default())?;
/// connection.call("ping", |session| async move { Ok(session.len()) }).await?;
/// let stats = connection.stats();
/// assert_eq!((stats.connects.succeeded, stats.calls.succeeded), (1, 1));
/// assert!(stats.is_balanced());
/// # Ok::<(), BoxError>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectionStats {
    /// Attempts to connect, and what became of each.
    pub connects: ConnectCounts,
    /// Calls, and what became of each.
    pub calls: CallCounts,
    /// When it was connected last.
    pub last_connect_at: Option<Instant>,
    /// When it was connected, checked or called last with success.
    pub last_success_at: Option<Instant>,
    /// When an attempt, a check or a call failed last.
    pub last_failure_at: Option<Instant>,
    /// What it failed with.
    pub last_failure: Option<Cause>,
    /// How long it has been connected, if it is, and if there is a clock.
    pub uptime: Option<Duration>,
    /// How long in all it was wanted and not connected.
    pub downtime: Duration,
}

/// Attempts to connect: `begun` is the sum of all others but `reconnects`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectCounts {
    /// Attempts that were begun.
    pub begun: u64,
    /// Attempts that gave a connection.
    pub succeeded: u64,
    /// Attempts that were answered with an error.
    pub refused: u64,
    /// Attempts that took too long.
    pub timed_out: u64,
    /// Attempts that panicked.
    pub panicked: u64,
    /// Attempts that were dropped before they had a result: nobody wanted it any more, or another one was sooner.
    pub called_off: u64,
    /// Attempts under way: one, or two if the first does not answer.
    pub under_way: u64,
    /// Of those that succeeded, all after the first.
    pub reconnects: u64,
}

/// Calls: `begun` is the sum of all others but `retries` and `timeouts`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallCounts {
    /// Calls that were begun.
    pub begun: u64,
    /// Calls that were answered.
    pub succeeded: u64,
    /// Calls that failed, after all their retries.
    pub failed: u64,
    /// Calls that were dropped before they had an answer.
    pub cancelled: u64,
    /// Calls under way.
    pub in_flight: u64,
    /// Attempts of calls beyond the first of each.
    pub retries: u64,
    /// Attempts of calls that were cut off by their timeout or the deadline, also while they waited for a connection.
    pub timeouts: u64,
}

impl ConnectionStats {
    /// Whether every attempt and every call has ended or is under way.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let (connection, _runner) = Connection::builder("db:5432", Db).build_with_runner(NoTimer)?;
    /// assert!(connection.stats().is_balanced());
    /// # Ok::<(), BoxError>(())
    /// ```
    #[must_use]
    pub const fn is_balanced(&self) -> bool {
        let (connects, calls) = (&self.connects, &self.calls);
        let attempts = connects.succeeded
            + connects.refused
            + connects.timed_out
            + connects.panicked
            + connects.called_off
            + connects.under_way;
        let answers = calls.succeeded + calls.failed + calls.cancelled + calls.in_flight;
        connects.begun == attempts && calls.begun == answers
    }
}

impl fmt::Display for ConnectionStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            connects, calls, ..
        } = self;
        write!(
            f,
            "connects: {} begun, {} succeeded ({} reconnects), {} refused, {} timed out, {} panicked, {} called off",
            connects.begun,
            connects.succeeded,
            connects.reconnects,
            connects.refused,
            connects.timed_out,
            connects.panicked,
            connects.called_off,
        )?;
        write!(
            f,
            "\ncalls: {} begun, {} succeeded, {} failed, {} cancelled, {} in flight, {} retries, {} timeouts",
            calls.begun,
            calls.succeeded,
            calls.failed,
            calls.cancelled,
            calls.in_flight,
            calls.retries,
            calls.timeouts,
        )?;
        match self.uptime {
            Some(uptime) => write!(f, "\nup for {uptime:?}")?,
            None => write!(f, "\nnot connected")?,
        }
        write!(f, ", down for {:?} in all", self.downtime)?;
        let failure = self.last_failure.as_ref();
        failure.map_or(Ok(()), |cause| write!(f, "\nlast failure: {}", Told(cause)))
    }
}
