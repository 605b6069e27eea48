//! Where a value goes that nobody holds any more: to the first who waits, to the idle ones, or to its
//! end.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use super::error::AcquireError;
use super::lend::CheckOnAcquire;
use super::queue::{Left, Place};
use super::shared::{Handed, Phase, Queue, Shared, Watch};
use super::slot::{Slot, Standing};
use super::stack::Stacks;
use crate::Instant;
use crate::cleanup::{Ending, Why};
use crate::event::EventKind;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::work::Wakes;

/// For how long an operation that was cut off makes the pool quick to give up others, and how often all idle values
/// can come under suspicion.
const SUSPICION: Duration = Duration::from_secs(1);

impl<R: LocalResource, C: Clock> Shared<R, C> {
    /// Takes back a lent value that is good.
    #[inline]
    pub(crate) fn release(&self, slot: Slot<R::Value>) {
        if let Err(mut slot) = self.stacks.put_back(slot) {
            slot.loan_ended();
            self.return_unused(slot);
        }
    }

    /// Takes back a value that was taken and not lent.
    #[cold]
    pub(crate) fn return_unused(&self, mut slot: Slot<R::Value>) {
        let now = self.time_of_return();
        let mut wakes = Wakes::default();
        let family_time = self.family_time();
        self.queue.with(|queue| {
            queue.tell_time(family_time);
            queue.lent -= 1;
            self.note_return(queue, &mut slot, now);
            if slot.idle_since < queue.doubted_before {
                slot.standing = slot.standing.max(Standing::STALE);
            }
            self.give(queue, slot, &mut wakes);
            self.poke(queue, &mut wakes);
        });
        self.wake(wakes);
    }

    /// Takes back a lent value that is good, where its return is noted or something is done to it first.
    #[cold]
    pub(crate) fn release_with_care(&self, mut slot: Slot<R::Value>) {
        if self.cleans_up() {
            self.release_into_care(slot);
        } else {
            self.note_idle_since(&mut slot);
            self.release(slot);
        }
    }

    /// Takes back a lent value to which something has to be done before it is lent again.
    fn release_into_care(&self, mut slot: Slot<R::Value>) {
        slot.loan_ended_as_it_stands();
        self.note_idle_since(&mut slot);
        let is_suspect = slot.standing == Standing::SUSPECT;
        let now = if is_suspect {
            self.now()
        } else {
            self.time_of_return()
        };
        let mut wakes = Wakes::default();
        let family_time = self.family_time();
        self.queue.with(|queue| {
            queue.tell_time(family_time);
            queue.lent -= 1;
            self.note_return(queue, &mut slot, now);
            if let (Some(now), true) = (now, is_suspect) {
                queue.suspicion_ends = now + SUSPICION;
            }
            match self.unfit(queue, &slot) {
                Some(why) => self.bury_slot(queue, slot, why),
                None => queue.returned.push_back(slot),
            }
            self.poke(queue, &mut wakes);
        });
        self.wake(wakes);
    }

    /// Takes back a lent value whose last operation was cut off: it is checked before it is lent again, or closed.
    #[cold]
    pub(crate) fn release_suspect(&self, slot: Slot<R::Value>) {
        if R::CHECKED {
            self.release_into_care(slot);
        } else {
            self.bury(slot, Why::OperationCutOff);
        }
    }

    /// Hands a value that nobody holds to the first waiter, or lays it idle, or buries it.
    pub(crate) fn give(
        &self,
        queue: &mut Queue<R::Value>,
        slot: Slot<R::Value>,
        wakes: &mut Wakes,
    ) {
        self.hand_over(queue, slot, wakes, Stacks::add);
    }

    /// The same for a value whose idleness nobody has interrupted: it is used last of all.
    pub(crate) fn give_back_idle(
        &self,
        queue: &mut Queue<R::Value>,
        slot: Slot<R::Value>,
        wakes: &mut Wakes,
    ) {
        self.hand_over(queue, slot, wakes, Stacks::add_last);
    }

    /// The same for an idle value that was taken out for a moment: it goes back under those that lie above it.
    pub(crate) fn give_back_to(
        &self,
        queue: &mut Queue<R::Value>,
        slot: Slot<R::Value>,
        home: usize,
        wakes: &mut Wakes,
    ) {
        self.hand_over(queue, slot, wakes, |stacks, slot| {
            stacks.add_under(home, slot);
        });
    }

