//! Those who wait, first come, first served.

use alloc::vec::Vec;
use core::task::Waker;

use super::openings::Since;

/// A queue of waiters, each of whom gets one answer.
///
/// A linked list in a slab: joining, leaving and being served cost the same however many wait, and nothing
/// is allocated once the slab has grown. Links lead one way only, so that serving the first touches no other
/// entry, which another thread may have written last. Who leaves from the middle therefore stays linked as a
/// gap. Once there are more gaps than waiters, all of them are closed.
///
/// In this order: what each hand-over writes comes first.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct WaitQueue<A> {
    entries: Vec<Entry<A>>,
    /// How many values they still want in all.
    wanted: usize,
    waiting: u32,
    /// Of those who wait, never a gap.
    first: u32,
    last: u32,
    free: u32,
    gaps: u32,
}

/// Where a link leads that leads nowhere.
const NOBODY: u32 = u32::MAX;

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
    Free { next: u32 },
    Waiting(Waiter),
    Gap { next: u32 },
    Answered(A),
}

#[derive(Debug)]
struct Waiter {
    /// Absent between a wake and the next poll.
    waker: Option<Waker>,
    next: u32,
    /// How many values it waits for.
    missing: u32,
    /// Whether this waiter already drives a piece of work.
    busy: bool,
    since: Since,
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
            wanted: 0,
            waiting: 0,
            first: NOBODY,
            last: NOBODY,
            free: NOBODY,
            gaps: 0,
        }
    }

    /// How many wait for an answer.
    pub(crate) const fn waiting(&self) -> usize {
        self.waiting as usize
    }

    /// How many values they want in all.
    pub(crate) const fn wanted(&self) -> usize {
        self.wanted
    }

    pub(crate) fn join(
        &mut self,
        waker: Option<Waker>,
        missing: u32,
        end: End,
        since: Since,
    ) -> Place {
        let next = match end {
            End::Front => self.first,
            End::Back => NOBODY,
        };
        let index = self.store(Entry::Waiting(Waiter {
            waker,
            next,
            missing,
            busy: false,
            since,
        }));
        if self.last == NOBODY {
            (self.first, self.last) = (index, index);
        } else {
            match end {
                End::Front => self.first = index,
                End::Back => {
                    *self.link(self.last) = index;
                    self.last = index;
                }
            }
        }
        self.waiting += 1;
        self.wanted += missing as usize;
        Place(index)
    }

    /// How many values the first who waits still wants, if anybody waits.
    #[inline]
    pub(crate) fn first_missing(&mut self) -> Option<u32> {
        Some(self.first_waiter()?.missing)
    }

    /// The first who waits has got one of the values that it wants, and not the last.
    pub(crate) fn first_got_one(&mut self) {
        if let Some(first) = self.first_waiter() {
            first.missing -= 1;
            self.wanted -= 1;
        }
    }

    /// What the first who waits had got goes to somebody else.
    pub(crate) fn first_lost(&mut self, values: u32) {
        if let Some(first) = self.first_waiter() {
            first.missing += values;
            self.wanted += values as usize;
        }
    }

    /// Answers the first who waits, and hands out its waker; or the answer, if nobody waits.
    #[inline(always)]
    pub(crate) fn answer_first(&mut self, answer: A) -> Result<Option<Waker>, A> {
        if self.first == NOBODY {
            return Err(answer);
        }
        let answered = Entry::Answered(answer);
        let entry = core::mem::replace(&mut self.entries[self.first as usize], answered);
        let Entry::Waiting(waiter) = entry else {
            unreachable!("the first is one who waits")
        };
        self.first = waiter.next;
        self.one_less(waiter.missing);
        Ok(waiter.waker)
    }

    /// Returns `true` if a waiter that has waited since then is meant.
    pub(crate) fn any_since(&self, is_meant: impl Fn(Since) -> bool) -> bool {
        let mut index = self.first;
        loop {
            index = match self.entries.get(index as usize) {
                Some(Entry::Waiting(waiter)) if is_meant(waiter.since) => return true,
                Some(Entry::Waiting(Waiter { next, .. }) | Entry::Gap { next }) => *next,
                _ => return false,
            };
        }
    }

    /// Answers each waiter to which `answer` gives one, by how many values it waits for and since when. Hands out
    /// their wakers.
    pub(crate) fn answer_each(
        &mut self,
        answer: impl Fn(u32, Since) -> Option<A>,
        mut wake: impl FnMut(Option<Waker>),
    ) {
        self.close_gaps();
        let (mut previous, mut index) = (NOBODY, self.first);
        while index != NOBODY {
            let next = *self.link(index);
            let entry = &mut self.entries[index as usize];
            let answered = match entry {
                Entry::Waiting(waiter) => answer(waiter.missing, waiter.since)
                    .map(|answer| (answer, waiter.missing, waiter.waker.take())),
                _ => None,
            };
            match answered {
                Some((answer, missing, waker)) => {
                    wake(waker);
                    *entry = Entry::Answered(answer);
                    match previous {
                        NOBODY => self.first = next,
                        previous => *self.link(previous) = next,
                    }
                    if next == NOBODY {
                        self.last = previous;
                    }
                    self.one_less(missing);
                }
                None => previous = index,
            }
            index = next;
        }
    }

    /// Looks for the answer, and gives up the place if it is there.
    #[inline(always)]
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
        let was_first = self.first == place.0;
        let mut left = Left {
            answer: None,
            waker: None,
            was_first,
        };
        if let Entry::Waiting(waiter) = &mut self.entries[place.0 as usize] {
            left.waker = waiter.waker.take();
            let (next, missing) = (waiter.next, waiter.missing);
            if was_first {
                self.first = next;
                self.release(place);
            } else {
                self.entries[place.0 as usize] = Entry::Gap { next };
                self.gaps += 1;
            }
            self.one_less(missing);
            if self.gaps > self.waiting {
                self.close_gaps();
            }
        } else {
            left.answer = self.release(place);
        }
        left
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
        while next != NOBODY && left > 0 {
            if let Entry::Waiting(waiter) = &mut self.entries[next as usize] {
                if !waiter.busy {
                    left -= 1;
                    wake(waiter.waker.take());
                }
            }
            next = *self.link(next);
        }
    }

    #[inline(always)]
    fn store(&mut self, entry: Entry<A>) -> u32 {
        if self.free == NOBODY {
            self.entries.push(entry);
            return (self.entries.len() - 1) as u32;
        }
        let index = self.free;
        let slot = &mut self.entries[index as usize];
        let Entry::Free { next } = *slot else {
            unreachable!("the free list holds free entries")
        };
        self.free = next;
        *slot = entry;
        index
    }

    /// Frees the entry, and hands out its answer if it has one.
    #[inline(always)]
    fn release(&mut self, place: Place) -> Option<A> {
        let freed = Entry::Free { next: self.free };
        self.free = place.0;
        match core::mem::replace(&mut self.entries[place.0 as usize], freed) {
            Entry::Answered(answer) => Some(answer),
            _ => None,
        }
    }

    /// One who waited for so much does not any more.
    #[inline(always)]
    fn one_less(&mut self, missing: u32) {
        self.waiting -= 1;
        self.wanted -= missing as usize;
        if self.gaps > 0 {
            self.close_gaps_in_front();
        }
        if self.first == NOBODY {
            self.last = NOBODY;
        }
    }

    fn close_gaps_in_front(&mut self) {
        while let Some(Entry::Gap { next }) = self.entries.get(self.first as usize) {
            let gap = core::mem::replace(&mut self.first, *next);
            self.release(Place(gap));
            self.gaps -= 1;
        }
    }

    fn close_gaps(&mut self) {
        let mut last = self.first;
        while last != NOBODY {
            let next = *self.link(last);
            match self.entries.get(next as usize) {
                Some(Entry::Gap { next: behind }) => {
                    *self.link(last) = *behind;
                    self.release(Place(next));
                }
                _ => {
                    self.last = last;
                    last = next;
                }
            }
        }
        self.gaps = 0;
    }

    fn first_waiter(&mut self) -> Option<&mut Waiter> {
        match self.entries.get_mut(self.first as usize) {
            Some(Entry::Waiting(waiter)) => Some(waiter),
            _ => None,
        }
    }

    /// Who comes after one that is linked.
    #[inline(always)]
    fn link(&mut self, index: u32) -> &mut u32 {
        match &mut self.entries[index as usize] {
            Entry::Waiting(Waiter { next, .. }) | Entry::Gap { next } => next,
            _ => unreachable!("only waiters and gaps are linked"),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::VecDeque;

    use super::*;
    use crate::Instant;
    use crate::random::Random;

    const SINCE: Since = Since {
        at: Instant::EPOCH,
        failed: 0,
    };

    /// Against the plainest of queues: a list of tickets, each with its place.
    #[test]
    fn whoever_leaves_or_is_served_the_others_keep_their_order() {
        for seed in 0..300 {
            let mut random = Random::seeded(seed);
            let mut below = |n: usize| random.next_u64() as usize % n;
            let mut queue = WaitQueue::new();
            let mut waiting: VecDeque<(u32, Place)> = VecDeque::new();
            let mut answered = Vec::new();
            let mut most = 0;
            for ticket in 0..400 {
                // Some seeds let the queue grow, some keep it short.
                match below(5 + seed as usize % 3) {
                    _ if ticket % 50 == 49 => {
                        let thirds = |missing, _| (missing % 3 == 0).then_some(missing);
                        queue.answer_each(thirds, drop);
                        let meant = |(missing, _): &(u32, Place)| missing % 3 == 0;
                        answered.extend(waiting.iter().copied().filter(meant));
                        waiting.retain(|one| !meant(one));
                    }
                    0 => {
                        if let Some((first, place)) = waiting.pop_front() {
                            assert_eq!(queue.first_missing(), Some(first));
                            assert!(queue.answer_first(first).is_ok());
                            answered.push((first, place));
                        } else {
                            assert!(queue.answer_first(ticket).is_err());
                        }
                    }
                    1 if !answered.is_empty() => {
                        let (ticket, place) = answered.swap_remove(below(answered.len()));
                        assert_eq!(queue.leave(place).answer, Some(ticket));
                    }
                    2 | 3 if !waiting.is_empty() => {
                        let index = below(waiting.len());
                        let place = waiting.remove(index).expect("it is one of them").1;
                        let left = queue.leave(place);
                        assert_eq!((left.answer, left.was_first), (None, index == 0));
                    }
                    4 => waiting.push_front((ticket, queue.join(None, ticket, End::Front, SINCE))),
                    _ => waiting.push_back((ticket, queue.join(None, ticket, End::Back, SINCE))),
                }
                assert_eq!(queue.waiting(), waiting.len());
                let wanted: u32 = waiting.iter().map(|(missing, _)| missing).sum();
                assert_eq!(queue.wanted(), wanted as usize);
                most = most.max(waiting.len() + answered.len());
                assert!(queue.entries.len() <= 2 * most);
            }
            for (ticket, _) in waiting {
                assert_eq!(queue.first_missing(), Some(ticket));
                assert!(queue.answer_first(ticket).is_ok());
            }
            assert_eq!(queue.first_missing(), None);
        }
    }
}
