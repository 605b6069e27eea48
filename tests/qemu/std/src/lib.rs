//! The paths of `std` that the test files name, on a machine without an operating system.
//!
//! What `core` and `alloc` have is re-exported. The rest is as much as the tests need of it: locks of a program with one
//! thread, in which a lock that is held twice is a bug and panics; sets and maps in order; errors of input and output
//! without any. A panic ends the program, so nothing catches one.
#![no_std]
#![feature(custom_test_frameworks)]

extern crate alloc;

pub use alloc::{borrow, boxed, fmt, format, rc, slice, str, string, vec};
pub use core::{
    any, array, cell, char, cmp, convert, default, error, future, hash, hint, iter, marker, mem,
    num, ops, option, pin, ptr, result, time,
};

pub mod collections;
pub mod io;
mod panicking;
pub mod prelude;
pub mod sync;
pub mod thread;

pub mod task {
    #[cfg(target_has_atomic = "ptr")]
    pub use alloc::task::Wake;
    pub use core::task::{Context, Poll, RawWaker, RawWakerVTable, Waker, ready};
    #[cfg(not(target_has_atomic = "ptr"))]
    pub use portable_atomic_util::task::Wake;
}

pub mod panic {
    pub use core::panic::{AssertUnwindSafe, Location, UnwindSafe};

    pub use crate::panicking::{catch_unwind, resume_unwind};
}
