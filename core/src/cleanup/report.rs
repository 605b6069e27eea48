//! What a shutdown, or the end of a scope, did, and what it could not do.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use super::audit::Tally;
use crate::cause::{Cause, Told};
use crate::ending::{Ending, Why};
use crate::name::Name;
use crate::resource::BoxError;
use crate::time::Instant;

/// What a shutdown did with every value that was live when it began. The end of a
/// [scope](crate::scope()) is told in the same way.
///
/// ```
/// # fn show(report: tenure_core::Report) {
/// if !report.is_clean() {
///     eprintln!("{report}");
///     for failure in &report.failures {
///         eprintln!("  {failure}");
///     }
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// Whose shutdown it was.
    pub name: Name,
    /// How long it took, if there is a clock.
    pub took: Option<Duration>,
    /// Values whose `close` succeeded.
    pub closed: u64,
    /// Values whose `close` failed or panicked.
    pub close_failed: u64,
    /// Values whose `close` took longer than it was given, or than the shutdown had.
    pub close_timed_out: u64,
    /// Values that there was no time left to close.
    pub abandoned: u64,
    /// Values that were still in use when the time was over. They are closed when they come back, if
    /// anything is left to close them, and else abandoned.
    pub still_in_use: u64,
    /// Finalizers that were deferred to the end of a scope, ran and succeeded.
    pub finalized: u64,
    /// Deferred finalizers that failed, panicked or took too long.
    pub finalize_failed: u64,
    /// Deferred finalizers that nothing could run any more, or that were dropped half-way.
    pub finalize_dropped: u64,
    /// The latest of what went wrong, at most sixteen.
    pub failures: Vec<CloseFailure>,
}

impl Report {
    /// Whether every value was closed and every finalizer ran, and without an error.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// assert!(block_on(pool.close()).is_clean());
    /// ```
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.close_failed == 0
            && self.close_timed_out == 0
            && self.abandoned == 0
            && self.still_in_use == 0
            && self.finalize_failed == 0
            && self.finalize_dropped == 0
    }
}

impl Report {
    /// A report of nothing yet.
    pub(crate) const fn empty(name: Name) -> Self {
        Self {
            name,
            took: None,
            closed: 0,
            close_failed: 0,
            close_timed_out: 0,
            abandoned: 0,
            still_in_use: 0,
            finalized: 0,
            finalize_failed: 0,
            finalize_dropped: 0,
            failures: Vec::new(),
        }
    }

    /// Adds what another shutdown did that was part of this one.
    pub(crate) fn add(&mut self, other: Self) {
        self.closed += other.closed;
        self.close_failed += other.close_failed;
        self.close_timed_out += other.close_timed_out;
        self.abandoned += other.abandoned;
        self.still_in_use += other.still_in_use;
        self.finalized += other.finalized;
        self.finalize_failed += other.finalize_failed;
        self.finalize_dropped += other.finalize_dropped;
        self.failures.extend(other.failures);
        let forgotten = self.failures.len().saturating_sub(REMEMBERED);
        self.failures.drain(..forgotten);
    }

    /// What was not closed, as an error.
    pub(crate) fn into_result(self) -> Result<(), BoxError> {
        if self.is_clean() {
            Ok(())
        } else {
            Err(self.into())
        }
    }
}

/// What a shutdown could not do, for those who have to answer with an error.
impl core::error::Error for Report {}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} closed", self.name, self.closed)?;
        for (count, what) in [
            (self.close_failed, "failed to close"),
            (self.close_timed_out, "timed out closing"),
            (self.abandoned, "abandoned"),
            (self.still_in_use, "still in use"),
            (self.finalized, "finalized"),
            (self.finalize_failed, "failed to finalize"),
            (self.finalize_dropped, "dropped without being finalized"),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        self.took.map_or(Ok(()), |took| write!(f, ", in {took:?}"))
    }
}

