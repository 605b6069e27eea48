//! Where idle values lie: a few stacks, each under a lock and a gate of its own.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use core::time::Duration;

use super::slot::Slot;
use super::timings::StackTimes;
use crate::kernel::{Limits, Standing};
use crate::sync::{self, AtomicBool, CachePadded, Lock, locked};

/// The idle values, spread over a few stacks so that threads do not meet at one lock.
///
/// While a gate is up, nobody takes from its stack or puts there but under the pool's lock. While
/// anybody waits, all gates are up and every value that comes back goes through that lock: so nobody
/// overtakes. Three rules keep that true:
///
/// - a gate is raised and lowered only under the pool's lock;
/// - whoever finds a gate up goes to the pool's lock;
/// - the pool's lock comes before any stack's.
#[derive(Debug)]
pub(crate) struct Stacks<V> {
    stacks: Box<[CachePadded<Lock<Stack<V>>>]>,
    order: IdleOrder,
    /// Whether the gates are up, as far as can be seen without a lock. Only a hint: whoever goes to the queue
    /// for it finds there what is so, and so does whoever does not. So it need not be modelled.
    congested: AtomicBool,
    /// Whether values that come back are to be told of, as far as can be seen without a lock. A hint as well, but for
    /// who notes a loan before: it sees this, or whoever set it sees the loan.
    watched: AtomicBool,
    keep_times: bool,
}

/// Which of the idle values is lent first.
///
/// ```
/// use tenure_core::pool::IdleOrder;
/// # use tenure_core::{Pool, Resource};
/// # fn f(db: impl Resource) {
/// let builder = Pool::builder(db).idle_order(IdleOrder::OldestFirst);
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdleOrder {
    /// The one that was used last: a few values stay warm, the others become idle for long enough to be
    /// trimmed. Each thread prefers what it gave back itself, so across threads the order is not strict.
    #[default]
    LatestFirst,
    /// The one that has been idle for longest, so that all are used in turn. All threads then meet at
    /// one lock.
    OldestFirst,
}

#[derive(Debug)]
struct Stack<V> {
    barred: Bars,
    /// Values taken from here less those put here. Below zero where values come home to another
    /// stack than they left; the sum over all stacks is what counts.
    lent: i64,
    /// The one that was put here last, if nobody has taken it or looked at the others since: what is lent and given back
    /// in turn meets the queue behind it only once.
    top: Option<Box<Slot<V>>>,
    idle: VecDeque<Box<Slot<V>>>,
    limits: Limits,
    /// How long its threads waited, and had values, where somebody wants to know.
    times: Option<Box<StackTimes>>,
}

/// What keeps values from being put onto a stack, or from being taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bars(u8);

impl Bars {
    /// The gate is up: nothing is taken or put back.
    const GATE: Self = Self(1);
    /// Values that come back go through the queue, where somebody wants to know of them.
    const WATCH: Self = Self(2);
    /// What was put here last is not lent first, and a closer look says what is.
    const ORDER: Self = Self(4);

    #[inline(always)]
    const fn has(self, bars: Self) -> bool {
        self.0 & bars.0 != 0
    }

    const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn set(&mut self, bar: Self, up: bool) {
        self.0 = if up { self.0 | bar.0 } else { self.0 & !bar.0 };
    }
}

/// What somebody finds who looks into a stack.
enum StackLook<V> {
    Value(Box<Slot<V>>),
    Nothing,
    /// The value whose turn it is has lain idle, and is to be looked at before it is lent.
    Rested,
    /// All gates are up if one is, or are about to be.
    Gate,
}

impl<V> Stack<V> {
    #[inline(always)]
    fn pop(&mut self, order: IdleOrder) -> Option<Box<Slot<V>>> {
        match order {
            IdleOrder::LatestFirst => self.top.take().or_else(|| self.idle.pop_back()),
            IdleOrder::OldestFirst => self.idle.pop_front().or_else(|| self.top.take()),
        }
    }

    /// Takes the value whose turn it is, if it may be lent as it is.
    #[inline(always)]
    fn look<const WARY: bool>(&mut self, order: IdleOrder) -> StackLook<V> {
        match self.pop(order) {
            // Looked at once it is taken: to look where it lies would mean to find the place twice.
            Some(slot) if WARY && slot.life.standing >= Standing::RESTED => {
                self.lay_back(order, slot);
                StackLook::Rested
            }
            Some(slot) => {
                self.lent += 1;
                StackLook::Value(slot)
            }
            None => StackLook::Nothing,
        }
    }

