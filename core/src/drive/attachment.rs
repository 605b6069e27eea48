//! Whether somebody drives all the work there is.

use core::task::Waker;

/// Whether a Runner does the background work, and how to wake it.
#[derive(Debug, Default)]
pub(crate) enum Attachment {
    /// Nobody does: whoever needs the work done drives it.
    #[default]
    Absent,
    /// A Runner does. It has no waker between being woken and its next poll.
    Attached(Option<Waker>),
    /// The next use of the holder spawns a Runner: the one that `build` spawned has ended before its time, as with its
    /// runtime, or none was needed so far, as of a key that was only looked up.
    Lost,
}

impl Attachment {
    pub(crate) const fn is_attached(&self) -> bool {
        matches!(self, Self::Attached(_))
    }

    /// Returns `true` if the next use is to spawn another Runner.
    pub(crate) const fn is_lost(&self) -> bool {
        matches!(self, Self::Lost)
    }

    /// Returns `true` to the one caller that is to spawn another Runner, once no lock is held.
    ///
    /// Until that one is attached there is none, as far as others see. If it is dropped before, unpolled,
    /// the Runner is lost again, and the next use tries.
    pub(crate) fn claim_respawn(&mut self) -> bool {
        let lost = self.is_lost();
        if lost {
            *self = Self::Absent;
        }
        lost
    }

    /// Takes the Runner's waker, to be woken once no lock is held.
    pub(crate) fn take_waker(&mut self) -> Option<Waker> {
        match self {
            Self::Absent | Self::Lost => None,
            Self::Attached(waker) => waker.take(),
        }
    }

    /// Leaves the Runner's waker, and hands back the one that it replaces.
    pub(crate) fn leave_waker(&mut self, new: Waker) -> Option<Waker> {
        match self {
            Self::Absent | Self::Lost => Some(new),
            Self::Attached(waker) => waker.replace(new),
        }
    }
}
