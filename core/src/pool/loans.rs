//! Who holds what: for finding leases that are never given back, and tasks that wait for themselves.

use alloc::vec::Vec;
use core::panic::Location;
use core::time::Duration;

use super::shared::PoolShared;
use super::slot::Slot;
use crate::event::EventKind;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::sync::{Arc, CachePadded, Lock, SharedNumber};
use crate::time::Instant;

/// The loans of a pool: one record for each value, which whoever has the value writes, and anybody may read. A loan
/// meets no lock that it shares with another.
#[derive(Debug)]
pub(crate) struct Loans {
    /// As many as there ever were values at once. One that no value has is free.
    records: Lock<Vec<Arc<CachePadded<LoanRecord>>>>,
    /// Whether the time of each loan counts.
    is_timed: bool,
}

/// The loan of one value, if it is lent.
///
/// `since` is written last as a loan begins and first as it ends. So who reads it twice, and the rest in between, and
/// finds it unchanged and not `IDLE`, has read of one loan.
#[derive(Debug)]
struct LoanRecord {
    /// Since when it is lent, in nanoseconds of the clock, or `IDLE`.
    since: SharedNumber,
    /// The task that took it, where the backend can tell tasks apart, or `NO_TASK`.
    task: SharedNumber,
    /// The beginning of the loan that was told of as held for too long.
    reported: SharedNumber,
    /// How many of its loans began at once, with nothing waited for: of all values that had this record.
    at_once: SharedNumber,
    /// Where it was taken. Its lock is the value's alone, and taken only where this changes.
    taken_at: Lock<Option<&'static Location<'static>>>,
}

const IDLE: u64 = u64::MAX;
const NO_TASK: u64 = u64::MAX;

/// What a value has of its record.
#[derive(Debug)]
pub(crate) struct LoanNote {
    /// In cache lines of its own, since each loan writes it.
    record: Arc<CachePadded<LoanRecord>>,
    /// What the record has for this, as far as is known.
    taken_at: Option<&'static Location<'static>>,
}

/// What is known of a loan as it begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LoanStart {
    pub(crate) taken_at: &'static Location<'static>,
    /// When it is, if the clock was just read.
    pub(crate) at: Option<Instant>,
    /// Whether it counts as an acquire that took no time.
    pub(crate) is_at_once: bool,
}

impl LoanStart {
    /// For a loan whose wait counts elsewhere, or not at all.
    pub(crate) const fn at(taken_at: &'static Location<'static>) -> Self {
        Self {
            taken_at,
            at: None,
            is_at_once: false,
        }
    }
}

impl Loans {
    pub(crate) fn new(is_timed: bool) -> Self {
        let records = Lock::new(Vec::new());
        Self { records, is_timed }
    }

    /// For a value that is new.
    fn note(&self) -> LoanNote {
        let record = self.records.with(|records| {
            // Nobody else can clone it meanwhile: that is done here.
            let mut all = records.iter();
            if let Some(free) = all.find(|record| Arc::strong_count(record) == 1) {
                return free.clone();
            }
            let record = Arc::new(CachePadded(LoanRecord::new()));
            records.push(record.clone());
            record
        });
        let taken_at = None;
        LoanNote { record, taken_at }
    }

    fn with_each<T>(&self, look: impl FnOnce(&mut dyn Iterator<Item = &LoanRecord>) -> T) -> T {
        self.records
            .with(|records| look(&mut records.iter().map(|record| &***record)))
    }

    /// How many loans the task has, if it has all there are.
    fn all_of(&self, task: u64) -> Option<usize> {
        let mut count = 0;
        let has_all = self.with_each(|records| {
            let mut lent = records.filter(|record| record.since.get() != IDLE);
            lent.all(|record| {
                count += 1;
                record.task.get() == task
            })
        });
        (has_all && count > 0).then_some(count)
    }

    fn oldest_unreported(&self) -> Option<Instant> {
        self.with_each(|records| records.filter_map(LoanRecord::unreported).min())
    }

    /// Takes note of the loans that are older than `limit`, each once.
    fn overdue(
        &self,
        now: Instant,
        limit: Duration,
    ) -> Vec<(&'static Location<'static>, Duration)> {
        let report = |record: &LoanRecord| record.report(now, limit);
        self.with_each(|records| records.filter_map(report).collect())
    }

    /// How many loans began at once.
    pub(crate) fn at_once(&self) -> u64 {
        self.with_each(|records| records.map(|record| record.at_once.get()).sum())
    }
}

impl LoanRecord {
    fn new() -> Self {
        Self {
            since: SharedNumber::new(IDLE),
            task: SharedNumber::new(NO_TASK),
            reported: SharedNumber::new(IDLE),
            at_once: SharedNumber::new(0),
            taken_at: Lock::new(None),
        }
    }

