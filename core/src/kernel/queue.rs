//! Those who wait, first come, first served.

use super::deadlines::Timekeeping;
use super::openings::Since;
use super::storage::List;

/// A queue of waiters, each of whom gets one answer. It knows their order; what they are answered, and what wakes them,
/// is kept by whoever keeps the values.
///
/// A linked list in a slab: joining, leaving and being served cost the same however many wait, and nothing
/// is allocated once the slab has grown. Links lead one way only, so that serving the first touches no other
/// entry, which another thread may have written last. Who leaves from the middle therefore stays linked as a
/// gap. Once there are more gaps than waiters, all of them are closed.
///
/// In this order: what each hand-over writes comes first.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct WaitQueue<L> {
    entries: L,
    /// How many values they still want in all.
    wanted: usize,
    waiting: u32,
    /// Of those who wait, never a gap.
    first: u32,
    last: u32,
    free: u32,
    gaps: u32,
    /// How many of those who wait rely on others for their time, and how many those can rely on.
    relying: u32,
    keepers: u32,
    /// The one who was called to be a timekeeper, while there is none.
    called: u32,
    /// Whether some rely on others, and there is nobody on whom they could.
    lacks_keeper: bool,
}

/// Where a link leads that leads nowhere.
const NOBODY: u32 = u32::MAX;

/// A waiter in the queue. Its number is in use until it has taken its answer, or has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WaiterId(u32);

impl WaiterId {
    /// The lowest numbers are used first.
    #[inline(always)]
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Where a waiter joins: whose turn it was goes on at the front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// For one that was served already, and with something that was no good.
    Front,
    Back,
}

/// One place in the slab.
#[derive(Clone, Copy, Debug)]
pub(crate) enum QueueEntry {
    Free {
        next: u32,
    },
    Waiting(WaitingEntry),
    Gap {
        next: u32,
    },
    /// Its answer is there, and it has not looked yet.
    Answered,
}

impl QueueEntry {
    /// In a place that is not in use.
    pub(crate) const NONE: Self = Self::Free { next: NOBODY };
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct WaitingEntry {
    next: u32,
    /// How many values it waits for.
    missing: u32,
    can_do: CanDo,
    timekeeping: Timekeeping,
    since: Since,
}

/// What a waiter could do if it was woken for work, where there is no Runner.
///
/// After each change as many waiters are woken as there is work that they can do: one that is woken and can do
/// nothing is a wake-up lost to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CanDo {
    /// It drives nothing.
    Anything,
    /// Its own opening is overdue, and it could begin another.
    Open,
    /// It drives a piece of work, and waits for that.
    Nothing,
}

/// How somebody stood who left the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// As the first, for whom values may have been gathered.
    First,
    /// Behind others.
    Behind,
    Answered,
}

impl<L: List<QueueEntry>> WaitQueue<L> {
    pub(super) const fn new(entries: L) -> Self {
        Self {
            entries,
            wanted: 0,
            waiting: 0,
            first: NOBODY,
            last: NOBODY,
            free: NOBODY,
            gaps: 0,
            relying: 0,
            keepers: 0,
            called: NOBODY,
            lacks_keeper: false,
        }
    }

    /// How many wait for an answer.
    #[inline(always)]
    pub(crate) const fn waiting(&self) -> usize {
        self.waiting as usize
    }

    /// Returns `true` if the waiter has no answer yet.
    pub(super) fn is_waiting(&self, waiter: WaiterId) -> bool {
        matches!(self.entries[waiter.index()], QueueEntry::Waiting(_))
    }

    /// How many values they want in all.
    #[inline(always)]
    pub(crate) const fn wanted(&self) -> usize {
        self.wanted
    }

