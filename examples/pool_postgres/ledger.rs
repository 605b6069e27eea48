//! What the tasks remember of their inserts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};
use std::time::{Duration, Instant};

use tenure::{AcquireError, TimedOut};

use crate::connection::Error;

/// What one task remembers, or all of them together.
#[derive(Default)]
pub(crate) struct Ledger {
    /// Rows that the server said it has, and when it did, in that order.
    pub(crate) acknowledged: Vec<(i64, Instant)>,
    /// Rows that it may have or not.
    pub(crate) unknown: Vec<i64>,
    pub(crate) failures: BTreeMap<&'static str, Failures>,
    pub(crate) slowest_acquire: Duration,
}

/// Those of one kind.
pub(crate) struct Failures {
    pub(crate) count: usize,
    /// What the first one said.
    pub(crate) example: String,
}

/// How the rows in the table and those that the tasks remember go together.
pub(crate) struct Comparison {
    /// Acknowledged, and not there.
    pub(crate) lost: usize,
    /// There more than once.
    pub(crate) twice: usize,
    /// There, while its outcome was unknown.
    pub(crate) written_unseen: usize,
    /// There, though its insert had failed for certain.
    pub(crate) strange: usize,
}

/// Why a row was not acknowledged.
#[derive(Debug)]
pub(crate) enum Failure {
    NoConnection(AcquireError),
    ConnectionLost(Error),
    Refused(Error),
    NoAnswer(TimedOut),
    CallerLeft,
}

impl Ledger {
    pub(crate) fn acknowledged(&mut self, id: i64) {
        self.acknowledged.push((id, Instant::now()));
    }

    pub(crate) fn failed(&mut self, id: i64, failure: Failure) {
        if failure.leaves_doubt() {
            self.unknown.push(id);
        }
        let example = || failure.to_string();
        self.count(failure.kind(), 1, example);
    }

    pub(crate) fn waited(&mut self, time: Duration) {
        self.slowest_acquire = self.slowest_acquire.max(time);
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.acknowledged.extend(other.acknowledged);
        self.unknown.extend(other.unknown);
        for (kind, Failures { count, example }) in other.failures {
            self.count(kind, count, || example);
        }
        self.waited(other.slowest_acquire);
    }

    /// How many callers were told that no connection could be had.
    pub(crate) fn told(&self) -> usize {
        let told = [Failure::DOWN, Failure::BUSY].map(|kind| self.failures.get(kind));
        told.iter().flatten().map(|failures| failures.count).sum()
    }

    pub(crate) fn compare(&self, table: &[i64]) -> Comparison {
        let there: BTreeSet<i64> = table.iter().copied().collect();
        let acknowledged = self.acknowledged.iter().map(|&(id, _)| id);
        let acknowledged: BTreeSet<i64> = acknowledged.collect();
        let unknown: BTreeSet<i64> = self.unknown.iter().copied().collect();
        let unacknowledged = there.difference(&acknowledged);
        let written_unseen = unacknowledged.clone().filter(|id| unknown.contains(id));
        let written_unseen = written_unseen.count();
        Comparison {
            lost: acknowledged.difference(&there).count(),
            twice: table.len() - there.len(),
            written_unseen,
            strange: unacknowledged.count() - written_unseen,
        }
    }

    fn count(&mut self, kind: &'static str, count: usize, example: impl FnOnce() -> String) {
        let failures = self.failures.entry(kind).or_insert_with(|| Failures {
            count: 0,
            example: example(),
        });
        failures.count += count;
    }
}

impl Failure {
    const DOWN: &'static str = "the server is down";
    const BUSY: &'static str = "all connections are busy";

    fn kind(&self) -> &'static str {
        match self {
            Self::NoConnection(AcquireError::BackendDown { .. }) => Self::DOWN,
            Self::NoConnection(AcquireError::Exhausted { .. }) => Self::BUSY,
            Self::NoConnection(_) => "the pool is closed",
            Self::ConnectionLost(_) => "the connection was lost",
            Self::Refused(_) => "the server refused it",
            Self::NoAnswer(_) => "no answer came in time",
            Self::CallerLeft => "the caller had left",
        }
    }

    /// Without a connection nothing is written, and what is refused is not written.
    fn leaves_doubt(&self) -> bool {
        match self {
            Self::NoConnection(_) | Self::Refused(_) => false,
            Self::ConnectionLost(_) | Self::NoAnswer(_) | Self::CallerLeft => true,
        }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoConnection(error) => error.fmt(f),
            Self::ConnectionLost(error) | Self::Refused(error) => error.fmt(f),
            Self::NoAnswer(timed_out) => timed_out.fmt(f),
            Self::CallerLeft => f.write_str("dropped while it waited"),
        }
    }
}
