//! Values on their way out.

use crate::cause::{Cause, Panicked};
use crate::contain::{HookError, hook};
use crate::ending::{Ending, Why};
use crate::event::EventKind;
use crate::held::HeldResource;
use crate::hooks::Hooks;
use crate::reporter::Reporter;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::sync;

use core::time::Duration;

/// A value that nobody may use any more, and why.
#[derive(Debug)]
pub(crate) struct RetiredValue<V> {
    pub(crate) value: V,
    pub(crate) why: Why,
}

/// Awaits `before_close`, if the resource has one, within `limit`, its panic contained. What goes wrong is reported, and
/// the value is closed all the same.
pub(crate) async fn take_leave<R: LocalResource>(
    resource: &HeldResource<R>,
    clock: &impl Clock,
    reporter: &Reporter,
    limit: Option<Duration>,
    value: &mut R::Value,
) {
    if !R::HOOKS.has(Hooks::BEFORE_CLOSE) {
        return;
    }
    if let Err(error) = hook(clock, limit, || resource.before_close(value)).await {
        let failed = EventKind::HookFailed {
            hook: "before_close",
            error: &resource.cause_of_hook(error),
        };
        reporter.send(clock, failed);
    }
}

/// Awaits `close`, within `limit`, its panic contained.
pub(crate) async fn close_value<R: LocalResource>(
    resource: &HeldResource<R>,
    clock: &impl Clock,
    limit: Option<Duration>,
    retired: RetiredValue<R::Value>,
) -> (Ending, Option<Cause>) {
    let RetiredValue { value, why } = retired;
    let closed = hook(clock, limit, || resource.close(value, why)).await;
    ending_of(closed, |error| resource.cause_of(error))
}

/// How whatever was closed has ended, and what it said.
pub(crate) fn ending_of<E>(
    closed: Result<(), HookError<E>>,
    cause_of: impl FnOnce(E) -> Cause,
) -> (Ending, Option<Cause>) {
    match closed {
        Ok(()) => (Ending::Closed, None),
        Err(HookError::TimedOut(cause)) => (Ending::CloseTimedOut, Some(cause)),
        Err(HookError::Panicked(cause)) => (Ending::CloseFailed, Some(cause)),
        Err(HookError::Failed(error)) => (Ending::CloseFailed, Some(cause_of(error))),
    }
}

/// Gives a value to `abandon`, because nothing can await its `close`.
pub(crate) fn abandon_value<R: LocalResource>(
    resource: &R,
    clock: &impl Clock,
    reporter: &Reporter,
    retired: RetiredValue<R::Value>,
) {
    let why = retired.why;
    let error = abandon_quietly(resource, retired);
    let ending = Ending::Abandoned;
    reporter.send(
        clock,
        EventKind::Ended {
            ending,
            why,
            error: error.as_ref(),
        },
    );
}

/// The same, for whoever tells of it. Hands out the panic, if there was one.
pub(crate) fn abandon_quietly<R: LocalResource>(
    resource: &R,
    retired: RetiredValue<R::Value>,
) -> Option<Cause> {
    let RetiredValue { value, why } = retired;
    let panic = sync::contain(|| resource.abandon(value, why)).err();
    panic.map(|message| Cause::new(Panicked::new(message)))
}
