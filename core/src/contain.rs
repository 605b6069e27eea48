//! Running a hook of the user's: its panic contained, its time limited.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use pin_project_lite::pin_project;

use crate::cause::{Cause, Panicked};
use crate::resource::BoxError;
use crate::runtime::Clock;
use crate::sync;
use crate::timeout::Limited;

/// How a hook of the user's failed.
#[derive(Debug)]
pub(crate) enum HookError<E> {
    /// It answered with an error.
    Failed(E),
    /// It took longer than its limit, and was dropped.
    TimedOut(Cause),
    /// It panicked.
    Panicked(Cause),
}

impl<E: Into<BoxError>> HookError<E> {
    pub(crate) fn into_cause(self) -> Cause {
        match self {
            Self::Failed(error) => Cause::new(error),
            Self::TimedOut(cause) | Self::Panicked(cause) => cause,
        }
    }
}

/// Awaits the future that `begin` makes, within `limit`, and contains a panic of either.
pub(crate) async fn hook<C, F, T, E>(
    clock: &C,
    limit: Option<Duration>,
    begin: impl FnOnce() -> F,
) -> Result<T, HookError<E>>
where
    C: Clock,
    F: Future<Output = Result<T, E>>,
{
    let future = sync::contain(begin).map_err(panicked)?;
    match Limited::new(clock.clone(), limit, Contained { future }).await {
        Ok(Ok(Ok(value))) => Ok(value),
        Ok(Ok(Err(error))) => Err(HookError::Failed(error)),
        Ok(Err(message)) => Err(panicked(message)),
        Err(elapsed) => Err(HookError::TimedOut(Cause::new(elapsed))),
    }
}

fn panicked<E>(message: alloc::string::String) -> HookError<E> {
    HookError::Panicked(Cause::new(Panicked::new(message)))
}

pin_project! {
    /// A future whose panics become errors.
    struct Contained<F> {
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for Contained<F> {
    type Output = Result<F::Output, alloc::string::String>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match sync::contain(|| this.future.poll(cx)) {
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(message) => Poll::Ready(Err(message)),
        }
    }
}
