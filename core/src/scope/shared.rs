//! What all handles, guards and the Runner of a scope and its child scopes share.

use core::time::Duration;

use super::book::{
    Claim, Due, Orphan, ROOT, Registered, ScopeBook, ScopeEffects, Subject, Tag, Work,
};
use super::drive::Drive;
use super::exit::Exit;
use super::finalizer::{Finalize, FinalizerOutcome, Kind};
use crate::cause::Cause;
use crate::cleanup::Report;
use crate::drive::{Attachment, SpawnRunner};
use crate::ending::{Ending, Why};
use crate::event::EventKind;
use crate::name::Name;
use crate::reporter::Reporter;
use crate::runtime::Clock;
use crate::signal::Signal;
use crate::sink::Sink;
use crate::sync::{Arc, Lock};

/// How long each thing may take that is done for a value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScopeLimits {
    pub(crate) open: Option<Duration>,
    pub(crate) hook: Option<Duration>,
    pub(crate) close: Option<Duration>,
}

pub(crate) struct ScopeShared<K: Kind, C: Clock> {
    pub(crate) clock: C,
    pub(crate) limits: ScopeLimits,
    /// Tells of the scope that all others are children of.
    pub(crate) reporter: Reporter,
    /// Spawns the Runner, where anything spawns.
    spawn_runner: Option<SpawnRunner<Self>>,
    pub(crate) book: Lock<ScopeBook<K>>,
    /// Tells everybody who drives that something changed.
    pub(crate) changed: Signal,
}

impl<K: Kind, C: Clock> ScopeShared<K, C> {
    pub(crate) fn new(
        clock: C,
        name: Name,
        limits: ScopeLimits,
        sink: Option<Sink>,
        spawn_runner: Option<SpawnRunner<Self>>,
    ) -> Self {
        Self {
            clock,
            limits,
            book: Lock::new(ScopeBook::new(name.clone())),
            reporter: Reporter { name, sink },
            spawn_runner,
            changed: Signal::new(),
        }
    }

    /// Runs `change` under the lock, then does outside it what it found.
    pub(crate) fn with<U>(
        &self,
        change: impl FnOnce(&mut ScopeBook<K>, &mut ScopeEffects<K>) -> U,
    ) -> U {
        let mut effects = ScopeEffects::default();
        let result = self.book.with(|book| change(book, &mut effects));
        if let Err(message) = effects.apply(&self.changed) {
            let phase = "waker or drop of a finalizer";
            self.reporter.swallowed(&self.clock, phase, message);
        }
        result
    }

    /// Sees to it that somebody is there to finalize what is registered next, if its scope is dropped.
    pub(crate) fn ensure_runner(this: &Arc<Self>) {
        Self::with_runner(this, |_, _| ());
    }

    pub(crate) fn register(this: &Arc<Self>, scope: u64, registered: Registered<K>) {
        // Under one lock with the change, or a Runner that finds nothing to do yet is gone by then.
        Self::with_runner(this, |book, effects| book.push(scope, registered, effects));
        this.abandon_orphans();
    }

    /// Runs `change` under the lock, and spawns the Runner if there is none.
    fn with_runner(this: &Arc<Self>, change: impl FnOnce(&mut ScopeBook<K>, &mut ScopeEffects<K>)) {
        let spawn = this.with(|book, effects| {
            let spawn = { this.spawn_runner }.filter(|_| !book.runner.is_attached());
            if spawn.is_some() {
                book.runner = Attachment::Attached(None);
            }
            change(book, effects);
            spawn
        });
        if let Some(spawn) = spawn {
            spawn(this);
        }
    }

    /// A guard has left its value in its home.
    pub(crate) fn take_back(&self, scope: u64, number: u64) {
        self.with(|book, effects| book.take_back(scope, number, effects));
        self.abandon_orphans();
    }

    /// A guard gives its value away.
    pub(crate) fn detach(&self, scope: u64, number: u64) {
        let registered = self.with(|book, effects| book.detach(scope, number, effects));
        if let Some(registered) = registered {
            self.tell(&registered.tag, Why::Detached, Ending::Detached, None);
        }
    }

    /// The scope's body is over: from here on, its finalizers are run by whoever polls what this returns.
    pub(crate) fn end(this: &Arc<Self>, scope: u64, exit: Exit) -> Drive<K, C> {
        let now = this.clock.try_now();
        this.with(|book, effects| {
            book.end(scope, exit, now, effects);
            book.begin_driving(scope);
        });
        Drive::new(this.clone(), scope)
    }

