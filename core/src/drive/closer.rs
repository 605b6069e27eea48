//! Values that are out of service, and the account of how values end.

use alloc::collections::VecDeque;

use super::Wakes;
use super::close::{CloseJob, CloseOutcome, Closes, GivenUp};
use crate::cleanup::{Audit, Ledger, Report, RetiredValue, Tally};
use crate::ending::Why;
use crate::name::Name;
use crate::sync::Arc;
use crate::time::Instant;

/// The closing queue of a holder, its closes under way and its ledger, which lie in the holder's state under its lock.
///
/// A value enters by [`retire`](Closer::retire), is counted as under way from [`claim`](Closer::claim) on, and leaves by
/// [`close_ended`](Closer::close_ended) or [`give_up`](Closer::give_up), each of which frees its place and records its ending
/// in one critical section. Whatever is to be dropped meanwhile goes into the [`Wakes`], since an error is the user's.
pub(crate) struct Closer<V> {
    queue: VecDeque<RetiredValue<V>>,
    under_way: usize,
    /// Number of closes under way of values that were found broken.
    broken_under_way: usize,
    /// Changes when a shutdown runs out of time: closes from before it were counted already.
    era: u64,
    ledger: Ledger,
}

impl<V> Default for Closer<V> {
    fn default() -> Self {
        Self {
            queue: VecDeque::new(),
            under_way: 0,
            broken_under_way: 0,
            era: 0,
            ledger: Ledger::default(),
        }
    }
}

impl<V> Closer<V> {
    /// Takes in a value that is out of service, and queues it to be closed.
    pub(crate) fn retire(&mut self, value: V, why: Why) {
        self.queue.push_back(RetiredValue { value, why });
    }

    /// Claims the close of the value that has waited longest. The close is to be over by `until`.
    pub(crate) fn claim<H: Closes<Retired = V>>(
        &mut self,
        holder: &Arc<H>,
        until: Option<Instant>,
    ) -> Option<CloseJob<H>> {
        let retired = self.queue.pop_front()?;
        Some(self.begin(holder, retired, until))
    }

    /// Claims the close of a value that does not wait in the queue.
    pub(crate) fn begin<H: Closes<Retired = V>>(
        &mut self,
        holder: &Arc<H>,
        retired: RetiredValue<V>,
        until: Option<Instant>,
    ) -> CloseJob<H> {
        self.under_way += 1;
        self.broken_under_way += usize::from(retired.why.is_of_broken_value());
        CloseJob::new(holder, retired, self.era, until)
    }

    /// Records the end of a close that was claimed in that era. Returns `false` if it was counted already.
    pub(crate) fn close_ended(&mut self, era: u64, end: &CloseOutcome, wakes: &mut Wakes) -> bool {
        let counts = self.era == era;
        if counts {
            self.under_way -= 1;
            self.broken_under_way -= usize::from(end.why.is_of_broken_value());
            let forgotten = self.ledger.record(end.ending, end.why, end.error.clone());
            wakes.drop_cause(forgotten);
        }
        counts
    }

    /// Records the end of every close under way and of all that waits: there is no time left for either.
    pub(crate) fn give_up(&mut self, wakes: &mut Wakes) -> GivenUp<V> {
        let given_up = GivenUp {
            timed_out: core::mem::take(&mut self.under_way),
            abandoned: core::mem::take(&mut self.queue),
        };
        self.broken_under_way = 0;
        self.era += 1;
        for (ending, why) in given_up.endings() {
            wakes.drop_cause(self.ledger.record(ending, why, None));
        }
        given_up
    }

    /// Counts endings for the report of a shutdown from here on.
    pub(crate) fn begin_shutdown(&mut self, now: Option<Instant>, wakes: &mut Wakes) {
        for failure in self.ledger.begin_shutdown(now) {
            wakes.drop_cause(failure.cause);
        }
    }

    /// Returns the report of the shutdown, whose time stands still once it `is_over`.
    pub(crate) fn report(
        &mut self,
        name: &Name,
        now: Option<Instant>,
        is_over: bool,
        still_in_use: u64,
    ) -> Report {
        if is_over {
            self.ledger.end_shutdown(now);
        }
        self.ledger.report(name, now, still_in_use)
    }

    pub(crate) const fn era(&self) -> u64 {
        self.era
    }

    /// Returns `true` if no value waits to be closed, and none is being closed.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.under_way == 0
    }

    /// Returns `true` if a close has to end before the next opening begins. One of a broken value has to where two values
    /// exclude each other.
    pub(crate) fn holds_up_opening(&self, is_exclusive: bool) -> bool {
        if is_exclusive {
            return !self.is_empty();
        }
        let mut waiting = self.queue.iter();
        self.under_way > self.broken_under_way
            || waiting.any(|retired| !retired.why.is_of_broken_value())
    }

    /// The part of the ledger in which openings are counted.
    pub(crate) const fn tally(&mut self) -> &mut Tally {
        &mut self.ledger.tally
    }

    /// Returns the audit of what has ended and of what is being closed.
    pub(crate) fn audit(&self) -> Audit {
        Audit {
            closing: (self.queue.len() + self.under_way) as u64,
            ..self.ledger.tally.audit()
        }
    }
}
