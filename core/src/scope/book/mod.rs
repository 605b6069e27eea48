//! What a scope and its child scopes have to finalize, and who does: all that one lock guards.

mod accounts;
mod claim;
#[cfg(test)]
mod tests;

pub(crate) use claim::{Claim, Due, Orphan};

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::pin::Pin;

use super::exit::Exit;
use super::finalizer::{FinalizerOutcome, Kind};
use crate::cleanup::Ledger;
use crate::drive::{Attachment, Wakes};
use crate::ending::{Ending, Why};
use crate::name::Name;
use crate::signal::Signal;
use crate::sync;
use crate::time::Instant;

/// The number of the scope that all others are children of.
pub(crate) const ROOT: u64 = 0;

/// A scope with all its child scopes.
pub(crate) struct ScopeBook<K: Kind> {
    scopes: BTreeMap<u64, Chapter<K>>,
    next_number: u64,
    pub(crate) runner: Attachment,
}

/// One scope.
struct Chapter<K: Kind> {
    name: Name,
    parent: Option<u64>,
    children_begun: u64,
    /// What is to be finalized, the latest last.
    entries: Vec<Entry<K>>,
    /// Values whose turn came while their guards were elsewhere.
    strays: Vec<Registered<K>>,
    running: Option<Running<K>>,
    ended: Option<EndedScope>,
    /// How many go about finalizing this scope, or will without being told. One of them at a time has the
    /// work in hand.
    drivers: usize,
    handles: usize,
    ledger: Ledger,
}

enum Entry<K: Kind> {
    Own(Registered<K>),
    Child(u64),
}

#[derive(Clone, Copy)]
struct EndedScope {
    exit: Exit,
    why: Why,
}

/// The one finalizer of a scope that is under way.
struct Running<K: Kind> {
    subject: Subject,
    /// There while nobody polls it: whoever did is gone.
    parked: Option<Work<K>>,
}

/// What a finalizer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Value,
    Deferred,
}

/// A finalizer whose turn has not come.
pub(crate) struct Registered<K: Kind> {
    pub(crate) number: u64,
    pub(crate) tag: Tag,
    /// Whether a guard holds the value.
    pub(crate) is_lent: bool,
    pub(crate) finalizer: Box<K::Finalizer>,
}

/// What is told of a finalizer.
#[derive(Clone, Debug)]
pub(crate) struct Tag {
    pub(crate) name: Name,
    pub(crate) subject: Subject,
    /// For values that came too late; else it follows from how the scope ended.
    pub(crate) why: Option<Why>,
}

/// A finalizer under way.
pub(crate) struct Work<K: Kind> {
    pub(crate) scope: u64,
    pub(crate) tag: Tag,
    pub(crate) why: Why,
    pub(crate) future: Pin<Box<K::Work>>,
}

/// What was found under the lock and is done outside it.
#[must_use = "whoever waits sleeps on until they are applied"]
pub(crate) struct ScopeEffects<K: Kind> {
    pub(crate) wakes: Wakes,
    /// Kept to be dropped, for their errors are the user's.
    forgotten: Vec<Chapter<K>>,
}

impl<K: Kind> Default for ScopeEffects<K> {
    fn default() -> Self {
        Self {
            wakes: Wakes::default(),
            forgotten: Vec::new(),
        }
    }
}

impl<K: Kind> ScopeEffects<K> {
    pub(crate) fn apply(self, changed: &Signal) -> Result<(), String> {
        let woken = self.wakes.wake(changed);
        let forgotten = self.forgotten;
        woken.and(sync::contain(|| drop(forgotten)))
    }
}

impl<K: Kind> ScopeBook<K> {
    pub(crate) fn new(name: Name) -> Self {
        let mut book = Self {
            scopes: BTreeMap::new(),
            next_number: ROOT,
            runner: Attachment::Absent,
        };
        book.add_scope(name, None);
        book
    }

    fn add_scope(&mut self, name: Name, parent: Option<u64>) -> u64 {
        let number = self.number();
        let chapter = Chapter {
            name,
            parent,
            children_begun: 0,
            entries: Vec::new(),
            strays: Vec::new(),
            running: None,
            ended: None,
            drivers: 0,
            handles: 1,
            ledger: Ledger::default(),
        };
        self.scopes.insert(number, chapter);
        number
    }

    /// Begins a scope within another, unless that one has ended.
    pub(crate) fn add_child(&mut self, parent: u64) -> Option<u64> {
        let chapter = self.chapter(parent);
        if chapter.ended.is_some() {
            return None;
        }
        chapter.children_begun += 1;
        let name = chapter.name.within(chapter.children_begun);
        let child = self.add_scope(name, Some(parent));
        self.chapter(parent).entries.push(Entry::Child(child));
        Some(child)
    }

    /// A number for whatever is new.
    pub(crate) fn number(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        number
    }

    /// Puts a finalizer on top of all that the scope has. It is run first, and at once if the scope has
    /// ended.
    pub(crate) fn push(
        &mut self,
        scope: u64,
        registered: Registered<K>,
        effects: &mut ScopeEffects<K>,
    ) {
        let chapter = self.chapter(scope);
        if registered.is_lent && chapter.ended.is_some() {
            chapter.strays.push(registered);
        } else {
            chapter.entries.push(Entry::Own(registered));
        }
        self.poke(effects);
    }

