//! The heap of the firmware that has one.

use core::mem::MaybeUninit;
use core::ptr::addr_of_mut;

use embedded_alloc::LlffHeap;

const SIZE: usize = 32 * 1024;

#[global_allocator]
static HEAP: LlffHeap = LlffHeap::empty();

/// Gives the heap its memory. Once, before anything is allocated.
pub(crate) fn start() {
    static mut MEMORY: [MaybeUninit<u8>; SIZE] = [MaybeUninit::uninit(); SIZE];
    // SAFETY: it is called once, first of all, and nothing else knows of this memory.
    unsafe { HEAP.init(addr_of_mut!(MEMORY) as usize, SIZE) }
}

/// Returns how many bytes are in use.
#[cfg(feature = "telling")]
pub(crate) fn used() -> usize {
    HEAP.used()
}