    /// Since when it is lent, if it is and that was not told.
    fn unreported(&self) -> Option<Instant> {
        let since = self.since.get();
        let is_told = since == IDLE || since == self.reported.get();
        (!is_told).then_some(Instant::from_nanos(since))
    }

    /// Where it was taken and for how long it is held, if that is too long and was not told.
    fn report(
        &self,
        now: Instant,
        limit: Duration,
    ) -> Option<(&'static Location<'static>, Duration)> {
        let since = self.unreported()?;
        let held_for = now - since;
        if held_for < limit {
            return None;
        }
        let taken_at = self.taken_at.with(|taken_at| *taken_at)?;
        // Else another loan may have begun meanwhile.
        let is_same = self.unreported() == Some(since);
        is_same.then(|| {
            self.reported.set(since.as_nanos());
            (taken_at, held_for)
        })
    }
}

impl LoanNote {
    #[inline]
    fn begin(&mut self, taken_at: &'static Location<'static>, task: Option<u64>, since: Instant) {
        let record = &**self.record;
        let is_known = { self.taken_at }.is_some_and(|known| core::ptr::eq(known, taken_at));
        if !is_known {
            self.taken_at = Some(taken_at);
            record.taken_at.with(|known| *known = Some(taken_at));
        }
        record.task.set_in_turn(task.unwrap_or(NO_TASK));
        record.since.set(since.as_nanos());
    }

    #[inline]
    fn counts_as_at_once(&self) {
        let at_once = &self.record.at_once;
        at_once.set_in_turn(at_once.get() + 1);
    }

    /// Returns since when it was lent.
    fn end(&self) -> Instant {
        let since = Instant::from_nanos(self.record.since.get());
        self.record.since.set_in_turn(IDLE);
        since
    }
}

impl<R: LocalResource, C: Clock> PoolShared<R, C> {
    /// The note of a new value, where somebody wants to know of loans.
    pub(crate) fn loan_note(&self) -> Option<LoanNote> {
        self.loans.as_ref().map(Loans::note)
    }

    #[inline(always)]
    pub(crate) fn loan_begins(&self, slot: &mut Slot<R::Value>, start: LoanStart) {
        if let Some(note) = &mut slot.loan {
            self.note_begin(note, start.taken_at, start.at, start.is_at_once);
        }
    }

    // By its parts, which stay in registers where no loan is noted.
    #[inline(never)]
    fn note_begin(
        &self,
        note: &mut LoanNote,
        taken_at: &'static Location<'static>,
        at: Option<Instant>,
        is_at_once: bool,
    ) {
        let is_timed = self.loans.as_ref().is_some_and(|loans| loans.is_timed);
        let now = if is_timed {
            at.or_else(|| self.now())
        } else {
            None
        };
        if is_at_once && now.is_some() {
            note.counts_as_at_once();
        }
        note.begin(taken_at, self.clock.current_task(), now.unwrap_or_default());
        // After it is noted: the Runner begins to rest, and then looks at the loans. One of the two sees the other.
        if self.config.leak_after.is_some() && self.stacks.is_watched() {
            self.adjust(|transaction| transaction.kernel().wake_sweeper());
        }
    }

    /// Ends a loan, and returns how long it was for the caller to take note of, where that counts.
    pub(crate) fn loan_ends(&self, slot: &Slot<R::Value>) -> Option<Duration> {
        let since = slot.loan.as_ref()?.end();
        if self.stacks.keep_times() {
            self.now().map(|now| now - since)
        } else {
            None
        }
    }

    /// The same for a loan that its user has never had.
    pub(crate) fn loan_withdrawn(&self, slot: &Slot<R::Value>) {
        if let Some(note) = &slot.loan {
            note.end();
        }
    }

    /// How many values the current task holds, if it holds every value that there may be.
    #[inline(always)]
    pub(crate) fn held_by_this_task(&self) -> Option<usize> {
        self.loans
            .as_ref()
            .and_then(|loans| self.held_by_this_task_of(loans))
    }

    #[inline(never)]
    fn held_by_this_task_of(&self, loans: &Loans) -> Option<usize> {
        let task = self.clock.current_task()?;
        let held = loans.all_of(task)?;
        (held >= self.look(|kernel| kernel.max_size())).then_some(held)
    }

    /// When a loan that goes on until then is held for too long.
    pub(crate) fn next_leak(&self) -> Option<Instant> {
        let (loans, limit) = (self.loans.as_ref()?, self.config.leak_after?);
        Some(loans.oldest_unreported()? + limit)
    }

    /// Tells of the leases that are held for longer than the limit for leaks.
    pub(crate) fn report_leaks(&self, now: Instant) {
        let (Some(loans), Some(limit)) = (&self.loans, self.config.leak_after) else {
            return;
        };
        for (taken_at, held_for) in loans.overdue(now, limit) {
            let leaked = EventKind::Leaked { taken_at, held_for };
            self.reporter.send(&self.clock, leaked);
        }
    }
}
