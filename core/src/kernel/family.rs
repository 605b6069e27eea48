//! What a pool of a family tells the quota that they share, and what that allows it.

use super::life::Life;
use super::storage::Storage;
use super::{Kernel, PoolPhase};
use crate::time::Instant;

/// The bound that a pool shares with the others of its family, as its kernel asks for it. Where something returns `true`
/// that is no answer to a question, other pools have something to do.
pub(crate) trait FamilyQuota {
    /// The pool is no more, and so many places with it.
    fn leave(&self, places: usize) -> bool;

    fn update(&self, standing: QuotaStanding, now: Instant) -> bool;

    /// How many values the family may have open.
    fn most(&self) -> usize;

    /// How many openings the pool may begin now.
    fn allowance(&self) -> usize;

    /// Takes a place for an opening. Returns `true` if it was this pool's turn.
    fn take(&self, now: Option<Instant>) -> bool;

    fn give_back(&self, places: usize) -> bool;

    /// Returns `true` if a broken value may be closed beside its successor, as one of so many.
    fn lend_beside(&self) -> bool;

    fn beside_ended(&self, values: usize);

    /// Returns `true` if others want places.
    fn others_want(&self) -> bool;

    /// Returns `true` if waiters want more places than are free or becoming free.
    fn needs_room(&self) -> bool;

    /// Returns `true` if a value that this pool can spare is to be closed.
    fn asks_for_room(&self) -> bool;

    /// Returns `true` if a value of this pool that is needed here is to be closed for another.
    fn gives_way(&self, opened_at: Option<Instant>, now: Instant) -> bool;

    /// When the pool may have more than now, if time decides.
    fn next_look(&self, now: Instant) -> Option<Instant>;

    fn note_lost_runner(&self, was_spawned: bool) -> bool;
}

/// Of a pool that shares its bound with no other: there is none.
#[derive(Debug)]
pub(crate) enum NoFamily {}

impl FamilyQuota for NoFamily {
    fn leave(&self, _places: usize) -> bool {
        match *self {}
    }

    fn update(&self, _standing: QuotaStanding, _now: Instant) -> bool {
        match *self {}
    }

    fn most(&self) -> usize {
        match *self {}
    }

    fn allowance(&self) -> usize {
        match *self {}
    }

    fn take(&self, _now: Option<Instant>) -> bool {
        match *self {}
    }

    fn give_back(&self, _places: usize) -> bool {
        match *self {}
    }

    fn lend_beside(&self) -> bool {
        match *self {}
    }

    fn beside_ended(&self, _values: usize) {
        match *self {}
    }

    fn others_want(&self) -> bool {
        match *self {}
    }

    fn needs_room(&self) -> bool {
        match *self {}
    }

    fn asks_for_room(&self) -> bool {
        match *self {}
    }

    fn gives_way(&self, _opened_at: Option<Instant>, _now: Instant) -> bool {
        match *self {}
    }

    fn next_look(&self, _now: Instant) -> Option<Instant> {
        match *self {}
    }

    fn note_lost_runner(&self, _was_spawned: bool) -> bool {
        match *self {}
    }
}

/// How a pool stands in its family, as it reports it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct QuotaStanding {
    /// Openings that wait for nothing but a place.
    pub(crate) wanted: usize,
    /// `true` if they are wanted by waiters, and not by the minimum alone.
    pub(crate) waits: bool,
    /// `true` if the latest opening failed.
    pub(crate) fails: bool,
    /// Values in service, and openings under way.
    pub(crate) places: usize,
    /// Values on their way out, whose places will be free soon.
    pub(crate) leaving: usize,
    pub(crate) donor: Donor,
    /// When it last served a waiter, of which it keeps account while others wait.
    pub(crate) served_at: Instant,
}

/// What a pool can do without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Donor {
    /// Has an idle value beyond its minimum.
    Willing,
    /// Has nothing unused but its minimum, or what a waiter for several values has gathered so far.
    Reluctant,
    #[default]
    None,
}

/// A pool's membership in a family.
///
/// The gates of such a pool are always up, so that every value which comes back passes the kernel, where it can be
/// closed for another pool.
pub(crate) struct Membership<Q> {
    quota: Q,
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

impl<Q: FamilyQuota> Membership<Q> {
    pub(crate) const fn new(quota: Q) -> Self {
        Self {
            quota,
            told: None,
            waits: false,
            now: Instant::EPOCH,
            served_at: Instant::EPOCH,
            rests: false,
            most_beside: 0,
        }
    }

    pub(crate) const fn quota(&self) -> &Q {
        &self.quota
    }

    /// Returns `true` if other pools of the family want places.
    pub(super) fn others_want(&self) -> bool {
        self.quota.others_want()
    }
}

impl<S: Storage> Kernel<S> {
    /// Takes the pool out of its family, with all that it still held and borrowed.
    pub(crate) fn leave_family(&mut self) {
        if let Some(family) = &self.family {
            family.quota.beside_ended(self.counts.allowance());
            if family.quota.leave(self.counts.size()) {
                self.notices.tell_family();
            }
        }
    }

    /// Returns how many of these openings have a place in what the family may have.
    pub(super) fn within_quota(&self, openings: usize) -> usize {
        match &self.family {
            Some(family) if openings > 0 => openings.min(family.quota.allowance()),
            _ => openings,
        }
    }

    /// Returns the maximum of its family, if an opening waits for nothing but a place in that.
    pub(crate) fn family_that_is_full(&self) -> Option<usize> {
        let family = self.family.as_ref()?;
        let wanted = self.openings_wanted();
        (wanted > 0 && self.within_quota(wanted) == 0).then(|| family.quota.most())
    }

