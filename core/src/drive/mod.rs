//! Background work as values: who drives it, how several pieces of it run in one task, and who is woken for it.
//!
//! [`Runner`](crate::pool::Runner)s, shutdowns, starts and those who wait all drive the same jobs. A job was counted when
//! it was claimed, and gives back what it held when it is dropped; so any of them may be dropped at any await.
//!
//! All of them go round by the same loop. What is asked of a holder by its Runner and its shutdown stands in [`driven`], and
//! how its values end in [`close`].

mod attachment;
mod close;
mod closer;
mod driven;
mod jobs;
mod wakes;

use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use core::time::Duration;

pub(crate) use attachment::Attachment;
pub(crate) use close::{CloseJob, CloseLimits, CloseOutcome, Closes, GivenUp, abandon_unclosed};
pub(crate) use closer::Closer;
pub(crate) use driven::{
    Driven, Holder, RunnerEnd, ShutsDown, SpawnRunner, Turn, close_without_handles, run, shut_down,
    spawn_runner,
};
pub(crate) use jobs::{JobSet, OneJob};
pub(crate) use wakes::Wakes;

use crate::alarm::Alarm;
use crate::runtime::Clock;
use crate::signal::Signal;
use crate::time::Instant;

/// The shortest period of what is looked at again and again, however short it is set: a timer that tells less apart
/// would wake the task for nothing, and a period of no time would never let it rest.
pub(crate) const LEAST_PERIOD: Duration = Duration::from_millis(1);

/// Counts how often a task has gone round within one poll, so that work which is always done at once
/// does not keep the executor to itself.
pub(crate) struct Rounds(u32);

impl Rounds {
    const MOST: u32 = 64;

    pub(crate) const fn new() -> Self {
        Self(0)
    }

    /// Whether the task may go round once more; if not, it is woken to go on at its next poll.
    pub(crate) fn go_on(&mut self, cx: &Context<'_>) -> bool {
        self.0 += 1;
        if self.0 > Self::MOST {
            cx.waker().wake_by_ref();
        }
        self.0 <= Self::MOST
    }
}

/// What one round of a task that drives others' work came to.
pub(crate) enum Round<T> {
    Done(T),
    /// Something has ended or begun: there may be more to do at once.
    Again,
    /// There is nothing to do but to wait for a wake, or until then.
    Wait {
        until: Option<Instant>,
    },
}

/// Goes round until a round is the last one: at once while there is something to do, else whenever a job wakes
/// the task, something has changed, or the time has come that the last round named.
///
/// A change that comes during a round is heard after it. Whatever a round drives, it polls by itself.
// No `async fn`, in whose future all of this would lie twice.
pub(crate) fn go_round<C: Clock, T>(
    clock: &C,
    changed: &Signal,
    round: impl FnMut(&mut Context<'_>) -> Round<T>,
) -> impl Future<Output = T> {
    let mut change = None;
    let listen = move |cx: &mut Context<'_>| {
        let listener = change.get_or_insert_with(|| changed.listen());
        let waits = Pin::new(listener).poll(cx).is_pending();
        if !waits {
            change = None;
        }
        waits
    };
    go_round_by(clock, listen, round)
}

/// Goes round like [`go_round`]. Before each round `listen` sees to it that a change wakes the task, and returns `true` once
/// that is so: only then does the round look at what may change.
async fn go_round_by<C: Clock, T>(
    clock: &C,
    mut listen: impl FnMut(&mut Context<'_>) -> bool,
    mut round: impl FnMut(&mut Context<'_>) -> Round<T>,
) -> T {
    let mut alarm = pin!(Alarm::unset());
    poll_fn(|cx| {
        let mut rounds = Rounds::new();
        while rounds.go_on(cx) {
            if !listen(cx) {
                continue;
            }
            let until = match round(cx) {
                Round::Done(outcome) => return Poll::Ready(outcome),
                Round::Again => continue,
                Round::Wait { until } => until,
            };
            if alarm.as_mut().poll(clock, until, cx).is_pending() {
                return Poll::Pending;
            }
        }
        Poll::Pending
    })
    .await
}
