//! A pool as a member of a group.

use alloc::format;
use core::time::Duration;

use super::Pool;
use super::openings::OVERDUE_AFTER;
use super::shared::Phase;
use super::shutdown::close_pool;
use crate::cleanup::Why;
use crate::group::LocalLifecycle;
use crate::resource::{BoxError, LocalResource};
use crate::runtime::Clock;
use crate::state::State;

impl<R: LocalResource + 'static, C: Clock + 'static> LocalLifecycle for Pool<R, C> {
    const ALWAYS_STOPPED: bool = true;

    async fn start(&self) -> Result<(), BoxError> {
        Self::start(self).await.map_err(Into::into)
    }

    async fn stop(&self, within: Option<Duration>) -> Result<(), BoxError> {
        close_pool(&self.shared, within).await.into_result()
    }

    /// What it holds is called in, and its minimum opened anew.
    async fn restart(&self) -> Result<(), BoxError> {
        self.evict_all();
        Self::start(self).await.map_err(Into::into)
    }

    /// Idle values are checked by the pool itself. What is asked here is whether values can be opened.
    async fn check(&self) -> Result<(), BoxError> {
        let now = self.shared.now();
        let queue = &self.shared.queue;
        let (failure, under_way) = queue.with(|queue| {
            let under_way = queue.openings.longest_under_way(now);
            (queue.openings.failure(now), under_way)
        });
        match (failure, under_way) {
            (Some(failure), _) => Err(format!("{failure}: {}", failure.cause).into()),
            (None, Some(under_way)) if under_way >= OVERDUE_AFTER => {
                Err(format!("an opening has not answered for {under_way:?}").into())
            }
            (None, _) => Ok(()),
        }
    }

    fn state(&self) -> State {
        let now = self.shared.now();
        self.shared.queue.with(|queue| match queue.phase {
            Phase::Draining => State::Closing,
            Phase::Closed => State::Closed,
            Phase::Open if queue.openings.are_failing(now) && queue.in_service() == 0 => {
                State::Error
            }
            Phase::Open if queue.openings.are_failing(now) => State::Degraded,
            Phase::Open if queue.warm || queue.size > 0 => State::Ready,
            Phase::Open => State::Uninitialized,
        })
    }

    /// It lends what it has, or the next opening is under way or due. One that nobody asks for a value opens none: a
    /// restart does.
    fn is_recovering(&self) -> bool {
        let config = &self.shared.config;
        self.shared.queue.with(|queue| {
            let opens = queue.opening > 0
                || (queue.runner.is_attached() && queue.openings_wanted(config) > 0);
            queue.phase == Phase::Open && (queue.in_service() > 0 || opens)
        })
    }

    fn abandon(&self) {
        self.shared.begin_closing(Why::Shutdown);
        self.shared.cut_short();
    }
}
