//! How a loan ends: the value goes back, is checked first, or goes out of service.

use super::shared::PoolShared;
use super::slot::Slot;
use crate::ending::{Ending, Why};
use crate::event::EventKind;
use crate::kernel::Place;
use crate::kernel::Standing;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::sync;
use alloc::boxed::Box;

impl<R: LocalResource, C: Clock> PoolShared<R, C> {
    /// Takes back a lent value, whatever has become of it.
    #[inline(never)]
    pub(crate) fn take_back(&self, mut slot: Box<Slot<R::Value>>) {
        let is_plain = self.returns_plainly
            && slot.loan.is_none()
            && slot.life.standing != Standing::SUSPECT
            && !sync::is_panicking();
        if !is_plain {
            return self.take_back_closely(slot);
        }
        if self.is_broken(&mut slot) {
            self.retire_broken(slot);
        } else if let Err(slot) = self.stacks.put_back(slot) {
            self.return_lent(slot);
        }
    }

    /// The same where its return is noted, or something may have to be done to it first.
    #[inline(never)]
    fn take_back_closely(&self, mut slot: Box<Slot<R::Value>>) {
        let used = self.loan_ends(&slot);
        if self.is_broken(&mut slot) {
            self.retire_broken(slot);
        } else if sync::is_panicking() {
            self.retire(slot, Why::Broken);
        } else if slot.life.standing == Standing::SUSPECT {
            self.release_suspect(slot);
        } else if !self.returns_plainly && self.cleans_up() {
            self.release_into_validation(slot);
        } else {
            if !self.returns_plainly {
                self.note_idle_since(&mut slot);
            }
            if let Err(slot) = self.stacks.put_back_used(slot, used) {
                self.return_lent(slot);
            }
            return;
        }
        self.stacks.note_use(used);
    }

    /// Takes back a lent value for which the stacks have no place.
    #[cold]
    fn return_lent(&self, mut slot: Box<Slot<R::Value>>) {
        slot.life.loan_ended();
        self.return_unused(slot);
    }

    /// Takes back a value that was taken and not lent.
    #[cold]
    pub(crate) fn return_unused(&self, mut slot: Box<Slot<R::Value>>) {
        let now = self.time_of_return();
        self.transact(|transaction| {
            let kernel = transaction.kernel();
            kernel.note_return(&mut slot.life, now);
            kernel.judge(&mut slot.life);
            transaction.place(slot, Place::Lent);
        });
    }

    /// Takes back a lent value to which something has to be done before it is lent again.
    fn release_into_validation(&self, mut slot: Box<Slot<R::Value>>) {
        slot.life.loan_ended_as_it_stands();
        self.note_idle_since(&mut slot);
        let is_suspect = slot.life.standing == Standing::SUSPECT;
        let now = if is_suspect {
            self.now()
        } else {
            self.time_of_return()
        };
        self.transact(|transaction| {
            let kernel = transaction.kernel();
            kernel.note_return(&mut slot.life, now);
            if let (Some(now), true) = (now, is_suspect) {
                kernel.suspect_until_soon(now);
            }
            transaction.return_for_validation(slot);
        });
    }

    /// Takes back a lent value whose last operation was cut off: it is checked before it is lent again, or closed.
    #[cold]
    fn release_suspect(&self, slot: Box<Slot<R::Value>>) {
        if R::CHECKED {
            self.release_into_validation(slot);
        } else {
            self.retire(slot, Why::OperationCutOff);
        }
    }

    /// Takes a lent value out of service that was found broken.
    #[cold]
    pub(crate) fn retire_broken(&self, slot: Box<Slot<R::Value>>) {
        self.suspect_others();
        self.retire(slot, Why::Broken);
    }

    /// Takes a lent value out of service, to be closed.
    pub(crate) fn retire(&self, slot: Box<Slot<R::Value>>, why: Why) {
        self.transact(|transaction| {
            transaction.retire(slot, Place::Lent, why);
            transaction.kernel().retry_without_clock();
        });
    }

    /// A lent value leaves the pool for good, unclosed.
    pub(crate) fn detach(&self) {
        let (ending, why) = (Ending::Detached, Why::Detached);
        self.transact(|transaction| {
            transaction.kernel().detached();
            transaction.record_ending(ending, why, None);
        });
        let error = None;
        let ended = EventKind::Ended { ending, why, error };
        self.reporter.send(&self.clock, ended);
    }
}
