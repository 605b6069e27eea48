//! An allocator that counts, on one thread and only while it is asked to.
#![allow(
    unsafe_code,
    reason = "a `GlobalAlloc` cannot be written without; this one hands on to the system's"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// What this thread has allocated since it began to count.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allocations {
    /// How often memory was asked for. What grows in place is asked for as well.
    pub(crate) count: u64,
    /// Bytes asked for, less bytes given back.
    pub(crate) bytes: i64,
}

thread_local! {
    /// Without a destructor and initialised by the compiler, so that looking at it costs no more than a
    /// load: the times of whoever allocates are measured too.
    static COUNTING: Cell<Option<Allocations>> = const { Cell::new(None) };
}

/// Counts on this thread until [`stop`].
pub(crate) fn start() {
    COUNTING.set(Some(Allocations::default()));
}

pub(crate) fn stop() -> Allocations {
    COUNTING.take().expect("counting was started")
}

fn note(count: u64, bytes: i64) {
    // The variable is gone while its thread ends; nothing is measured then.
    let _ = COUNTING.try_with(|counting| {
        if let Some(sum) = counting.get() {
            counting.set(Some(Allocations {
                count: sum.count + count,
                bytes: sum.bytes + bytes,
            }));
        }
    });
}

struct CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

// SAFETY: every method hands its arguments on to the system's allocator as they are; counting neither
// allocates nor unwinds.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(1, layout.size() as i64);
        // SAFETY: the caller keeps the contract of this very method.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(1, layout.size() as i64);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        note(1, new_size as i64 - layout.size() as i64);
        // SAFETY: as above.
        unsafe { System.realloc(old, layout, new_size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        note(0, -(layout.size() as i64));
        // SAFETY: as above.
        unsafe { System.dealloc(old, layout) }
    }
}
