//! Values on their way out, and the slots that they hold.
//!
//! A value holds its slot until its close has ended, so that there are never more values than the maximum. Values
//! that were found broken are the exception: their peer may never answer, so up to an allowance of them are closed
//! without a slot, beside their successors. Which of them is not noted: of `broken` values, the lesser of that number
//! and the allowance hold none.
//!
//! Pools of a family share an allowance, of which each borrows what it uses, for one value at a time: there `allowance` is
//! what was borrowed, which is never more than `broken`.

use super::config::Config;
use super::shared::Queue;
use crate::cleanup::{Corpse, Why};
use crate::work::Wakes;

impl<V> Queue<V> {
    /// How many broken values are on their way out without a slot.
    #[inline]
    pub(crate) fn beside(&self) -> usize {
        self.broken.min(self.allowance)
    }

    /// Takes a value out of service, to be closed.
    pub(crate) fn retire(&mut self, value: V, why: Why) {
        let before = self.beside();
        if why.is_of_broken_value() {
            self.broken += 1;
            let lent = self.allowance;
            self.allowance += usize::from(self.family_lends_allowance(lent));
        }
        self.size -= self.beside() - before;
        self.graveyard.push_back(Corpse { value, why });
    }

    /// A value on its way out has ended.
    pub(crate) fn retired_ended(&mut self, why: Why, wakes: &mut Wakes) {
        let before = self.beside();
        self.broken -= usize::from(why.is_of_broken_value());
        let held_none = before - self.beside();
        self.give_family_allowance_back(held_none);
        self.free_slots(1 - held_none, wakes);
    }

    /// All values on their way out count as ended, so many of them.
    pub(crate) fn all_retired_ended(&mut self, values: usize, wakes: &mut Wakes) {
        let held_none = self.beside();
        self.broken = 0;
        self.give_family_allowance_back(held_none);
        self.free_slots(values - held_none, wakes);
    }

    /// Sets how many broken values may be closed without a slot, by the maximum there is now.
    pub(crate) fn settle_allowance(&mut self, config: &Config) {
        let allowance = config.allowance(self.max_size);
        if let Some(family) = &mut self.family {
            family.most_beside = allowance;
            return;
        }
        let before = self.beside();
        self.allowance = allowance;
        self.size = self.size + before - self.beside();
    }
}