    /// The scope's future was dropped before its body was over.
    pub(crate) fn cancel(&self, scope: u64) {
        let now = self.clock.try_now();
        self.with(|book, effects| book.end(scope, Exit::Cancelled, now, effects));
        self.abandon_orphans();
    }

    pub(crate) fn report(&self, scope: u64) -> Report {
        let now = self.clock.try_now();
        self.book.with(|book| book.report(scope, now))
    }

    /// Takes on the next finalizer. A driver that finds nothing to do has stopped driving.
    pub(crate) fn claim(&self, scope: u64) -> ScopeStep<K> {
        let now = self.clock.try_now();
        let claim = self.with(|book, effects| {
            let claim = book.claim(scope, now, effects);
            if matches!(claim, Claim::Nothing) {
                book.stop_driving(scope, None, effects);
            }
            claim
        });
        match claim {
            Claim::Begin(due) => ScopeStep::Work(begin(due)),
            Claim::Resume(work) => ScopeStep::Work(work),
            Claim::Wait => ScopeStep::Wait,
            Claim::Nothing => ScopeStep::Nothing,
        }
    }

    pub(crate) fn settle(&self, work: Work<K>, outcome: &FinalizerOutcome) {
        let Work {
            scope,
            tag,
            why,
            future,
        } = work;
        drop(future);
        self.with(|book, effects| book.settle(scope, &tag, why, outcome, effects));
        self.tell(&tag, why, outcome.0, outcome.1.as_ref());
    }

    /// Gives up what nobody is left to finalize: the last resort, counted and told.
    pub(crate) fn abandon_orphans(&self) {
        let now = self.clock.try_now();
        while let Some(orphan) = self.with(|book, effects| book.take_orphan(now, effects)) {
            match orphan {
                Orphan::Unbegun(registered, why) => {
                    let panic = registered.finalizer.give_up(why);
                    self.tell(&registered.tag, why, Ending::Abandoned, panic.as_ref());
                }
                Orphan::CutOff(work) => {
                    let Work {
                        tag, why, future, ..
                    } = work;
                    drop(future);
                    self.tell(&tag, why, Ending::Abandoned, None);
                }
            }
        }
    }

    /// Makes a reporter that tells of events under this name.
    pub(crate) fn reporter_named(&self, name: Name) -> Reporter {
        let sink = self.reporter.sink.clone();
        Reporter { name, sink }
    }

    pub(super) fn tell(&self, tag: &Tag, why: Why, ending: Ending, error: Option<&Cause>) {
        let kind = match (tag.subject, ending, error) {
            (Subject::Value, ..) => EventKind::Ended { ending, why, error },
            (Subject::Deferred, Ending::Closed, _) => EventKind::Finalized,
            (Subject::Deferred, Ending::CloseFailed | Ending::CloseTimedOut, Some(error)) => {
                EventKind::FinalizeFailed { error }
            }
            (Subject::Deferred, ..) => EventKind::FinalizeDropped { error },
        };
        self.reporter_named(tag.name.clone())
            .send(&self.clock, kind);
    }
}

/// What a driver does next.
pub(crate) enum ScopeStep<K: Kind> {
    Work(Work<K>),
    Wait,
    Nothing,
}

fn begin<K: Kind>(due: Due<K>) -> Work<K> {
    let Due {
        scope,
        exit,
        why,
        registered,
    } = due;
    Work {
        scope,
        tag: registered.tag,
        why,
        future: registered.finalizer.begin(exit),
    }
}

/// One handle on a scope: what its number refers to stays there for as long as this lives.
pub(crate) struct Handle<K: Kind, C: Clock> {
    pub(crate) shared: Arc<ScopeShared<K, C>>,
    pub(crate) scope: u64,
}

impl<K: Kind, C: Clock> Handle<K, C> {
    /// The first handle on a scope that was just begun.
    pub(crate) const fn first(shared: Arc<ScopeShared<K, C>>, scope: u64) -> Self {
        Self { shared, scope }
    }

    /// The first handle on the scope that all others are children of.
    pub(crate) fn root(shared: ScopeShared<K, C>) -> Self {
        Self::first(Arc::new(shared), ROOT)
    }

    pub(crate) fn name(&self) -> Name {
        self.shared.book.with(|book| book.name(self.scope))
    }
}

impl<K: Kind, C: Clock> Clone for Handle<K, C> {
    fn clone(&self) -> Self {
        self.shared.book.with(|book| book.add_handle(self.scope));
        Self::first(self.shared.clone(), self.scope)
    }
}

impl<K: Kind, C: Clock> Drop for Handle<K, C> {
    fn drop(&mut self) {
        self.shared
            .with(|book, effects| book.drop_handle(self.scope, effects));
    }
}
