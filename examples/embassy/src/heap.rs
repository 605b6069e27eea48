//! The heap. What holds values allocates as it is built and as it grows; an acquire allocates nothing.

use core::mem::MaybeUninit;
use core::ptr::addr_of_mut;

use embedded_alloc::LlffHeap;

const SIZE: usize = 8 * 1024;

#[global_allocator]
static HEAP: LlffHeap = LlffHeap::empty();

/// Gives the heap its memory, before anything is allocated.
pub(crate) fn start() {
    static mut MEMORY: [MaybeUninit<u8>; SIZE] = [MaybeUninit::uninit(); SIZE];
    // SAFETY: `main` calls it once, first of all, and nothing else knows of this memory.
    unsafe { HEAP.init(addr_of_mut!(MEMORY) as usize, SIZE) }
}

/// Returns how many bytes are in use.
pub(crate) fn used() -> usize {
    HEAP.used()
}
