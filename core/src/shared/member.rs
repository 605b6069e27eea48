//! A shared resource as a member of a group.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Waker};
use core::time::Duration;

use super::Shared;
use super::shutdown::close_shared;
use crate::lifecycle::LocalLifecycle;
use crate::resource::{BoxError, LocalResource};
use crate::runtime::Clock;
use crate::state::State;

impl<R, C> LocalLifecycle for Shared<R, C>
where
    R: LocalResource<Value: Clone> + 'static,
    C: Clock + 'static,
{
    const ALWAYS_STOPPED: bool = true;

    async fn start(&self) -> Result<(), BoxError> {
        drop(self.acquire().await?);
        Ok(())
    }

    async fn stop(&self, within: Option<Duration>) -> Result<(), BoxError> {
        close_shared(&self.inner, within).await.into_result()
    }

    /// A new value takes the place of the one that is there.
    async fn restart(&self) -> Result<(), BoxError> {
        self.swap().await.map_err(Into::into)
    }

    async fn check(&self) -> Result<(), BoxError> {
        match self.inner.current() {
            Some(managed) => LocalLifecycle::check(&managed).await,
            None => Ok(()),
        }
    }

    /// One that is closed for want of users opens when it is asked for.
    fn state(&self) -> State {
        match Self::state(self) {
            State::Uninitialized => State::Ready,
            state => state,
        }
    }

    fn is_recovering(&self) -> bool {
        let current = self.inner.current();
        current.is_some_and(|managed| LocalLifecycle::is_recovering(&managed))
    }

    /// Each close is polled once and then dropped, which abandons its value.
    fn abandon(&self) {
        let closing = pin!(close_shared(&self.inner, Some(Duration::ZERO)));
        let _ = closing.poll(&mut Context::from_waker(Waker::noop()));
    }
}
