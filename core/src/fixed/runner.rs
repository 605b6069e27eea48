//! The background work.

use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;

use embassy_futures::join::join_array;

use super::FixedPool;
use super::state::{FixedState, FixedWork};
use super::work::Turns;
use crate::alarm::Alarm;
use crate::kernel::{Driver, IdleWatch, PoolPhase, Standing};
use crate::local_resource::LocalResource;
use crate::runtime::Clock;
use crate::time::Instant;

impl<R: LocalResource, C: Clock, const VALUES: usize, const WAITERS: usize>
    FixedPool<R, C, VALUES, WAITERS>
{
    /// Does the pool's work until it is shut down: opens what is asked for, closes what is broken, checks what lies idle.
    /// As many things at once as there are values, within this future.
    ///
    /// Spawn it in a task of its own. Beside another that runs already it does nothing, and ends.
    ///
    /// ```
    #[doc = include_str!("doc_setting.txt")]
    /// # block_on(async {
    /// let pool = FixedPool::<_, _, 1, 4>::new(Modem, NoTimer);
    /// let use_it = async {
    ///     drop(pool.acquire().await);
    ///     pool.shutdown(Duration::from_secs(1)).await
    /// };
    /// let ((), was_closed) = futures::join!(pool.run(), use_it);
    /// assert!(was_closed);
    /// # });
    /// ```
    ///
    /// # Cancel safety
    /// Dropping it loses nothing: whoever waits goes on with the work.
    pub async fn run(&self) {
        let attaches = self.adjust(|state| {
            let attaches = !state.kernel.has_runner();
            if attaches {
                state.kernel.attach_runner();
            }
            attaches
        });
        if !attaches {
            return;
        }
        let _attached = Attached(self);
        let mut workers = pin!(join_array::<_, VALUES>(core::array::from_fn(
            |_| self.work()
        )));
        poll_fn(|cx| {
            let waker = cx.waker().clone();
            let (unneeded, is_over) = self.adjust(|state| {
                // Before the workers look, so that what changes from now on is heard.
                let unneeded = state.register_runner(waker);
                (unneeded, state.kernel.phase() == PoolPhase::Closed)
            });
            drop(unneeded);
            if is_over {
                // What a worker still does was counted as over.
                return Poll::Ready(());
            }
            workers.as_mut().poll(cx).map(|_| ())
        })
        .await;
    }

    /// One of those who work side by side.
    async fn work(&self) {
        let mut alarm = pin!(Alarm::unset());
        let mut turns = Turns::new();
        loop {
            turns.one_more().await;
            let work = poll_fn(|cx| {
                loop {
                    let now = self.clock.try_now();
                    let check_every = self.config.check_every;
                    let turn = self.adjust(|state| state.runner_turn(now, check_every));
                    drop(turn.forgotten);
                    if let Some(work) = turn.work {
                        return Poll::Ready(work);
                    }
                    let alarm = alarm.as_mut();
                    if alarm.poll(&self.clock, turn.wake_at, cx).is_pending() {
                        return Poll::Pending;
                    }
                }
            })
            .await;
            let era = match &work {
                FixedWork::Close { era, .. } => Some(*era),
                FixedWork::Open(..) | FixedWork::Check(_) => None,
            };
            let mut performed = pin!(self.perform(work, None));
            poll_fn(|cx| {
                let is_wanted = self.adjust(|state| match era {
                    // Else a shutdown that had no more time has counted it.
                    Some(era) => state.kernel.era() == era,
                    None => state.kernel.is_open(),
                });
                if is_wanted {
                    performed.as_mut().poll(cx)
                } else {
                    Poll::Ready(())
                }
            })
            .await;
        }
    }
}

/// What a worker finds.
struct RunnerTurn<V, E> {
    work: Option<FixedWork<V>>,
    forgotten: Option<E>,
    wake_at: Option<Instant>,
}

impl<V, E, const VALUES: usize, const WAITERS: usize> FixedState<V, E, VALUES, WAITERS> {
    fn runner_turn(
        &mut self,
        now: Option<Instant>,
        check_every: Option<core::time::Duration>,
    ) -> RunnerTurn<V, E> {
        let claim = self.claim(Driver::Runner, now);
        let mut turn = RunnerTurn {
            work: claim.work,
            forgotten: claim.forgotten,
            wake_at: claim.resumes_at,
        };
        let (Some(now), Some(period), None) = (now, check_every, &turn.work) else {
            return turn;
        };
        let mut due = Instant::MAX;
        for life in self.idle_lives() {
            if life.seen_idle(now, Standing::IDLE) {
                life.check_at = now + period;
            }
            due = due.min(life.check_at);
        }
        if due <= now {
            turn.work = self.take_due(now).map(FixedWork::Check);
        }
        // What is laid idle after this has it woken.
        self.kernel.set_watch(IdleWatch::WakesRunner);
        let due = Some(due).filter(|due| *due != Instant::MAX);
        turn.wake_at = turn.wake_at.into_iter().chain(due).min();
        turn
    }
}

struct Attached<'p, R: LocalResource, C: Clock, const VALUES: usize, const WAITERS: usize>(
    &'p FixedPool<R, C, VALUES, WAITERS>,
);

impl<R: LocalResource, C: Clock, const VALUES: usize, const WAITERS: usize> Drop
    for Attached<'_, R, C, VALUES, WAITERS>
{
    fn drop(&mut self) {
        let unneeded = self.0.transact(|state| {
            state.kernel.detach_runner(false);
            state.kernel.set_watch(IdleWatch::Nothing);
            state.drop_runner()
        });
        drop(unneeded);
    }
}
