//! Opening a value within a scope.

use alloc::boxed::Box;
use core::time::Duration;

use super::book::{Registered, Subject, Tag};
use super::drive::Drive;
use super::finalizer::{Close, Home, Kind};
use super::opened::Held;
use super::shared::{Handle, Shared};
use crate::Instant;
use crate::cause::Cause;
use crate::cleanup::Why;
use crate::event::{EventKind, Reporter};
use crate::failure::OpenFailure;
use crate::managed::OpenError;
use crate::name::{Name, type_name};
use crate::opening::open_value;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::sync::{Arc, Lock};

impl<K: Kind, C: Clock> Handle<K, C> {
    /// Opens a value, and has it closed at the scope's end. `erase` knows what may be `Send`.
    pub(crate) async fn open<R: LocalResource>(
        &self,
        resource: R,
        erase: fn(Close<R, C>) -> Box<K::Finalizer>,
    ) -> Result<Held<K, C, R>, OpenError> {
        let shared = &self.shared;
        if self.has_ended() {
            return Err(self.scope_ended());
        }
        // Before there is anything that it could be too late for.
        shared.ensure_runner();
        let reporter = shared.reporter(self.name().within(type_name::<R>()));
        let mut opening = Opening::begin(self, &reporter);
        let opened = open_value(&resource, &shared.clock, &reporter, shared.open_timeout).await;
        let value = match opened {
            Ok(value) => value,
            Err(refusal) => {
                let failure = opening.failed(refusal.cause);
                let name = reporter.name;
                return Err(OpenError::Failed { name, failure });
            }
        };
        opening.is_settled = true;
        let home = Arc::new(Home {
            resource,
            value: Lock::new(None),
        });
        let finalizer = erase(Close {
            home: home.clone(),
            clock: shared.clock.clone(),
            limit: shared.close_timeout,
        });
        let (number, arrival) = self.add_value(reporter.name.clone(), finalizer);
        let held = Held::new(value, home, self.clone(), number);
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

    fn failed(mut self, cause: Cause) -> OpenFailure {
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
        OpenFailure {
            attempts: 1,
            elapsed,
            stopped: None,
            cause,
        }
    }

    fn took(&self) -> Option<Duration> {
        let now = self.shared().clock.try_now();
        now.zip(self.began_at).map(|(now, began)| now - began)
    }

    fn tell(&self, kind: EventKind<'_>) {
        self.reporter.send(&self.shared().clock, kind);
    }

    fn shared(&self) -> &Shared<K, C> {
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
