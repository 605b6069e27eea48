//! One attempt to open a value, and to have it ready for its first use.

mod error;

use core::time::Duration;

use crate::cause::Cause;
use crate::contain::{HookError, hook};
use crate::event::EventKind;
use crate::held::HeldResource;
use crate::hooks::Hooks;
use crate::reporter::Reporter;
use crate::resource::LocalResource;
use crate::retry::{ErrorClass, Retry};
use crate::runtime::Clock;
use crate::sync;

pub use error::OpenError;

/// An attempt of user code that failed: what it said, and what it deserves.
///
/// The class is asked for while the error still has its own type; from here on it is shared.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) class: ErrorClass,
    pub(crate) cause: Cause,
}

/// Awaits `open`, within `limit`, its panic contained.
pub(crate) async fn open_value<R: LocalResource, C: Clock>(
    resource: &HeldResource<R>,
    clock: &C,
    reporter: &Reporter,
    limit: Option<Duration>,
) -> Result<R::Value, Refusal> {
    hook(clock, limit, || resource.open())
        .await
        .map_err(|error| refuse(resource, clock, reporter, error))
}

/// Awaits `after_open`, if the resource has one, within `limit`, its panic contained. If it fails, so has the opening, and
/// the value is to be closed.
pub(crate) async fn make_ready<R: LocalResource, C: Clock>(
    resource: &HeldResource<R>,
    clock: &C,
    reporter: &Reporter,
    limit: Option<Duration>,
    value: &mut R::Value,
) -> Result<(), Refusal> {
    if !R::HOOKS.has(Hooks::AFTER_OPEN) {
        return Ok(());
    }
    let Err(error) = hook(clock, limit, || resource.after_open(value)).await else {
        return Ok(());
    };
    let refusal = refuse(resource, clock, reporter, error);
    let failed = EventKind::HookFailed {
        hook: "after_open",
        error: &refusal.cause,
    };
    reporter.send(clock, failed);
    Err(refusal)
}

/// What follows from an opening that went wrong.
pub(crate) fn refuse<R: LocalResource>(
    resource: &HeldResource<R>,
    clock: &impl Clock,
    reporter: &Reporter,
    error: HookError<R::Error>,
) -> Refusal {
    let failure = error.as_failure();
    let class = sync::contain(|| resource.classify(failure)).unwrap_or_else(|message| {
        reporter.swallowed(clock, "classify", message);
        ErrorClass::Retry
    });
    Refusal {
        class,
        cause: resource.cause_of_hook(error),
    }
}

/// The limit of one attempt: the policy's or the general one, whichever is shorter.
pub(crate) fn attempt_limit(policy: &Retry, general: Option<Duration>) -> Option<Duration> {
    policy.attempt_timeout.into_iter().chain(general).min()
}
