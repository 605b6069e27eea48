//! The pool's work: opening, checking and closing one value.
//!
//! A job was counted when it was claimed, and dropping it half-way gives back what it held and finds somebody else
//! to do it.

mod check;
mod open;

pub(crate) use check::{CheckJob, Occasion, cleans_up};
pub(crate) use open::OpenJob;

use super::shared::PoolShared;
use super::slot::Slot;
use super::state::WorkInHand;
use super::storage::PoolKernel;
use crate::cause::Cause;
use crate::drive::CloseJob;
use crate::kernel::Driver;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::sync::Arc;
use crate::time::Instant;
use alloc::boxed::Box;

pub(crate) enum PoolJob<R: LocalResource, C: Clock> {
    Open(OpenJob<R, C>),
    Check(CheckJob<R, C>),
    Close(CloseJob<PoolShared<R, C>>),
}

/// What came of a piece of work, for whoever waits for just that.
pub(crate) enum Done<R: LocalResource, C: Clock> {
    /// It went where it belongs.
    Nothing,
    /// A value that is ready for its next user.
    Ready(Box<Slot<R::Value>>),
    /// A value that was to be lent, and is no good. It goes to its end as the job is dropped: not before
    /// its user has asked again, or what takes its place would go to somebody who came later.
    Unfit(Cause, CheckJob<R, C>),
}

/// What a driver of the work finds to do.
pub(crate) struct ClaimedJob<R: LocalResource, C: Clock> {
    pub(crate) job: Option<PoolJob<R, C>>,
    /// The driver is to spawn the Runner anew.
    pub(crate) respawns: bool,
    /// When there may be more to do, if time decides.
    pub(crate) resumes_at: Option<Instant>,
}

impl<R: LocalResource, C: Clock> PoolJob<R, C> {
    pub(crate) const fn is_close(&self) -> bool {
        matches!(self, Self::Close(..))
    }

    pub(crate) async fn perform(self) -> Done<R, C> {
        match self {
            Self::Open(job) => job.perform().await,
            Self::Check(job) => return job.perform().await,
            Self::Close(job) => job.perform().await,
        }
        Done::Nothing
    }

    /// The same for those who wait for all there is to do.
    pub(crate) async fn perform_quietly(self) {
        // What is ready for its next user is asked for by a caller alone.
        let _ = self.perform().await;
    }
}

impl<R: LocalResource, C: Clock> PoolShared<R, C> {
    /// Claims a piece of work, if there is one for this driver. It is over by `until`, where the driver has no more time
    /// than that.
    pub(super) fn claim(
        this: &Arc<Self>,
        driver: Driver,
        now: Option<Instant>,
        until: Option<Instant>,
    ) -> ClaimedJob<R, C> {
        Self::claim_and_look(this, driver, now, until, |_| ()).0
    }

    /// The same, with a look at the kernel in the same moment.
    pub(super) fn claim_and_look<T>(
        this: &Arc<Self>,
        driver: Driver,
        now: Option<Instant>,
        until: Option<Instant>,
        look: impl FnOnce(&PoolKernel) -> T,
    ) -> (ClaimedJob<R, C>, T) {
        let (claim, claimed, seen) = this.transact_as_driver(driver, now, |transaction| {
            let claim = transaction.kernel().claim(driver, now);
            transaction.wake_called_off(claim.called_off);
            let claimed = transaction.hand_out(claim.work);
            (claim, claimed, look(transaction.kernel()))
        });
        let claimed = ClaimedJob {
            job: claimed.map(|claimed| Self::job(this, claimed, until)),
            respawns: claim.respawns,
            resumes_at: claim.resumes_at,
        };
        (claimed, seen)
    }

    fn job(
        this: &Arc<Self>,
        claimed: WorkInHand<R::Value>,
        until: Option<Instant>,
    ) -> PoolJob<R, C> {
        match claimed {
            WorkInHand::Check(slot) => PoolJob::Check(CheckJob::new(this, slot, Occasion::Return)),
            WorkInHand::Open(ticket, generation) => {
                PoolJob::Open(OpenJob::new(this, ticket, generation))
            }
            WorkInHand::Close(retired, era) => {
                PoolJob::Close(CloseJob::new(this, retired, era, until))
            }
        }
    }
}