/// One value, or one deferred finalizer, that did not end well.
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// fn show(report: &Report) {
///     for failure in &report.failures {
///         println!("{failure}");
///     }
/// }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CloseFailure {
    /// Which one it was, where one holder has many of different kinds, as a scope has.
    pub name: Option<Name>,
    /// How it ended; a deferred finalizer as the close of a value might have.
    pub ending: Ending,
    /// What it was closed for.
    pub why: Why,
    /// What went wrong, where something said so.
    pub cause: Option<Cause>,
}

impl fmt::Display for CloseFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "{name}: ")?;
        }
        write!(f, "{} ({})", self.ending, self.why)?;
        self.cause
            .as_ref()
            .map_or(Ok(()), |cause| write!(f, ": {}", Told(cause)))
    }
}

/// How many failures a ledger remembers: enough to see a pattern, too few to matter in memory.
const REMEMBERED: usize = 16;

/// The account of one resource: how many of its values ended how.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) tally: Tally,
    failures: VecDeque<CloseFailure>,
    shutdown: Option<Shutdown>,
}

#[derive(Debug)]
struct Shutdown {
    before: Tally,
    began_at: Option<Instant>,
    ended_at: Option<Instant>,
}

impl Ledger {
    /// Records an ending. Hands back an error that it forgets for it, to be dropped outside the lock.
    #[must_use = "an error of the user's is not to be dropped under a lock"]
    pub(crate) fn record(
        &mut self,
        ending: Ending,
        why: Why,
        cause: Option<Cause>,
    ) -> Option<Cause> {
        self.tally.count(ending);
        self.remember(CloseFailure {
            name: None,
            ending,
            why,
            cause,
        })
    }

    /// Keeps in mind what did not end well, at most so much of it. Hands back an error that it forgets for
    /// it, to be dropped outside the lock.
    #[must_use = "an error of the user's is not to be dropped under a lock"]
    pub(crate) fn remember(&mut self, failure: CloseFailure) -> Option<Cause> {
        if matches!(failure.ending, Ending::Closed | Ending::Detached) {
            return failure.cause;
        }
        let mut forgotten = None;
        if self.failures.len() == REMEMBERED {
            forgotten = self.failures.pop_front().and_then(|failure| failure.cause);
        }
        self.failures.push_back(failure);
        forgotten
    }

    /// From here on, endings count for the report.
    #[must_use = "errors of the user's are not to be dropped under a lock"]
    pub(crate) fn begin_shutdown(&mut self, now: Option<Instant>) -> VecDeque<CloseFailure> {
        self.shutdown = Some(Shutdown {
            before: self.tally,
            began_at: now,
            ended_at: None,
        });
        core::mem::take(&mut self.failures)
    }

    pub(crate) fn end_shutdown(&mut self, now: Option<Instant>) {
        if let Some(shutdown) = &mut self.shutdown {
            shutdown.ended_at.get_or_insert(now.unwrap_or_default());
        }
    }

    pub(crate) fn report(&self, name: &Name, now: Option<Instant>, still_in_use: u64) -> Report {
        let before = self
            .shutdown
            .as_ref()
            .map_or(Tally::default(), |shutdown| shutdown.before);
        let began_at = self
            .shutdown
            .as_ref()
            .and_then(|shutdown| shutdown.began_at);
        let ended_at = self
            .shutdown
            .as_ref()
            .and_then(|shutdown| shutdown.ended_at)
            .or(now);
        Report {
            name: name.clone(),
            took: began_at.zip(ended_at).map(|(began, ended)| ended - began),
            closed: self.tally.closed - before.closed,
            close_failed: self.tally.close_failed - before.close_failed,
            close_timed_out: self.tally.close_timed_out - before.close_timed_out,
            abandoned: self.tally.abandoned - before.abandoned,
            still_in_use,
            finalized: self.tally.finalized - before.finalized,
            finalize_failed: self.tally.finalize_failed - before.finalize_failed,
            finalize_dropped: self.tally.finalize_dropped - before.finalize_dropped,
            failures: self.failures.iter().cloned().collect(),
        }
    }
}
