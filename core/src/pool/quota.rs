//! The bound that several pools share, and whose turn it is to open a value.
//!
//! A family may have so many values open over all its pools. Each of them, from the moment its opening begins
//! until its close has ended, holds a *place*. This file knows numbers only: who has how many places, who wants
//! more and since when, and who has values that it could do without. `family.rs` connects it with the pools.
//!
//! - A pool *demands* as many places as it could open values for at once. Free places go to the demands in
//!   their order: first the pools that serve nobody, then those that want more than they have, last those that
//!   only keep their minimum; among these, the longest waiting first. A pool that got a place goes to the end.
//! - As long as demands of waiters exceed the places that are free or becoming free, idle values that their pool
//!   can spare are closed, those first that were to spare for longest.
//! - A demand that was passed over for longer than the family's patience is met by the next value that comes back
//!   to a pool with more places. That value must itself have been open for as long as the patience, or its
//!   opening would serve too few loans. Where no pool has more places, a pool whose waiters have not been served
//!   at all for five times as long is helped nevertheless: its values may be on loan for hours.
//! - A family without a patience never closes what is in use for another pool. Values that are only held, as idle ones
//!   of a minimum are, give way there after [`DEFAULT_PATIENCE`]: no later return would free a place for the waiter.
//! - A pool whose openings fail demands only in the latter way, and nothing while it pauses.
//!
//! - A pool whose Runner ended with its runtime can close nothing. Those that wait for places are told, and the first
//!   whose own Runner still runs spawns Runners for all that lost theirs, in its runtime.
//!
//! The lock comes after any pool's own, and nothing is locked while it is held. What follows from a change for other
//! pools is an errand, which is run once no lock is held.
//!
//! Pool A has both of two places, and waiters. B's acquire finds no place: its demand is *blocked*. A hundred
//! milliseconds later a value of A comes back: [`gives_way`](Quota::gives_way) says yes, and it is closed instead of
//! handed to A's next waiter. When its close has ended, [`give_back`](Quota::give_back) leaves an errand: B's Runner
//! is woken, takes the place and opens a value.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Bound;
use core::sync::atomic::Ordering;
use core::time::Duration;

use super::family::FamilyPool;
use crate::kernel::{Donor, FamilyQuota, QuotaStanding};
use crate::sync::{Arc, AtomicBool, Lock};
use crate::time::Instant;

/// A pool of the family, as the quota reaches it.
pub(super) type QuotaLink = Arc<dyn FamilyPool + Send + Sync>;

/// The number of values that a family of pools may have in all, and who may open the next.
#[derive(Debug)]
pub(crate) struct Quota {
    most: usize,
    /// For how long a waiter is passed over by pools of other keys.
    patience: Duration,
    /// `true` if values that are in use give way after that, and not only those that are held unused.
    busy_give_way: bool,
    /// How many broken values are closed without a place at most.
    most_beside: usize,
    state: Lock<QuotaState>,
    /// `true` if a Runner of the family has ended with its runtime, and nothing has seen to it since.
    lost_runners: AtomicBool,
}

/// The place of a pool in its family.
#[derive(Debug)]
pub(crate) struct QuotaSeat {
    quota: Arc<Quota>,
    id: u64,
}

impl QuotaSeat {
    pub(super) fn new(quota: Arc<Quota>) -> Self {
        let id = quota.join();
        Self { quota, id }
    }

    /// Says how the quota reaches the pool, once that exists.
    pub(super) fn link(&self, link: QuotaLink) {
        self.quota.link(self.id, link);
    }
}

impl FamilyQuota for QuotaSeat {
    fn leave(&self, places: usize) -> bool {
        self.quota.leave(self.id, places)
    }

    fn update(&self, standing: QuotaStanding, now: Instant) -> bool {
        self.quota.update(self.id, standing, now)
    }

    fn most(&self) -> usize {
        self.quota.most()
    }

    fn allowance(&self) -> usize {
        self.quota.allowance(self.id)
    }

    fn take(&self, now: Option<Instant>) -> bool {
        self.quota.take(self.id, now)
    }

    fn give_back(&self, places: usize) -> bool {
        self.quota.give_back(places)
    }

    fn lend_beside(&self) -> bool {
        self.quota.lend_beside()
    }

    fn beside_ended(&self, values: usize) {
        self.quota.beside_ended(values);
    }

    fn others_want(&self) -> bool {
        self.quota.others_want(self.id)
    }

