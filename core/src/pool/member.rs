//! A pool as a member of a group.

use alloc::format;
use core::time::Duration;

use super::Pool;
use super::shutdown::close_pool;
use crate::drive::ShutsDown;
use crate::ending::Why;
use crate::kernel::{OVERDUE_AFTER, PoolPhase};
use crate::lifecycle::LocalLifecycle;
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
        let (failure, under_way) = self.shared.adjust(|transaction| {
            let under_way = transaction.kernel().openings().longest_under_way(now);
            (transaction.latest_failure(now), under_way)
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
        self.shared.look(|kernel| match kernel.phase() {
            PoolPhase::Draining => State::Closing,
            PoolPhase::Closed => State::Closed,
            PoolPhase::Open if kernel.openings().are_failing(now) => {
                if kernel.counts().in_service() == 0 {
                    State::Error
                } else {
                    State::Degraded
                }
            }
            PoolPhase::Open if kernel.is_warm() || kernel.counts().size() > 0 => State::Ready,
            PoolPhase::Open => State::Uninitialized,
        })
    }

    /// It lends what it has, or the next opening is under way or due. One that nobody asks for a value opens none: a
    /// restart does.
    fn is_recovering(&self) -> bool {
        self.shared.look(|kernel| {
            let counts = kernel.counts();
            let opens =
                counts.openings() > 0 || (kernel.has_runner() && kernel.openings_wanted() > 0);
            kernel.is_open() && (counts.in_service() > 0 || opens)
        })
    }

    fn abandon(&self) {
        self.shared.begin_closing(Why::Shutdown);
        self.shared.cut_short();
    }
}
