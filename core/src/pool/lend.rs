//! What is asked about a value before it is lent.

use alloc::string::String;
use alloc::vec::{IntoIter, Vec};
use core::iter::Rev;

use super::shared::{Phase, Shared};
use super::slot::Slot;
use crate::cause::Cause;
use crate::cleanup::Why;
use crate::hooks::Hooks;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::sync;

impl<R: LocalResource, C: Clock> Shared<R, C> {
    /// Returns `true` if the resource calls the value broken, or panics when asked. Under no lock.
    #[inline(always)]
    pub(crate) fn is_broken(&self, slot: &mut Slot<R::Value>) -> bool {
        let broken = sync::contain(|| self.resource.is_broken(&mut slot.value));
        broken.unwrap_or_else(|message| self.report_broken_question(message))
    }

    #[cold]
    fn report_broken_question(&self, message: String) -> bool {
        self.reporter.swallowed(&self.clock, "is_broken", message);
        true
    }

    /// Returns `true` if something is done to every value before it is lent.
    #[inline(always)]
    pub(crate) fn prepares(&self) -> bool {
        R::HOOKS.has(Hooks::BEFORE_ACQUIRE) || self.config.check_on.acquire
    }
}

/// What a caller is told whose value was broken before it was lent.
pub(crate) fn found_broken() -> Cause {
    Cause::new("the value was found broken before it was lent")
}

/// Idle values that are taken out to be asked about, one after another, under no lock. They count as under
/// check meanwhile; whatever ends the asking, each goes to where it belongs.
///
/// The one that was used last is asked about first, so that each is laid back under those above it.
pub(super) struct Asked<'p, R: LocalResource, C: Clock> {
    shared: &'p Shared<R, C>,
    /// Why those end that are not kept.
    why: Why,
    /// The one that is asked about, from its question on until it is settled.
    current: Option<(usize, Slot<R::Value>)>,
    left: Rev<IntoIter<(usize, Slot<R::Value>)>>,
}

impl<'p, R: LocalResource, C: Clock> Asked<'p, R, C> {
    /// Takes out the idle values that are to be asked about.
    pub(super) fn take(
        shared: &'p Shared<R, C>,
        why: Why,
        which: impl Fn(&Slot<R::Value>) -> bool,
    ) -> Self {
        let slots = shared.queue.with(|queue| {
            if queue.phase != Phase::Open {
                return Vec::new();
            }
            let slots = shared.stacks.take_those(which);
            queue.checking += slots.len();
            slots
        });
        Self {
            shared,
            why,
            current: None,
            left: slots.into_iter().rev(),
        }
    }

    pub(super) fn next(&mut self) -> Option<&mut Slot<R::Value>> {
        self.current = self.left.next();
        self.current.as_mut().map(|(_, slot)| slot)
    }

    /// Lays the value back that was asked about, or hands it to the first waiter; or has it closed.
    pub(super) fn settle(&mut self, kept: bool) {
        let Some((home, slot)) = self.current.take() else {
            return;
        };
        let (shared, why) = (self.shared, self.why);
        shared.change(|queue, wakes| {
            queue.checking -= 1;
            if kept {
                shared.give_back_to(queue, slot, home, wakes);
            } else {
                shared.bury_slot(queue, slot, why);
            }
            shared.poke(queue, wakes);
        });
    }
}

impl<R: LocalResource, C: Clock> Drop for Asked<'_, R, C> {
    fn drop(&mut self) {
        self.settle(false);
        while self.next().is_some() {
            self.settle(true);
        }
    }
}