    /// Takes a place for an opening, unless it is another pool's turn.
    pub(super) fn take_place(&mut self, now: Option<Instant>) -> bool {
        match &mut self.family {
            Some(family) => {
                family.told = None;
                family.quota.take(now)
            }
            None => true,
        }
    }

    /// Borrows from the family's allowance for one more broken value, beside those for which that was done. Its place is
    /// free then, and others hear of that when this pool tells how it stands.
    pub(super) fn family_lends_allowance(&mut self) -> bool {
        let Some(family) = &mut self.family else {
            return false;
        };
        let lends = self.counts.allowance() < family.most_beside && family.quota.lend_beside();
        if lends {
            family.told = None;
        }
        lends
    }

    /// So many broken values were closed beside their successors.
    pub(super) fn give_family_allowance_back(&mut self, values: usize) {
        if let Some(family) = &self.family {
            self.counts.set_allowance(self.counts.allowance() - values);
            family.quota.beside_ended(values);
        }
    }

    /// So many slots are free that were taken.
    pub(super) fn give_places_back(&mut self, places: usize) {
        if let (Some(family), true) = (&self.family, places > 0) {
            if family.quota.give_back(places) {
                self.notices.tell_family();
            }
        }
    }

    pub(super) fn tell_family_of_lost_runner(&mut self, was_spawned: bool) {
        if let Some(family) = &self.family {
            if family.quota.note_lost_runner(was_spawned) {
                self.notices.tell_family();
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
    pub(super) fn note_served(&mut self) {
        if let Some(family) = &mut self.family {
            family.served_at = family.now;
        }
    }

    /// Returns when the pool is to look again for a place in its family.
    pub(super) fn next_family_look(&self) -> Option<Instant> {
        let family = self.family.as_ref()?;
        family.quota.next_look(family.now)
    }

    fn standing(&self) -> QuotaStanding {
        let counts = &self.counts;
        let leaving = counts.leaving() - counts.beside();
        let Some(family) = self
            .family
            .as_ref()
            .filter(|_| self.phase == PoolPhase::Open)
        else {
            return QuotaStanding {
                leaving,
                ..QuotaStanding::default()
            };
        };
        let wanted = if self.may_open(Some(family.now)) {
            self.openings_wanted()
        } else {
            // A pool that pauses after a failure holds no place for later.
            0
        };
        let waits = self.openings_wanted_by_waiters() > 0 || self.starters > 0;
        let elsewhere = counts.gathered() + counts.checking() + counts.returned();
        let busy = usize::try_from(counts.lent()).unwrap_or_default() + elsewhere;
        let lies_idle = counts.in_service() > busy
            && (self.queue.waiting() == 0 || self.suspended)
            && !family.rests;
        let donor = if lies_idle && self.spare() > 0 {
            Donor::Willing
        } else if lies_idle || counts.gathered() > 0 {
            Donor::Reluctant
        } else {
            Donor::None
        };
        QuotaStanding {
            wanted,
            waits,
            fails: !self.openings.are_well(),
            places: counts.in_service() + counts.openings(),
            leaving,
            donor,
            served_at: if wanted > 0 {
                family.served_at
            } else {
                Instant::EPOCH
            },
        }
    }

    /// Tells the family how this pool stands, if that has changed.
    pub(super) fn settle_family(&mut self) {
        if self.family.is_none() {
            return;
        }
        let standing = self.standing();
        let waits = standing.waits && self.openings_wanted() > 0;
        let Some(family) = &mut self.family else {
            return;
        };
        let waited = core::mem::replace(&mut family.waits, waits);
        if waits && !waited {
            // The Runner has to find out when to look again, or when a pause after a failure ends. Until then such a
            // pool demands nothing, so that no place that becomes free wakes it.
            self.notices.tell_runner();
        }
        if family.told.replace(standing) == Some(standing) {
            return;
        }
        if family.quota.update(standing, family.now) {
            self.notices.tell_family();
        }
    }

    /// A driver has its turn: what still lies idle is not going to be used at once.
    pub(super) fn settle_family_in_turn(&mut self, now: Option<Instant>) {
        self.tell_time(now);
        if let Some(family) = &mut self.family {
            family.rests = false;
            // What a waiter may have depends on how long it has waited.
            if family.told.is_some_and(|told| told.wanted > 0) {
                family.told = None;
            }
        }
        self.settle_family();
    }

    /// Returns `true` if a value that has come back is to be closed for a waiter of another pool.
    #[inline]
    pub(super) fn gives_way(&mut self, life: &Life) -> bool {
        let Some(family) = &mut self.family else {
            return false;
        };
        let opened_at = Some(life.opened_at);
        let gives_way = family.quota.gives_way(opened_at, family.now);
        if gives_way {
            family.told = None;
        }
        gives_way
    }

    /// A value was laid idle. If others need its place, the Runner closes it at its next turn, unless it is used
    /// again by then.
    #[inline]
    pub(super) fn note_laid_idle(&mut self) {
        let has_runner = self.has_runner();
        if let Some(family) = &mut self.family {
            family.rests = has_runner && family.quota.needs_room();
            if family.rests {
                self.notices.tell_runner();
            }
        }
    }

    /// Returns `true` if a value that it could do without is to be closed for others of the family.
    pub(crate) fn makes_room(&mut self) -> bool {
        let donor = self.standing().donor;
        let Some(family) = &mut self.family else {
            return false;
        };
        // The quota has taken it out of the order of donors, and counts what leaves.
        family.told = None;
        let now = family.now;
        match donor {
            Donor::Willing => family.quota.asks_for_room(),
            Donor::Reluctant => family.quota.gives_way(None, now),
            Donor::None => false,
        }
    }
}