    /// Lays a value above all others.
    #[inline(always)]
    fn push(&mut self, slot: Box<Slot<V>>) {
        if let Some(below) = self.top.replace(slot) {
            self.idle.push_back(below);
        }
    }

    /// All values, for whoever looks at more than one, in the order in which they lie.
    fn all(&mut self) -> &mut VecDeque<Box<Slot<V>>> {
        self.idle.extend(self.top.take());
        &mut self.idle
    }

    fn pop_fit(
        &mut self,
        order: IdleOrder,
        fit: impl Fn(&Slot<V>) -> bool,
    ) -> Option<Box<Slot<V>>> {
        let index = match order {
            IdleOrder::LatestFirst => self.all().iter().rposition(|slot| fit(slot)),
            IdleOrder::OldestFirst => self.all().iter().position(|slot| fit(slot)),
        };
        self.idle.remove(index?)
    }

    #[inline(always)]
    fn note_use(&mut self, used: Option<Duration>) {
        if let (Some(used), Some(times)) = (used, &mut self.times) {
            times.used.record(used);
        }
    }

    /// Lays a value back that was just taken.
    #[cold]
    fn lay_back(&mut self, order: IdleOrder, slot: Box<Slot<V>>) {
        match order {
            IdleOrder::LatestFirst => self.push(slot),
            IdleOrder::OldestFirst => self.idle.push_front(slot),
        }
    }
}

/// More stacks than this only make the search through all of them longer.
const MOST_STACKS: usize = 8;

impl<V> Stacks<V> {
    pub(crate) fn new(max_size: usize, order: IdleOrder, limits: Limits, keep_times: bool) -> Self {
        let count = match order {
            // A power of two, so that no division is needed to find one's own.
            IdleOrder::LatestFirst => {
                let most = sync::parallelism().min(max_size).clamp(1, MOST_STACKS);
                1 << most.ilog2()
            }
            IdleOrder::OldestFirst => 1,
        };
        let barred = match order {
            IdleOrder::LatestFirst => Bars(0),
            IdleOrder::OldestFirst => Bars::ORDER,
        };
        let empty = || {
            CachePadded(Lock::new(Stack {
                barred,
                lent: 0,
                top: None,
                idle: VecDeque::new(),
                limits,
                times: keep_times.then(Box::default),
            }))
        };
        Self {
            stacks: (0..count).map(|_| empty()).collect(),
            order,
            congested: AtomicBool::new(false),
            watched: AtomicBool::new(false),
            keep_times,
        }
    }

    /// Takes an idle value: from this thread's stack, else from any other. Where it is `WARY`, it leaves those
    /// that are to be looked at before they are lent.
    #[inline(always)]
    pub(crate) fn take<const WARY: bool>(&self) -> Option<Box<Slot<V>>> {
        if self.is_congested() {
            return None;
        }
        let home = self.home();
        match self.take_from::<WARY>(home) {
            StackLook::Value(slot) => Some(slot),
            StackLook::Gate => None,
            StackLook::Nothing | StackLook::Rested => self.take_from_others::<WARY>(home),
        }
    }

    #[cold]
    fn take_from_others<const WARY: bool>(&self, home: usize) -> Option<Box<Slot<V>>> {
        let mut others = (1..self.stacks.len()).map(|step| (home + step) & (self.stacks.len() - 1));
        others.find_map(|index| match self.take_from::<WARY>(index) {
            StackLook::Value(slot) => Some(slot),
            StackLook::Gate | StackLook::Nothing | StackLook::Rested => None,
        })
    }

    #[inline(always)]
    fn take_from<const WARY: bool>(&self, index: usize) -> StackLook<V> {
        locked!(self.stacks[index], |stack| {
            if stack.barred.has(Bars::GATE.and(Bars::ORDER)) {
                self.look_closely::<WARY>(stack)
            } else {
                stack.look::<WARY>(IdleOrder::LatestFirst)
            }
        })
    }

    #[cold]
    fn look_closely<const WARY: bool>(&self, stack: &mut Stack<V>) -> StackLook<V> {
        if stack.barred.has(Bars::GATE) {
            StackLook::Gate
        } else {
            stack.look::<WARY>(self.order)
        }
    }

