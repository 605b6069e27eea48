//! Opening a value and having it ready for its first use.

use super::shared::ManagedShared;
use crate::cleanup::RetiredValue;
use crate::ending::Why;
use crate::hooks::Hooks;
use crate::opening::{Refusal, make_ready, open_value};
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::sync::Arc;

/// One attempt: opens a value, and awaits its `after_open`. If that fails the value is closed before this returns, because
/// some resources allow no other opening before.
pub(crate) async fn open_ready<R: LocalResource, C: Clock>(
    shared: &Arc<ManagedShared<R, C>>,
) -> Result<R::Value, Refusal> {
    let (resource, clock, reporter) = (&shared.resource, &shared.clock, &shared.reporter);
    let value = open_value(resource, clock, reporter, shared.config.open_timeout).await?;
    if !R::HOOKS.has(Hooks::AFTER_OPEN) {
        return Ok(value);
    }
    let mut unready = UnreadyManagedValue {
        shared,
        value: Some(value),
    };
    if let Some(value) = &mut unready.value {
        let limit = shared.config.hook_timeout;
        if let Err(refusal) = make_ready(resource, clock, reporter, limit, value).await {
            unready.close().await;
            return Err(refusal);
        }
    }
    match unready.value.take() {
        Some(value) => Ok(value),
        None => unreachable!("it was put there above"),
    }
}

/// A value that is open, and not ready. It is not counted before that is decided.
struct UnreadyManagedValue<'s, R: LocalResource, C: Clock> {
    shared: &'s Arc<ManagedShared<R, C>>,
    value: Option<R::Value>,
}

impl<R: LocalResource, C: Clock> UnreadyManagedValue<'_, R, C> {
    async fn close(&mut self) {
        let shared = self.shared;
        let Some(value) = self.value.take() else {
            return;
        };
        let (value, why) = (Arc::new(value), Why::HookFailed);
        let job = shared.with(|cell, _| {
            cell.closer.tally().opened += 1;
            cell.closer.begin(shared, RetiredValue { value, why }, None)
        });
        job.perform().await;
    }
}

impl<R: LocalResource, C: Clock> Drop for UnreadyManagedValue<'_, R, C> {
    /// Its hook was cut off: the next to drive the resource closes it.
    fn drop(&mut self) {
        let Some(value) = self.value.take() else {
            return;
        };
        let (value, why) = (Arc::new(value), Why::HookCutOff);
        self.shared.with(|cell, effects| {
            cell.closer.tally().opened += 1;
            cell.closer.retire(value, why);
            effects.wakes.push(cell.runner.take_waker());
            effects.wakes.signal();
        });
        self.shared.close_if_orphaned();
    }
}
