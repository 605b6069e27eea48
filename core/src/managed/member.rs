//! A managed resource as a member of a group.

use alloc::string::ToString;
use core::time::Duration;

use super::Managed;
use crate::cleanup::Why;
use crate::group::LocalLifecycle;
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

    fn abandon(&self) {
        self.shared.begin_closing(Why::Shutdown);
        self.shared.cut_short();
    }
}
