//! A managed resource as a member of a group.

use alloc::string::ToString;
use core::time::Duration;

use super::Managed;
use super::shared::Flight;
use crate::ending::Why;
use crate::lifecycle::LocalLifecycle;
use crate::resource::{BoxError, LocalResource};
use crate::runtime::Clock;
use crate::state::State;

impl<R, C> LocalLifecycle for Managed<R, C>
where
    R: LocalResource<Value: Clone> + 'static,
    C: Clock + 'static,
{
    const ALWAYS_STOPPED: bool = true;

    async fn start(&self) -> Result<(), BoxError> {
        self.open().await.map_err(Into::into)
    }

    async fn stop(&self, within: Option<Duration>) -> Result<(), BoxError> {
        self.close_within(within, Why::Shutdown).await.into_result()
    }

    /// Its value is lost, and opened anew.
    async fn restart(&self) -> Result<(), BoxError> {
        self.lose();
        self.open().await.map_err(Into::into)
    }

    async fn check(&self) -> Result<(), BoxError> {
        if R::CHECKED {
            return self.check_now().await.map_err(Into::into);
        }
        if self.is_usable() {
            return Ok(());
        }
        match self.last_error() {
            Some(error) => Err(error.to_string().into()),
            None => Err(self.state().name().into()),
        }
    }

    fn state(&self) -> State {
        Self::state(self)
    }

    /// An opening is under way or due, or the Runner's checks are to give up a value that is not well.
    fn is_recovering(&self) -> bool {
        let config = &self.shared.config;
        let reopens =
            R::CHECKED && config.check_every.is_some() && config.thresholds.reopen_after.is_some();
        self.shared.cell.with(|cell| {
            let is_driven = cell.runner.is_attached();
            match cell.state() {
                State::Ready | State::Degraded => is_driven && reopens,
                State::Closing | State::Closed => false,
                State::Uninitialized | State::Initializing | State::Error => {
                    cell.flight != Flight::None || (is_driven && cell.recover_at.is_some())
                }
            }
        })
    }

    fn abandon(&self) {
        self.shared.begin_closing(Why::Shutdown);
        self.shared.cut_short();
    }
}
