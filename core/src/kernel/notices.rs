//! What follows from a change for others.

use crate::time::Instant;

/// Whom a change concerns, beside the one who makes it. Collected during it, and told on the way out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Notices {
    /// Whether there is anything below: each change looks, and most find nothing.
    any: bool,
    /// The Runner has something to do.
    pub(crate) runner: bool,
    /// Whoever listens for changes is to hear of one.
    pub(crate) changed: bool,
    /// Other pools of the family have something to do.
    pub(crate) errands: bool,
    /// So many waiters are to look for an opening to begin, and so many for other work.
    pub(crate) openings: usize,
    pub(crate) others: usize,
    /// Those who rely on others for their time are to look, as far as it is over by then. The epoch if none is.
    pub(crate) overdue_at: Instant,
}

impl Notices {
    pub(super) const NONE: Self = Self {
        any: false,
        runner: false,
        changed: false,
        errands: false,
        openings: 0,
        others: 0,
        overdue_at: Instant::EPOCH,
    };

    #[inline(always)]
    pub(super) const fn any(&self) -> bool {
        self.any
    }

    pub(super) const fn take(&mut self) -> Self {
        core::mem::replace(self, Self::NONE)
    }

    pub(super) const fn tell_runner(&mut self) {
        self.any = true;
        self.runner = true;
    }

    pub(super) const fn tell_of_change(&mut self) {
        self.any = true;
        self.changed = true;
    }

    pub(super) const fn tell_family(&mut self) {
        self.any = true;
        self.errands = true;
    }

    pub(super) fn tell_helpers(&mut self, openings: usize, others: usize) {
        self.any = true;
        self.openings = self.openings.max(openings);
        self.others = self.others.max(others);
    }

    pub(super) const fn tell_overdue(&mut self, at: Instant) {
        self.any = true;
        self.overdue_at = at;
    }
}