    fn needs_room(&self) -> bool {
        self.quota.needs_room()
    }

    fn asks_for_room(&self) -> bool {
        self.quota.asks_for_room(self.id)
    }

    fn gives_way(&self, opened_at: Option<Instant>, now: Instant) -> bool {
        self.quota.gives_way(self.id, opened_at, now)
    }

    fn next_look(&self, now: Instant) -> Option<Instant> {
        self.quota.next_look(self.id, now)
    }

    fn note_lost_runner(&self, was_spawned: bool) -> bool {
        self.quota.note_lost_runner(was_spawned)
    }
}

/// What another pool has to do after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrandKind {
    /// There is a place for an opening that waited for one.
    Open,
    /// Close a value that it can do without.
    MakeRoom,
    /// Wake what restarts the Runners that the family has lost.
    RestartLost,
}

#[derive(Debug, Default)]
struct QuotaState {
    free: usize,
    /// Broken values that are being closed without a place.
    beside: usize,
    /// The sums over all members.
    leaving: usize,
    wanted: usize,
    wanted_by_waiters: usize,
    blocked: usize,
    /// The latest time that a pool has told.
    now: Instant,
    next: u64,
    /// `true` if pools that wait are to be told of lost Runners.
    lost: bool,
    /// The demand whose pool was told so last. All before it were told, too.
    lost_told: Option<(Rank, u64)>,
    members: BTreeMap<u64, QuotaMember>,
    demands: BTreeMap<(Rank, u64), u64>,
    donors: BTreeMap<(Donor, u64), u64>,
}

#[derive(Debug, Default)]
struct QuotaMember {
    link: Option<QuotaLink>,
    standing: QuotaStanding,
    /// Its place among the demands, and since when it is there.
    demand: Option<(Rank, u64)>,
    since: Instant,
    /// Its place among the donors.
    donates: Option<(Donor, u64)>,
    /// `true` if it has no place for any of its openings and is to be told once there is one.
    blocked: bool,
}

/// The classes of demands, in the order in which they are met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Has waiters and serves none of them.
    Unserved,
    /// Has waiters and serves some.
    Served,
    /// Has no waiters.
    Minimum,
}

/// For how long a waiter is passed over, unless the family says otherwise.
pub(super) const DEFAULT_PATIENCE: Duration = Duration::from_millis(100);

/// After how many times the patience a pool counts as one that serves nobody.
const STARVED: u32 = 5;

/// How many demands or donors of one kind are looked at in one search.
const SEARCHED: usize = 16;

impl Quota {
    /// Without a patience, values in use never give way.
    pub(crate) fn new(most: usize, most_beside: usize, patience: Option<Duration>) -> Arc<Self> {
        let state = QuotaState {
            free: most,
            ..QuotaState::default()
        };
        Arc::new(Self {
            most,
            patience: patience.unwrap_or(DEFAULT_PATIENCE),
            busy_give_way: patience.is_some(),
            most_beside,
            state: Lock::new(state),
            lost_runners: AtomicBool::new(false),
        })
    }

    /// Takes note that a Runner has ended with its runtime. Returns `true` if there are errands.
    ///
    /// No pool is told of one that its executor has dropped at once, or a pool on an executor that has gone would try
    /// again and again; the next use of any key tries once.
    pub(super) fn note_lost_runner(&self, was_spawned: bool) -> bool {
        self.state.with(|state| {
            state.lost |= was_spawned;
            self.lost_runners.store(true, Ordering::Release);
            state.has_errands()
        })
    }

    /// Returns all pools to the one caller that is to restart the Runners that were lost, and none to others.
    fn claim_lost_runners(&self) -> Vec<QuotaLink> {
        // Read first, for all threads share it and it is seldom set.
        if !self.lost_runners.load(Ordering::Acquire) {
            return Vec::new();
        }
        self.state.with(|state| {
            if !self.lost_runners.swap(false, Ordering::AcqRel) {
                return Vec::new();
            }
            state.lost = false;
            state.lost_told = None;
            let links = state
                .members
                .values()
                .filter_map(|member| member.link.clone());
            links.collect()
        })
    }

    pub(crate) const fn most(&self) -> usize {
        self.most
    }

    /// Takes a pool into the family, and returns its number.
    pub(super) fn join(&self) -> u64 {
        self.state.with(|state| {
            let id = state.ticket();
            state.members.insert(id, QuotaMember::default());
            id
        })
    }

