//! What a pool of a family does for the others.

use alloc::boxed::Box;
use core::fmt;

use super::Pool;
use super::quota::{ErrandKind, restart_lost_runners};
use super::shared::PoolShared;
use crate::resource::{LocalResource, Resource};
use crate::runtime::{Clock, Timer};
use crate::sync::{Arc, Weak};

/// A pool, as others of its family reach it, while it is there. One that is gone gives its places back by itself.
pub(crate) trait FamilyPool {
    /// Does what has come to be this pool's to do. No lock is held.
    fn run_errand(&self, kind: ErrandKind);

    /// Spawns a Runner, if the last one was lost. No lock is held.
    fn restart_if_lost(&self);
}

impl fmt::Debug for dyn FamilyPool + Send + Sync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FamilyPool")
    }
}

/// The pool behind a [`FamilyPool`].
struct FamilyLink<R: LocalResource, C: Clock>(Weak<PoolShared<R, C>>);

impl<R: LocalResource, C: Clock> FamilyPool for FamilyLink<R, C> {
    fn run_errand(&self, kind: ErrandKind) {
        if let Some(shared) = self.0.upgrade() {
            shared.run_errand(kind);
        }
    }

    fn restart_if_lost(&self) {
        if let Some(shared) = self.0.upgrade() {
            PoolShared::respawn_if_lost(&shared);
        }
    }
}

impl<R: LocalResource, C: Clock> PoolShared<R, C> {
    fn run_errand(&self, kind: ErrandKind) {
        self.transact_in_errand(|transaction| match kind {
            ErrandKind::Open => {}
            ErrandKind::MakeRoom => transaction.make_room(),
            // The Runner looks for what was lost; a waiter spawns one first.
            ErrandKind::RestartLost if transaction.kernel().has_runner() => {
                transaction.kernel().wake_runner();
            }
            ErrandKind::RestartLost => transaction.kernel().wake_waiters_for(0, 1),
        });
    }

    /// Restarts the Runners that other pools of the family have lost with their runtimes, so that these close values
    /// whose places are wanted. To be called where a runtime is likely to live.
    pub(super) fn restart_lost_family(&self) {
        if let Some(quota) = &self.quota {
            restart_lost_runners(quota);
        }
    }
}

impl<R, T> Pool<R, T>
where
    R: Resource,
    T: Timer<Sleep: Send + 'static> + Send + Sync + 'static,
{
    /// Lets the others of its family reach it. Its first use spawns its Runner, so that a key which was only looked up
    /// costs no task.
    pub(super) fn join_family(&self) {
        let link: Box<dyn FamilyPool + Send + Sync> =
            Box::new(FamilyLink(Arc::downgrade(&self.shared)));
        let link = Arc::from(link);
        self.shared.adjust(|transaction| {
            let kernel = transaction.kernel();
            // It has none yet, so that nothing is dropped under the lock.
            if let Some(family) = kernel.family() {
                family.quota().link(link);
            }
            kernel.spawn_at_first_use();
        });
    }
}