    #[inline]
    pub(super) fn join(
        &mut self,
        missing: u32,
        end: End,
        can_do: CanDo,
        timekeeping: Timekeeping,
        since: Since,
    ) -> WaiterId {
        let next = match end {
            End::Front => self.first,
            End::Back => NOBODY,
        };
        let index = self.store(QueueEntry::Waiting(WaitingEntry {
            next,
            missing,
            can_do,
            timekeeping,
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
        match timekeeping {
            Timekeeping::Own => {}
            Timekeeping::ForAll => self.one_more_keeper(),
            Timekeeping::ByOthers => {
                self.relying += 1;
                self.look_for_keeper();
            }
        }
        WaiterId(index)
    }

    /// How many values the first who waits still wants, if anybody waits.
    #[inline]
    pub(super) fn first_missing(&mut self) -> Option<u32> {
        Some(self.first_waiter()?.missing)
    }

    /// The first who waits has got one of the values that it wants, and not the last.
    pub(super) fn first_got_one(&mut self) {
        if let Some(first) = self.first_waiter() {
            first.missing -= 1;
            self.wanted -= 1;
        }
    }

    /// What the first who waits had got goes to somebody else.
    pub(super) fn first_lost(&mut self, values: usize) {
        if let Some(first) = self.first_waiter() {
            first.missing += values as u32;
            self.wanted += values;
        }
    }

    /// Answers the first who waits, if anybody does.
    #[inline(always)]
    pub(super) fn answer_first(&mut self) -> Option<WaiterId> {
        let index = self.first;
        let entry = self.entries.get_mut(index as usize)?;
        let QueueEntry::Waiting(waiter) = core::mem::replace(entry, QueueEntry::Answered) else {
            unreachable!("the first is one who waits")
        };
        self.first = waiter.next;
        self.one_less(index, &waiter);
        Some(WaiterId(index))
    }

    /// Returns `true` if a waiter that has waited since then is meant.
    pub(super) fn any_since(&self, is_meant: impl Fn(Since) -> bool) -> bool {
        let mut index = self.first;
        loop {
            index = match self.entries.get(index as usize) {
                Some(QueueEntry::Waiting(waiter)) if is_meant(waiter.since) => return true,
                Some(QueueEntry::Waiting(WaitingEntry { next, .. }) | QueueEntry::Gap { next }) => {
                    *next
                }
                _ => return false,
            };
        }
    }

    /// Answers each waiter to which `answer` gives one, by how many values it waits for and since when.
    pub(super) fn answer_each<A>(
        &mut self,
        answer: impl Fn(u32, Since) -> Option<A>,
        mut answered: impl FnMut(WaiterId, A),
    ) {
        self.close_gaps();
        let (mut previous, mut index) = (NOBODY, self.first);
        while index != NOBODY {
            let next = *self.link(index);
            let entry = &mut self.entries[index as usize];
            let given = match entry {
                QueueEntry::Waiting(waiter) => {
                    answer(waiter.missing, waiter.since).map(|answer| (answer, *waiter))
                }
                _ => None,
            };
            match given {
                Some((answer, waiter)) => {
                    *entry = QueueEntry::Answered;
                    match previous {
                        NOBODY => self.first = next,
                        previous => *self.link(previous) = next,
                    }
                    if next == NOBODY {
                        self.last = previous;
                    }
                    self.one_less(index, &waiter);
                    answered(WaiterId(index), answer);
                }
                None => previous = index,
            }
            index = next;
        }
    }

    /// Gives up the place of one that has taken its answer.
    #[inline(always)]
    pub(super) fn release(&mut self, waiter: WaiterId) {
        self.entries[waiter.index()] = QueueEntry::Free { next: self.free };
        self.free = waiter.0;
    }

    /// Leaves the queue, answered or not.
    pub(super) fn leave(&mut self, waiter: WaiterId) -> Left {
        let QueueEntry::Waiting(left) = self.entries[waiter.index()] else {
            self.release(waiter);
            return Left::Answered;
        };
        let was_first = self.first == waiter.0;
        if was_first {
            self.first = left.next;
            self.release(waiter);
        } else {
            self.entries[waiter.index()] = QueueEntry::Gap { next: left.next };
            self.gaps += 1;
        }
        self.one_less(waiter.0, &left);
        if self.gaps > self.waiting {
            self.close_gaps();
        }
        if was_first { Left::First } else { Left::Behind }
    }

    /// Says what the waiter could do from now on.
    pub(super) fn set_can_do(&mut self, waiter: WaiterId, can_do: CanDo) {
        if let QueueEntry::Waiting(waiter) = &mut self.entries[waiter.index()] {
            waiter.can_do = can_do;
        }
    }

    /// Names the first waiters that can do so many openings, and so many pieces of other work.
    pub(crate) fn name_helpers(
        &self,
        mut openings: usize,
        mut others: usize,
        mut name: impl FnMut(WaiterId),
    ) {
        let mut next = self.first;
        while openings > 0 || others > 0 {
            next = match self.entries.get(next as usize) {
                Some(QueueEntry::Waiting(waiter)) => {
                    let work = match waiter.can_do {
                        CanDo::Anything if others > 0 => Some(&mut others),
                        CanDo::Anything | CanDo::Open if openings > 0 => Some(&mut openings),
                        _ => None,
                    };
                    if let Some(work) = work {
                        *work -= 1;
                        name(WaiterId(next));
                    }
                    waiter.next
                }
                Some(QueueEntry::Gap { next }) => *next,
                _ => return,
            };
        }
    }

    #[inline(always)]
    fn store(&mut self, entry: QueueEntry) -> u32 {
        if self.free == NOBODY {
            self.entries.push(entry);
            return (self.entries.len() - 1) as u32;
        }
        let index = self.free;
        let slot = &mut self.entries[index as usize];
        let QueueEntry::Free { next } = *slot else {
            unreachable!("the free list holds free entries")
        };
        self.free = next;
        *slot = entry;
        index
    }

    /// Returns `true` if another can join.
    pub(super) fn has_room(&mut self) -> bool {
        if self.free == NOBODY && !self.entries.has_room() {
            self.close_gaps();
        }
        self.free != NOBODY || self.entries.has_room()
    }

    /// How many look after the time of those who rely on others.
    pub(super) const fn keepers(&self) -> u32 {
        self.keepers
    }

    /// Returns `true` if any rely on others, or may be relied on.
    pub(super) const fn shares_time(&self) -> bool {
        self.keepers > 0 || self.relying > 0
    }

    /// The waiter looks after its own time from now on, and after that of others, if it relied on others.
    pub(super) fn keep_time(&mut self, waiter: WaiterId) {
        if let QueueEntry::Waiting(WaitingEntry { timekeeping, .. }) =
            &mut self.entries[waiter.index()]
        {
            if *timekeeping == Timekeeping::ByOthers {
                *timekeeping = Timekeeping::ForAll;
                self.relying -= 1;
                self.one_more_keeper();
            }
        }
    }

    /// Returns `true` if some rely on others, and there is nobody on whom they could.
    #[inline(always)]
    pub(super) const fn lacks_keeper(&self) -> bool {
        self.lacks_keeper
    }

    const fn one_more_keeper(&mut self) {
        self.keepers += 1;
        self.called = NOBODY;
        self.lacks_keeper = false;
    }

    const fn look_for_keeper(&mut self) {
        self.lacks_keeper = self.keepers == 0 && self.relying > 0 && self.called == NOBODY;
    }

    /// Calls one of those who rely on others to be a timekeeper, if there is none: the last in the queue, since none will be
    /// there for longer. If that is a gap, or has a timer of its own, the first: to search for the last takes too long.
    pub(super) fn call_keeper(&mut self) -> Option<WaiterId> {
        if !self.lacks_keeper() {
            return None;
        }
        let called = if self.relies_on_others(self.last) {
            Some(self.last)
        } else {
            let mut first = None;
            self.for_each_relying(|waiter, _| {
                first = Some(waiter.0);
                false
            });
            first
        };
        self.lacks_keeper = false;
        self.called = called?;
        Some(WaiterId(self.called))
    }

    fn relies_on_others(&self, index: u32) -> bool {
        match self.entries.get(index as usize) {
            Some(QueueEntry::Waiting(waiter)) => waiter.timekeeping == Timekeeping::ByOthers,
            _ => false,
        }
    }

    /// Looks at those who rely on others, in the order of their deadlines, which is that of the queue: each of them joined
    /// at the end, not before the others had begun to wait. Up to the first whose is `later`. Returns whether
    /// there are any before that one, and since when it waits.
    pub(super) fn first_relying(&self, later: impl Fn(Since) -> bool) -> (bool, Option<Since>) {
        let (mut any_before, mut first) = (false, None);
        self.for_each_relying(|_, since| {
            if later(since) {
                first = Some(since);
            } else {
                any_before = true;
            }
            first.is_none()
        });
        (any_before, first)
    }

    /// Names those who rely on others, in the order of their deadlines, for as long as they are `meant`.
    pub(super) fn name_relying(
        &self,
        meant: impl Fn(Since) -> bool,
        mut name: impl FnMut(WaiterId),
    ) {
        self.for_each_relying(|waiter, since| {
            let is_meant = meant(since);
            if is_meant {
                name(waiter);
            }
            is_meant
        });
    }

    /// Names all that rely on others. None of them does any more: each has a timer of its own from its next poll on.
    pub(super) fn release_relying(&mut self, mut name: impl FnMut(WaiterId)) {
        let mut next = self.first;
        while self.relying > 0 {
            next = match self.entries.get_mut(next as usize) {
                Some(QueueEntry::Waiting(waiter)) => {
                    if waiter.timekeeping == Timekeeping::ByOthers {
                        waiter.timekeeping = Timekeeping::Own;
                        self.relying -= 1;
                        name(WaiterId(next));
                    }
                    waiter.next
                }
                Some(QueueEntry::Gap { next }) => *next,
                _ => unreachable!("those who are counted are in the queue"),
            };
        }
        self.called = NOBODY;
        self.lacks_keeper = false;
    }

    /// Shows those who rely on others, until one is enough.
    fn for_each_relying(&self, mut goes_on: impl FnMut(WaiterId, Since) -> bool) {
        let (mut left, mut next) = (self.relying, self.first);
        while left > 0 {
            next = match self.entries.get(next as usize) {
                Some(QueueEntry::Waiting(waiter)) => {
                    if waiter.timekeeping == Timekeeping::ByOthers {
                        left -= 1;
                        if !goes_on(WaiterId(next), waiter.since) {
                            return;
                        }
                    }
                    waiter.next
                }
                Some(QueueEntry::Gap { next }) => *next,
                _ => return,
            };
        }
    }

    /// One who waited does not any more.
    #[inline(always)]
    fn one_less(&mut self, index: u32, left: &WaitingEntry) {
        self.waiting -= 1;
        self.wanted -= left.missing as usize;
        match left.timekeeping {
            Timekeeping::Own => {}
            Timekeeping::ForAll => {
                self.keepers -= 1;
                self.look_for_keeper();
            }
            Timekeeping::ByOthers => {
                self.relying -= 1;
                if self.called == index {
                    self.called = NOBODY;
                    self.look_for_keeper();
                }
            }
        }
        if self.gaps > 0 {
            self.close_gaps_in_front();
        }
        if self.first == NOBODY {
            self.last = NOBODY;
        }
    }

    fn close_gaps_in_front(&mut self) {
        while let Some(QueueEntry::Gap { next }) = self.entries.get(self.first as usize) {
            let gap = core::mem::replace(&mut self.first, *next);
            self.release(WaiterId(gap));
            self.gaps -= 1;
        }
    }

    fn close_gaps(&mut self) {
        let mut last = self.first;
        while last != NOBODY {
            let next = *self.link(last);
            match self.entries.get(next as usize) {
                Some(QueueEntry::Gap { next: behind }) => {
                    *self.link(last) = *behind;
                    self.release(WaiterId(next));
                }
                _ => {
                    self.last = last;
                    last = next;
                }
            }
        }
        self.gaps = 0;
    }

    #[inline(always)]
    fn first_waiter(&mut self) -> Option<&mut WaitingEntry> {
        match self.entries.get_mut(self.first as usize) {
            Some(QueueEntry::Waiting(waiter)) => Some(waiter),
            _ => None,
        }
    }

    /// Who comes after one that is linked.
    #[inline(always)]
    fn link(&mut self, index: u32) -> &mut u32 {
        match &mut self.entries[index as usize] {
            QueueEntry::Waiting(WaitingEntry { next, .. }) | QueueEntry::Gap { next } => next,
            _ => unreachable!("only waiters and gaps are linked"),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::VecDeque;
    use alloc::vec::Vec;

    use super::*;
    use crate::random::Random;
    use crate::time::Instant;

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
            let mut queue = WaitQueue::new(Vec::new());
            let mut waiting: VecDeque<(u32, WaiterId)> = VecDeque::new();
            let mut answered = Vec::new();
            let mut most = 0;
            for ticket in 0..400 {
                // Some seeds let the queue grow, some keep it short.
                match below(5 + seed as usize % 3) {
                    _ if ticket % 50 == 49 => {
                        let thirds = |missing, _| (missing % 3 == 0).then_some(missing);
                        queue.answer_each(thirds, |_, _| {});
                        let meant = |(missing, _): &(u32, WaiterId)| missing % 3 == 0;
                        answered.extend(waiting.iter().filter(|one| meant(one)).map(|one| one.1));
                        waiting.retain(|one| !meant(one));
                    }
                    0 => {
                        if let Some((first, place)) = waiting.pop_front() {
                            assert_eq!(queue.first_missing(), Some(first));
                            assert_eq!(queue.answer_first(), Some(place));
                            answered.push(place);
                        } else {
                            assert_eq!(queue.answer_first(), None);
                        }
                    }
                    1 if !answered.is_empty() => {
                        let place = answered.swap_remove(below(answered.len()));
                        assert_eq!(queue.leave(place), Left::Answered);
                    }
                    2 | 3 if !waiting.is_empty() => {
                        let index = below(waiting.len());
                        let place = waiting.remove(index).expect("it is one of them").1;
                        let left = if index == 0 {
                            Left::First
                        } else {
                            Left::Behind
                        };
                        assert_eq!(queue.leave(place), left);
                    }
                    4 => waiting.push_front((
                        ticket,
                        queue.join(ticket, End::Front, CanDo::Anything, Timekeeping::Own, SINCE),
                    )),
                    _ => waiting.push_back((
                        ticket,
                        queue.join(ticket, End::Back, CanDo::Anything, Timekeeping::Own, SINCE),
                    )),
                }
                assert_eq!(queue.waiting(), waiting.len());
                let wanted: u32 = waiting.iter().map(|(missing, _)| missing).sum();
                assert_eq!(queue.wanted(), wanted as usize);
                most = most.max(waiting.len() + answered.len());
                assert!(queue.entries.len() <= 2 * most);
            }
            for (ticket, place) in waiting {
                assert_eq!(queue.first_missing(), Some(ticket));
                assert_eq!(queue.answer_first(), Some(place));
            }
            assert_eq!(queue.first_missing(), None);
        }
    }

    /// Against a list of all who wait, each with whose timer serves it.
    #[test]
    fn whoever_goes_those_who_rely_on_others_have_somebody_or_one_of_them_is_called() {
        for seed in 0..300 {
            let mut random = Random::seeded(seed);
            let mut below = |n: usize| random.next_u64() as usize % n;
            let mut queue = WaitQueue::new(Vec::new());
            let mut waiting: VecDeque<(WaiterId, Timekeeping)> = VecDeque::new();
            let mut called: Option<WaiterId> = None;
            for _ in 0..400 {
                let gone = match below(6) {
                    0 => waiting.pop_front().inspect(|first| {
                        assert_eq!(queue.answer_first(), Some(first.0));
                        queue.release(first.0);
                    }),
                    1 if !waiting.is_empty() => {
                        let index = below(waiting.len());
                        let left = waiting.remove(index);
                        left.inspect(|left| {
                            queue.leave(left.0);
                        })
                    }
                    2 if !waiting.is_empty() => {
                        let index = below(waiting.len());
                        let (waiter, timekeeping) = &mut waiting[index];
                        queue.keep_time(*waiter);
                        if *timekeeping == Timekeeping::ByOthers {
                            *timekeeping = Timekeeping::ForAll;
                        }
                        None
                    }
                    _ => {
                        let kinds = [Timekeeping::Own, Timekeeping::ForAll, Timekeeping::ByOthers];
                        let kind = kinds[below(3)];
                        let joined = queue.join(1, End::Back, CanDo::Anything, kind, SINCE);
                        waiting.push_back((joined, kind));
                        None
                    }
                };
                let of_kind = |kind| waiting.iter().filter(move |one| one.1 == kind);
                let keepers = of_kind(Timekeeping::ForAll).count();
                assert_eq!(queue.keepers() as usize, keepers);
                if keepers > 0
                    || called.is_some_and(|called| gone.is_some_and(|gone| gone.0 == called))
                {
                    called = None;
                }
                let lacks = keepers == 0
                    && called.is_none()
                    && of_kind(Timekeeping::ByOthers).next().is_some();
                assert_eq!(queue.lacks_keeper(), lacks);
                if let Some(waiter) = queue.call_keeper() {
                    assert!(of_kind(Timekeeping::ByOthers).any(|one| one.0 == waiter));
                    called = Some(waiter);
                }
                let mut relying = Vec::new();
                queue.name_relying(|_| true, |waiter| relying.push(waiter));
                assert!(of_kind(Timekeeping::ByOthers).map(|one| one.0).eq(relying));
            }
        }
    }

    #[test]
    fn who_is_woken_for_work_can_do_it() {
        let mut queue = WaitQueue::new(Vec::new());
        let mut join = |can_do| queue.join(1, End::Back, can_do, Timekeeping::Own, SINCE);
        let opens = join(CanDo::Open);
        let _busy = join(CanDo::Nothing);
        let free = join(CanDo::Anything);
        let last = join(CanDo::Anything);
        let named = |openings, others| {
            let mut named = Vec::new();
            queue.name_helpers(openings, others, |waiter| named.push(waiter));
            named
        };
        assert_eq!(named(0, 1), [free]);
        assert_eq!(named(1, 0), [opens]);
        assert_eq!(named(1, 1), [opens, free]);
        assert_eq!(named(2, 0), [opens, free]);
        assert_eq!(named(9, 9), [opens, free, last]);
    }
}