    /// Says how the pool is reached. Until then it has no errands.
    pub(super) fn link(&self, id: u64, link: QuotaLink) {
        // What is replaced is none, so nothing is dropped under the lock.
        self.state.with(|state| {
            if let Some(member) = state.members.get_mut(&id) {
                member.link = Some(link);
            }
        });
    }

    /// Takes a pool out of the family that is no more, with the places that it held. Returns `true` if there are
    /// errands.
    pub(super) fn leave(&self, id: u64, places: usize) -> bool {
        let (left, errands) = self.state.with(|state| {
            state.withdraw(id);
            state.free += places;
            (state.members.remove(&id), state.has_errands())
        });
        drop(left);
        errands
    }

    /// Takes note of how a pool stands. Returns `true` if there are errands.
    pub(super) fn update(&self, id: u64, standing: QuotaStanding, now: Instant) -> bool {
        self.state.with(|state| {
            state.now = state.now.max(now);
            state.update(id, standing, self.patience);
            state.has_errands()
        })
    }

    /// Takes a place for an opening, if it is this pool's turn.
    pub(super) fn take(&self, id: u64, now: Option<Instant>) -> bool {
        self.state.with(|state| {
            state.now = now.map_or(state.now, |now| state.now.max(now));
            if state.allowance(id) == 0 {
                state.set_blocked(id, true);
                return false;
            }
            state.free -= 1;
            if let Some(member) = state.members.get(&id) {
                let mut standing = member.standing;
                standing.wanted = standing.wanted.saturating_sub(1);
                standing.places += 1;
                // It has had its turn.
                state.withdraw_demand(id);
                state.update(id, standing, self.patience);
            }
            true
        })
    }

    /// Gives places back. Returns `true` if there are errands.
    pub(super) fn give_back(&self, places: usize) -> bool {
        self.state.with(|state| {
            state.free += places;
            state.has_errands()
        })
    }

    /// Frees the place of a broken value that is to be closed beside its successor, if so many are not being closed yet.
    pub(super) fn lend_beside(&self) -> bool {
        self.state.with(|state| {
            let lends = state.beside < self.most_beside;
            state.beside += usize::from(lends);
            state.free += usize::from(lends);
            lends
        })
    }

    /// So many broken values without a place have ended.
    pub(super) fn beside_ended(&self, values: usize) {
        if values > 0 {
            self.state.with(|state| state.beside -= values);
        }
    }

    /// Returns how many of its openings a pool may begin now.
    pub(super) fn allowance(&self, id: u64) -> usize {
        self.state.with(|state| state.allowance(id))
    }

    /// Returns `true` if waiters want more places than are free or becoming free.
    pub(super) fn needs_room(&self) -> bool {
        self.state.with(|state| state.needs_room())
    }

    /// Returns `true` if a value that this pool can spare is to be closed. It counts as leaving from here on.
    pub(super) fn asks_for_room(&self, id: u64) -> bool {
        self.state.with(|state| {
            let asks = state.needs_room();
            if asks {
                state.one_leaves(id);
            }
            asks
        })
    }

    /// Returns `true` if a value of this pool that is needed here is to be closed, because a waiter elsewhere was
    /// passed over for too long. It counts as leaving from here on.
    ///
    /// `opened_at` is given for a value that is in use; one that is only held has done its service.
    pub(super) fn gives_way(&self, id: u64, opened_at: Option<Instant>, now: Instant) -> bool {
        if opened_at.is_some() && !self.busy_give_way {
            return false;
        }
        let patience = self.patience;
        self.state.with(|state| {
            state.now = state.now.max(now);
            let served_long_enough = opened_at.is_none_or(|at| state.now >= at + patience);
            let passed_over = served_long_enough.then(|| state.passed_over_by(id, patience));
            let Some(receiver) = passed_over.flatten() else {
                return false;
            };
            state.one_leaves(id);
            // What becomes free is not for its own waiters: they go to the end, and the other to the rank that is
            // its by now.
            state.withdraw_demand(id);
            for id in [id, receiver] {
                if let Some(member) = state.members.get(&id) {
                    state.update(id, member.standing, self.patience);
                }
            }
            true
        })
    }

    /// Returns when a pool that waits for a place is to look again, since more can be had for it then.
    pub(super) fn next_look(&self, id: u64, now: Instant) -> Option<Instant> {
        let patience = self.patience;
        self.state.with(|state| {
            let member = state.members.get(&id)?;
            if member.standing.wanted == 0 || !member.standing.waits {
                return None;
            }
            let looks = [member.since + patience, member.starves_at(patience)];
            looks.into_iter().filter(|at| *at > now).min()
        })
    }

