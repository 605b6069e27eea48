//! Closing the pool.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;

use embassy_futures::join::join_array;

use super::FixedPool;
use crate::alarm::Alarm;
use crate::ending::Why;
use crate::kernel::PoolPhase;
use crate::local_resource::LocalResource;
use crate::runtime::Clock;
use crate::time::Instant;

impl<R: LocalResource, C: Clock, const VALUES: usize, const WAITERS: usize>
    FixedPool<R, C, VALUES, WAITERS>
{
    /// Closes the pool: whoever waits is told so, and every value is closed, those on loan as they come back. Ends once all
    /// are, or after `within`; what is not closed by then is [abandoned](LocalResource::abandon) or cut off.
    ///
    /// Returns `true` if all were closed in time. So many tasks can await it as can wait for a value; to one more it says
    /// `false` at once, with the shutdown begun.
    ///
    /// Without a clock it waits for as long as that takes.
    ///
    /// ```
    #[doc = include_str!("doc_setting.txt")]
    /// # block_on(async {
    /// let pool = FixedPool::<_, _, 1, 4>::new(Modem, NoTimer);
    /// drop(pool.acquire().await);
    /// assert!(pool.shutdown(Duration::from_secs(1)).await);
    /// assert!(matches!(pool.acquire().await, Err(FixedError::Closed)));
    /// # });
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the future leaves the pool closed for new users. Another call goes on with it.
    pub async fn shutdown(&self, within: Duration) -> bool {
        let deadline = self.clock.try_now().map(|now| now + within);
        self.transact(|state| {
            if state.kernel.is_open() {
                state.kernel.begin_draining();
                state.retire_all(Why::Shutdown);
                state.refuse_all();
            }
        });
        let Some(place) = self.adjust(|state| state.join_closers()) else {
            return false;
        };
        let place = CloserPlace { pool: self, place };
        let mut alarm = pin!(Alarm::unset());
        let workers = core::array::from_fn(|_| self.close_on_and_on(deadline));
        let mut workers = pin!(join_array::<_, VALUES>(workers));
        poll_fn(|cx| {
            let waker = cx.waker().clone();
            let (is_closed, unneeded) = self.adjust(|state| {
                // Before anybody looks, so that what changes from now on is heard.
                let unneeded = state.register_closer(place.place, waker);
                (state.kernel.phase() == PoolPhase::Closed, unneeded)
            });
            drop(unneeded);
            if is_closed {
                return Poll::Ready(true);
            }
            let _ = workers.as_mut().poll(cx);
            if self.adjust(|state| state.kernel.phase() == PoolPhase::Closed) {
                return Poll::Ready(true);
            }
            let late = alarm.as_mut().poll(&self.clock, deadline, cx);
            late.map(|()| {
                self.abandon_retired();
                false
            })
        })
        .await
    }

    /// Closes one value after another, where there is no Runner.
    async fn close_on_and_on(&self, deadline: Option<Instant>) {
        loop {
            let claim = || self.adjust(|state| state.claim_close());
            let work = poll_fn(|_| claim().map_or(Poll::Pending, Poll::Ready)).await;
            self.perform(work, deadline).await;
        }
    }
}

/// A place among those who await the end.
struct CloserPlace<'p, R: LocalResource, C: Clock, const VALUES: usize, const WAITERS: usize> {
    pool: &'p FixedPool<R, C, VALUES, WAITERS>,
    place: usize,
}

impl<R: LocalResource, C: Clock, const VALUES: usize, const WAITERS: usize> Drop
    for CloserPlace<'_, R, C, VALUES, WAITERS>
{
    fn drop(&mut self) {
        let unneeded = self.pool.adjust(|state| state.leave_closers(self.place));
        drop(unneeded);
    }
}
