//! One value of a shared resource, from its opening to its end.

use core::future::Future;

use crate::cleanup::Audit;
use crate::ending::Why;
use crate::held::HeldResource;
use crate::hooks::Hooks;
use crate::managed::Managed;
use crate::resource::LocalResource;
use crate::retry::{ErrorClass, Failure};
use crate::runtime::Clock;
use crate::sync::Arc;
use crate::time::Instant;

/// A value, and how many use it. The value itself is a managed one, which is closed for good.
pub(crate) struct SharedGeneration<R: LocalResource, C: Clock> {
    pub(crate) number: u64,
    pub(crate) managed: Managed<Lent<R>, C>,
    /// Those who wait for it to open. It is not closed for want of users, nor because it was replaced.
    pub(crate) waiting: usize,
    /// Those who hold a share of it.
    pub(crate) holding: usize,
    /// Since when it has had no user.
    pub(crate) idle_since: Option<Instant>,
    /// Why nobody new gets it.
    pub(crate) retired: Option<Why>,
    /// Its close is under way.
    pub(crate) is_closing: bool,
}

impl<R: LocalResource, C: Clock> SharedGeneration<R, C> {
    pub(crate) fn is_used(&self) -> bool {
        self.waiting > 0 || self.holding > 0
    }
}

impl<R: LocalResource<Value: Clone>, C: Clock> SharedGeneration<R, C> {
    /// Its part in the audit of all.
    pub(crate) fn audit(&self) -> Audit {
        let mut audit = self.managed.audit();
        if self.holding > 0 {
            audit.in_use += core::mem::take(&mut audit.idle);
        }
        audit
    }
}

/// The user's resource, as each generation has it.
pub(crate) struct Lent<R: LocalResource>(pub(crate) Arc<HeldResource<R>>);

impl<R: LocalResource> LocalResource for Lent<R> {
    type Value = R::Value;
    type Error = R::Error;
    const CHECKED: bool = R::CHECKED;
    const EXCLUSIVE: bool = R::EXCLUSIVE;
    const HOOKS: Hooks = R::HOOKS;
    const OUTLIVES_RUNTIME: bool = R::OUTLIVES_RUNTIME;

    fn open(&self) -> impl Future<Output = Result<R::Value, R::Error>> {
        self.0.open()
    }

    fn close(&self, value: R::Value, why: Why) -> impl Future<Output = Result<(), R::Error>> {
        self.0.close(value, why)
    }

    fn check(&self, value: &mut R::Value) -> impl Future<Output = Result<(), R::Error>> {
        self.0.check(value)
    }

    fn after_open(&self, value: &mut R::Value) -> impl Future<Output = Result<(), R::Error>> {
        self.0.after_open(value)
    }

    fn before_acquire(&self, value: &mut R::Value) -> impl Future<Output = Result<(), R::Error>> {
        self.0.before_acquire(value)
    }

    fn after_release(&self, value: &mut R::Value) -> impl Future<Output = Result<(), R::Error>> {
        self.0.after_release(value)
    }

    fn before_close(&self, value: &mut R::Value) -> impl Future<Output = Result<(), R::Error>> {
        self.0.before_close(value)
    }

    fn is_broken(&self, value: &mut R::Value) -> bool {
        self.0.is_broken(value)
    }

    fn classify(&self, failure: Failure<'_, R::Error>) -> ErrorClass {
        self.0.classify(failure)
    }

    fn counts_as_dead(&self, failure: Failure<'_, R::Error>) -> bool {
        self.0.counts_as_dead(failure)
    }

    fn abandon(&self, value: R::Value, why: Why) {
        self.0.abandon(value, why);
    }
}
