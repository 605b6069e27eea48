//! Who holds what: for finding leases that are never given back, and tasks that wait for themselves.

use alloc::vec::Vec;
use core::panic::Location;
use core::time::Duration;

use super::shared::PoolShared;
use super::timings::Timings;
use crate::event::EventKind;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::sync::Lock;
use crate::time::Instant;

/// The loans of a pool, each under a ticket.
#[derive(Debug, Default)]
pub(crate) struct Loans {
    entries: Vec<Option<LoanRecord>>,
    free: Vec<LoanTicket>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LoanTicket(u32);

impl LoanTicket {
    /// Of a loan that nobody keeps a record of.
    pub(crate) const NONE: Self = Self(u32::MAX);
}

#[derive(Clone, Copy, Debug)]
struct LoanRecord {
    /// The task that took it, where the backend can tell tasks apart.
    task: Option<u64>,
    taken_at: &'static Location<'static>,
    since: Option<Instant>,
    reported: bool,
}

impl Loans {
    fn begin(&mut self, loan: LoanRecord) -> LoanTicket {
        match self.free.pop() {
            Some(ticket) => {
                self.entries[ticket.0 as usize] = Some(loan);
                ticket
            }
            None => {
                self.entries.push(Some(loan));
                LoanTicket((self.entries.len() - 1) as u32)
            }
        }
    }

    fn end(&mut self, ticket: LoanTicket) -> Option<LoanRecord> {
        let loan = self.entries.get_mut(ticket.0 as usize)?.take()?;
        self.free.push(ticket);
        Some(loan)
    }

    /// How many loans the task has, if it has all there are.
    fn all_of(&self, task: u64) -> Option<usize> {
        let mut loans = self.entries.iter().flatten();
        let count = loans.clone().count();
        (count > 0 && loans.all(|loan| loan.task == Some(task))).then_some(count)
    }

    fn oldest_unreported(&self) -> Option<Instant> {
        let loans = self.entries.iter().flatten();
        let unreported = loans.filter(|loan| !loan.reported);
        unreported.filter_map(|loan| loan.since).min()
    }

    /// Takes note of the loans that are older than `limit`, each once.
    fn overdue(
        &mut self,
        now: Instant,
        limit: Duration,
    ) -> Vec<(&'static Location<'static>, Duration)> {
        let loans = self
            .entries
            .iter_mut()
            .flatten()
            .filter(|loan| !loan.reported);
        loans
            .filter_map(|loan| {
                let held_for = now - loan.since?;
                loan.reported = held_for >= limit;
                loan.reported.then_some((loan.taken_at, held_for))
            })
            .collect()
    }
}

impl<R: LocalResource, C: Clock> PoolShared<R, C> {
    #[inline(always)]
    pub(crate) fn loan_begins(&self, taken_at: &'static Location<'static>) -> LoanTicket {
        match &self.loans {
            None => LoanTicket::NONE,
            Some(loans) => self.note_begin(loans, taken_at),
        }
    }

    #[cold]
    fn note_begin(&self, loans: &Lock<Loans>, taken_at: &'static Location<'static>) -> LoanTicket {
        let (task, since) = (self.clock.current_task(), self.now());
        let reported = false;
        let ticket = loans.with(|loans| {
            loans.begin(LoanRecord {
                task,
                taken_at,
                since,
                reported,
            })
        });
        // After it is noted: the Runner looks at the loans after it has begun to rest.
        if self.config.leak_after.is_some() && self.stacks.is_watched() {
            self.adjust(|transaction| transaction.kernel().wake_sweeper());
        }
        ticket
    }

    #[inline(always)]
    pub(crate) fn loan_ends(&self, ticket: LoanTicket) {
        if ticket != LoanTicket::NONE {
            self.note_end(ticket);
        }
    }

    #[cold]
    fn note_end(&self, ticket: LoanTicket) {
        if let Some(loans) = &self.loans {
            let loan = loans.with(|loans| loans.end(ticket));
            let since = loan.and_then(|loan| loan.since);
            if let (Some(timings), Some((since, now))) = (&self.timings, since.zip(self.now())) {
                timings.with(|timings| timings.used.record(now - since));
            }
        }
    }

    /// The same for a loan that its user has never had.
    pub(crate) fn loan_withdrawn(&self, ticket: LoanTicket) {
        if let Some(loans) = &self.loans {
            loans.with(|loans| loans.end(ticket));
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
    fn held_by_this_task_of(&self, loans: &Lock<Loans>) -> Option<usize> {
        let task = self.clock.current_task()?;
        let most = self.look(|kernel| kernel.max_size());
        loans
            .with(|loans| loans.all_of(task))
            .filter(|held| *held >= most)
    }

    /// Takes note of how long an acquire took in all.
    #[inline(always)]
    pub(crate) fn record_wait(&self, began_at: Instant) {
        if let Some(timings) = &self.timings {
            self.record_wait_in(timings, began_at);
        }
    }

    #[inline(never)]
    fn record_wait_in(&self, timings: &Lock<Timings>, began_at: Instant) {
        if let Some(now) = self.now() {
            timings.with(|timings| timings.waited.record(now - began_at));
        }
    }

    /// When a loan that goes on until then is held for too long.
    pub(crate) fn next_leak(&self) -> Option<Instant> {
        let (loans, limit) = (self.loans.as_ref()?, self.config.leak_after?);
        let since = loans.with(|loans| loans.oldest_unreported())?;
        Some(since + limit)
    }

    /// Tells of the leases that are held for longer than the limit for leaks.
    pub(crate) fn report_leaks(&self, now: Instant) {
        let (Some(loans), Some(limit)) = (&self.loans, self.config.leak_after) else {
            return;
        };
        for (taken_at, held_for) in loans.with(|loans| loans.overdue(now, limit)) {
            let leaked = EventKind::Leaked { taken_at, held_for };
            self.reporter.send(&self.clock, leaked);
        }
    }
}