    /// Takes the idle value that would be lent first of those that are fit, wherever it lies, unless a gate is up.
    #[cold]
    pub(crate) fn take_fit(&self, fit: impl Fn(&Slot<V>) -> bool) -> Option<Box<Slot<V>>> {
        self.stacks.iter().find_map(|stack| {
            stack.with(|stack| {
                if stack.barred.has(Bars::GATE) {
                    return None;
                }
                let slot = stack.pop_fit(self.order, &fit)?;
                stack.lent += 1;
                Some(slot)
            })
        })
    }

    /// Puts back a lent value whose loan has ended, unless a gate sends it to the pool's lock, or it is not fit to
    /// be used again.
    #[inline(always)]
    pub(crate) fn put_back(&self, slot: Box<Slot<V>>) -> Result<(), Box<Slot<V>>> {
        self.put_back_used(slot, None)
    }

    /// The same, and takes note of how long it was used, if that counts.
    #[inline(always)]
    pub(crate) fn put_back_used(
        &self,
        mut slot: Box<Slot<V>>,
        used: Option<Duration>,
    ) -> Result<(), Box<Slot<V>>> {
        if self.is_congested() {
            self.note_use(used);
            return Err(slot);
        }
        locked!(self.stacks[self.home()], |stack| {
            stack.note_use(used);
            if !stack.barred.has(Bars::GATE.and(Bars::WATCH))
                && stack.limits.allow_after_loan(&slot.life)
            {
                stack.lent -= 1;
                slot.life.loan_ended();
                stack.push(slot);
                Ok(())
            } else {
                Err(slot)
            }
        })
    }

    #[inline(always)]
    fn is_congested(&self) -> bool {
        self.congested.load(Ordering::Relaxed)
    }

    #[inline(always)]
    fn home(&self) -> usize {
        sync::thread_number() & (self.stacks.len() - 1)
    }

    /// Adds a value that nobody had. Under the pool's lock, with nobody waiting.
    pub(crate) fn add(&self, slot: Box<Slot<V>>) {
        self.stacks[self.home()].with(|stack| stack.push(slot));
    }

    /// Adds a value that is to be used last of all. Under the pool's lock, with nobody waiting.
    pub(crate) fn add_last(&self, slot: Box<Slot<V>>) {
        self.stacks[self.home()].with(|stack| match self.order {
            IdleOrder::LatestFirst => stack.idle.push_front(slot),
            IdleOrder::OldestFirst => stack.push(slot),
        });
    }

    /// Raises all gates, unless an idle value turns up on the way: then that is the answer, and the
    /// gates stay down. Under the pool's lock, with all gates down.
    pub(crate) fn gate_or_take(&self) -> Option<Box<Slot<V>>> {
        for stack in &self.stacks {
            let found = stack.with(|stack| {
                let slot = stack.pop(self.order);
                stack.barred.set(Bars::GATE, slot.is_none());
                slot
            });
            if found.is_some() {
                self.set_gates(false);
                return found;
            }
        }
        self.congested.store(true, Ordering::Relaxed);
        None
    }

    /// Takes the first fit idle value whether a gate is up or not. Under the pool's lock.
    pub(crate) fn take_fit_behind_gates(
        &self,
        fit: impl Fn(&Slot<V>) -> bool,
    ) -> Option<Box<Slot<V>>> {
        let mut stacks = self.stacks.iter();
        stacks.find_map(|stack| stack.with(|stack| stack.pop_fit(self.order, &fit)))
    }

    /// Takes an idle value whether a gate is up or not. Under the pool's lock.
    pub(crate) fn take_behind_gates(&self) -> Option<Box<Slot<V>>> {
        self.stacks
            .iter()
            .find_map(|stack| stack.with(|stack| stack.pop(self.order)))
    }

    /// Takes the value of the first stack that has any which has been idle for longest. Under the pool's lock,
    /// with the gates up.
    pub(crate) fn take_longest_idle(&self) -> Option<Box<Slot<V>>> {
        self.stacks
            .iter()
            .find_map(|stack| stack.with(|stack| stack.all().pop_front()))
    }

    /// Raises or lowers all gates. Under the pool's lock; down only with nobody waiting.
    pub(crate) fn set_gates(&self, up: bool) {
        for stack in &self.stacks {
            stack.with(|stack| stack.barred.set(Bars::GATE, up));
        }
        self.congested.store(up, Ordering::Relaxed);
    }

    /// From now on, values that come back go through the queue, or no longer. Under the pool's lock.
    pub(crate) fn set_watch(&self, on: bool) {
        for stack in &self.stacks {
            stack.with(|stack| stack.barred.set(Bars::WATCH, on));
        }
        self.watched.store(on, Ordering::SeqCst);
    }

