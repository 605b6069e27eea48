//! The end of a value that a holder has taken out of service.

use alloc::collections::VecDeque;
use core::time::Duration;

use super::Holder;
use crate::cause::Cause;
use crate::cleanup::{RetiredValue, abandon_quietly, abandon_value, close_value, take_leave};
use crate::ending::{Ending, Why};
use crate::event::EventKind;
use crate::held::HeldResource;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::sync::Arc;
use crate::time::Instant;

/// A holder of values, as far as it closes them.
pub(crate) trait Closes: Holder {
    type Resource: LocalResource;
    /// A value as it waits to be closed.
    type Retired;

    fn resource(&self) -> &HeldResource<Self::Resource>;

    fn close_limits(&self) -> CloseLimits;

    /// The value by itself. What keeps it from that is how its close has failed.
    fn take_out(&self, retired: Self::Retired) -> Result<ValueOf<Self>, Cause>;

    /// A close that was counted in this era has ended: frees the slot, takes account of it, calls `tell`, and wakes
    /// whoever that concerns, in this order and in one change. In another era it was counted already, and nothing is told.
    fn close_ended(&self, era: u64, end: &CloseOutcome, tell: impl FnOnce());

    /// Counts what is being closed as timed out, and what waits to be closed as abandoned. Has that told before anybody is
    /// woken.
    fn give_up_closing(&self, tell: impl FnOnce(GivenUp<Self::Retired>));
}

/// A value of the holder's resource.
pub(crate) type ValueOf<H> = <<H as Closes>::Resource as LocalResource>::Value;

/// How long the end of a value may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CloseLimits {
    /// Of the hook before it.
    pub(crate) hook: Option<Duration>,
    pub(crate) close: Option<Duration>,
    /// Of either, where the value was found broken.
    pub(crate) broken: Option<Duration>,
}

/// How a value has ended.
#[derive(Debug)]
pub(crate) struct CloseOutcome {
    pub(crate) ending: Ending,
    pub(crate) why: Why,
    pub(crate) error: Option<Cause>,
}

/// A close under way, which was counted as such. Dropped before its close is called, it abandons the value; after that its
/// close is cut off.
pub(crate) struct CloseJob<H: Closes> {
    holder: Arc<H>,
    /// Absent once it is driven.
    retired: Option<H::Retired>,
    /// Here from its first poll until its close is called.
    value: Option<ValueOf<H>>,
    why: Why,
    /// When whoever drives it has no more time.
    until: Option<Instant>,
    era: u64,
    is_settled: bool,
}

impl<H: Closes> CloseJob<H> {
    pub(crate) fn new(
        holder: &Arc<H>,
        retired: RetiredValue<H::Retired>,
        era: u64,
        until: Option<Instant>,
    ) -> Self {
        let RetiredValue { value, why } = retired;
        Self {
            holder: holder.clone(),
            retired: Some(value),
            value: None,
            why,
            until,
            era,
            is_settled: false,
        }
    }

    pub(crate) async fn perform(mut self) {
        let Some(retired) = self.retired.take() else {
            return;
        };
        let holder = self.holder.clone();
        let (resource, clock) = (holder.resource(), holder.clock());
        let limits = holder.close_limits();
        let value = match holder.take_out(retired) {
            Ok(value) => self.value.insert(value),
            Err(cause) => return self.settle(Ending::CloseFailed, Some(cause)),
        };
        let why = self.why;
        let until = self.until;
        let limit = |general: Option<Duration>| {
            let broken = limits.broken.filter(|_| why.is_of_broken_value());
            let left = until.zip(clock.try_now()).map(|(until, now)| until - now);
            left.into_iter().chain(general).chain(broken).min()
        };
        take_leave(
            resource,
            clock,
            holder.reporter(),
            limit(limits.hook),
            value,
        )
        .await;
        if let Some(value) = self.value.take() {
            let limit = limit(limits.close);
            let (ending, error) =
                close_value(resource, clock, limit, RetiredValue { value, why }).await;
            self.settle(ending, error);
        }
    }

    fn settle(&mut self, ending: Ending, error: Option<Cause>) {
        self.is_settled = true;
        let why = self.why;
        let end = CloseOutcome { ending, why, error };
        let holder = &*self.holder;
        holder.close_ended(self.era, &end, || {
            let error = end.error.as_ref();
            let ended = EventKind::Ended { ending, why, error };
            holder.reporter().send(holder.clock(), ended);
        });
    }
}

impl<H: Closes> Drop for CloseJob<H> {
    fn drop(&mut self) {
        if self.is_settled {
            return;
        }
        // One that was dropped before its close began still has its value.
        let taken_out = { self.retired.take() }.map(|retired| self.holder.take_out(retired));
        let value = match taken_out {
            Some(Ok(value)) => Some(value),
            Some(Err(cause)) => return self.settle(Ending::Abandoned, Some(cause)),
            None => self.value.take(),
        };
        let why = self.why;
        let error = value.and_then(|value| {
            abandon_quietly(&**self.holder.resource(), RetiredValue { value, why })
        });
        self.settle(Ending::Abandoned, error);
    }
}

/// The values that a shutdown leaves unclosed because its time is over.
pub(crate) struct GivenUp<V> {
    /// How many closes were under way.
    pub(crate) timed_out: usize,
    pub(crate) abandoned: VecDeque<RetiredValue<V>>,
}

impl<V> GivenUp<V> {
    /// How each of these ends, and why.
    pub(crate) fn endings(&self) -> impl Iterator<Item = (Ending, Why)> {
        let timed_out = (0..self.timed_out).map(|_| (Ending::CloseTimedOut, Why::Shutdown));
        let abandoned = { self.abandoned.iter() }.map(|retired| (Ending::Abandoned, retired.why));
        timed_out.chain(abandoned)
    }
}

/// Ends all that is out of service and not closed: for [`ShutsDown::cut_short`](super::ShutsDown::cut_short).
pub(crate) fn abandon_unclosed<H: Closes>(holder: &H) {
    let (resource, clock, reporter) = (holder.resource(), holder.clock(), holder.reporter());
    holder.give_up_closing(|given_up| {
        for _ in 0..given_up.timed_out {
            let (ending, why) = (Ending::CloseTimedOut, Why::Shutdown);
            let error = None;
            reporter.send(clock, EventKind::Ended { ending, why, error });
        }
        for RetiredValue { value, why } in given_up.abandoned {
            match holder.take_out(value) {
                Ok(value) => {
                    abandon_value(&**resource, clock, reporter, RetiredValue { value, why })
                }
                Err(cause) => {
                    let (ending, error) = (Ending::Abandoned, Some(&cause));
                    reporter.send(clock, EventKind::Ended { ending, why, error });
                }
            }
        }
    });
}
