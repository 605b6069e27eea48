//! How many finalizers of a scope ended how, and where its values are.

use super::{Entry, ScopeBook, ScopeEffects, Subject, Tag};
use crate::cleanup::{Audit, CloseFailure, Report, Tally};
use crate::ending::Why;
use crate::scope::finalizer::{FinalizerOutcome, Kind};
use crate::time::Instant;

impl<K: Kind> ScopeBook<K> {
    /// Counts for the scope, and for those that it is a child of.
    pub(crate) fn count(&mut self, scope: u64, count: impl Fn(&mut Tally)) {
        let mut scope = Some(scope);
        while let Some(number) = scope {
            let chapter = self.chapter(number);
            count(&mut chapter.ledger.tally);
            scope = chapter.parent;
        }
    }

    pub(crate) fn report(&mut self, scope: u64, now: Option<Instant>) -> Report {
        let still_in_use = self.audit(scope).in_use;
        let chapter = self.chapter(scope);
        chapter.ledger.end_shutdown(now);
        chapter.ledger.report(&chapter.name, now, still_in_use)
    }

    pub(crate) fn audit(&self, scope: u64) -> Audit {
        let mut audit = self.chapter_ref(scope).ledger.tally.audit();
        self.count_live(scope, &mut audit);
        audit
    }

    fn count_live(&self, scope: u64, audit: &mut Audit) {
        let chapter = self.chapter_ref(scope);
        for entry in &chapter.entries {
            match entry {
                Entry::Child(child) => self.count_live(*child, audit),
                Entry::Own(own) if own.tag.subject == Subject::Deferred => {}
                Entry::Own(own) if own.is_lent => audit.in_use += 1,
                Entry::Own(_) if chapter.ended.is_some() => audit.closing += 1,
                Entry::Own(_) => audit.idle += 1,
            }
        }
        audit.in_use += chapter.strays.len() as u64;
        let running = chapter.running.as_ref();
        audit.closing +=
            u64::from(running.is_some_and(|running| running.subject == Subject::Value));
    }

    /// Records an ending for the scope, and for those that it is a child of.
    pub(in crate::scope) fn record(
        &mut self,
        scope: u64,
        tag: &Tag,
        why: Why,
        (ending, cause): &FinalizerOutcome,
        effects: &mut ScopeEffects<K>,
    ) {
        self.count(scope, |tally| match tag.subject {
            Subject::Value => tally.count(*ending),
            Subject::Deferred => tally.count_finalizer(*ending),
        });
        let mut scope = Some(scope);
        while let Some(number) = scope {
            let chapter = self.chapter(number);
            effects
                .wakes
                .drop_cause(chapter.ledger.remember(CloseFailure {
                    name: Some(tag.name.clone()),
                    ending: *ending,
                    why,
                    cause: cause.clone(),
                }));
            scope = chapter.parent;
        }
    }
}