    /// Returns `true` if values that come back are told of. A hint, without a lock.
    pub(crate) fn is_watched(&self) -> bool {
        self.watched.load(Ordering::SeqCst)
    }

    /// Whether it counts how long acquires and loans take.
    #[inline(always)]
    pub(crate) const fn keep_times(&self) -> bool {
        self.keep_times
    }

    /// Takes note of how long a value was used whose loan has ended, if that counts.
    #[inline(always)]
    pub(crate) fn note_use(&self, used: Option<Duration>) {
        if used.is_some() {
            self.stacks[self.home()].with(|stack| stack.note_use(used));
        }
    }

    /// Takes note of how long an acquire took.
    pub(crate) fn note_wait(&self, waited: Duration) {
        self.stacks[self.home()].with(|stack| {
            if let Some(times) = &mut stack.times {
                times.waited.record(waited);
            }
        });
    }

    /// All of these times, if they count.
    pub(super) fn times(&self) -> Option<StackTimes> {
        self.keep_times.then(|| {
            let mut sum = StackTimes::default();
            for stack in &self.stacks {
                stack.with(|stack| {
                    if let Some(times) = &stack.times {
                        sum.add(times);
                    }
                });
            }
            sum
        })
    }

    /// From now on, what these limits forbid is not put back. Under the pool's lock.
    pub(crate) fn set_limits(&self, limits: Limits) {
        for stack in &self.stacks {
            stack.with(|stack| stack.limits = limits);
        }
    }

    /// Shows every idle value. Under the pool's lock.
    pub(crate) fn for_each(&self, mut look: impl FnMut(&mut Slot<V>)) {
        for stack in &self.stacks {
            stack.with(|stack| stack.all().iter_mut().for_each(|slot| look(slot)));
        }
    }

    /// Takes out every value for which `fate` has a word, with that word. Under the pool's lock.
    pub(crate) fn sort_out<F>(
        &self,
        mut fate: impl FnMut(&mut Slot<V>) -> Option<F>,
    ) -> Vec<(F, Box<Slot<V>>)> {
        let mut left = Vec::new();
        for stack in &self.stacks {
            stack.with(|stack| {
                let mut index = 0;
                while let Some(slot) = stack.all().get_mut(index) {
                    match fate(slot) {
                        Some(word) => {
                            left.extend(stack.idle.remove(index).map(|slot| (word, slot)))
                        }
                        None => index += 1,
                    }
                }
            });
        }
        left
    }

    /// Takes out the values that are meant, each with the number of its stack, in the order in which they lie.
    /// Under the pool's lock.
    pub(crate) fn take_those(
        &self,
        meant: impl Fn(&Slot<V>) -> bool,
    ) -> Vec<(usize, Box<Slot<V>>)> {
        let mut taken = Vec::new();
        for (home, stack) in self.stacks.iter().enumerate() {
            stack.with(|stack| {
                let mut index = 0;
                while let Some(slot) = stack.all().get(index) {
                    if meant(slot) {
                        taken.extend(stack.idle.remove(index).map(|slot| (home, slot)));
                    } else {
                        index += 1;
                    }
                }
            });
        }
        taken
    }

    /// Adds a value below all others of a stack. Under the pool's lock, with nobody waiting.
    pub(crate) fn add_under(&self, home: usize, slot: Box<Slot<V>>) {
        self.stacks[home].with(|stack| stack.idle.push_front(slot));
    }

    /// Takes out every value. Under the pool's lock.
    pub(crate) fn take_all(&self) -> Vec<Box<Slot<V>>> {
        let all = self.sort_out(|_| Some(()));
        all.into_iter().map(|((), slot)| slot).collect()
    }

    /// How many values lie idle, and how many more were taken from the stacks than put back.
    ///
    /// All stacks are locked until the last is counted: else a value that moves from one that is not
    /// yet counted to one that is would count nowhere. Under the pool's lock.
    pub(crate) fn count(&self) -> (usize, i64) {
        self.count_from(0, (0, 0))
    }

    fn count_from(&self, index: usize, (idle, lent): (usize, i64)) -> (usize, i64) {
        match self.stacks.get(index) {
            None => (idle, lent),
            Some(stack) => stack.with(|stack| {
                let sum = (idle + stack.all().len(), lent + stack.lent);
                self.count_from(index + 1, sum)
            }),
        }
    }
}
