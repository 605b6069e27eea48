//! Values on their way out.

use super::{Ending, Why};
use crate::cause::Cause;
use crate::contain::{HookError, hook};
use crate::event::{EventKind, Reporter};
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::sync;

use core::time::Duration;

/// A value that nobody may use any more, and why.
#[derive(Debug)]
pub(crate) struct Corpse<V> {
    pub(crate) value: V,
    pub(crate) why: Why,
}

/// Awaits `close`, within `limit`, its panic contained.
pub(crate) async fn close_value<R: LocalResource>(
    resource: &R,
    clock: &impl Clock,
    limit: Option<Duration>,
    value: R::Value,
) -> (Ending, Option<Cause>) {
    match hook(clock, limit, || resource.close(value)).await {
        Ok(()) => (Ending::Closed, None),
        Err(HookError::TimedOut(cause)) => (Ending::CloseTimedOut, Some(cause)),
        Err(error) => (Ending::CloseFailed, Some(error.into_cause())),
    }
}

/// Gives a value to `abandon`, because nothing can await its `close`.
pub(crate) fn abandon_value<R: LocalResource>(
    resource: &R,
    clock: &impl Clock,
    reporter: &Reporter,
    corpse: Corpse<R::Value>,
) {
    let Corpse { value, why } = corpse;
    let panic = sync::contain(|| resource.abandon(value, why)).err();
    let error = panic.map(|message| Cause::new(crate::cause::Panicked::new(message)));
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
