//! A pool as one of a family: what it reports to the quota, and what it does for the others.

use alloc::boxed::Box;
use core::fmt;

use super::Pool;
use super::config::Config;
use super::quota::{Donor, ErrandKind, Quota, QuotaLink, QuotaStanding, restart_lost_runners};
use super::shared::{Phase, Queue, Shared};
use super::slot::Slot;
use crate::Instant;
use crate::cleanup::Why;
use crate::resource::{LocalResource, Resource};
use crate::runtime::{Clock, Timer};
use crate::sync::{Arc, Weak};
use crate::work::{Attachment, Wakes};

/// A pool's membership in a family. Under the queue's lock.
///
/// The gates of such a pool are always up, so that every value which comes back passes the queue, where it can be
/// closed for another pool.
pub(crate) struct Membership {
    pub(super) quota: Arc<Quota>,
    id: u64,
    /// What the quota was told last, unless it has changed that by itself.
    told: Option<QuotaStanding>,
    /// `true` while waiters of its own want a place, or will once a pause after a failure ends. A minimum that wants one
    /// never has to look again.
    waits: bool,
    /// The latest time that was read for this pool.
    now: Instant,
    /// When it last handed a value to a waiter.
    served_at: Instant,
    /// `true` if a value has come back and lies idle, and the Runner has not had a turn since. A task that
    /// acquires again at once shall find it, or each of its loans would cost an opening while others wait.
    rests: bool,
    /// How many broken values of this pool may be closed beside their successors, if the family allows it.
    pub(super) most_beside: usize,
}

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

impl Membership {
    pub(super) fn new(quota: Arc<Quota>) -> Self {
        Self {
            id: quota.join(),
            quota,
            told: None,
            waits: false,
            now: Instant::EPOCH,
            served_at: Instant::EPOCH,
            rests: false,
            most_beside: 0,
        }
    }

    pub(super) fn link(&self, link: QuotaLink) {
        self.quota.link(self.id, link);
    }

    /// Returns `true` if other pools of the family want places.
    pub(super) fn others_want(&self) -> bool {
        self.quota.others_want(self.id)
    }

    /// Takes the pool out of its family, with all that it still held and borrowed.
    pub(super) fn end(&mut self, places: usize, beside: usize, wakes: &mut Wakes) {
        self.quota.beside_ended(beside);
        if self.quota.leave(self.id, places) {
            wakes.tell_family();
        }
    }
}

impl<V> Queue<V> {
    /// Returns how many of these openings have a place in what the family may have.
    pub(crate) fn within_quota(&self, openings: usize) -> usize {
        match &self.family {
            Some(family) if openings > 0 => openings.min(family.quota.allowance(family.id)),
            _ => openings,
        }
    }

    /// Returns the maximum of its family, if an opening waits for nothing but a place in that.
    pub(crate) fn family_that_is_full(&self, config: &Config) -> Option<usize> {
        let family = self.family.as_ref()?;
        let wanted = self.openings_wanted(config);
        (wanted > 0 && self.within_quota(wanted) == 0).then(|| family.quota.most())
    }

    /// Takes a slot for an opening, unless it is another pool's turn.
    pub(crate) fn take_slot(&mut self, now: Option<Instant>) -> bool {
        let taken = match &mut self.family {
            Some(family) => {
                family.told = None;
                family.quota.take(family.id, now)
            }
            None => true,
        };
        self.size += usize::from(taken);
        taken
    }

    /// Borrows from the family's allowance for one more broken value, beside those for which that was done. Its place is
    /// free then, and others hear of that when this pool tells how it stands.
    pub(super) fn family_lends_allowance(&mut self, lent: usize) -> bool {
        let Some(family) = &mut self.family else {
            return false;
        };
        let lends = lent < family.most_beside && family.quota.lend_beside();
        if lends {
            family.told = None;
        }
        lends
    }

    /// So many broken values were closed beside their successors.
    pub(super) fn give_family_allowance_back(&mut self, values: usize) {
        if let Some(family) = &self.family {
            self.allowance -= values;
            family.quota.beside_ended(values);
        }
    }

