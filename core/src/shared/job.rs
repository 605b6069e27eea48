//! The work of a shared resource: serving its generations, and closing those that are out of use.
//!
//! A close was marked as under way when it was claimed: dropped half-way, it leaves that generation to be claimed again.

use core::future::Future;

use super::generation::{Lent, SharedGeneration};
use super::inner::Inner;
use crate::ending::Why;
use crate::managed::{Managed, Runner};
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::sync::Arc;
use crate::time::Instant;

pub(crate) enum SharedJob<R: LocalResource, C: Clock> {
    /// The background work of a generation, which opens and closes its value.
    Serve(Runner<Lent<R>, C>),
    Close(CloseGenerationJob<R, C>),
}

impl<R: LocalResource<Value: Clone>, C: Clock> SharedJob<R, C> {
    pub(crate) fn perform(self) -> impl Future<Output = ()> {
        // A generation counts on its Runner from the call of `run` on, and so from this call on.
        let (serving, closing) = match self {
            Self::Serve(runner) => (Some(runner.run()), None),
            Self::Close(job) => (None, Some(job.perform())),
        };
        async move {
            if let Some(serving) = serving {
                serving.await;
            }
            if let Some(closing) = closing {
                closing.await;
            }
        }
    }
}

/// The close of a generation.
pub(crate) struct CloseGenerationJob<R: LocalResource, C: Clock> {
    inner: Arc<Inner<R, C>>,
    number: u64,
    managed: Managed<Lent<R>, C>,
    why: Why,
    /// The time at which its driver has no more time.
    until: Option<Instant>,
}

impl<R: LocalResource, C: Clock> CloseGenerationJob<R, C> {
    /// Claims the close of a generation, unless it is under way.
    pub(crate) fn claim(
        inner: &Arc<Inner<R, C>>,
        generation: &mut SharedGeneration<R, C>,
        until: Option<Instant>,
    ) -> Option<Self> {
        let is_closing = core::mem::replace(&mut generation.is_closing, true);
        (!is_closing).then(|| Self {
            inner: inner.clone(),
            number: generation.number,
            managed: generation.managed.clone(),
            why: generation.retired.unwrap_or(Why::Shutdown),
            until,
        })
    }
}

impl<R: LocalResource<Value: Clone>, C: Clock> CloseGenerationJob<R, C> {
    /// Closes the generation, and strikes it from the book.
    pub(crate) async fn perform(self) {
        let now = self.inner.now();
        let timeout = self.until.zip(now).map(|(until, now)| until - now);
        let report = self.managed.close_within(timeout, self.why).await;
        let ended = self.inner.book.with(|book| book.end(self.number, report));
        drop(ended);
    }
}

impl<R: LocalResource, C: Clock> Drop for CloseGenerationJob<R, C> {
    fn drop(&mut self) {
        self.inner.change(|book, _| {
            if let Some(generation) = book.generation(self.number) {
                generation.is_closing = false;
            }
        });
    }
}
