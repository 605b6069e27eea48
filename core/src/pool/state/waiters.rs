//! Those who wait, with their wakers and answers.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::task::Waker;

use super::{PoolState, Transaction, failure_of};
use crate::drive::Wakes;
use crate::kernel::{Admission, Left, Place, QueueRequest, Since, Timekeeping, WaiterId};
use crate::pool::error::AcquireError;
use crate::pool::shared::PoolShared;
use crate::pool::slot::Slot;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::time::Instant;

/// What a waiter is handed.
#[derive(Debug)]
pub(in crate::pool) enum Handed<V> {
    One(Box<Slot<V>>),
    /// All that it asked for at once.
    Many(Vec<Box<Slot<V>>>),
}

/// What a waiter gets. An error is boxed, so that it costs who waits no memory.
pub(in crate::pool) type Answer<V> = Result<Handed<V>, Box<AcquireError>>;

/// What is kept for a waiter, beside its entry in the kernel's queue.
pub(super) enum WaiterCell<V> {
    Vacant,
    /// It waits. The waker is absent between a wake and the next poll.
    Waits(Option<Waker>),
    Answered(Answer<V>),
}

/// What somebody who wants a value finds.
pub(in crate::pool) enum Entered<V> {
    Taken(Handed<V>),
    Waits {
        waiter: WaiterId,
        /// Whether a Runner does what is needed.
        driven: bool,
        since: Since,
        timekeeping: Timekeeping,
    },
    /// The Runner is to be spawned anew, by this caller, who then asks again.
    RunnerLost,
    /// The same for the time, which counts since openings are under way or fail.
    TimeWanted,
}

/// What a waiter finds when it looks.
pub(in crate::pool) enum WaiterLook<V> {
    Answered(Answer<V>),
    /// Still waiting, and the waker that is stored wakes the right task.
    Waiting,
    /// Still waiting, and a new waker has to be stored.
    WakerNeeded,
}

impl<V> WaiterCell<V> {
    #[inline(always)]
    pub(super) fn take_waker(&mut self) -> Option<Waker> {
        match self {
            Self::Waits(waker) => waker.take(),
            Self::Vacant | Self::Answered(_) => None,
        }
    }

    /// Gives the waiter its answer, and has it woken after the lock.
    #[inline(always)]
    fn answer(&mut self, answer: Answer<V>, wakes: &mut Wakes) {
        wakes.push(self.take_waker());
        *self = Self::Answered(answer);
    }
}

impl<R: LocalResource, C: Clock> PoolShared<R, C> {
    /// Takes as many idle values as are wanted, or joins the queue.
    pub(in crate::pool) fn enter(
        &self,
        waker: Waker,
        request: &QueueRequest,
    ) -> Result<Entered<R::Value>, Box<AcquireError>> {
        // What is left of it is dropped after the lock.
        let mut waker = Some(waker);
        let now = self.family_time();
        self.adjust(|transaction| {
            transaction.state.kernel.tell_time(now);
            let entered = transaction.enter(request, &mut waker);
            // Whoever spawns the Runner anew asks again: until then nobody is to do its work.
            if !matches!(entered, Ok(Entered::RunnerLost | Entered::TimeWanted)) {
                transaction.dispatch();
            }
            entered
        })
    }

    /// Looks for the answer. A waiter that leaves with it may have been woken for work before: the change that answered it
    /// has had another woken for that.
    #[inline(always)]
    pub(in crate::pool) fn look_for_answer(
        &self,
        waiter: WaiterId,
        waker: &Waker,
    ) -> WaiterLook<R::Value> {
        self.adjust(|transaction| transaction.look(waiter, waker))
    }

    /// Stores a waker, and returns `true`, unless the answer has come. The waiter looks after its own time from now on.
    pub(in crate::pool) fn store_waker(&self, waiter: WaiterId, waker: Waker) -> bool {
        // What is left of the two is dropped after the lock.
        let mut waker = Some(waker);
        self.adjust(
            |transaction| match &mut transaction.state.cells[waiter.index()] {
                WaiterCell::Waits(known) => {
                    core::mem::swap(known, &mut waker);
                    transaction.state.kernel.keeps_time(waiter);
                    true
                }
                WaiterCell::Vacant | WaiterCell::Answered(_) => false,
            },
        )
    }

