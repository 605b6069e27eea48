//! The heap: half of the memory of the boards.

use core::mem::MaybeUninit;
use core::ptr::addr_of_mut;

use embedded_alloc::LlffHeap;

const SIZE: usize = 2 * 1024 * 1024;

#[global_allocator]
static HEAP: LlffHeap = LlffHeap::empty();

/// Gives the heap its memory. Once, before anything is allocated.
pub(crate) fn init() {
    static mut MEMORY: [MaybeUninit<u8>; SIZE] = [MaybeUninit::uninit(); SIZE];
    // SAFETY: it is called once, as the program begins, and nothing else knows of this memory.
    unsafe { HEAP.init(addr_of_mut!(MEMORY) as usize, SIZE) }
}

/// Returns how many bytes are in use.
pub(crate) fn used() -> usize {
    HEAP.used()
}
