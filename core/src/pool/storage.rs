//! What a pool on the heap keeps its kernel's lists in.

use alloc::vec::Vec;

use super::quota::QuotaSeat;
use crate::kernel::{Kernel, List, OpeningUnderWay, QueueEntry, Storage};

pub(super) type PoolKernel = Kernel<OnHeap>;

pub(super) struct OnHeap;

impl Storage for OnHeap {
    type Waiters = Vec<QueueEntry>;
    type Openings = Vec<OpeningUnderWay>;
    type Quota = QuotaSeat;
}

impl<T> List<T> for Vec<T> {
    fn has_room(&self) -> bool {
        true
    }

    fn push(&mut self, item: T) {
        self.push(item);
    }

    fn remove(&mut self, index: usize) -> T {
        self.remove(index)
    }
}
