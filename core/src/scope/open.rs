//! Opening a value within a scope.

use alloc::boxed::Box;
use core::time::Duration;

use super::book::{Registered, Subject, Tag};
use super::drive::Drive;
use super::finalizer::{Close, FinalizerOutcome, Home, Kind};
use super::opened::ScopeGuard;
use super::shared::{Handle, ScopeShared};
use crate::cause::Cause;
use crate::cleanup::RetiredValue;
use crate::ending::{Ending, Why};
use crate::event::EventKind;
use crate::failure::OpenFailure;
use crate::held::HeldResource;
use crate::name::{Name, type_name};
use crate::opening::OpenError;
use crate::opening::{make_ready, open_value};
use crate::reporter::Reporter;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::sync::{Arc, Lock};
use crate::time::Instant;

impl<K: Kind, C: Clock> Handle<K, C> {
    /// Opens a value, and has it closed at the scope's end. `erase` knows what may be `Send`.
    pub(crate) async fn open<R: LocalResource>(
        &self,
        resource: HeldResource<R>,
        erase: fn(Close<R, C>) -> Box<K::Finalizer>,
    ) -> Result<ScopeGuard<K, C, R>, OpenError> {
        let shared = &self.shared;
        if self.has_ended() {
            return Err(self.scope_ended());
        }
        // Before there is anything that it could be too late for.
        ScopeShared::ensure_runner(shared);
        let reporter = shared.reporter_named(self.name().within(type_name::<R>()));
        let mut opening = Opening::begin(self, &reporter);
        let opened = open_value(&resource, &shared.clock, &reporter, shared.limits.open).await;
        let value = match opened {
            Ok(value) => value,
            Err(refusal) => return Err(opening.failed(refusal.cause)),
        };
        let home = Arc::new(Home {
            resource,
            value: Lock::new(None),
        });
        let close = || Close {
            home: home.clone(),
            clock: shared.clock.clone(),
            reporter: reporter.clone(),
            limits: shared.limits,
        };
        let mut unready = UnreadyScopeValue {
            scope: self,
            name: reporter.name.clone(),
            state: Some((value, close())),
            erase,
        };
        if let Some((value, _)) = &mut unready.state {
            let (clock, limit) = (&shared.clock, shared.limits.hook);
            let ready = make_ready(&home.resource, clock, &reporter, limit, value).await;
            if let Err(refusal) = ready {
                unready.close().await;
                return Err(opening.failed(refusal.cause));
            }
        }
        let Some((value, close)) = unready.state.take() else {
            unreachable!("it was put there above");
        };
        opening.is_settled = true;
        let finalizer = erase(close);
        let (number, arrival) = self.add_value(reporter.name.clone(), finalizer);
        let held = ScopeGuard::new(value, home, self.clone(), number);
        opening.succeeded();
        match arrival {
            Arrival::InTime => return Ok(held),
            Arrival::Late => drop(held),
            Arrival::LateAndAlone(drive) => {
                drop(held);
                drive.await;
            }
        }
        Err(self.scope_ended())
    }

    /// Registers a value that a guard holds.
    fn add_value(&self, name: Name, finalizer: Box<K::Finalizer>) -> (u64, Arrival<K, C>) {
        let scope = self.scope;
        self.shared.with(|book, effects| {
            let number = book.number();
            let is_late = book.has_ended(scope);
            let tag = Tag {
                name,
                subject: Subject::Value,
                why: is_late.then_some(Why::OpenedTooLate),
            };
            let registered = Registered {
                number,
                tag,
                is_lent: true,
                finalizer,
            };
            book.count(scope, |tally| tally.opened += 1);
            book.push(scope, registered, effects);
            let arrival = if !is_late {
                Arrival::InTime
            } else if book.is_driven(scope) {
                Arrival::Late
            } else {
                book.begin_driving(scope);
                Arrival::LateAndAlone(Drive::new(self.shared.clone(), scope))
            };
            (number, arrival)
        })
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.shared.book.with(|book| book.has_ended(self.scope))
    }

    pub(crate) fn scope_ended(&self) -> OpenError {
        OpenError::ScopeEnded { name: self.name() }
    }
}

/// Whether a value was opened before its scope ended.
enum Arrival<K: Kind, C: Clock> {
    InTime,
    Late,
    /// It came too late, and nobody closes it but who opened it.
    LateAndAlone(Drive<K, C>),
}

/// A value that is open, and not ready. It is not counted before that is decided.
struct UnreadyScopeValue<'a, K: Kind, C: Clock, R: LocalResource> {
    scope: &'a Handle<K, C>,
    name: Name,
    state: Option<(R::Value, Close<R, C>)>,
    erase: fn(Close<R, C>) -> Box<K::Finalizer>,
}

