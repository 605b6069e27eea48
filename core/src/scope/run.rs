//! One scope, from its body's first poll to its last finalizer.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use pin_project_lite::pin_project;

use super::error::ScopeError;
use super::exit::Exit;
use super::finalizer::Kind;
use super::shared::{Handle, ScopeShared};
use crate::cleanup::Report;
use crate::runtime::Clock;
use crate::sync::{self, Payload};
use crate::timeout::{Elapsed, Limited};

/// Runs the body, within `limit`, then all finalizers, and says what came of both.
///
/// Whatever is dropped with it is dropped in the order in which that is meant: the body, which gives its
/// values back, and then what finalizes them.
pub(crate) async fn run<K, C, F, T, E>(
    scope: Handle<K, C>,
    limit: Option<Duration>,
    body: impl FnOnce() -> F,
) -> Result<T, ScopeError<E, T>>
where
    K: Kind,
    C: Clock,
    F: Future<Output = Result<T, E>>,
{
    let live = Live::new(scope.clone());
    let outcome = match sync::catch(body) {
        Ok(future) => {
            let future = Some(future);
            let clock = scope.shared.clock.clone();
            let scope = scope.clone();
            Limited::new(clock, limit, Body { future, scope }).await
        }
        Err(payload) => Ok(Err(payload)),
    };
    let outcome = match outcome {
        Ok(Ok(Ok(value))) => BodyOutcome::Succeeded(value),
        Ok(Ok(Err(error))) => BodyOutcome::Failed(error),
        Ok(Err(payload)) => BodyOutcome::Panicked(Unwinding::new(scope, payload)),
        Err(Elapsed { limit }) => BodyOutcome::TimedOut(limit),
    };
    let report = live.end(outcome.exit()).await;
    match outcome {
        BodyOutcome::Succeeded(value) if report.is_clean() => Ok(value),
        BodyOutcome::Succeeded(value) => Err(ScopeError::Cleanup { value, report }),
        BodyOutcome::Failed(error) => Err(ScopeError::Body { error, report }),
        BodyOutcome::TimedOut(limit) => Err(ScopeError::TimedOut { limit, report }),
        BodyOutcome::Panicked(unwinding) => unwinding.resume(),
    }
}

/// How a body ended that was not dropped with its scope.
enum BodyOutcome<T, E, K: Kind, C: Clock> {
    Succeeded(T),
    Failed(E),
    TimedOut(Duration),
    Panicked(Unwinding<K, C>),
}

impl<T, E, K: Kind, C: Clock> BodyOutcome<T, E, K, C> {
    const fn exit(&self) -> Exit {
        match self {
            Self::Succeeded(_) => Exit::Succeeded,
            Self::Failed(_) => Exit::Failed,
            Self::TimedOut(_) => Exit::Cancelled,
            Self::Panicked(_) => Exit::Panicked,
        }
    }
}

/// A scope whose body is not over. Dropping it cancels the scope.
struct Live<K: Kind, C: Clock> {
    scope: Handle<K, C>,
    has_ended: bool,
}

impl<K: Kind, C: Clock> Live<K, C> {
    const fn new(scope: Handle<K, C>) -> Self {
        Self {
            scope,
            has_ended: false,
        }
    }

    async fn end(mut self, exit: Exit) -> Report {
        self.has_ended = true;
        let Handle { shared, scope } = &self.scope;
        ScopeShared::end(shared, *scope, exit).await;
        shared.report(*scope)
    }
}

impl<K: Kind, C: Clock> Drop for Live<K, C> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.scope.shared.cancel(self.scope.scope);
        }
    }
}

pin_project! {
    /// The user's body, whose panic is caught.
    struct Body<F, K: Kind, C: Clock> {
        // Absent once it has ended.
        #[pin]
        future: Option<F>,
        scope: Handle<K, C>,
    }

    impl<F, K: Kind, C: Clock> PinnedDrop for Body<F, K, C> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Err(message) = sync::contain(|| this.future.set(None)) {
                swallow(this.scope, message);
            }
        }
    }
}

impl<F: Future, K: Kind, C: Clock> Future for Body<F, K, C> {
    type Output = Result<F::Output, Payload>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut future = self.project().future;
        let polled = sync::catch(|| {
            let running = future.as_mut().as_pin_mut();
            let output = ready!(running.map_or(Poll::Pending, |running| running.poll(cx)));
            future.set(None);
            Poll::Ready(output)
        });
        match polled {
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(payload) => Poll::Ready(Err(payload)),
        }
    }
}

/// The panic of a body, held back while the finalizers run.
struct Unwinding<K: Kind, C: Clock> {
    scope: Handle<K, C>,
    payload: Option<Payload>,
}

impl<K: Kind, C: Clock> Unwinding<K, C> {
    const fn new(scope: Handle<K, C>, payload: Payload) -> Self {
        let payload = Some(payload);
        Self { scope, payload }
    }

    fn resume(mut self) -> ! {
        match self.payload.take() {
            Some(payload) => sync::resume(payload),
            None => unreachable!("it is resumed once"),
        }
    }
}

impl<K: Kind, C: Clock> Drop for Unwinding<K, C> {
    fn drop(&mut self) {
        if let Some(payload) = self.payload.take() {
            swallow(&self.scope, sync::message_of(payload));
        }
    }
}

/// Tells of a panic of the body that has no caller left to reach.
fn swallow<K: Kind, C: Clock>(scope: &Handle<K, C>, message: alloc::string::String) {
    let shared = &scope.shared;
    let reporter = shared.reporter_named(scope.name());
    reporter.swallowed(&shared.clock, "scope body", message);
}