    /// The same for several values.
    pub(crate) fn give_each(
        &self,
        queue: &mut Queue<R::Value>,
        slots: impl IntoIterator<Item = Slot<R::Value>>,
        wakes: &mut Wakes,
    ) {
        for slot in slots {
            self.give(queue, slot, wakes);
        }
    }

    #[inline(always)]
    fn hand_over(
        &self,
        queue: &mut Queue<R::Value>,
        mut slot: Slot<R::Value>,
        wakes: &mut Wakes,
        lay_idle: impl FnOnce(&Stacks<R::Value>, Slot<R::Value>),
    ) {
        if let Some(why) = self.unfit(queue, &slot) {
            self.bury_slot(queue, slot, why);
            return;
        }
        if self.gives_way(queue, &slot) {
            self.bury_slot(queue, slot, Why::Surplus);
            return;
        }
        let missing = if queue.suspended {
            None
        } else {
            queue.waiters.first_missing()
        };
        match missing {
            None => {
                self.settle_gates(queue);
                if queue.watch != Watch::Nothing {
                    self.see_laid_idle(queue, &mut slot, wakes);
                }
                lay_idle(&self.stacks, slot);
                self.note_laid_idle(queue, wakes);
            }
            Some(1) if queue.gathered.is_empty() => self.answer(queue, Handed::One(slot), wakes),
            Some(missing) => {
                queue.gathered.push(slot);
                if missing > 1 {
                    queue.waiters.first_got_one();
                    return;
                }
                let gathered = core::mem::take(&mut queue.gathered);
                self.answer(queue, Handed::Many(gathered), wakes);
            }
        }
    }

    #[inline(always)]
    fn answer(&self, queue: &mut Queue<R::Value>, handed: Handed<R::Value>, wakes: &mut Wakes) {
        queue.lent += handed.len() as i64;
        queue.note_served();
        match queue.waiters.answer_first(Ok(handed)) {
            Ok(waker) => {
                wakes.push(waker);
                self.settle_gates(queue);
            }
            Err(_) => unreachable!("somebody waits"),
        }
    }

    /// Why a value is not to be used again, if it is not.
    fn unfit(&self, queue: &Queue<R::Value>, slot: &Slot<R::Value>) -> Option<Why> {
        let limits = &queue.limits;
        if queue.phase != Phase::Open {
            Some(Why::Shutdown)
        } else if limits.has_evicted(slot) {
            Some(Why::Evicted)
        } else if slot.uses >= limits.max_uses {
            Some(Why::UsedUp)
        } else if !limits.allow(slot) {
            Some(Why::TooOld)
        } else if queue.surplus() > 0 {
            Some(Why::Surplus)
        } else {
            None
        }
    }

    /// Has all idle values checked before they are lent, since one like them was found dead. Once in a while: what
    /// was checked or opened since is not to be suspected again for each that follows.
    pub(crate) fn suspect_idle(&self, queue: &mut Queue<R::Value>, now: Option<Instant>) {
        let Some(now) = now.filter(|now| *now >= queue.suspects_from) else {
            return;
        };
        queue.suspects_from = now + SUSPICION;
        for mut slot in self.stacks.take_all() {
            slot.standing = Standing::SUSPECT;
            queue.returned.push_back(slot);
        }
    }

    /// A value was found broken, and others may be that do not know it yet, as after a restart of their server: each is
    /// checked before its next loan. Once in a while, so that values that break often do not have the others checked
    /// all the time.
    #[cold]
    pub(crate) fn doubt_others(&self) {
        if !R::CHECKED || self.config.check_on.acquire == CheckOnAcquire::Never {
            return;
        }
        let Some(now) = self.now() else {
            return;
        };
        self.queue.with(|queue| {
            if now < queue.doubts_from {
                return;
            }
            queue.doubts_from = now + SUSPICION;
            queue.doubted_before = now;
            self.stacks.for_each(|slot| {
                if slot.seen_idle(now, Standing::STALE) {
                    slot.check_at = self.next_check(now);
                } else {
                    slot.standing = slot.standing.max(Standing::STALE);
                }
            });
        });
    }

    pub(crate) fn bury_slot(&self, queue: &mut Queue<R::Value>, slot: Slot<R::Value>, why: Why) {
        queue.retire(slot.value, why);
        // It may have been the last of a surplus.
        self.settle_gates(queue);
    }

