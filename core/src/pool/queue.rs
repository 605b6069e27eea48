//! Those who wait, first come, first served.

use alloc::vec::Vec;
use core::task::Waker;

/// A queue of waiters, each of whom gets one answer.
///
/// A doubly linked list in a slab: joining, leaving from the middle and being served cost the same
/// however many wait, and nothing is allocated once the slab has grown.
#[derive(Debug)]
pub(crate) struct WaitQueue<A> {
    entries: Vec<Entry<A>>,
    free: Option<u32>,
    first: Option<u32>,
    last: Option<u32>,
    waiting: usize,
    /// How many values they still want in all.
    wanted: usize,
}

/// A waiter's place. It is given up by taking the answer or by leaving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(u32);

/// Where a waiter joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// For one that was served already, and with something that was no good.
    Front,
    Back,
}

#[derive(Debug)]
enum Entry<A> {
    Free { next: Option<u32> },
    Waiting(Waiter),
    Answered(A),
}

#[derive(Debug)]
struct Waiter {
    /// Absent between a wake and the next poll.
    waker: Option<Waker>,
    previous: Option<u32>,
    next: Option<u32>,
    /// How many values it waits for.
    missing: u32,
    /// Whether this waiter already drives a piece of work.
    busy: bool,
}

/// What a waiter finds when it looks.
#[derive(Debug)]
pub(crate) enum Look<A> {
    Answered(A),
    /// Still waiting, and the waker that is stored wakes the right task.
    Waiting,
    /// Still waiting, and a new waker has to be stored.
    WakerNeeded,
}

/// What somebody leaves behind who leaves the queue.
#[derive(Debug)]
pub(crate) struct Left<A> {
    pub(crate) answer: Option<A>,
    pub(crate) waker: Option<Waker>,
    /// Whether it was the first, for whom values may have been gathered.
    pub(crate) was_first: bool,
}

impl<A> WaitQueue<A> {
    pub(crate) const fn new() -> Self {
        Self {
            entries: Vec::new(),
            free: None,
            first: None,
            last: None,
            waiting: 0,
            wanted: 0,
        }
    }

    /// How many wait for an answer.
    pub(crate) const fn waiting(&self) -> usize {
        self.waiting
    }

    /// How many values they want in all.
    pub(crate) const fn wanted(&self) -> usize {
        self.wanted
    }

    pub(crate) fn join(&mut self, waker: Option<Waker>, missing: u32, end: End) -> Place {
        let (previous, next) = match end {
            End::Front => (None, self.first),
            End::Back => (self.last, None),
        };
        let index = self.store(Entry::Waiting(Waiter {
            waker,
            previous,
            next,
            missing,
            busy: false,
        }));
        match previous {
            Some(previous) => self.waiter(previous).next = Some(index),
            None => self.first = Some(index),
        }
        match next {
            Some(next) => self.waiter(next).previous = Some(index),
            None => self.last = Some(index),
        }
        self.waiting += 1;
        self.wanted += missing as usize;
        Place(index)
    }

    /// How many values the first who waits still wants, if anybody waits.
    pub(crate) fn first_missing(&mut self) -> Option<u32> {
        self.first.map(|first| self.waiter(first).missing)
    }

    /// The first who waits has got one of the values that it wants, and not the last.
    pub(crate) fn first_got_one(&mut self) {
        if let Some(first) = self.first {
            self.waiter(first).missing -= 1;
            self.wanted -= 1;
        }
    }

    /// What the first who waits had got goes to somebody else.
    pub(crate) fn first_lost(&mut self, values: u32) {
        if let Some(first) = self.first {
            self.waiter(first).missing += values;
            self.wanted += values as usize;
        }
    }

    /// Answers the first who waits, and hands out its waker; or the answer, if nobody waits.
    pub(crate) fn answer_first(&mut self, answer: A) -> Result<Option<Waker>, A> {
        let Some(first) = self.first else {
            return Err(answer);
        };
        let waker = self.unlink(first).waker;
        self.entries[first as usize] = Entry::Answered(answer);
        Ok(waker)
    }

