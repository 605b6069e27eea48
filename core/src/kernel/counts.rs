//! How many values are where.
//!
//! A value moves, and a move takes it from one count and adds it to another: there is no other way to change one, so
//! that they balance whatever happens in between. Everything else is derived.
//!
//! A value holds its slot until its close has ended, so that there are never more values than the maximum. Values
//! that were found broken are the exception: their peer may never answer, so up to an allowance of them are closed
//! without a slot, *beside* their successors. Which of them is not noted: of so many broken values, the lesser of that
//! number and the allowance hold none.

/// Where a value is, or an opening that may become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Not opened yet, detached, or at its end.
    Outside,
    /// Being opened.
    Opening,
    /// Open, and not ready for its first use yet.
    Finishing,
    /// On a stack.
    Idle,
    /// In a lease, or handed to a waiter that has not looked yet.
    Lent,
    /// Kept for the first waiter, which wants several.
    Gathered,
    /// Came back, and waits for what is done after a release.
    Returned,
    /// Under a check or a hook, or asked about.
    Checking,
    /// Out of service, and waits to be closed.
    Retired,
    /// Being closed.
    Closing,
    /// Taken from where it was, and not placed anew yet. Only while the lock is held.
    Moving,
}

/// How many values are in each place.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Idle or lent. The stacks move values between the two by themselves, and know how many lie there.
    available: usize,
    gathered: usize,
    opening: usize,
    finishing: usize,
    returned: usize,
    checking: usize,
    retired: usize,
    closing: usize,
    moving: usize,
    /// The sum of all these.
    live: usize,
    /// Values that became lent by the kernel less those that ceased to be by it: with what the stacks count, how many
    /// are lent.
    lent: i64,
    /// Of those retired or being closed, the ones that were found broken.
    broken: usize,
    /// How many of these may hold no slot. In a family that is what was borrowed from it, and never more than `broken`.
    allowance: usize,
}

impl Counts {
    /// Moves one value.
    #[inline(always)]
    pub(super) fn shift(&mut self, from: Place, to: Place) {
        self.shift_all(1, from, to);
    }

    /// Moves several values at once.
    #[inline(always)]
    pub(super) fn shift_all(&mut self, values: usize, from: Place, to: Place) {
        match self.count_of(from) {
            Some(count) => *count -= values,
            None => self.live += values,
        }
        match self.count_of(to) {
            Some(count) => *count += values,
            None => self.live -= values,
        }
        let lent = i64::from(to == Place::Lent) - i64::from(from == Place::Lent);
        self.lent += lent * values as i64;
    }

    #[inline(always)]
    fn count_of(&mut self, place: Place) -> Option<&mut usize> {
        match place {
            Place::Outside => None,
            Place::Idle | Place::Lent => Some(&mut self.available),
            Place::Gathered => Some(&mut self.gathered),
            Place::Opening => Some(&mut self.opening),
            Place::Finishing => Some(&mut self.finishing),
            Place::Returned => Some(&mut self.returned),
            Place::Checking => Some(&mut self.checking),
            Place::Retired => Some(&mut self.retired),
            Place::Closing => Some(&mut self.closing),
            Place::Moving => Some(&mut self.moving),
        }
    }

    /// Notes that one of those on their way out was found broken.
    pub(super) const fn note_broken(&mut self) {
        self.broken += 1;
    }

    /// The same for one that has ended.
    pub(super) const fn forget_broken(&mut self) {
        self.broken -= 1;
    }

    /// The same for all of them.
    pub(super) const fn forget_all_broken(&mut self) {
        self.broken = 0;
    }

    pub(super) const fn allowance(&self) -> usize {
        self.allowance
    }

    pub(super) const fn set_allowance(&mut self, values: usize) {
        self.allowance = values;
    }

    /// How many broken values are on their way out without a slot.
    #[inline]
    pub(crate) const fn beside(&self) -> usize {
        if self.broken < self.allowance {
            self.broken
        } else {
            self.allowance
        }
    }

    /// Slots taken: by every live value and by every opening under way, less the broken ones that are closed beside
    /// their successors.
    #[inline]
    pub(crate) const fn size(&self) -> usize {
        self.live - self.beside()
    }

    /// Values that live and are not on their way out.
    #[inline]
    pub(crate) const fn in_service(&self) -> usize {
        self.live - self.openings() - self.leaving()
    }

    /// Openings under way, those whose value is being made ready included.
    #[inline]
    pub(crate) const fn openings(&self) -> usize {
        self.opening + self.finishing
    }

    /// Values on their way out.
    #[inline]
    pub(crate) const fn leaving(&self) -> usize {
        self.retired + self.closing
    }

    /// Values that nobody can have for now, because something is being done to them.
    pub(crate) const fn in_validation(&self) -> usize {
        self.checking + self.returned + self.finishing
    }

    /// Values that are lent by the kernel's account alone. Below zero where more of those that the stacks lent came
    /// back through it.
    #[inline]
    pub(crate) const fn lent(&self) -> i64 {
        self.lent
    }

    /// Openings that have no value yet.
    pub(crate) const fn opening(&self) -> usize {
        self.opening
    }

    #[inline]
    pub(crate) const fn gathered(&self) -> usize {
        self.gathered
    }

    #[inline]
    pub(crate) const fn returned(&self) -> usize {
        self.returned
    }

    pub(crate) const fn checking(&self) -> usize {
        self.checking
    }

    #[inline]
    pub(crate) const fn retired(&self) -> usize {
        self.retired
    }

    pub(crate) const fn closing(&self) -> usize {
        self.closing
    }
}
