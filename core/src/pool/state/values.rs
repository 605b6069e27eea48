//! Values that nobody holds: where each goes, to whom, and how it leaves.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::{Handed, Transaction};
use crate::cleanup::RetiredValue;
use crate::ending::Why;
use crate::kernel::{Fate, IdleWatch, OpeningTicket, Place, Work};
use crate::kernel::{Generation, Life, Limits, Standing};
use crate::pool::slot::Slot;
use crate::pool::stack::Stacks;

/// A piece of work that was claimed, with the value that it is about.
pub(in crate::pool) enum WorkInHand<V> {
    Check(Box<Slot<V>>),
    Open(OpeningTicket, Generation),
    Close(RetiredValue<V>, u64),
}

impl<V> Transaction<'_, V> {
    /// Hands a value that nobody holds to the first waiter, or lays it idle, or retires it.
    #[inline(always)]
    pub(in crate::pool) fn place(&mut self, slot: Box<Slot<V>>, from: Place) {
        self.place_at(slot, from, Stacks::add);
    }

    /// The same for a value whose idleness nobody has interrupted: it is used last of all.
    pub(in crate::pool) fn place_last(&mut self, slot: Box<Slot<V>>, from: Place) {
        self.place_at(slot, from, Stacks::add_last);
    }

    /// The same for an idle value that was taken out for a moment: it goes back under those that lie above it.
    pub(in crate::pool) fn place_under(&mut self, slot: Box<Slot<V>>, from: Place, home: usize) {
        self.place_at(slot, from, |stacks, slot| stacks.add_under(home, slot));
    }

    /// The same for several values.
    pub(super) fn place_each(&mut self, slots: Vec<Box<Slot<V>>>, from: Place) {
        for slot in slots {
            self.place(slot, from);
        }
    }

    #[inline(always)]
    fn place_at(
        &mut self,
        mut slot: Box<Slot<V>>,
        from: Place,
        lay_idle: impl FnOnce(&Stacks<V>, Box<Slot<V>>),
    ) {
        match self.state.kernel.place(&slot.life, from) {
            Fate::Answers(waiter) => self.answer(waiter, Ok(Handed::One(slot))),
            Fate::Completes(waiter) => {
                self.state.gathered.push(slot);
                let gathered = core::mem::take(&mut self.state.gathered);
                self.answer(waiter, Ok(Handed::Many(gathered)));
            }
            Fate::IsGathered => self.state.gathered.push(slot),
            Fate::LiesIdle => {
                if self.state.kernel.watch() != IdleWatch::Nothing {
                    self.state.kernel.see_laid_idle(&mut slot.life);
                }
                lay_idle(self.stacks, slot);
            }
            Fate::Retires(why) => self.keep_retired(slot.value, why),
        }
    }

    /// Takes a value out of service, to be closed.
    #[expect(clippy::boxed_local, reason = "values come in the box they move in")]
    pub(in crate::pool) fn retire(&mut self, slot: Box<Slot<V>>, from: Place, why: Why) {
        self.state.kernel.retire(from, why);
        self.keep_retired(slot.value, why);
    }

    /// Keeps a value that the kernel counts as retired.
    pub(in crate::pool) fn keep_retired(&mut self, value: V, why: Why) {
        self.state.retired.push_back(RetiredValue { value, why });
    }

    /// Keeps a lent value for what is to be done before it is lent again, unless it is unfit for that.
    pub(in crate::pool) fn return_for_validation(&mut self, slot: Box<Slot<V>>) {
        match self.state.kernel.unfit(&slot.life) {
            Some(why) => self.retire(slot, Place::Lent, why),
            None => {
                self.state.kernel.shift(Place::Lent, Place::Returned);
                self.state.returned.push_back(slot);
            }
        }
    }

    /// Takes an idle value with nobody waiting; or finds none, and the gates are up then.
    pub(super) fn take_with_nobody_waiting(&mut self) -> Option<Box<Slot<V>>> {
        if self.state.gates_are_up {
            return self.stacks.take_behind_gates();
        }
        let slot = self.stacks.gate_or_take();
        self.state.gates_are_up = slot.is_none();
        slot
    }

    /// Takes an idle value that is fit to be lent as it is, for a caller that would not wait.
    pub(in crate::pool) fn take_fit(
        &mut self,
        fit: impl Fn(&Slot<V>) -> bool,
    ) -> Option<Box<Slot<V>>> {
        let slot = self.stacks.take_fit_behind_gates(fit)?;
        self.state.kernel.shift(Place::Idle, Place::Lent);
        Some(slot)
    }

    /// Gives those who wait what lies idle: it lay there while they could not be served.
    pub(in crate::pool) fn serve_from_idle(&mut self) {
        while self.state.kernel.queue().waiting() > 0 && !self.state.kernel.is_suspended() {
            match self.stacks.take_behind_gates() {
                Some(slot) => self.place(slot, Place::Idle),
                None => return,
            }
        }
    }

    /// Takes out the idle values that are meant, each with the number of its stack. They count as under check.
    pub(in crate::pool) fn take_those(
        &mut self,
        meant: impl Fn(&Slot<V>) -> bool,
    ) -> Vec<(usize, Box<Slot<V>>)> {
        let taken = self.stacks.take_those(meant);
        let kernel = &mut self.state.kernel;
        kernel.shift_all(taken.len(), Place::Idle, Place::Checking);
        taken
    }

    /// Retires the idle values for which `why` has a reason. Returns those that are to be checked, which count as under
    /// check.
    pub(in crate::pool) fn sort_out_idle(
        &mut self,
        fate: impl FnMut(&mut Slot<V>) -> Option<IdleFate>,
    ) -> Vec<Box<Slot<V>>> {
        let mut to_check = Vec::new();
        for (fate, slot) in self.stacks.sort_out(fate) {
            match fate {
                IdleFate::Ends(why) => self.retire(slot, Place::Idle, why),
                IdleFate::IsChecked => {
                    self.state.kernel.shift(Place::Idle, Place::Checking);
                    to_check.push(slot);
                }
            }
        }
        to_check
    }

    /// Shows every idle value.
    pub(in crate::pool) fn for_each_idle(&mut self, mut look: impl FnMut(&mut Life)) {
        self.stacks.for_each(|slot| look(&mut slot.life));
    }

    /// Has every idle value checked before it is lent.
    pub(in crate::pool) fn suspect_idle(&mut self) {
        let mut suspects = self.stacks.take_all();
        let kernel = &mut self.state.kernel;
        kernel.shift_all(suspects.len(), Place::Idle, Place::Returned);
        for slot in &mut suspects {
            slot.life.standing = Standing::SUSPECT;
        }
        self.state.returned.extend(suspects);
    }

    /// Tells all how late it is.
    pub(in crate::pool) fn set_time(&mut self, now: crate::time::Instant) {
        self.state.kernel.set_time(now);
        self.stacks.set_limits(*self.state.kernel.limits());
    }

    /// Calls in the values that the limits forbid from now on: idle ones at once, the others as they come back.
    pub(in crate::pool) fn call_in(&mut self, why: Why, forbid: impl FnOnce(&mut Limits)) {
        let limits = self.state.kernel.forbid(forbid);
        self.stacks.set_limits(limits);
        self.sort_out_idle(|slot| {
            { limits.has_evicted(&slot.life) }.then_some(IdleFate::Ends(why))
        });
        // What the first who waits has got of several is in nobody's use either.
        let gathered = core::mem::take(&mut self.state.gathered);
        let (evicted, kept): (Vec<_>, Vec<_>) = gathered
            .into_iter()
            .partition(|slot| limits.has_evicted(&slot.life));
        self.state.gathered = kept;
        self.state.kernel.first_lost(evicted.len());
        for slot in evicted {
            self.retire(slot, Place::Gathered, why);
        }
    }

    /// Closes values that others of the family have more use for.
    pub(in crate::pool) fn make_room(&mut self) {
        while self.state.kernel.makes_room() {
            if let Some(slot) = self.stacks.take_longest_idle() {
                self.retire(slot, Place::Idle, Why::Surplus);
            } else if let Some(slot) = self.state.gathered.pop() {
                self.state.kernel.first_lost(1);
                self.retire(slot, Place::Gathered, Why::Surplus);
            } else {
                return;
            }
        }
    }

    /// Takes everything out of service that nobody holds, for good. The gates are up before, so that nothing is put back.
    pub(in crate::pool) fn retire_all(&mut self, why: Why) {
        self.state.gates_are_up = true;
        self.stacks.set_gates(true);
        for slot in self.stacks.take_all() {
            self.retire(slot, Place::Idle, why);
        }
        for slot in core::mem::take(&mut self.state.returned) {
            self.retire(slot, Place::Returned, why);
        }
    }

    /// Takes out all that waits to be closed.
    pub(in crate::pool) fn take_retired(&mut self) -> VecDeque<RetiredValue<V>> {
        core::mem::take(&mut self.state.retired)
    }

    /// Hands out a value to be closed by whoever awaits a shutdown, and the era.
    pub(in crate::pool) fn claim_close(&mut self) -> Option<(RetiredValue<V>, u64)> {
        if !self.state.kernel.claim_close() {
            return None;
        }
        let retired = self.state.retired.pop_front()?;
        Some((retired, self.state.kernel.era()))
    }

    /// Hands out the value that a claimed piece of work is about.
    pub(in crate::pool) fn hand_out(&mut self, work: Option<Work>) -> Option<WorkInHand<V>> {
        match work? {
            Work::Check => self.state.returned.pop_front().map(WorkInHand::Check),
            Work::Open(ticket, generation) => Some(WorkInHand::Open(ticket, generation)),
            Work::Close => {
                let retired = self.state.retired.pop_front()?;
                Some(WorkInHand::Close(retired, self.state.kernel.era()))
            }
        }
    }
}

/// What becomes of an idle value.
#[derive(Clone, Copy, Debug)]
pub(in crate::pool) enum IdleFate {
    Ends(Why),
    IsChecked,
}