    /// A timekeeper looks after those who rely on it. Returns when it is to do so again.
    pub(in crate::pool) fn look_at_deadlines(&self, now: Instant) -> Option<Instant> {
        self.adjust(|transaction| transaction.kernel().look_at_deadlines(now))
    }

    /// A waiter leaves before it took its answer: what it had been handed goes to the next.
    pub(in crate::pool) fn leave(&self, waiter: WaiterId) {
        // An error that it was not told is dropped after the lock.
        let _untold = self.transact(|transaction| transaction.leave(waiter));
    }

    /// The work that a waiter drove has ended. It looks for more by itself.
    pub(in crate::pool) fn has_hands_free(&self, waiter: WaiterId) {
        self.adjust(|transaction| transaction.kernel().has_hands_free(waiter));
    }
}

impl<V> Transaction<'_, V> {
    fn enter(
        &mut self,
        request: &QueueRequest,
        waker: &mut Option<Waker>,
    ) -> Result<Entered<V>, Box<AcquireError>> {
        let mut missing = request.wanted;
        match self.state.kernel.admit(request) {
            Admission::Queued => {}
            Admission::Served => {
                while let Some(slot) = self.take_with_nobody_waiting() {
                    if request.wanted == 1 {
                        self.state.kernel.shift(Place::Idle, Place::Lent);
                        return Ok(Entered::Taken(Handed::One(slot)));
                    }
                    self.state.kernel.shift(Place::Idle, Place::Gathered);
                    self.state.gathered.push(slot);
                    missing -= 1;
                    if missing == 0 {
                        let gathered = core::mem::take(&mut self.state.gathered);
                        let kernel = &mut self.state.kernel;
                        kernel.shift_all(gathered.len(), Place::Gathered, Place::Lent);
                        return Ok(Entered::Taken(Handed::Many(gathered)));
                    }
                }
            }
            Admission::RunnerLost => return Ok(Entered::RunnerLost),
            Admission::TimeWanted => return Ok(Entered::TimeWanted),
            refused => return Err(Box::new(self.refusal(refused, request.wanted as usize))),
        }
        let (waiter, since, timekeeping) = self.join(request, missing, waker.take());
        Ok(Entered::Waits {
            waiter,
            driven: self.state.kernel.has_runner(),
            since,
            timekeeping,
        })
    }

    /// What a caller is told that is not let in.
    #[cold]
    pub(in crate::pool) fn refusal(&self, admission: Admission, wanted: usize) -> AcquireError {
        let pool = self.name.clone();
        match admission {
            Admission::TooMany => AcquireError::TooMany {
                pool,
                wanted,
                // More than can be counted is asked for where the maximum is as large.
                max_size: self.state.kernel.max_size().min(u32::MAX as usize),
            },
            Admission::QueueFull => AcquireError::QueueFull {
                pool,
                status: Box::new(self.status()),
            },
            _ => AcquireError::Closed { pool },
        }
    }

    fn join(
        &mut self,
        request: &QueueRequest,
        missing: u32,
        waker: Option<Waker>,
    ) -> (WaiterId, Since, Timekeeping) {
        // What was gathered for the one who was first is for the one who comes before it.
        let overtakes = self.state.kernel.would_overtake(request);
        let gathered = if overtakes {
            self.take_gathered()
        } else {
            Vec::new()
        };
        let joined = self.state.kernel.join(request, missing);
        let (cells, index) = (&mut self.state.cells, joined.0.index());
        if index == cells.len() {
            cells.push(WaiterCell::Waits(waker));
        } else {
            cells[index] = WaiterCell::Waits(waker);
        }
        if overtakes {
            self.place_each(gathered, Place::Moving);
        }
        joined
    }

    #[inline(always)]
    fn look(&mut self, waiter: WaiterId, waker: &Waker) -> WaiterLook<V> {
        let cell = &mut self.state.cells[waiter.index()];
        match cell {
            WaiterCell::Answered(_) => {
                let WaiterCell::Answered(answer) = core::mem::replace(cell, WaiterCell::Vacant)
                else {
                    unreachable!("it was seen above")
                };
                self.state.kernel.looked(waiter);
                WaiterLook::Answered(answer)
            }
            WaiterCell::Waits(Some(known)) if known.will_wake(waker) => WaiterLook::Waiting,
            WaiterCell::Waits(_) | WaiterCell::Vacant => WaiterLook::WakerNeeded,
        }
    }

    /// Returns the error that it was not told.
    fn leave(&mut self, waiter: WaiterId) -> Option<Box<AcquireError>> {
        let cell = core::mem::replace(&mut self.state.cells[waiter.index()], WaiterCell::Vacant);
        let left = self.state.kernel.leave(waiter);
        match cell {
            WaiterCell::Answered(Ok(handed)) => self.place_each(handed.into_slots(), Place::Lent),
            WaiterCell::Answered(Err(error)) => return Some(error),
            WaiterCell::Waits(waker) => self.wakes.drop_waker(waker),
            WaiterCell::Vacant => {}
        }
        if left == Left::First {
            // It was the one for whom values were gathered, if any were.
            let gathered = self.collect_gathered();
            self.place_each(gathered, Place::Moving);
        }
        None
    }

    #[inline(always)]
    pub(super) fn answer(&mut self, waiter: WaiterId, answer: Answer<V>) {
        self.state.cells[waiter.index()].answer(answer, self.wakes);
    }

    /// Takes back what was gathered for the first who waits, and still does.
    fn take_gathered(&mut self) -> Vec<Box<Slot<V>>> {
        let gathered = self.collect_gathered();
        self.state.kernel.first_lost(gathered.len());
        gathered
    }

    fn collect_gathered(&mut self) -> Vec<Box<Slot<V>>> {
        let gathered = core::mem::take(&mut self.state.gathered);
        let kernel = &mut self.state.kernel;
        kernel.shift_all(gathered.len(), Place::Gathered, Place::Moving);
        gathered
    }

    /// Answers everyone who waits that the pool is closed.
    pub(in crate::pool) fn refuse_all(&mut self) {
        let gathered = self.take_gathered();
        let PoolState { kernel, cells, .. } = &mut *self.state;
        kernel.refuse_all(|waiter| {
            let pool = self.name.clone();
            let closed = Box::new(AcquireError::Closed { pool });
            cells[waiter.index()].answer(Err(closed), self.wakes);
        });
        self.place_each(gathered, Place::Moving);
    }

    /// Answers those who wait for more values than there may be.
    pub(in crate::pool) fn refuse_who_want_too_many(&mut self) {
        let gathered = self.take_gathered();
        let PoolState { kernel, cells, .. } = &mut *self.state;
        let max_size = kernel.max_size();
        kernel.refuse_who_want_too_many(|waiter, missing| {
            let too_many = Box::new(AcquireError::TooMany {
                pool: self.name.clone(),
                wanted: missing as usize,
                max_size,
            });
            cells[waiter.index()].answer(Err(too_many), self.wakes);
        });
        self.place_each(gathered, Place::Moving);
    }

    /// Tells those waiters that the server is down whom nothing will serve.
    pub(super) fn refuse_hopeless(&mut self) {
        if !self.state.kernel.has_hopeless() {
            return;
        }
        // What was gathered for the first goes to whoever is the first after that.
        let gathered = self.take_gathered();
        let status = self.status();
        let PoolState {
            kernel,
            cells,
            failure,
            ..
        } = &mut *self.state;
        let Some(cause) = failure else {
            unreachable!("an opening has failed")
        };
        kernel.refuse_hopeless(|waiter, facts| {
            let down = Box::new(AcquireError::BackendDown {
                pool: self.name.clone(),
                failure: failure_of(facts, cause),
                status: Box::new(status),
            });
            cells[waiter.index()].answer(Err(down), self.wakes);
        });
        self.place_each(gathered, Place::Moving);
    }
}

impl<V> Handed<V> {
    fn into_slots(self) -> Vec<Box<Slot<V>>> {
        match self {
            Self::One(slot) => alloc::vec![slot],
            Self::Many(slots) => slots,
        }
    }
}