    /// Gives those who wait what lies idle: it lay there while they could not be served.
    pub(crate) fn serve_from_idle(&self, queue: &mut Queue<R::Value>, wakes: &mut Wakes) {
        while queue.waiters.waiting() > 0 && !queue.suspended {
            match self.stacks.take_behind_gates() {
                Some(slot) => self.give(queue, slot, wakes),
                None => return,
            }
        }
    }

    /// The gates of an open pool are up exactly while somebody waits, while nobody is served, while
    /// there are too many values, while the next use is to spawn the Runner, or where other pools may want
    /// the places of these.
    #[inline]
    pub(crate) fn settle_gates(&self, queue: &mut Queue<R::Value>) {
        let up = queue.waiters.waiting() > 0
            || queue.suspended
            || queue.surplus() > 0
            || queue.runner.is_lost()
            || queue.family.is_some();
        if queue.gated != up && queue.phase == Phase::Open {
            self.stacks.set_gates(up);
            queue.gated = up;
        }
    }

    /// A waiter leaves before it took its answer: what it had been handed goes to the next.
    pub(crate) fn leave(&self, place: Place) {
        let mut wakes = Wakes::default();
        let refused = self.queue.with(|queue| {
            let Left {
                answer,
                waker,
                was_first,
            } = queue.waiters.leave(place);
            wakes.drop_waker(waker);
            let (left, refused) = match answer {
                Some(Ok(handed)) => {
                    queue.lent -= handed.len() as i64;
                    (handed.into_slots(), None)
                }
                Some(Err(error)) => (Vec::new(), Some(error)),
                None if was_first => (core::mem::take(&mut queue.gathered), None),
                None => (Vec::new(), None),
            };
            self.give_each(queue, left, &mut wakes);
            self.settle_gates(queue);
            self.poke(queue, &mut wakes);
            refused
        });
        drop(refused);
        self.wake(wakes);
    }

    /// Answers everyone who waits.
    pub(crate) fn refuse_all(
        &self,
        queue: &mut Queue<R::Value>,
        error: &AcquireError,
        wakes: &mut Wakes,
    ) {
        let gathered = core::mem::take(&mut queue.gathered);
        while let Ok(waker) = queue.waiters.answer_first(Err(Box::new(error.clone()))) {
            wakes.push(waker);
        }
        self.settle_gates(queue);
        self.give_each(queue, gathered, wakes);
    }

    /// Answers those who wait for more values than there may be.
    pub(crate) fn refuse_who_want_too_many(&self, queue: &mut Queue<R::Value>, wakes: &mut Wakes) {
        let gathered = core::mem::take(&mut queue.gathered);
        queue.waiters.first_lost(gathered.len() as u32);
        let max_size = queue.max_size;
        queue.waiters.answer_each(
            |missing, _| {
                (missing as usize > max_size).then(|| Err(self.too_many(missing, max_size)))
            },
            |waker| wakes.push(waker),
        );
        self.settle_gates(queue);
        self.give_each(queue, gathered, wakes);
    }

    /// Takes a lent value out of service that was found broken.
    #[cold]
    pub(crate) fn bury_broken(&self, slot: Slot<R::Value>) {
        self.doubt_others();
        self.bury(slot, Why::Broken);
    }

    /// Takes a lent value out of service, to be closed.
    pub(crate) fn bury(&self, slot: Slot<R::Value>, why: Why) {
        let mut wakes = Wakes::default();
        self.queue.with(|queue| {
            queue.lent -= 1;
            self.bury_slot(queue, slot, why);
            queue.openings.retry_without_clock();
            self.poke(queue, &mut wakes);
        });
        self.wake(wakes);
    }

    /// A lent value leaves the pool for good, unclosed.
    pub(crate) fn detach(&self) {
        let mut wakes = Wakes::default();
        self.queue.with(|queue| {
            queue.lent -= 1;
            queue.free_slots(1, &mut wakes);
            wakes.drop_cause(queue.ledger.record(Ending::Detached, Why::Detached, None));
            queue.openings.retry_without_clock();
            self.settle_gates(queue);
            self.poke(queue, &mut wakes);
        });
        self.wake(wakes);
        let (ending, why) = (Ending::Detached, Why::Detached);
        self.reporter.send(
            &self.clock,
            EventKind::Ended {
                ending,
                why,
                error: None,
            },
        );
    }
}

impl<V> Handed<V> {
    fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Many(slots) => slots.len(),
        }
    }

    fn into_slots(self) -> Vec<Slot<V>> {
        match self {
            Self::One(slot) => alloc::vec![slot],
            Self::Many(slots) => slots,
        }
    }
}
