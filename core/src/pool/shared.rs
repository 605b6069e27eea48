//! What all handles, leases and the Runner of one pool share.

use alloc::boxed::Box;
use alloc::string::String;

use super::config::PoolConfig;
use super::loans::Loans;
use super::quota::{Quota, run_errands};
use super::stack::Stacks;
use super::state::Guarded;
use super::timings::Histogram;
use crate::cleanup::abandon_value;
use crate::drive::{SpawnRunner, Wakes};
use crate::ending::Why;
use crate::held::HeldResource;
use crate::random::Random;
use crate::reporter::Reporter;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::signal::Signal;
use crate::sync::{Arc, AtomicUsize, Lock};
use crate::time::Instant;

/// The pool itself: what is settled when it is built, and the doors to what changes.
pub(crate) struct PoolShared<R: LocalResource, C: Clock> {
    pub(crate) resource: HeldResource<R>,
    pub(crate) clock: C,
    pub(crate) config: PoolConfig,
    /// Whether a value that lies idle is lent as it is, unless it has rested: nothing is done or noted before.
    pub(crate) lends_plainly: bool,
    /// The same for a value that comes back.
    pub(crate) returns_plainly: bool,
    /// Whether the clock is read before a value is lent, and, if it counts for how long it is idle, as it comes back.
    pub(crate) is_strict: bool,
    pub(crate) reporter: Reporter,
    /// Spawns a Runner, where `build` was told how.
    pub(crate) spawn_runner: Option<SpawnRunner<Self>>,
    /// Where idle values lie.
    pub(crate) stacks: Stacks<R::Value>,
    /// The bound that it shares with other pools, if it is one of a family.
    pub(crate) quota: Option<Arc<Quota>>,
    /// All that changes under the pool's lock.
    pub(super) state: Guarded<R::Value>,
    pub(crate) random: Lock<Random>,
    /// Who holds what, where somebody wants to know.
    pub(crate) loans: Option<Loans>,
    /// How long openings took, where somebody wants to know. A kilobyte, which a small machine has better use for.
    pub(crate) times_of_openings: Option<Box<Lock<Histogram>>>,
    /// How many `Pool` handles there are. Leases do not count.
    pub(crate) handles: AtomicUsize,
    /// Tells whoever awaits a shutdown or a start that something changed.
    pub(crate) changed: Signal,
}

impl<R: LocalResource, C: Clock> PoolShared<R, C> {
    pub(crate) fn now(&self) -> Option<Instant> {
        self.clock.try_now()
    }

    /// Reads the time for a pool of a family. Outside the lock, since a clock may be user code.
    #[inline]
    pub(super) fn family_time(&self) -> Option<Instant> {
        if self.quota.is_some() {
            self.now()
        } else {
            None
        }
    }

    /// Wakes all who were found under the lock. Outside it.
    #[inline(always)]
    pub(super) fn wake(&self, wakes: Wakes) {
        if wakes.is_empty() {
            // It holds nothing, and to find that out again would cost a call.
            core::mem::forget(wakes);
        } else {
            self.wake_some(wakes);
        }
    }

    #[inline(never)]
    fn wake_some(&self, wakes: Wakes) {
        let errands = wakes.have_errands();
        self.wake_without_errands(wakes);
        if let (true, Some(quota)) = (errands, &self.quota) {
            run_errands(quota);
        }
    }

    /// Wakes and drops what was collected, and leaves errands to the caller. Within an errand, the loop that runs it runs
    /// those that follow as well: nested, they would be as deep as the family is large.
    pub(super) fn wake_without_errands(&self, wakes: Wakes) {
        if let Err(message) = wakes.wake(&self.changed) {
            self.tell_of_waker(message);
        }
    }

    #[cold]
    fn tell_of_waker(&self, message: String) {
        self.reporter.swallowed(&self.clock, "waker", message);
    }
}

impl<R: LocalResource, C: Clock> Drop for PoolShared<R, C> {
    /// Neither a Runner nor a handle nor a lease is left: nothing can await a close any more.
    fn drop(&mut self) {
        let left = self.adjust(|transaction| {
            transaction.kernel().leave_family();
            transaction.retire_all(Why::HandlesDropped);
            transaction.take_retired()
        });
        for retired in left {
            abandon_value(&*self.resource, &self.clock, &self.reporter, retired);
        }
    }
}

impl<R: LocalResource, C: Clock> core::fmt::Debug for PoolShared<R, C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Pool")
            .field("name", &self.reporter.name)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}
