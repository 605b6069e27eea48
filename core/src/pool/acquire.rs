//! Waiting for a value.

use core::future::poll_fn;
use core::pin::pin;
use core::task::{Context, Poll};
use core::time::Duration;

use super::error::AcquireError;
use super::job::{CloseDuty, Job, OpenDuty};
use super::queue::{Look, Place};
use super::shared::{Answer, Entry, Queue, Shared};
use super::slot::Slot;
use crate::Instant;
use crate::alarm::Alarm;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::sync::Arc;
use crate::work::{OneJob, Rounds, Wakes};

/// Waits for a value, for at most `timeout`.
///
/// Where there is no Runner, the waiter also does the work it needs: it opens a value, or first
/// closes a dying one whose slot it needs. An opening loses the race against a value that comes back;
/// a close is finished first, within the waiter's own time.
pub(crate) async fn wait_for_value<R: LocalResource, C: Clock>(
    shared: &Arc<Shared<R, C>>,
    timeout: Option<Duration>,
) -> Result<Slot<R::Value>, AcquireError> {
    let began_at = shared.now();
    let deadline = began_at.zip(timeout).map(|(now, timeout)| now + timeout);
    let mut waiter = Waiter {
        shared,
        place: None,
        answer: None,
    };
    let mut work = OneJob::none();
    let mut is_closing = false;
    let mut alarm = pin!(Alarm::unset());
    poll_fn(|cx| {
        let mut rounds = Rounds::new();
        while rounds.go_on(cx) {
            if work.poll(cx) {
                is_closing = false;
                waiter.set_busy(false);
            }
            if waiter.poll_answer(cx).is_ready() && !is_closing {
                return Poll::Ready(waiter.take_answer());
            }
            if is_closing {
                // The close has no more time than the waiter, so it ends before the deadline does.
                return Poll::Pending;
            }
            let now = shared.now();
            if let Some((began_at, now)) = began_at.zip(now) {
                if deadline.is_some_and(|deadline| now >= deadline) {
                    return Poll::Ready(Err(waiter.time_is_over(now - began_at)));
                }
            }
            let claim = if work.is_none() {
                waiter.claim(deadline, now)
            } else {
                Claim::NOTHING
            };
            let resumes_at = match claim {
                Claim::Job(job) => {
                    is_closing = job.is_close();
                    work.begin(job.perform());
                    continue;
                }
                Claim::Nothing { resumes_at } => resumes_at,
            };
            let wake_at = [deadline, resumes_at].into_iter().flatten().min();
            if alarm.as_mut().poll(&shared.clock, wake_at, cx).is_pending() {
                return Poll::Pending;
            }
        }
        Poll::Pending
    })
    .await
}

/// A place in the queue, or the answer that came of it. Dropping it gives back either.
struct Waiter<'a, R: LocalResource, C: Clock> {
    shared: &'a Arc<Shared<R, C>>,
    place: Option<Place>,
    answer: Option<Answer<R::Value>>,
}

enum Claim<R: LocalResource, C: Clock> {
    Job(Job<R, C>),
    /// There is nothing to do here until then.
    Nothing {
        resumes_at: Option<Instant>,
    },
}

impl<R: LocalResource, C: Clock> Claim<R, C> {
    const NOTHING: Self = Self::Nothing { resumes_at: None };
}