    pub(crate) fn free_slots(&mut self, slots: usize, wakes: &mut Wakes) {
        self.size -= slots;
        if let (Some(family), true) = (&self.family, slots > 0) {
            if family.quota.give_back(slots) {
                wakes.tell_family();
            }
        }
    }

    /// Takes note of the time, where it matters.
    #[inline]
    pub(crate) fn tell_time(&mut self, now: Option<Instant>) {
        if let (Some(family), Some(now)) = (&mut self.family, now) {
            family.now = family.now.max(now);
        }
    }

    /// A waiter was handed a value.
    #[inline]
    pub(crate) fn note_served(&mut self) {
        if let Some(family) = &mut self.family {
            family.served_at = family.now;
        }
    }

    /// Returns when the pool is to look again for a place in its family.
    pub(crate) fn next_family_look(&self) -> Option<Instant> {
        let family = self.family.as_ref()?;
        family.quota.next_look(family.id, family.now)
    }

    /// Returns `true` if another Runner is to take the place of one that ends now. A draining pool can do without,
    /// unless others of its family may wait for the places of its values.
    pub(crate) fn wants_next_runner(&self) -> bool {
        match self.phase {
            Phase::Open => true,
            Phase::Draining => self.family.is_some(),
            Phase::Closed => false,
        }
    }

    fn standing(&self, config: &Config) -> QuotaStanding {
        let leaving = self.graveyard.len() + self.closing - self.beside();
        let Some(family) = self.family.as_ref().filter(|_| self.phase == Phase::Open) else {
            return QuotaStanding {
                leaving,
                ..QuotaStanding::default()
            };
        };
        let wanted = if self.may_open(Some(family.now)) {
            self.openings_wanted(config)
        } else {
            // A pool that pauses after a failure holds no place for later.
            0
        };
        let waits = self.openings_wanted_by_waiters() > 0 || self.starters > 0;
        let elsewhere = self.gathered.len() + self.checking + self.returned.len();
        let busy = usize::try_from(self.lent).unwrap_or_default() + elsewhere;
        let lies_idle = self.in_service() > busy
            && (self.waiters.waiting() == 0 || self.suspended)
            && !family.rests;
        let donor = if lies_idle && self.in_service() > config.min_size {
            Donor::Willing
        } else if lies_idle || !self.gathered.is_empty() {
            Donor::Reluctant
        } else {
            Donor::None
        };
        QuotaStanding {
            wanted,
            waits,
            fails: !self.openings.are_well(),
            places: self.in_service() + self.opening,
            leaving,
            donor,
            served_at: if wanted > 0 {
                family.served_at
            } else {
                Instant::EPOCH
            },
        }
    }
}

impl<R: LocalResource, C: Clock> Shared<R, C> {
    /// Reads the time for a pool of a family. Outside the lock, since a clock may be user code.
    #[inline]
    pub(crate) fn family_time(&self) -> Option<Instant> {
        if self.quota.is_some() {
            self.now()
        } else {
            None
        }
    }

    /// Restarts the Runners that other pools of the family have lost with their runtimes, so that these close values
    /// whose places are wanted. To be called where a runtime is likely to live.
    pub(super) fn restart_lost_family(&self) {
        if let Some(quota) = &self.quota {
            restart_lost_runners(quota);
        }
    }

    /// Tells the family how this pool stands, if that has changed.
    pub(crate) fn settle_family(&self, queue: &mut Queue<R::Value>, wakes: &mut Wakes) {
        if queue.family.is_none() {
            return;
        }
        let standing = queue.standing(&self.config);
        let waits = standing.waits && queue.openings_wanted(&self.config) > 0;
        let Some(family) = &mut queue.family else {
            return;
        };
        let waited = core::mem::replace(&mut family.waits, waits);
        if waits && !waited {
            // The Runner has to find out when to look again, or when a pause after a failure ends. Until then such a
            // pool demands nothing, so that no place that becomes free wakes it.
            wakes.push(queue.runner.take_waker());
        }
        if family.told.replace(standing) == Some(standing) {
            return;
        }
        if family.quota.update(family.id, standing, family.now) {
            wakes.tell_family();
        }
    }

