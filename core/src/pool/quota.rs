//! A bound that several pools share.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

use super::shared::{Phase, Queue, Shared};
use crate::cleanup::Why;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::signal::Signal;
use crate::sync::Lock;
use crate::work::Wakes;

/// How many values a family of pools may have in all.
///
/// Its lock comes after any pool's own, and nothing is locked while it is held. Pools that share a quota keep
/// their gates up, so that every value which comes back is seen by whoever may want its place.
#[derive(Debug)]
pub(crate) struct Quota {
    state: Lock<State>,
    /// Something was given back, or somebody has begun to want something.
    pub(crate) changed: Signal,
    /// `true` if background work of the family has ended with its runtime, and no use has seen to it since.
    lost_work: AtomicBool,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// How many openings wait for nothing but a place.
    wanted: usize,
    /// Idle values that are on their way out to make room for those.
    making_room: usize,
}

impl Quota {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        let state = State {
            free: most,
            wanted: 0,
            making_room: 0,
        };
        Arc::new(Self {
            state: Lock::new(state),
            changed: Signal::new(),
            lost_work: AtomicBool::new(false),
        })
    }

    /// Background work of the family has ended with its runtime: the next use of any key restarts it.
    pub(super) fn note_lost_work(&self) {
        self.lost_work.store(true, Ordering::Release);
    }

    /// Returns `true` to the one caller that is to restart background work of the family.
    pub(super) fn claim_lost_work(&self) -> bool {
        // Read first, for all threads share it and it is seldom set.
        self.lost_work.load(Ordering::Acquire) && self.lost_work.swap(false, Ordering::AcqRel)
    }

    fn take(&self) -> bool {
        self.state.with(|state| {
            let taken = state.free > 0;
            state.free -= usize::from(taken);
            taken
        })
    }

    fn give_back(&self, places: usize) {
        self.state.with(|state| {
            state.free += places;
            state.making_room = state.making_room.saturating_sub(places);
        });
    }

    fn free(&self) -> usize {
        self.state.with(|state| state.free)
    }

    /// Changes how many openings of one pool wait for a place.
    fn want(&self, before: usize, now: usize) {
        self.state.with(|state| {
            state.wanted = state.wanted + now - before;
        });
    }

    /// Whether a value that lies idle is to make room. Says so once for each place that is wanted.
    fn asks_for_room(&self) -> bool {
        self.state.with(|state| {
            let asks = state.wanted > state.making_room + state.free;
            state.making_room += usize::from(asks);
            asks
        })
    }
}

impl<V> Queue<V> {
    /// How many of these openings have a place in what the family may have.
    pub(crate) fn within_quota(&self, openings: usize) -> usize {
        match &self.quota {
            Some(quota) if openings > 0 => openings.min(quota.free()),
            _ => openings,
        }
    }

    /// Takes a slot for an opening, unless others of the family were faster.
    pub(crate) fn take_slot(&mut self) -> bool {
        let taken = self.quota.as_ref().is_none_or(|quota| quota.take());
        self.size += usize::from(taken);
        taken
    }

    pub(crate) fn free_slots(&mut self, slots: usize, wakes: &mut Wakes) {
        self.size -= slots;
        if let (Some(quota), true) = (&self.quota, slots > 0) {
            quota.give_back(slots);
            wakes.tell_family(quota);
        }
    }

    /// Whether an idle value of this pool is to make room for another pool of its family.
    pub(crate) fn makes_room(&self, min_size: usize) -> bool {
        let spare = self.in_service() > min_size && self.waiters.waiting() == 0;
        spare
            && self
                .quota
                .as_ref()
                .is_some_and(|quota| quota.asks_for_room())
    }
}

impl<R: LocalResource, C: Clock> Shared<R, C> {
    /// Lets the family know how many openings wait for nothing but a place.
    pub(crate) fn settle_wants(&self, queue: &mut Queue<R::Value>, wakes: &mut Wakes) {
        let Some(quota) = queue.quota.clone() else {
            return;
        };
        let wanted = queue.openings_wanted(&self.config);
        let before = core::mem::replace(&mut queue.wants, wanted);
        if wanted != before {
            quota.want(before, wanted);
        }
        if wanted > before {
            wakes.tell_family(&quota);
        }
    }

    /// An opening has got its place: what it wanted, nobody has to make room for any more.
    pub(crate) fn want_no_more(&self, queue: &mut Queue<R::Value>) {
        if let Some(quota) = &queue.quota {
            let wanted = queue.openings_wanted(&self.config).min(queue.wants);
            quota.want(queue.wants, wanted);
            queue.wants = wanted;
        }
    }

    /// Buries idle values for which other pools of the family have more use.
    pub(crate) fn make_room(&self) {
        let mut wakes = Wakes::default();
        self.queue.with(|queue| {
            while queue.phase == Phase::Open && !self.stacks.is_empty() {
                if !queue.makes_room(self.config.min_size) {
                    break;
                }
                if let Some(slot) = self.stacks.take_behind_gates() {
                    self.bury_slot(queue, slot, Why::Surplus);
                }
            }
            self.poke(queue, &mut wakes);
        });
        self.wake(wakes);
    }
}