impl<R: LocalResource, C: Clock> Waiter<'_, R, C> {
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.answer.is_some() {
            return Poll::Ready(());
        }
        let Some(place) = self.place else {
            return self.join(cx);
        };
        let mut wakes = Wakes::default();
        let look = self.shared.queue.with(|queue| {
            let look = queue.waiters.look(place, cx.waker());
            self.note_taken(queue, &look, &mut wakes);
            look
        });
        self.shared.wake(wakes);
        match look {
            Look::Answered(answer) => self.answered(answer),
            Look::Waiting => Poll::Pending,
            Look::WakerNeeded => self.renew_waker(place, cx),
        }
    }

    fn join(&mut self, cx: &Context<'_>) -> Poll<()> {
        match self.shared.enter(cx.waker().clone()) {
            Ok(Entry::Waits(place)) => {
                self.place = Some(place);
                Poll::Pending
            }
            Ok(Entry::Taken(slot)) => self.answered(Ok(slot)),
            Err(error) => self.answered(Err(error)),
        }
    }

    /// Clones the task's waker outside the lock, and looks once more when it stores it.
    fn renew_waker(&mut self, place: Place, cx: &Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let stored = self
            .shared
            .queue
            .with(|queue| queue.waiters.store_waker(place, waker));
        match stored {
            Ok(_replaced) => Poll::Pending,
            Err(_unneeded) => {
                let mut wakes = Wakes::default();
                let look = self.shared.queue.with(|queue| {
                    let look = queue.waiters.look(place, cx.waker());
                    self.note_taken(queue, &look, &mut wakes);
                    look
                });
                self.shared.wake(wakes);
                match look {
                    Look::Answered(answer) => self.answered(answer),
                    Look::Waiting | Look::WakerNeeded => Poll::Pending,
                }
            }
        }
    }

    /// A waiter that leaves with its answer may have been woken to do work: somebody else must.
    fn note_taken(
        &self,
        queue: &mut Queue<R::Value>,
        look: &Look<Answer<R::Value>>,
        wakes: &mut Wakes,
    ) {
        if let Look::Answered(answer) = look {
            if answer.is_ok() {
                self.shared.handed_value_taken(queue);
            }
            self.shared.poke(queue, wakes);
        }
    }

    fn answered(&mut self, answer: Answer<R::Value>) -> Poll<()> {
        self.place = None;
        self.answer = Some(answer);
        Poll::Ready(())
    }

    fn take_answer(&mut self) -> Answer<R::Value> {
        match self.answer.take() {
            Some(answer) => answer,
            None => unreachable!("an answer is taken only when it has come"),
        }
    }

    /// Claims work that this waiter needs done and that no Runner does.
    fn claim(&self, deadline: Option<Instant>, now: Option<Instant>) -> Claim<R, C> {
        let shared = self.shared;
        shared.queue.with(|queue| {
            let Some(place) = self.place else {
                return Claim::NOTHING;
            };
            if queue.runner.is_attached() {
                return Claim::NOTHING;
            }
            if queue.openings_due(&shared.config) > 0 {
                if !queue.openings.may_begin(now) {
                    return Claim::Nothing {
                        resumes_at: queue.openings.resumes_at(),
                    };
                }
                queue.waiters.set_busy(place, true);
                return Claim::Job(Job::Open(OpenDuty::claim(shared, queue, now)));
            }
            if queue.waiters.waiting() > queue.opening {
                let limit = deadline.zip(now).map(|(deadline, now)| deadline - now);
                if let Some((duty, value)) = CloseDuty::claim(shared, queue, limit) {
                    queue.waiters.set_busy(place, true);
                    return Claim::Job(Job::Close(duty, value));
                }
            }
            Claim::NOTHING
        })
    }

    fn set_busy(&self, busy: bool) {
        if let Some(place) = self.place {
            self.shared
                .queue
                .with(|queue| queue.waiters.set_busy(place, busy));
        }
    }

    fn time_is_over(&self, waited: Duration) -> AcquireError {
        self.shared.queue.with(|queue| {
            self.shared
                .backend_down(queue)
                .unwrap_or_else(|| AcquireError::Exhausted {
                    pool: self.shared.reporter.name.clone(),
                    waited,
                    status: self.shared.status_under_lock(queue),
                })
        })
    }
}

impl<R: LocalResource, C: Clock> Drop for Waiter<'_, R, C> {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            self.shared.leave(place);
        }
        if let Some(Ok(slot)) = self.answer.take() {
            self.shared.release(slot);
        }
    }
}

impl<R: LocalResource, C: Clock> Shared<R, C> {
    /// The error that says how openings fail, if they do.
    pub(crate) fn backend_down(&self, queue: &Queue<R::Value>) -> Option<AcquireError> {
        queue
            .openings
            .failure()
            .map(|failure| AcquireError::BackendDown {
                pool: self.reporter.name.clone(),
                failure: failure.clone(),
                status: self.status_under_lock(queue),
            })
    }
}
