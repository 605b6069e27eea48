//! Closing for good.

use alloc::vec::Vec;
use core::time::Duration;

use super::inner::Inner;
use super::job::{CloseGenerationJob, SharedJob};
use crate::cleanup::Report;
use crate::drive::{self, ShutsDown};
use crate::ending::Why;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::sync::Arc;
use crate::time::Instant;

/// Closes the resource and waits until its values have ended, or until the timeout is over.
pub(crate) async fn close_shared<R: LocalResource<Value: Clone>, C: Clock>(
    inner: &Arc<Inner<R, C>>,
    timeout: Option<Duration>,
) -> Report {
    drive::shut_down(inner, timeout, Why::Shutdown).await;
    let now = inner.now();
    inner.book.with(|book| {
        let mut report = book.report.clone();
        report.took = book.shut_at.zip(now).map(|(from, to)| to - from);
        report
    })
}

impl<R: LocalResource<Value: Clone>, C: Clock> ShutsDown for Inner<R, C> {
    fn has_handles(&self) -> bool {
        self.has_handles()
    }

    fn begin_closing(&self, why: Why) {
        self.begin_closing(why);
    }

    fn is_closed(&self) -> bool {
        self.book.with(|book| book.is_closed())
    }

    // Also beside a Runner that waits for its first poll. One that was polled does it: a shutdown that is polled no more
    // would keep what it has claimed from others that wait.
    fn claim_for_shutdown(this: &Arc<Self>, deadline: Option<Instant>) -> Option<SharedJob<R, C>> {
        let now = this.now();
        let is_out_of_time = { deadline.zip(now) }.is_some_and(|(deadline, now)| now >= deadline);
        this.book.with(|book| {
            if book.runner.is_attached() && book.runner_has_begun && !is_out_of_time {
                return None;
            }
            let generation = book.closable(is_out_of_time)?;
            CloseGenerationJob::claim(this, generation, deadline).map(SharedJob::Close)
        })
    }

    fn cut_short(&self) {
        // What is left is being closed, by the Runner or by a shutdown that has more time.
        let left = self.book.with(|book| {
            let generations = book.generations.iter();
            let left = generations.map(|generation| {
                let why = generation.retired.unwrap_or(Why::Shutdown);
                (generation.number, generation.managed.clone(), why)
            });
            left.collect::<Vec<_>>()
        });
        for (number, managed, why) in left {
            let report = managed.close_at_once(why);
            let ended = self.change(|book, _| book.end(number, report));
            drop(ended);
        }
    }
}

// For values that are not known to be `Clone` too, as those of a handle that is dropped.
impl<R: LocalResource, C: Clock> Inner<R, C> {
    /// Refuses every request from here on. Does nothing if that is so already.
    pub(crate) fn begin_closing(&self, why: Why) {
        if self.book.with(|book| book.is_shut) {
            // The Runner calls this at each turn, and would wake itself for another.
            return;
        }
        let now = self.now();
        self.change(|book, _| {
            if !book.is_shut {
                book.is_shut = true;
                book.shut_at = now;
                book.retire_current(why);
            }
        });
    }
}
