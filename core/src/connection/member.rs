//! A connection as a member of a group.

use core::time::Duration;

use super::Connection;
use crate::lifecycle::LocalLifecycle;
use crate::resource::{BoxError, LocalResource};
use crate::runtime::Clock;
use crate::state::State;

impl<R, C> LocalLifecycle for Connection<R, C>
where
    R: LocalResource<Value: Clone> + 'static,
    C: Clock + 'static,
{
    const ALWAYS_STOPPED: bool = true;

    async fn start(&self) -> Result<(), BoxError> {
        self.open().await.map_err(Into::into)
    }

    async fn stop(&self, within: Option<Duration>) -> Result<(), BoxError> {
        LocalLifecycle::stop(&self.managed, within).await
    }

    async fn restart(&self) -> Result<(), BoxError> {
        self.reconnect().await.map_err(Into::into)
    }

    async fn check(&self) -> Result<(), BoxError> {
        LocalLifecycle::check(&self.managed).await
    }

    fn state(&self) -> State {
        self.managed.state()
    }

    fn is_recovering(&self) -> bool {
        LocalLifecycle::is_recovering(&self.managed)
    }

    fn abandon(&self) {
        LocalLifecycle::abandon(&self.managed);
    }
}
