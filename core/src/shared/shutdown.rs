//! Closing for good.

use alloc::vec::Vec;
use core::time::Duration;

use super::inner::Inner;
use crate::cleanup::Report;
use crate::drive::{JobSet, Round, go_round};
use crate::ending::Why;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::sync::Arc;

impl<R: LocalResource<Value: Clone>, C: Clock> Inner<R, C> {
    pub(crate) async fn shut_down(this: &Arc<Self>, within: Option<Duration>) -> Report {
        let began_at = this.now();
        let deadline = began_at.zip(within).map(|(now, within)| now + within);
        this.book.with(|book| {
            book.is_shut = true;
            book.shut_at = book.shut_at.or(began_at);
            book.retire_current(Why::Shutdown);
        });
        this.changed.notify_all();
        let mut begun = Vec::new();
        let mut closings = JobSet::new(&this.clock);
        go_round(&this.clock, &this.changed, |cx| {
            let now = this.now();
            let left = deadline.zip(now).map(|(deadline, now)| deadline - now);
            let is_over = left == Some(Duration::ZERO);
            for number in this.closable(is_over) {
                if !begun.contains(&number) {
                    begun.push(number);
                    closings.push(Self::close_generation(this.clone(), number, left));
                }
            }
            if closings.poll(cx) {
                return Round::Again;
            }
            let is_empty = this.book.with(|book| book.generations.is_empty());
            if is_empty || is_over {
                return Round::Done(());
            }
            Round::Wait { until: deadline }
        })
        .await;
        let now = this.now();
        this.book.with(|book| {
            let mut report = book.report.clone();
            report.took = book.shut_at.zip(now).map(|(from, to)| to - from);
            report
        })
    }

    /// Those that nobody holds any more, or all, if there is no time left.
    fn closable(&self, is_over: bool) -> Vec<u64> {
        self.book.with(|book| {
            let generations = book.generations.iter();
            let closable = generations.filter(|generation| is_over || generation.holding == 0);
            closable.map(|generation| generation.number).collect()
        })
    }
}
