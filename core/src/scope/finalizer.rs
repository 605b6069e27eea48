//! What is done at the end of a scope, in boxes: those that move between threads, and those that stay.

use alloc::boxed::Box;
use core::future::Future;
use core::pin::Pin;
use core::time::Duration;

use super::exit::Exit;
use super::shared::ScopeLimits;
use crate::cause::{Cause, Panicked};
use crate::cleanup::{RetiredValue, abandon_quietly, close_value, ending_of, take_leave};
use crate::contain::hook;
use crate::ending::{Ending, Why};
use crate::held::HeldResource;
use crate::reporter::Reporter;
use crate::resource::{BoxError, LocalResource, Resource};
use crate::runtime::Clock;
use crate::sync::{self, Arc, Lock};

/// Whether what a scope holds is `Send`: which boxes it comes in.
pub(crate) trait Kind: Sized + 'static {
    type Finalizer: ?Sized + Finalize<Self>;
    type Work: ?Sized + Future<Output = FinalizerOutcome>;
}

/// How a finalizer ended: as the close of a value does.
pub(crate) type FinalizerOutcome = (Ending, Option<Cause>);

/// The finalizers of a scope that may move between threads.
#[derive(Debug)]
pub(crate) enum Sending {}

impl Kind for Sending {
    type Finalizer = dyn Finalize<Self> + Send;
    type Work = dyn Future<Output = FinalizerOutcome> + Send;
}

/// The finalizers of a scope that stays on its thread.
#[derive(Debug)]
pub(crate) enum Staying {}

impl Kind for Staying {
    type Finalizer = dyn Finalize<Self>;
    type Work = dyn Future<Output = FinalizerOutcome>;
}

/// Something that is to be done at the end of a scope.
pub(crate) trait Finalize<K: Kind> {
    /// The work itself. Time limits and panics are its own matter.
    fn begin(self: Box<Self>, exit: Exit) -> Pin<Box<K::Work>>;

    /// Nothing can await the work: hands out a panic that came of giving it up.
    fn give_up(self: Box<Self>, why: Why) -> Option<Cause>;
}

/// The close of a value.
pub(crate) struct Close<R: LocalResource, C: Clock> {
    pub(crate) home: Arc<Home<R>>,
    pub(crate) clock: C,
    pub(crate) reporter: Reporter,
    pub(crate) limits: ScopeLimits,
}

/// Where a guard leaves its value for whoever closes it.
pub(crate) struct Home<R: LocalResource> {
    pub(crate) resource: HeldResource<R>,
    pub(crate) value: Lock<Option<R::Value>>,
}

impl<R: LocalResource> Home<R> {
    fn take(&self) -> R::Value {
        match self.value.with(Option::take) {
            Some(value) => value,
            None => unreachable!("a value is closed once, and only after its guard left it"),
        }
    }
}

impl<R: LocalResource, C: Clock> Close<R, C> {
    pub(super) async fn perform(self, retired: RetiredValue<R::Value>) -> FinalizerOutcome {
        let (resource, clock) = (&self.home.resource, &self.clock);
        let mut leaving = Leaving {
            resource,
            retired: Some(retired),
        };
        if let Some(RetiredValue { value, .. }) = &mut leaving.retired {
            take_leave(resource, clock, &self.reporter, self.limits.hook, value).await;
        }
        match leaving.retired.take() {
            Some(retired) => close_value(resource, clock, self.limits.close, retired).await,
            None => unreachable!("it was put there above"),
        }
    }

    fn abandon(self, why: Why) -> Option<Cause> {
        let value = self.home.take();
        abandon_quietly(&*self.home.resource, RetiredValue { value, why })
    }
}

/// A value whose close has not been called. Dropped before, it is abandoned.
struct Leaving<'r, R: LocalResource> {
    resource: &'r HeldResource<R>,
    retired: Option<RetiredValue<R::Value>>,
}

impl<R: LocalResource> Drop for Leaving<'_, R> {
    fn drop(&mut self) {
        if let Some(retired) = self.retired.take() {
            // That it was cut off is told by whoever dropped it; a panic of this has nobody to hear it.
            let _panic = abandon_quietly(&**self.resource, retired);
        }
    }
}

impl<R, C> Finalize<Sending> for Close<R, C>
where
    R: Resource,
    C: Clock<Sleep: Send + 'static> + Send + Sync + 'static,
{
    fn begin(self: Box<Self>, exit: Exit) -> Pin<Box<<Sending as Kind>::Work>> {
        let value = self.home.take();
        let why = exit.why();
        Box::pin(self.perform(RetiredValue { value, why }))
    }

    fn give_up(self: Box<Self>, why: Why) -> Option<Cause> {
        self.abandon(why)
    }
}

impl<R, C> Finalize<Staying> for Close<R, C>
where
    R: LocalResource + 'static,
    C: Clock<Sleep: 'static> + 'static,
{
    fn begin(self: Box<Self>, exit: Exit) -> Pin<Box<<Staying as Kind>::Work>> {
        let value = self.home.take();
        let why = exit.why();
        Box::pin(self.perform(RetiredValue { value, why }))
    }

    fn give_up(self: Box<Self>, why: Why) -> Option<Cause> {
        self.abandon(why)
    }
}

/// A finalizer of the user's.
pub(crate) struct Deferred<B, C> {
    pub(crate) body: B,
    pub(crate) clock: C,
    pub(crate) limit: Option<Duration>,
}

impl<B, C: Clock> Deferred<B, C> {
    async fn perform<F>(self, exit: Exit) -> FinalizerOutcome
    where
        B: FnOnce(Exit) -> F,
        F: Future<Output = Result<(), BoxError>>,
    {
        let body = self.body;
        let closed = hook(&self.clock, self.limit, || body(exit)).await;
        ending_of(closed, Cause::new)
    }

    fn discard(self) -> Option<Cause> {
        let panic = sync::contain(|| drop(self.body)).err();
        panic.map(|message| Cause::new(Panicked::new(message)))
    }
}

impl<B, F, C> Finalize<Sending> for Deferred<B, C>
where
    B: FnOnce(Exit) -> F + Send + 'static,
    F: Future<Output = Result<(), BoxError>> + Send + 'static,
    C: Clock<Sleep: Send + 'static> + Send + Sync + 'static,
{
    fn begin(self: Box<Self>, exit: Exit) -> Pin<Box<<Sending as Kind>::Work>> {
        Box::pin(self.perform(exit))
    }

    fn give_up(self: Box<Self>, _why: Why) -> Option<Cause> {
        self.discard()
    }
}

impl<B, F, C> Finalize<Staying> for Deferred<B, C>
where
    B: FnOnce(Exit) -> F + 'static,
    F: Future<Output = Result<(), BoxError>> + 'static,
    C: Clock<Sleep: 'static> + 'static,
{
    fn begin(self: Box<Self>, exit: Exit) -> Pin<Box<<Staying as Kind>::Work>> {
        Box::pin(self.perform(exit))
    }

    fn give_up(self: Box<Self>, _why: Why) -> Option<Cause> {
        self.discard()
    }
}
