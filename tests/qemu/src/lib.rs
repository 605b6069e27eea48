//! A machine without an operating system on which the tests of this folder run: its heap, its clock, its tasks, and the
//! report of what ran.
#![no_std]

extern crate alloc;

mod arguments;
mod clock;
mod heap;
mod report;
mod tasks;

#[cfg(target_arch = "arm")]
pub use cortex_m_rt::entry;
#[cfg(target_arch = "riscv32")]
pub use riscv_rt::entry;

// Each brings what a critical section is on its processor.
#[cfg(target_arch = "arm")]
use cortex_m as _;
#[cfg(target_arch = "riscv32")]
use riscv as _;

pub use report::{Elsewhere, LeftOut, Test, run_tests};
pub use tasks::Tasks;

/// What one thread and no interrupt uses.
struct OneThread<T>(T);

// SAFETY: the programs that link this have one thread, and no handler of an interrupt but those of the processor's faults.
unsafe impl<T> Sync for OneThread<T> {}
