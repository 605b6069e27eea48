//! Whose turn it is, and who sees to it.

use super::{Chapter, EndedScope, Entry, ROOT, Registered, Running, ScopeBook, ScopeEffects, Work};
use crate::ending::{Ending, Why};
use crate::scope::exit::Exit;
use crate::scope::finalizer::Kind;
use crate::time::Instant;

/// A finalizer whose turn has come.
pub(crate) struct Due<K: Kind> {
    pub(crate) scope: u64,
    pub(crate) exit: Exit,
    pub(crate) why: Why,
    pub(crate) registered: Registered<K>,
}

/// What whoever drives a scope finds to do.
pub(crate) enum Claim<K: Kind> {
    Begin(Due<K>),
    Resume(Work<K>),
    /// Another has the next finalizer in hand.
    Wait,
    Nothing,
}

/// What nobody will drive any more.
pub(crate) enum Orphan<K: Kind> {
    Unbegun(Registered<K>, Why),
    CutOff(Work<K>),
}

impl<K: Kind> ScopeBook<K> {
    /// Takes on the next finalizer of an ended scope: the latest first, those of a child scope in its place.
    pub(crate) fn claim(
        &mut self,
        scope: u64,
        now: Option<Instant>,
        effects: &mut ScopeEffects<K>,
    ) -> Claim<K> {
        if let Some(running) = &mut self.chapter(scope).running {
            return running.parked.take().map_or(Claim::Wait, Claim::Resume);
        }
        let mut index = self.chapter(scope).entries.len();
        while index > 0 {
            index -= 1;
            if let Entry::Child(child) = self.chapter(scope).entries[index] {
                self.end(child, Exit::Cancelled, now, effects);
                match self.claim(child, now, effects) {
                    Claim::Nothing => {}
                    claim => return claim,
                }
            } else if let Some((registered, ended)) = self.chapter(scope).pop(index) {
                self.chapter(scope).running = Some(Running {
                    subject: registered.tag.subject,
                    parked: None,
                });
                return Claim::Begin(Due {
                    scope,
                    exit: ended.exit,
                    why: registered.tag.why.unwrap_or(ended.why),
                    registered,
                });
            }
        }
        Claim::Nothing
    }

    /// Takes what nobody will drive any more, the latest first, as abandoned.
    pub(crate) fn take_orphan(
        &mut self,
        now: Option<Instant>,
        effects: &mut ScopeEffects<K>,
    ) -> Option<Orphan<K>> {
        if self.runner.is_attached() || self.chapter(ROOT).ended.is_none() {
            return None;
        }
        self.take_orphan_of(ROOT, now, effects)
    }

    fn take_orphan_of(
        &mut self,
        scope: u64,
        now: Option<Instant>,
        effects: &mut ScopeEffects<K>,
    ) -> Option<Orphan<K>> {
        if self.chapter(scope).drivers > 0 {
            return None;
        }
        let parked = self
            .chapter(scope)
            .running
            .take_if(|running| running.parked.is_some());
        if let Some(work) = parked.and_then(|running| running.parked) {
            self.record(
                scope,
                &work.tag,
                work.why,
                &(Ending::Abandoned, None),
                effects,
            );
            return Some(Orphan::CutOff(work));
        }
        let mut index = self.chapter(scope).entries.len();
        while index > 0 {
            index -= 1;
            if let Entry::Child(child) = self.chapter(scope).entries[index] {
                self.end(child, Exit::Cancelled, now, effects);
                if let Some(orphan) = self.take_orphan_of(child, now, effects) {
                    self.forget_if_over(child, effects);
                    return Some(orphan);
                }
            } else if let Some((registered, ended)) = self.chapter(scope).pop(index) {
                let why = registered.tag.why.unwrap_or(ended.why);
                self.record(
                    scope,
                    &registered.tag,
                    why,
                    &(Ending::Abandoned, None),
                    effects,
                );
                return Some(Orphan::Unbegun(registered, why));
            }
        }
        None
    }

    /// Takes on a scope that has something to finalize, and nobody but the Runner to do it.
    pub(crate) fn claim_scope_for_runner(&mut self) -> Option<u64> {
        let found = self.scope_for_runner(ROOT)?;
        self.begin_driving(found);
        Some(found)
    }

    fn scope_for_runner(&self, scope: u64) -> Option<u64> {
        let chapter = self.chapter_ref(scope);
        if chapter.ended.is_some() {
            // Whoever drives an ended scope drives its children.
            return (chapter.drivers == 0 && self.has_work(scope)).then_some(scope);
        }
        chapter
            .children()
            .find_map(|child| self.scope_for_runner(child))
    }

    /// Whether the Runner will never have anything to do again, unless something is registered late.
    pub(crate) fn needs_no_runner(&self) -> bool {
        let root = self.chapter_ref(ROOT);
        root.ended.is_some() && root.drivers == 0 && self.is_empty(ROOT)
    }

    /// Whether somebody sees to it that this scope is finalized now, not only once its parent ends.
    pub(crate) fn is_driven(&self, scope: u64) -> bool {
        let chapter = self.chapter_ref(scope);
        self.runner.is_attached()
            || chapter.drivers > 0
            || chapter.parent.is_some_and(|parent| self.is_driven(parent))
    }

    /// Whether anything can be finalized now.
    fn has_work(&self, scope: u64) -> bool {
        let chapter = self.chapter_ref(scope);
        let running = chapter.running.as_ref();
        running.is_some_and(|running| running.parked.is_some())
            || chapter.entries.iter().any(|entry| match entry {
                Entry::Own(_) => true,
                Entry::Child(child) => self.has_work(*child),
            })
    }

    /// Whether everything has been finalized.
    fn is_empty(&self, scope: u64) -> bool {
        let chapter = self.chapter_ref(scope);
        chapter.running.is_none()
            && chapter.strays.is_empty()
            && chapter.entries.iter().all(|entry| match entry {
                Entry::Own(_) => false,
                Entry::Child(child) => self.is_empty(*child),
            })
    }
}

impl<K: Kind> Chapter<K> {
    fn children(&self) -> impl Iterator<Item = u64> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Child(child) => Some(*child),
            Entry::Own(_) => None,
        })
    }

    /// Takes a finalizer of an ended scope off the pile. One whose value is lent is put aside instead.
    fn pop(&mut self, index: usize) -> Option<(Registered<K>, EndedScope)> {
        let ended = self.ended?;
        let Entry::Own(registered) = self.entries.remove(index) else {
            unreachable!("it was looked at");
        };
        if registered.is_lent {
            self.strays.push(registered);
            return None;
        }
        Some((registered, ended))
    }
}
