//! Where a kernel keeps what it has one of for each waiter, and for each opening under way.

use core::ops::{Deref, DerefMut};

use super::family::{FamilyQuota, NoFamily};
use super::openings::OpeningUnderWay;
use super::queue::QueueEntry;

/// The memory of a kernel, and whether it is of a family. A pool on the heap has lists that grow; one without has
/// arrays.
pub(crate) trait Storage {
    type Waiters: List<QueueEntry>;
    type Openings: List<OpeningUnderWay>;
    /// The bound that it shares with others.
    type Quota: FamilyQuota;
}

/// A list that grows at its end.
pub(crate) trait List<T>: DerefMut<Target = [T]> {
    /// Whether another can be pushed.
    fn has_room(&self) -> bool;

    /// Only where there is room.
    fn push(&mut self, item: T);

    /// The order of the others stays.
    fn remove(&mut self, index: usize) -> T;
}

/// The storage of a kernel for so many values and waiters at most.
#[derive(Debug)]
pub(crate) struct InPlace<const VALUES: usize, const WAITERS: usize>;

impl<const VALUES: usize, const WAITERS: usize> Storage for InPlace<VALUES, WAITERS> {
    type Waiters = FixedList<QueueEntry, WAITERS>;
    type Openings = FixedList<OpeningUnderWay, VALUES>;
    type Quota = NoFamily;
}

/// A list in an array.
#[derive(Debug)]
pub(crate) struct FixedList<T, const MOST: usize> {
    items: [T; MOST],
    len: usize,
}

impl<T: Copy, const MOST: usize> FixedList<T, MOST> {
    /// Empty. What it holds beyond its end is `unused`.
    pub(crate) const fn new(unused: T) -> Self {
        Self {
            items: [unused; MOST],
            len: 0,
        }
    }
}

impl<T, const MOST: usize> Deref for FixedList<T, MOST> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.items[..self.len]
    }
}

impl<T, const MOST: usize> DerefMut for FixedList<T, MOST> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.items[..self.len]
    }
}

impl<T: Copy, const MOST: usize> List<T> for FixedList<T, MOST> {
    fn has_room(&self) -> bool {
        self.len < MOST
    }

    fn push(&mut self, item: T) {
        self.items[self.len] = item;
        self.len += 1;
    }

    fn remove(&mut self, index: usize) -> T {
        let item = self[index];
        self.items.copy_within(index + 1..self.len, index);
        self.len -= 1;
        item
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_removed_leaves_the_others_in_order() {
        let mut list = FixedList::<u8, 4>::new(0);
        for item in 1..=4 {
            assert!(list.has_room());
            list.push(item);
        }
        assert!(!list.has_room());
        assert_eq!(list.remove(1), 2);
        assert_eq!(*list, [1, 3, 4]);
        assert_eq!(list.remove(2), 4);
        list.push(5);
        assert_eq!(*list, [1, 3, 5]);
    }
}
