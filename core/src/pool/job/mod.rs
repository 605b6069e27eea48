//! The pool's work: opening, checking and closing one value.
//!
//! A piece of work is a duty: it was counted when it was claimed, and dropping it half-way gives back
//! what it held and finds somebody else to do it.

mod care;
mod close;
mod open;

pub(crate) use care::{CareDuty, Occasion, cleans_up};
pub(crate) use close::CloseDuty;
pub(crate) use open::OpenDuty;

use super::slot::Slot;
use crate::cause::Cause;
use crate::resource::LocalResource;
use crate::runtime::Clock;

pub(crate) enum Job<R: LocalResource, C: Clock> {
    Open(OpenDuty<R, C>),
    Care(CareDuty<R, C>),
    Close(CloseDuty<R, C>),
}

/// What came of a piece of work, for whoever waits for just that.
pub(crate) enum Done<R: LocalResource, C: Clock> {
    /// It went where it belongs.
    Nothing,
    /// A value that is ready for its next user.
    Ready(Slot<R::Value>),
    /// A value that was to be lent, and is no good. It goes to its end as the duty is dropped: not before
    /// its user has asked again, or what takes its place would go to somebody who came later.
    Unfit(Cause, CareDuty<R, C>),
}

impl<R: LocalResource, C: Clock> Job<R, C> {
    pub(crate) const fn is_close(&self) -> bool {
        matches!(self, Self::Close(..))
    }

    pub(crate) async fn perform(self) -> Done<R, C> {
        match self {
            Self::Open(duty) => duty.perform().await,
            Self::Care(duty) => return duty.perform().await,
            Self::Close(duty) => duty.perform().await,
        }
        Done::Nothing
    }

    /// The same for those who wait for all there is to do.
    pub(crate) async fn perform_quietly(self) {
        // What is ready for its next user is asked for by a caller alone.
        let _ = self.perform().await;
    }
}
