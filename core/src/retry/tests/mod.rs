//! All in virtual time: no test waits.

extern crate std;

mod clock;
mod errors;
mod limits;
mod nested;
mod policy;
mod running;
mod virtual_timer;

use core::time::Duration;
use std::cell::Cell;
use std::rc::Rc;

use virtual_timer::VirtualTimer;

use super::Retry;
use crate::backoff::Backoff;
use crate::backoff::Jitter;

const SECOND: Duration = Duration::from_secs(1);

/// Delays of exactly 1 s, 2 s, 4 s .. up to 30 s.
const EXACT: Retry = Retry::new(Backoff::DEFAULT.jitter(Jitter::None));

/// Counts how often an operation was called, from inside the operation.
#[derive(Clone, Default)]
struct Calls(Rc<Cell<u32>>);

impl Calls {
    /// The number of this call, the first being 1.
    fn count(&self) -> u32 {
        self.0.set(self.0.get() + 1);
        self.0.get()
    }

    fn so_far(&self) -> u32 {
        self.0.get()
    }
}