    /// The Runner has its turn: what still lies idle is not going to be used at once.
    pub(crate) fn settle_family_in_turn(
        &self,
        queue: &mut Queue<R::Value>,
        now: Option<Instant>,
        wakes: &mut Wakes,
    ) {
        queue.tell_time(now);
        if let Some(family) = &mut queue.family {
            family.rests = false;
            // What a waiter may have depends on how long it has waited.
            if family.told.is_some_and(|told| told.wanted > 0) {
                family.told = None;
            }
        }
        self.settle_family(queue, wakes);
    }

    /// Returns `true` if a value that has come back is to be closed for a waiter of another pool.
    #[inline]
    pub(super) fn gives_way(&self, queue: &mut Queue<R::Value>, slot: &Slot<R::Value>) -> bool {
        let Some(family) = &mut queue.family else {
            return false;
        };
        let gives_way = family
            .quota
            .gives_way(family.id, Some(slot.opened_at), family.now);
        if gives_way {
            family.told = None;
        }
        gives_way
    }

    /// A value was laid idle. If others need its place, the Runner closes it at its next turn, unless it is used
    /// again by then.
    #[inline]
    pub(super) fn note_laid_idle(&self, queue: &mut Queue<R::Value>, wakes: &mut Wakes) {
        if let Some(family) = &mut queue.family {
            family.rests = queue.runner.is_attached() && family.quota.needs_room();
            if family.rests {
                wakes.push(queue.runner.take_waker());
            }
        }
    }

    /// Closes values that others of the family have more use for.
    fn make_room(&self, queue: &mut Queue<R::Value>) {
        loop {
            let donor = queue.standing(&self.config).donor;
            let Some(family) = &mut queue.family else {
                return;
            };
            // The quota has taken it out of the order of donors, and counts what leaves.
            family.told = None;
            let (id, now) = (family.id, family.now);
            let asked = match donor {
                Donor::Willing => family.quota.asks_for_room(id),
                Donor::Reluctant => family.quota.gives_way(id, None, now),
                Donor::None => false,
            };
            if !asked {
                return;
            }
            let slot = self.stacks.take_longest_idle().or_else(|| {
                let gathered = queue.gathered.pop()?;
                queue.waiters.first_lost(1);
                Some(gathered)
            });
            match slot {
                Some(slot) => self.bury_slot(queue, slot, Why::Surplus),
                None => return,
            }
        }
    }
}

/// The pool behind a [`FamilyPool`].
struct Link<R: LocalResource, C: Clock>(Weak<Shared<R, C>>);

impl<R: LocalResource, C: Clock> FamilyPool for Link<R, C> {
    fn run_errand(&self, kind: ErrandKind) {
        if let Some(shared) = self.0.upgrade() {
            shared.run_errand(kind);
        }
    }

    fn restart_if_lost(&self) {
        if let Some(shared) = self.0.upgrade() {
            Shared::respawn_if_lost(&shared);
        }
    }
}

impl<R: LocalResource, C: Clock> Shared<R, C> {
    fn run_errand(&self, kind: ErrandKind) {
        let mut wakes = Wakes::default();
        self.queue.with(|queue| {
            match kind {
                ErrandKind::Open => {}
                ErrandKind::MakeRoom => self.make_room(queue),
                // The Runner looks for what was lost; a waiter spawns one first.
                ErrandKind::RestartLost if queue.runner.is_attached() => {
                    wakes.push(queue.runner.take_waker());
                }
                ErrandKind::RestartLost => {
                    queue.waiters.wake_idlers(1, |waker| wakes.push(waker));
                }
            }
            self.poke(queue, &mut wakes);
        });
        // Whoever runs this errand runs those that follow from it.
        self.wake_without_errands(wakes);
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
        let link: Box<dyn FamilyPool + Send + Sync> = Box::new(Link(Arc::downgrade(&self.shared)));
        let link = Arc::from(link);
        self.shared.queue.with(|queue| {
            if let Some(family) = &queue.family {
                family.link(link);
            }
            queue.runner = Attachment::Lost;
            self.shared.settle_gates(queue);
        });
    }
}
