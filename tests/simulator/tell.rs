//! What was proven, said where the test runner does not keep it to itself.

use std::fmt;
use std::io::{Write, stderr};
use std::ops::AddAssign;

use tenure_sim::Cancelled;

/// Prints a line, though the test passes.
pub(crate) fn tell(line: fmt::Arguments<'_>) {
    let _ = writeln!(stderr(), "{line}");
}

/// Drops, counted over many worlds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Drops {
    cancelled: Cancelled,
    worlds: u64,
}

impl AddAssign<Cancelled> for Drops {
    fn add_assign(&mut self, cancelled: Cancelled) {
        self.cancelled += cancelled;
        self.worlds += 1;
    }
}

impl AddAssign for Drops {
    fn add_assign(&mut self, other: Self) {
        self.cancelled += other.cancelled;
        self.worlds += other.worlds;
    }
}

impl fmt::Display for Drops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cancelled, worlds } = self;
        write!(
            f,
            "in {worlds} scenes, {} in all: {cancelled}",
            cancelled.total()
        )
    }
}
