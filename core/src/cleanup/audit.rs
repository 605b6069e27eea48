//! Counters that must balance.

use core::fmt;

use crate::ending::Ending;

/// A snapshot of how many values were opened, and where each of them is.
///
/// `opened = ended + live` holds at any moment. The live ones are counted where they are, not
/// computed from the rest, so a value that got lost shows.
///
/// ```
/// use tenure_core::Audit;
/// let audit = Audit { opened: 3, closed: 2, idle: 1, ..Audit::default() };
/// assert!(audit.is_balanced());
/// assert_eq!(audit.live(), 1);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Values that were opened.
    pub opened: u64,
    /// Values whose `close` succeeded.
    pub closed: u64,
    /// Values whose `close` failed or panicked.
    pub close_failed: u64,
    /// Values whose `close` took too long.
    pub close_timed_out: u64,
    /// Values that nothing could close.
    pub abandoned: u64,
    /// Values that were given away.
    pub detached: u64,
    /// Values that wait for a user; of a managed resource, the one it holds.
    pub idle: u64,
    /// Values in use.
    pub in_use: u64,
    /// Values being checked.
    pub checking: u64,
    /// Values that wait to be closed, and those being closed.
    pub closing: u64,
    /// Openings that failed. No value came of them.
    pub open_failed: u64,
    /// Openings that were dropped before they had a result. No value came of them.
    pub open_called_off: u64,
    /// Finalizers that were deferred to the end of a scope, ran and succeeded. Finalizers are no values: they
    /// stand apart from the balance.
    pub finalized: u64,
    /// Deferred finalizers that failed, panicked or took too long.
    pub finalize_failed: u64,
    /// Deferred finalizers that nothing could run any more, or that were dropped half-way.
    pub finalize_dropped: u64,
}

impl Audit {
    /// Values that were opened and have not ended, counted where they are.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let audit = Audit { idle: 2, in_use: 1, ..Audit::default() };
    /// assert_eq!(audit.live(), 3);
    /// ```
    #[must_use]
    pub const fn live(&self) -> u64 {
        // A count that is off may be shown as the largest there is.
        self.idle
            .saturating_add(self.in_use)
            .saturating_add(self.checking)
            .saturating_add(self.closing)
    }

    /// Values that have ended, in whatever way.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let audit = Audit { closed: 2, detached: 1, ..Audit::default() };
    /// assert_eq!(audit.ended(), 3);
    /// ```
    #[must_use]
    pub const fn ended(&self) -> u64 {
        self.closed + self.close_failed + self.close_timed_out + self.abandoned + self.detached
    }

    /// Whether every value that was opened has ended or is somewhere.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// assert!(pool.audit().is_balanced());
    /// assert!(!Audit { opened: 1, ..Audit::default() }.is_balanced(), "one got lost");
    /// ```
    #[must_use]
    pub const fn is_balanced(&self) -> bool {
        self.opened == self.ended().saturating_add(self.live())
    }
}

impl core::ops::AddAssign for Audit {
    fn add_assign(&mut self, other: Self) {
        self.opened += other.opened;
        self.closed += other.closed;
        self.close_failed += other.close_failed;
        self.close_timed_out += other.close_timed_out;
        self.abandoned += other.abandoned;
        self.detached += other.detached;
        self.idle += other.idle;
        self.in_use += other.in_use;
        self.checking += other.checking;
        self.closing += other.closing;
        self.open_failed += other.open_failed;
        self.open_called_off += other.open_called_off;
        self.finalized += other.finalized;
        self.finalize_failed += other.finalize_failed;
        self.finalize_dropped += other.finalize_dropped;
    }
}

impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} opened = {} closed + {} close failed + {} close timed out + {} abandoned \
             + {} detached + {} live",
            self.opened,
            self.closed,
            self.close_failed,
            self.close_timed_out,
            self.abandoned,
            self.detached,
            self.live(),
        )
    }
}

/// The part of an [`Audit`] that only ever grows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) opened: u64,
    pub(crate) open_failed: u64,
    pub(crate) open_called_off: u64,
    pub(crate) closed: u64,
    pub(crate) close_failed: u64,
    pub(crate) close_timed_out: u64,
    pub(crate) abandoned: u64,
    pub(crate) detached: u64,
    pub(crate) finalized: u64,
    pub(crate) finalize_failed: u64,
    pub(crate) finalize_dropped: u64,
}

impl Tally {
    pub(crate) fn count(&mut self, ending: Ending) {
        match ending {
            Ending::Closed => self.closed += 1,
            Ending::CloseFailed => self.close_failed += 1,
            Ending::CloseTimedOut => self.close_timed_out += 1,
            Ending::Abandoned => self.abandoned += 1,
            Ending::Detached => self.detached += 1,
        }
    }

    /// Counts a deferred finalizer that ended as a close might have.
    pub(crate) fn count_finalizer(&mut self, ending: Ending) {
        match ending {
            Ending::Closed => self.finalized += 1,
            Ending::CloseFailed | Ending::CloseTimedOut => self.finalize_failed += 1,
            Ending::Abandoned | Ending::Detached => self.finalize_dropped += 1,
        }
    }

    /// The audit of these counters, with nobody live yet.
    pub(crate) fn audit(&self) -> Audit {
        Audit {
            opened: self.opened,
            closed: self.closed,
            close_failed: self.close_failed,
            close_timed_out: self.close_timed_out,
            abandoned: self.abandoned,
            detached: self.detached,
            open_failed: self.open_failed,
            open_called_off: self.open_called_off,
            finalized: self.finalized,
            finalize_failed: self.finalize_failed,
            finalize_dropped: self.finalize_dropped,
            ..Audit::default()
        }
    }
}
