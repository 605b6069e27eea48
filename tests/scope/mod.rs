//! What a scope promises, on every backend. [`thing`] is what is opened, [`Rig`] all that a test needs.

mod attribute;
mod children;
mod errors;
mod finalizers;
mod late;
mod openings;
mod orphans;
mod rig;
mod thing;
mod ways_out;
mod with_resource;

use std::fmt::Debug;
use std::future::Future;
use std::ops::DerefMut;

use tenure_core::scope::{Exit, ScopeBuilder};
use tenure_core::{
    Audit, BoxError, LocalOpened, LocalScope, OpenError, Opened, Scope, ScopeError, Timer,
};

use crate::worlds::*;
use thing::{LocalThing, Plan, SendThing, Step, Told, Value};

/// A world that runs scopes in the way that is its own: with a Runner that is spawned, or without.
pub(crate) trait ScopeWorld: World {
    /// Whether a task goes on with the scopes that are dropped.
    const HAS_RUNNER: bool;

    type Scope: AnyScope<Self::Runtime>;

    fn scope<B, F, U, E>(
        &self,
        builder: ScopeBuilder,
        body: B,
    ) -> impl Future<Output = Result<U, ScopeError<E, U>>>
    where
        B: FnOnce(Self::Scope) -> F,
        F: Future<Output = Result<U, E>>;

    /// The same for one resource.
    fn with_thing<B, F, U, E>(
        &self,
        builder: ScopeBuilder,
        thing: (Plan, Told),
        body: B,
    ) -> impl Future<Output = Result<U, ScopeError<E, U>>>
    where
        B: FnOnce(Guard<Self>) -> F,
        F: Future<Output = Result<U, E>>;
}

type Guard<W> = <<W as ScopeWorld>::Scope as AnyScope<<W as World>::Runtime>>::Guard;

/// A handle on a scope, whichever it is.
pub(crate) trait AnyScope<T: Timer>: Clone + Debug + 'static {
    type Guard: AnyGuard + Debug + 'static;

    async fn open(&self, plan: Plan, told: &Told, timer: T) -> Result<Self::Guard, OpenError>;

    fn defer(&self, plan: Plan, told: &Told, timer: T);

    async fn child<B, F, U, E>(&self, body: B) -> Result<U, ScopeError<E, U>>
    where
        B: FnOnce(Self) -> F,
        F: Future<Output = Result<U, E>>;

    fn audit(&self) -> Audit;

    fn name(&self) -> String;
}

/// A guard of an opened value, whichever it is.
pub(crate) trait AnyGuard: DerefMut<Target: Value> {
    fn detach(self) -> impl Value;
}

macro_rules! any_scope {
    ($Scope:ident opens $Thing:ident in $Opened:ident where {$($bounds:tt)+}) => {
        impl<T: $($bounds)+> AnyGuard for $Opened<$Thing<T>, T> {
            fn detach(self) -> impl Value {
                $Opened::detach(self)
            }
        }

        impl<T: $($bounds)+> AnyScope<T> for $Scope<T> {
            type Guard = $Opened<$Thing<T>, T>;

            async fn open(&self, plan: Plan, told: &Told, timer: T) -> Result<Self::Guard, OpenError> {
                let told = told.clone();
                $Scope::open(self, $Thing { plan, told, timer }).await
            }

            fn defer(&self, plan: Plan, told: &Told, timer: T) {
                let told = told.clone();
                $Scope::defer(self, move |exit| finalize(plan, told, timer, exit));
            }

            async fn child<B, F, U, E>(&self, body: B) -> Result<U, ScopeError<E, U>>
            where
                B: FnOnce(Self) -> F,
                F: Future<Output = Result<U, E>>,
            {
                $Scope::scope(self, body).await
            }

            fn audit(&self) -> Audit {
                $Scope::audit(self)
            }

            fn name(&self) -> String {
                $Scope::name(self).to_string()
            }
        }
    };
}

any_scope!(Scope opens SendThing in Opened where {Timer<Sleep: Send + 'static> + Send + Sync + 'static});
any_scope!(LocalScope opens LocalThing in LocalOpened where {Timer<Sleep: 'static> + 'static});

async fn finalize<T: Timer>(plan: Plan, told: Told, timer: T, exit: Exit) -> Result<(), BoxError> {
    told.note(format!("{} {exit}", plan.name));
    plan.close.perform(&timer).await.map_err(Into::into)
}

macro_rules! scope_worlds {
    ({}
        spawned: $($spawned:ident)*;
        spawned_locally: $($local:ident)*;
        by_hand: $($by_hand:ident)*;
    ) => {
        $( scope_worlds! { $spawned: Scope by run, with_resource of SendThing, true } )*
        $( scope_worlds! { $local: LocalScope by run_local, with_resource_local of LocalThing, true } )*
        $( scope_worlds! { $by_hand: LocalScope by run_inline, with_resource_inline of LocalThing, false } )*
    };
    ($world:ident: $Scope:ident by $run:ident, $with_resource:ident of $Thing:ident, $has_runner:literal) => {
        impl ScopeWorld for $world {
            const HAS_RUNNER: bool = $has_runner;

            type Scope = $Scope<<Self as World>::Runtime>;

            fn scope<B, F, U, E>(
                &self,
                builder: ScopeBuilder,
                body: B,
            ) -> impl Future<Output = Result<U, ScopeError<E, U>>>
            where
                B: FnOnce(Self::Scope) -> F,
                F: Future<Output = Result<U, E>>,
            {
                builder.$run(&self.runtime(), body)
            }

            fn with_thing<B, F, U, E>(
                &self,
                builder: ScopeBuilder,
                (plan, told): (Plan, Told),
                body: B,
            ) -> impl Future<Output = Result<U, ScopeError<E, U>>>
            where
                B: FnOnce(Guard<Self>) -> F,
                F: Future<Output = Result<U, E>>,
            {
                let timer = self.runtime();
                let thing = $Thing { plan, told, timer };
                builder.$with_resource(&self.runtime(), thing, body)
            }
        }
    };
}

for_every_world! { scope_worlds! {} }
