//! Running a hook of the user's: its panic contained, its time limited.

use alloc::string::String;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use pin_project_lite::pin_project;

use crate::cause::{Cause, Panicked};
use crate::resource::BoxError;
use crate::retry::Failure;
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

impl<E> HookError<E> {
    pub(crate) const fn as_failure(&self) -> Failure<'_, E> {
        match self {
            Self::Failed(error) => Failure::Error(error),
            Self::TimedOut(_) => Failure::TimedOut,
            Self::Panicked(_) => Failure::Panicked,
        }
    }
}

impl<E: Into<BoxError> + 'static> HookError<E> {
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
    let contained = Contained {
        future: Some(future),
    };
    match Limited::new(clock.clone(), limit, contained).await {
        Ok(Ok(Ok(value))) => Ok(value),
        Ok(Ok(Err(error))) => Err(HookError::Failed(error)),
        Ok(Err(message)) => Err(panicked(message)),
        Err(elapsed) => Err(HookError::TimedOut(Cause::new(elapsed))),
    }
}

fn panicked<E>(message: String) -> HookError<E> {
    HookError::Panicked(Cause::new(Panicked::new(message)))
}

pin_project! {
    /// A future whose panics become errors, be it polled or dropped.
    struct Contained<F> {
        // Absent once it has ended.
        #[pin]
        future: Option<F>,
    }

    impl<F> PinnedDrop for Contained<F> {
        fn drop(this: Pin<&mut Self>) {
            // Cut off by its limit, or with its task: whoever could be told of a panic is gone.
            let mut future = this.project().future;
            let _ = sync::contain(|| future.set(None));
        }
    }
}

impl<F: Future> Future for Contained<F> {
    type Output = Result<F::Output, String>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut future = self.project().future;
        let polled = sync::contain(|| {
            let running = future.as_mut().as_pin_mut();
            let output = ready!(running.map_or(Poll::Pending, |running| running.poll(cx)));
            future.set(None);
            Poll::Ready(output)
        });
        match polled {
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(message) => Poll::Ready(Err(message)),
        }
    }
}
