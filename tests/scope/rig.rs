//! A world, what is told in it, and all that a test does with scopes.

use std::fmt::Debug;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use tenure_core::scope::ScopeBuilder;
use tenure_core::{Audit, Event, Instant, OpenError, Scope, ScopeError, Timer, with_timeout};

use super::{AnyScope, Guard, Plan, ScopeWorld, Told};

#[derive(Clone)]
pub(super) struct Rig<W> {
    pub(super) world: W,
    /// What was opened, closed, abandoned and finalized.
    pub(super) told: Told,
    events: Arc<Mutex<Vec<String>>>,
}

impl<W: ScopeWorld> Rig<W> {
    pub(super) fn new(world: &W) -> Self {
        Self {
            world: world.clone(),
            told: Told::default(),
            events: Arc::default(),
        }
    }

    /// A scope's settings, with a name, and this rig for its events.
    pub(super) fn builder(&self) -> ScopeBuilder {
        let events = self.events.clone();
        let sink = move |event: &Event<'_>| {
            let mut events = events.lock().unwrap_or_else(PoisonError::into_inner);
            events.push(event.to_string());
        };
        Scope::builder().name("scope").events(Arc::new(sink))
    }

    pub(super) fn scope<B, F, U, E>(
        &self,
        body: B,
    ) -> impl Future<Output = Result<U, ScopeError<E, U>>>
    where
        B: FnOnce(W::Scope) -> F,
        F: Future<Output = Result<U, E>>,
    {
        self.world.scope(self.builder(), body)
    }

    pub(super) async fn open(
        &self,
        scope: &W::Scope,
        plan: impl Into<Plan>,
    ) -> Result<Guard<W>, OpenError> {
        scope
            .open(plan.into(), &self.told, self.world.runtime())
            .await
    }

    /// Opens what opens well, and lets go of it at once.
    pub(super) async fn opens(&self, scope: &W::Scope, plan: impl Into<Plan>) {
        drop(self.open(scope, plan).await.expect("it opens"));
    }

    pub(super) fn defer(&self, scope: &W::Scope, plan: impl Into<Plan>) {
        scope.defer(plan.into(), &self.told, self.world.runtime());
    }

    /// What was done, the openings left out.
    pub(super) fn ends(&self) -> Vec<String> {
        let all = self.told.all().into_iter();
        all.filter(|line| !line.starts_with("open ") && !line.starts_with("closed "))
            .collect()
    }

    pub(super) fn events(&self) -> Vec<String> {
        self.events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    #[track_caller]
    pub(super) fn assert_event(&self, begin: &str, end: &str) {
        let events = self.events();
        assert!(
            events
                .iter()
                .any(|event| event.starts_with(begin) && event.ends_with(end)),
            "no event {begin} .. {end} in {events:#?}"
        );
    }

    pub(super) fn now(&self) -> Instant {
        self.world.runtime().now()
    }

    pub(super) async fn sleep(&self, time: Duration) {
        let runtime = self.world.runtime();
        runtime.sleep_until(runtime.now() + time).await;
    }

    pub(super) fn ticks(&self, count: u32) -> Duration {
        self.world.tick() * count
    }

    /// Waits for what happens in another task, and fails when it does not.
    pub(super) async fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        for _ in 0..10_000 {
            if holds() {
                return;
            }
            self.sleep(Duration::from_millis(1)).await;
        }
        panic!("it never came true that {what}: {:#?}", self.told.all());
    }

    /// Waits until nothing is open.
    pub(super) async fn until_ended(&self, scope: &W::Scope) {
        self.until("all has ended", || scope.audit().live() == 0)
            .await;
    }

    /// Awaits what must end, and fails the test when it does not, before the harness ends them all.
    pub(super) async fn soon<F: Future>(&self, future: F) -> F::Output {
        let long = if W::VIRTUAL_TIME { 3600 } else { 10 };
        let limited = with_timeout(
            &self.world.runtime(),
            Duration::from_secs(long),
            "a scope",
            future,
        );
        limited.await.expect("it ends")
    }

    /// Awaits what panics, and gives what it says.
    pub(super) async fn panics<T: Debug>(&self, future: impl Future<Output = T>) -> String {
        let payload = AssertUnwindSafe(future).catch_unwind().await.unwrap_err();
        let text = payload.downcast_ref::<&str>().expect("a text");
        (*text).to_owned()
    }
}

/// All that was opened has ended, and every finalizer is accounted for.
#[track_caller]
pub(super) fn assert_ended(audit: Audit) {
    assert!(audit.is_balanced(), "{audit}");
    assert_eq!(audit.live(), 0, "{audit}");
}