    /// Returns `true` if pools other than this one want places.
    pub(super) fn others_want(&self, id: u64) -> bool {
        self.state.with(|state| {
            let own = state.members.get(&id);
            state.wanted > own.map_or(0, |member| member.standing.wanted)
        })
    }

    /// Takes out the next errand.
    fn next_errand(&self) -> Option<(QuotaLink, ErrandKind)> {
        self.state.with(|state| state.next_errand(self.patience))
    }
}

/// Runs all errands there are. No lock may be held.
pub(crate) fn run_errands(quota: &Quota) {
    while let Some((link, kind)) = quota.next_errand() {
        link.run_errand(kind);
    }
}

/// Restarts the Runners of the family that have ended with their runtimes. To be called where a runtime is likely to
/// live, and under no lock.
pub(super) fn restart_lost_runners(quota: &Quota) {
    for link in quota.claim_lost_runners() {
        link.restart_if_lost();
    }
}

impl QuotaState {
    fn ticket(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn has_errands(&self) -> bool {
        (self.blocked > 0 && self.free > 0)
            || (self.needs_room() && !self.donors.is_empty())
            || self.find_restarter().is_some()
    }

    fn needs_room(&self) -> bool {
        self.wanted_by_waiters > self.free + self.leaving
    }

    fn update(&mut self, id: u64, standing: QuotaStanding, patience: Duration) {
        let Some(member) = self.members.get(&id) else {
            return;
        };
        let (before, had) = (member.demand, member.standing);
        // A waiter where there was only a minimum to keep is a new demand.
        let stays = before.is_some() && had.waits == standing.waits;
        self.withdraw(id);
        let ticket = match before {
            Some((_, ticket)) if stays => ticket,
            _ => self.ticket(),
        };
        let donates = (standing.donor != Donor::None).then(|| match self.members[&id].donates {
            Some((donor, ticket)) if donor == standing.donor => (donor, ticket),
            _ => (standing.donor, self.ticket()),
        });
        let now = self.now;
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        member.standing = standing;
        member.donates = donates;
        if standing.wanted > 0 && !stays {
            member.since = now;
        }
        member.demand = (standing.wanted > 0).then(|| (member.rank(now, patience), ticket));
        self.leaving += standing.leaving;
        self.wanted += standing.wanted;
        if standing.waits {
            self.wanted_by_waiters += standing.wanted;
        }
        self.demands
            .extend(member.demand.map(|demand| (demand, id)));
        self.donors.extend(donates.map(|donor| (donor, id)));
        let blocked = standing.wanted > 0 && self.allowance(id) == 0;
        self.set_blocked(id, blocked);
    }

    /// Takes a member out of all sums and orders. Its record stays.
    fn withdraw(&mut self, id: u64) {
        self.set_blocked(id, false);
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        let standing = core::mem::take(&mut member.standing);
        self.leaving -= standing.leaving;
        self.wanted -= standing.wanted;
        if standing.waits {
            self.wanted_by_waiters -= standing.wanted;
        }
        if let Some(demand) = member.demand.take() {
            self.demands.remove(&demand);
        }
        if let Some(donor) = member.donates {
            self.donors.remove(&donor);
        }
    }

    /// The next update of this member files its demand at the end.
    fn withdraw_demand(&mut self, id: u64) {
        if let Some(member) = self.members.get_mut(&id) {
            if let Some(demand) = member.demand.take() {
                self.demands.remove(&demand);
            }
        }
    }

    fn set_blocked(&mut self, id: u64, blocked: bool) {
        if let Some(member) = self.members.get_mut(&id) {
            let blocked = blocked && member.standing.wanted > 0;
            self.blocked -= usize::from(member.blocked);
            self.blocked += usize::from(blocked);
            member.blocked = blocked;
        }
    }

    /// A value of this member is to be closed: it is as good as gone.
    fn one_leaves(&mut self, id: u64) {
        if let Some(member) = self.members.get_mut(&id) {
            member.standing.leaving += 1;
            member.standing.places = member.standing.places.saturating_sub(1);
            self.leaving += 1;
        }
    }

    fn allowance(&self, id: u64) -> usize {
        let Some(member) = self.members.get(&id) else {
            return 0;
        };
        if member.standing.wanted == 0 {
            // It has not said so, so it comes after those who have.
            return self.free.saturating_sub(self.wanted);
        }
        if self.wanted <= self.free {
            return member.standing.wanted;
        }
        let mut left = self.free;
        for other in self.demands.values() {
            if left == 0 {
                return 0;
            }
            let wanted = self.members[other].standing.wanted;
            if *other == id {
                return left.min(wanted);
            }
            left = left.saturating_sub(wanted);
        }
        0
    }

    /// Returns the member whose demand is not met by what is free or becoming free and has been passed over for so
    /// long that this one is to close a value for it.
    fn passed_over_by(&self, giver: u64, patience: Duration) -> Option<u64> {
        if !self.needs_room() {
            return None;
        }
        let has = self.members.get(&giver)?.standing.places;
        let mut to_come = self.free + self.leaving;
        for rank in [Rank::Unserved, Rank::Served] {
            let mut searched = 0;
            for id in self.demands.range((rank, 0)..=(rank, u64::MAX)) {
                let (id, member) = (*id.1, &self.members[id.1]);
                let met = member.standing.wanted.min(to_come);
                to_come -= met;
                if met == member.standing.wanted || id == giver {
                    continue;
                }
                if self.now < member.since + patience || searched == SEARCHED {
                    // Those behind it wait for less.
                    break;
                }
                searched += 1;
                let starves = self.now >= member.starves_at(patience);
                let has_less = member.standing.places + met < has && !member.standing.fails;
                if starves || has_less {
                    return Some(id);
                }
            }
        }
        None
    }

    fn next_errand(&mut self, patience: Duration) -> Option<(QuotaLink, ErrandKind)> {
        while let Some(id) = self.find_unblocked() {
            self.set_blocked(id, false);
            if let Some(link) = &self.members[&id].link {
                return Some((link.clone(), ErrandKind::Open));
            }
        }
        while let Some((demand, id)) = self.find_restarter() {
            self.lost_told = Some(demand);
            if let Some(link) = &self.members[&id].link {
                return Some((link.clone(), ErrandKind::RestartLost));
            }
        }
        while self.needs_room() {
            let donor = self.find_donor(patience)?;
            let id = self.donors.remove(&donor)?;
            // It registers again when it has looked, if it still can.
            let member = self.members.get_mut(&id)?;
            member.donates = None;
            if let Some(link) = &member.link {
                return Some((link.clone(), ErrandKind::MakeRoom));
            }
        }
        None
    }

    /// Returns the demand and the pool that is to be told next of lost Runners.
    ///
    /// All that wait are told, for the Runner of one may be about to end as well. A pool that begins to wait later
    /// wakes its Runner by itself.
    fn find_restarter(&self) -> Option<((Rank, u64), u64)> {
        if !self.lost || self.wanted_by_waiters <= self.free {
            return None;
        }
        let from = self.lost_told.map_or(Bound::Unbounded, Bound::Excluded);
        let (demand, id) = self.demands.range((from, Bound::Unbounded)).next()?;
        self.members[id].standing.waits.then_some((*demand, *id))
    }

    /// Returns the first blocked demand for which there is a place.
    fn find_unblocked(&self) -> Option<u64> {
        if self.blocked == 0 {
            return None;
        }
        let mut left = self.free;
        for id in self.demands.values() {
            if left == 0 {
                return None;
            }
            let member = &self.members[id];
            if member.blocked {
                return Some(*id);
            }
            left = left.saturating_sub(member.standing.wanted);
        }
        None
    }

    fn find_donor(&self, patience: Duration) -> Option<(Donor, u64)> {
        let (first, _) = self.donors.first_key_value()?;
        if first.0 == Donor::Willing {
            return Some(*first);
        }
        let mut donors = self.donors.iter().take(SEARCHED);
        let found = donors.find(|(_, id)| self.passed_over_by(**id, patience).is_some());
        found.map(|(donor, _)| *donor)
    }
}

impl QuotaMember {
    fn rank(&self, now: Instant, patience: Duration) -> Rank {
        let starves = now >= self.starves_at(patience);
        if !self.standing.waits {
            Rank::Minimum
        } else if starves || (self.standing.places == 0 && !self.standing.fails) {
            Rank::Unserved
        } else {
            Rank::Served
        }
    }

    /// Returns from when on it counts as one that serves nobody.
    fn starves_at(&self, patience: Duration) -> Instant {
        self.since.max(self.standing.served_at) + patience * STARVED
    }
}

#[cfg(test)]
mod tests;