    /// A guard has left its value in its home.
    pub(crate) fn take_back(&mut self, scope: u64, number: u64, effects: &mut ScopeEffects<K>) {
        let chapter = self.chapter(scope);
        let waiting = chapter
            .entries
            .iter_mut()
            .rev()
            .find_map(|entry| match entry {
                Entry::Own(registered) if registered.number == number => Some(registered),
                _ => None,
            });
        if let Some(registered) = waiting {
            registered.is_lent = false;
        } else if let Some(index) = chapter
            .strays
            .iter()
            .position(|stray| stray.number == number)
        {
            let mut stray = chapter.strays.remove(index);
            stray.is_lent = false;
            chapter.entries.push(Entry::Own(stray));
            self.poke(effects);
        }
    }

    /// A value is given away: nothing of it is left to finalize.
    pub(crate) fn detach(
        &mut self,
        scope: u64,
        number: u64,
        effects: &mut ScopeEffects<K>,
    ) -> Option<Registered<K>> {
        let chapter = self.chapter(scope);
        let is_meant = |entry: &Entry<K>| matches!(entry, Entry::Own(own) if own.number == number);
        let mut strays = chapter.strays.iter();
        let registered = if let Some(at) = chapter.entries.iter().rposition(is_meant) {
            match chapter.entries.remove(at) {
                Entry::Own(registered) => registered,
                Entry::Child(_) => unreachable!("a value is an entry of its own"),
            }
        } else {
            let at = strays.position(|stray| stray.number == number)?;
            chapter.strays.remove(at)
        };
        self.count(scope, |tally| tally.count(Ending::Detached));
        self.forget_if_over(scope, effects);
        self.poke(effects);
        Some(registered)
    }

    /// The scope's body is over, if it is not over already.
    pub(crate) fn end(
        &mut self,
        scope: u64,
        exit: Exit,
        now: Option<Instant>,
        effects: &mut ScopeEffects<K>,
    ) {
        let chapter = self.chapter(scope);
        if chapter.ended.is_some() {
            return;
        }
        let why = exit.why();
        chapter.ended = Some(EndedScope { exit, why });
        for failure in chapter.ledger.begin_shutdown(now) {
            effects.wakes.drop_cause(failure.cause);
        }
        self.poke(effects);
    }

    /// Has everybody who may have something to do look at it.
    fn poke(&mut self, effects: &mut ScopeEffects<K>) {
        effects.wakes.push(self.runner.take_waker());
        effects.wakes.signal();
    }

    pub(crate) fn begin_driving(&mut self, scope: u64) {
        self.chapter(scope).drivers += 1;
    }

    /// A driver leaves, and leaves behind what it had in hand.
    pub(crate) fn stop_driving(
        &mut self,
        scope: u64,
        in_hand: Option<Work<K>>,
        effects: &mut ScopeEffects<K>,
    ) {
        if let Some(work) = in_hand {
            let chapter = self.chapter(work.scope);
            chapter.running = Some(Running {
                subject: work.tag.subject,
                parked: Some(work),
            });
        }
        self.chapter(scope).drivers -= 1;
        self.forget_if_over(scope, effects);
        self.poke(effects);
    }

    /// A finalizer has ended.
    pub(crate) fn settle(
        &mut self,
        scope: u64,
        tag: &Tag,
        why: Why,
        outcome: &FinalizerOutcome,
        effects: &mut ScopeEffects<K>,
    ) {
        self.chapter(scope).running = None;
        self.record(scope, tag, why, outcome, effects);
        self.forget_if_over(scope, effects);
        self.poke(effects);
    }

    pub(crate) fn has_ended(&self, scope: u64) -> bool {
        self.chapter_ref(scope).ended.is_some()
    }

    pub(crate) fn name(&self, scope: u64) -> Name {
        self.chapter_ref(scope).name.clone()
    }

    pub(crate) fn add_handle(&mut self, scope: u64) {
        self.chapter(scope).handles += 1;
    }

    pub(crate) fn drop_handle(&mut self, scope: u64, effects: &mut ScopeEffects<K>) {
        self.chapter(scope).handles -= 1;
        self.forget_if_over(scope, effects);
    }

    /// A child scope that is over, and that nobody can ask about, leaves no trace but its counts.
    fn forget_if_over(&mut self, scope: u64, effects: &mut ScopeEffects<K>) {
        let chapter = self.chapter_ref(scope);
        let Some(parent) = chapter.parent else {
            return;
        };
        let is_over = chapter.ended.is_some()
            && chapter.handles == 0
            && chapter.drivers == 0
            && chapter.running.is_none()
            && chapter.strays.is_empty()
            && chapter.entries.is_empty();
        if is_over {
            effects.forgotten.extend(self.scopes.remove(&scope));
            let entries = &mut self.chapter(parent).entries;
            entries.retain(|entry| !matches!(entry, Entry::Child(child) if *child == scope));
            self.forget_if_over(parent, effects);
        }
    }

    fn chapter(&mut self, scope: u64) -> &mut Chapter<K> {
        match self.scopes.get_mut(&scope) {
            Some(chapter) => chapter,
            None => unreachable!("a scope is there while anybody refers to it"),
        }
    }

    fn chapter_ref(&self, scope: u64) -> &Chapter<K> {
        match self.scopes.get(&scope) {
            Some(chapter) => chapter,
            None => unreachable!("a scope is there while anybody refers to it"),
        }
    }
}
