//! Where idle values lie: a few stacks, each under a lock and a gate of its own.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::slot::Slot;
use crate::sync::{self, Lock};

/// The idle values, spread over a few stacks so that threads do not meet at one lock.
///
/// While anybody waits in the queue, all gates are up, the stacks are empty, and every value that
/// comes back goes through the queue: so nobody overtakes. Three rules keep that true:
///
/// - a gate is raised and lowered only under the queue's lock;
/// - whoever finds a gate up goes to the queue;
/// - the queue's lock comes before any stack's.
#[derive(Debug)]
pub(crate) struct Stacks<V> {
    stacks: Box<[Lock<Stack<V>>]>,
}

#[derive(Debug)]
struct Stack<V> {
    gated: bool,
    /// Values taken from here less those put here. Below zero where values come home to another
    /// stack than they left; the sum over all stacks is what counts.
    lent: i64,
    idle: Vec<Slot<V>>,
}

/// More stacks than this only make the search through all of them longer.
const MOST_STACKS: usize = 8;

impl<V> Stacks<V> {
    pub(crate) fn new(max_size: usize) -> Self {
        let count = sync::parallelism().min(max_size).clamp(1, MOST_STACKS);
        let empty = || {
            Lock::new(Stack {
                gated: false,
                lent: 0,
                idle: Vec::new(),
            })
        };
        Self {
            stacks: (0..count).map(|_| empty()).collect(),
        }
    }

    /// Takes an idle value: from this thread's stack, else from any other.
    #[inline]
    pub(crate) fn take(&self) -> Option<Slot<V>> {
        let home = self.home();
        let others = || (1..self.stacks.len()).map(|step| (home + step) % self.stacks.len());
        self.take_from(home)
            .or_else(|| others().find_map(|index| self.take_from(index)))
    }

    #[inline]
    fn take_from(&self, index: usize) -> Option<Slot<V>> {
        self.stacks[index].with(|stack| {
            if stack.gated {
                return None;
            }
            let slot = stack.idle.pop()?;
            stack.lent += 1;
            Some(slot)
        })
    }

    /// Puts back a lent value, unless a gate sends it to the queue.
    #[inline]
    pub(crate) fn put_back(&self, slot: Slot<V>) -> Result<(), Slot<V>> {
        self.stacks[self.home()].with(|stack| {
            if stack.gated {
                return Err(slot);
            }
            stack.lent -= 1;
            stack.idle.push(slot);
            Ok(())
        })
    }

    #[inline]
    fn home(&self) -> usize {
        match self.stacks.len() {
            1 => 0,
            count => sync::thread_number() % count,
        }
    }

    /// Adds a value that nobody had. Under the queue's lock, with the gates down.
    pub(crate) fn add(&self, slot: Slot<V>) {
        self.stacks[self.home()].with(|stack| stack.idle.push(slot));
    }

    /// Adds a value that is to be used last of all. Under the queue's lock, with the gates down.
    pub(crate) fn add_last(&self, slot: Slot<V>) {
        self.stacks[self.home()].with(|stack| stack.idle.insert(0, slot));
    }

    /// Raises all gates, unless an idle value turns up on the way: then that is the answer, and the
    /// gates stay down. Under the queue's lock, with nobody waiting.
    pub(crate) fn gate_or_take(&self) -> Option<Slot<V>> {
        for stack in &self.stacks {
            let found = stack.with(|stack| {
                let slot = stack.idle.pop();
                stack.gated = slot.is_none();
                slot
            });
            if found.is_some() {
                self.lower_gates();
                return found;
            }
        }
        None
    }

    /// Raises all gates and takes all that lies behind them. Under the queue's lock.
    pub(crate) fn gate_and_drain(&self) -> Vec<Slot<V>> {
        let mut drained = Vec::new();
        for stack in &self.stacks {
            stack.with(|stack| {
                stack.gated = true;
                drained.append(&mut stack.idle);
            });
        }
        drained
    }

    /// Lowers all gates. Under the queue's lock, with nobody waiting.
    pub(crate) fn lower_gates(&self) {
        for stack in &self.stacks {
            stack.with(|stack| stack.gated = false);
        }
    }

    /// Takes out every value for which `leaves` says so. Under the queue's lock.
    pub(crate) fn extract(&self, mut leaves: impl FnMut(&mut Slot<V>) -> bool) -> Vec<Slot<V>> {
        let mut left = Vec::new();
        for stack in &self.stacks {
            stack.with(|stack| {
                let mut index = 0;
                while index < stack.idle.len() {
                    if leaves(&mut stack.idle[index]) {
                        left.push(stack.idle.remove(index));
                    } else {
                        index += 1;
                    }
                }
            });
        }
        left
    }

    /// How many values lie idle, and how many more were taken from the stacks than put back.
    ///
    /// All stacks are locked until the last is counted: else a value that moves from one that is not
    /// yet counted to one that is would count nowhere. Under the queue's lock.
    pub(crate) fn count(&self) -> (usize, i64) {
        self.count_from(0, (0, 0))
    }

    fn count_from(&self, index: usize, (idle, lent): (usize, i64)) -> (usize, i64) {
        match self.stacks.get(index) {
            None => (idle, lent),
            Some(stack) => stack.with(|stack| {
                let sum = (idle + stack.idle.len(), lent + stack.lent);
                self.count_from(index + 1, sum)
            }),
        }
    }
}
