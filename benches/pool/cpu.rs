//! Processor time, by which contenders are compared: what else runs on the machine takes none of it.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Returns the time that all threads of this process have spent on a processor.
pub(crate) fn time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.try_into()
        .expect("no process has run for less than no time")
}