impl<K: Kind, C: Clock, R: LocalResource> UnreadyScopeValue<'_, K, C, R> {
    fn tag(&self, why: Why) -> Tag {
        Tag {
            name: self.name.clone(),
            subject: Subject::Value,
            why: Some(why),
        }
    }

    /// Its hook has failed.
    async fn close(&mut self) {
        let Some((value, close)) = self.state.take() else {
            return;
        };
        let why = Why::HookFailed;
        let mut closing = Closing {
            scope: self.scope,
            tag: self.tag(why),
            why,
            outcome: (Ending::Abandoned, None),
        };
        closing.outcome = close.perform(RetiredValue { value, why }).await;
    }
}

impl<K: Kind, C: Clock, R: LocalResource> Drop for UnreadyScopeValue<'_, K, C, R> {
    /// Its hook was cut off: it is closed with all that the scope has opened.
    fn drop(&mut self) {
        let Some((value, close)) = self.state.take() else {
            return;
        };
        close.home.value.with(|home| *home = Some(value));
        let tag = self.tag(Why::HookCutOff);
        let finalizer = (self.erase)(close);
        let scope = self.scope.scope;
        self.scope.shared.with(|book, effects| {
            let registered = Registered {
                number: book.number(),
                tag,
                is_lent: false,
                finalizer,
            };
            book.count(scope, |tally| tally.opened += 1);
            book.push(scope, registered, effects);
        });
        self.scope.shared.abandon_orphans();
    }
}

/// The close of a value that did not become ready. It is counted when it ends, or is dropped.
struct Closing<'a, K: Kind, C: Clock> {
    scope: &'a Handle<K, C>,
    tag: Tag,
    why: Why,
    outcome: FinalizerOutcome,
}

impl<K: Kind, C: Clock> Drop for Closing<'_, K, C> {
    fn drop(&mut self) {
        let scope = self.scope.scope;
        self.scope.shared.with(|book, effects| {
            book.count(scope, |tally| tally.opened += 1);
            book.record(scope, &self.tag, self.why, &self.outcome, effects);
        });
        let (ending, cause) = &self.outcome;
        let shared = &self.scope.shared;
        shared.tell(&self.tag, self.why, *ending, cause.as_ref());
    }
}

/// An opening under way.
struct Opening<'a, K: Kind, C: Clock> {
    scope: &'a Handle<K, C>,
    reporter: Reporter,
    began_at: Option<Instant>,
    is_settled: bool,
}

impl<'a, K: Kind, C: Clock> Opening<'a, K, C> {
    fn begin(scope: &'a Handle<K, C>, reporter: &Reporter) -> Self {
        let opening = Self {
            scope,
            reporter: reporter.clone(),
            began_at: scope.shared.clock.try_now(),
            is_settled: false,
        };
        opening.tell(EventKind::OpenBegan { attempt: 1 });
        opening
    }

    fn succeeded(&self) {
        let (attempt, took) = (1, self.took());
        self.tell(EventKind::Opened { attempt, took });
    }

    fn failed(mut self, cause: Cause) -> OpenError {
        self.is_settled = true;
        let elapsed = self.took();
        let scope = self.scope;
        scope
            .shared
            .book
            .with(|book| book.count(scope.scope, |tally| tally.open_failed += 1));
        self.tell(EventKind::OpenFailed {
            attempt: 1,
            error: &cause,
            retry_in: None,
        });
        OpenError::Failed {
            name: self.reporter.name.clone(),
            failure: OpenFailure {
                attempts: 1,
                elapsed,
                stopped: None,
                age: elapsed.map(|_| Duration::ZERO),
                cause,
            },
        }
    }

    fn took(&self) -> Option<Duration> {
        let now = self.shared().clock.try_now();
        now.zip(self.began_at).map(|(now, began)| now - began)
    }

    fn tell(&self, kind: EventKind<'_>) {
        self.reporter.send(&self.shared().clock, kind);
    }

    fn shared(&self) -> &ScopeShared<K, C> {
        &self.scope.shared
    }
}

impl<K: Kind, C: Clock> Drop for Opening<'_, K, C> {
    fn drop(&mut self) {
        if self.is_settled {
            return;
        }
        let scope = self.scope.scope;
        self.shared()
            .book
            .with(|book| book.count(scope, |tally| tally.open_called_off += 1));
        self.tell(EventKind::OpenCalledOff);
    }
}