    /// Looks for the answer, and gives up the place if it is there.
    pub(crate) fn look(&mut self, place: Place, waker: &Waker) -> Look<A> {
        match &self.entries[place.0 as usize] {
            Entry::Answered(_) => match self.release(place) {
                Some(answer) => Look::Answered(answer),
                None => Look::WakerNeeded,
            },
            Entry::Waiting(waiter) if waiter.waker.as_ref().is_some_and(|w| w.will_wake(waker)) => {
                Look::Waiting
            }
            _ => Look::WakerNeeded,
        }
    }

    /// Stores a waker, unless the answer has come: then the waker comes back as an error. Hands back the
    /// waker that is not needed any more, to be dropped outside the lock.
    pub(crate) fn store_waker(&mut self, place: Place, new: Waker) -> Result<Option<Waker>, Waker> {
        match &mut self.entries[place.0 as usize] {
            Entry::Waiting(waiter) => Ok(waiter.waker.replace(new)),
            _ => Err(new),
        }
    }

    /// Leaves the queue, with the answer if one had come, and with the waker if not.
    pub(crate) fn leave(&mut self, place: Place) -> Left<A> {
        let was_first = self.first == Some(place.0);
        let mut waker = None;
        if matches!(self.entries[place.0 as usize], Entry::Waiting(_)) {
            waker = self.unlink(place.0).waker;
        }
        let answer = self.release(place);
        Left {
            answer,
            waker,
            was_first,
        }
    }

    /// Says whether the waiter drives a piece of work.
    pub(crate) fn set_busy(&mut self, place: Place, busy: bool) {
        if let Entry::Waiting(waiter) = &mut self.entries[place.0 as usize] {
            waiter.busy = busy;
        }
    }

    /// Takes the wakers of the first `count` waiters who do not drive anything.
    pub(crate) fn wake_idlers(&mut self, count: usize, mut wake: impl FnMut(Option<Waker>)) {
        let mut next = self.first;
        let mut left = count;
        while let (Some(index), true) = (next, left > 0) {
            let waiter = self.waiter(index);
            next = waiter.next;
            if !waiter.busy {
                left -= 1;
                wake(waiter.waker.take());
            }
        }
    }

    fn store(&mut self, entry: Entry<A>) -> u32 {
        match self.free {
            Some(index) => {
                let slot = &mut self.entries[index as usize];
                let Entry::Free { next } = *slot else {
                    unreachable!("the free list holds free entries")
                };
                self.free = next;
                *slot = entry;
                index
            }
            None => {
                self.entries.push(entry);
                (self.entries.len() - 1) as u32
            }
        }
    }

    /// Frees the entry, and hands out its answer if it has one.
    fn release(&mut self, place: Place) -> Option<A> {
        let freed = Entry::Free {
            next: self.free.replace(place.0),
        };
        match core::mem::replace(&mut self.entries[place.0 as usize], freed) {
            Entry::Answered(answer) => Some(answer),
            _ => None,
        }
    }

    /// Takes a waiter out of the list. Its entry is left for the caller to fill.
    fn unlink(&mut self, index: u32) -> Waiter {
        let entry = core::mem::replace(
            &mut self.entries[index as usize],
            Entry::Free { next: None },
        );
        let Entry::Waiting(waiter) = entry else {
            unreachable!("only waiters are linked")
        };
        match waiter.previous {
            Some(previous) => self.waiter(previous).next = waiter.next,
            None => self.first = waiter.next,
        }
        match waiter.next {
            Some(next) => self.waiter(next).previous = waiter.previous,
            None => self.last = waiter.previous,
        }
        self.waiting -= 1;
        self.wanted -= waiter.missing as usize;
        waiter
    }

    fn waiter(&mut self, index: u32) -> &mut Waiter {
        match &mut self.entries[index as usize] {
            Entry::Waiting(waiter) => waiter,
            _ => unreachable!("only waiters are linked"),
        }
    }
}
