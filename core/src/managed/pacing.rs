//! The pace of openings that outlasts each of them.

use crate::Instant;
use crate::backoff::{Backoff, Delays};
use crate::runtime::Clock;
use crate::signal::Signal;
use crate::sync::Lock;

use core::time::Duration;

/// A backoff between openings, be they attempts of one or one after the other. It is measured from the start of an
/// attempt, and forgotten once a value has proven itself: a backend that accepts and then breaks every value is
/// not asked faster than one that refuses.
#[derive(Debug)]
pub(crate) struct Pacing {
    backoff: Backoff,
    /// A value that has been open for so long has proven itself.
    proven_after: Option<Duration>,
    course: Lock<Course>,
}

#[derive(Debug, Default)]
struct Course {
    /// The opening that the latest attempt is of.
    generation: u64,
    /// Absent once a value has proven itself.
    delays: Option<Delays>,
    began_at: Option<Instant>,
    next_at: Option<Instant>,
    opened_at: Option<Instant>,
    pausing_until: Option<Instant>,
}

impl Pacing {
    pub(crate) fn new(backoff: Backoff, proven_after: Option<Duration>) -> Self {
        Self {
            backoff,
            proven_after,
            course: Lock::new(Course::default()),
        }
    }

    /// Waits until the next attempt may begin.
    pub(crate) async fn pause<C: Clock>(&self, clock: &C, changed: &Signal) {
        let now = clock.try_now();
        let until = self.course.with(|course| {
            // Whatever was open is gone by now, though that may not have been told yet.
            course.value_lost(now, self.proven_after);
            let until = course.next_at.filter(|at| now.is_some_and(|now| now < *at));
            course.pausing_until = until;
            until
        });
        let sleep = until.and_then(|until| clock.try_sleep_until(until));
        if let Some(sleep) = sleep {
            let _pause = Pause {
                pacing: self,
                changed,
            };
            changed.notify_all();
            sleep.await;
        }
    }

    /// An attempt of this opening begins.
    pub(crate) fn attempt_began(&self, generation: u64, now: Option<Instant>, seed: u64) {
        self.course.with(|course| {
            course.generation = generation;
            let delays = course
                .delays
                .get_or_insert_with(|| self.backoff.delays(seed));
            let delay = delays.next().unwrap_or_default();
            course.began_at = now;
            course.next_at = now.map(|now| now + delay);
        });
    }

    /// Postpones the next attempt to `at`, because the server asked for that.
    pub(crate) fn postpone(&self, generation: u64, at: Instant) {
        self.course.with(|course| {
            if course.generation == generation {
                course.next_at = course.next_at.max(Some(at));
            }
        });
    }

    /// When the latest attempt began, its pause over.
    pub(crate) fn attempt_began_at(&self) -> Option<Instant> {
        self.course.with(|course| course.began_at)
    }

    pub(crate) fn opened(&self, now: Option<Instant>) {
        self.course.with(|course| course.opened_at = now);
    }

    /// The value that this opening gave works. If it is lost meanwhile, and the next attempt has begun, that says
    /// nothing any more: it was used before.
    pub(crate) fn proven(&self, generation: u64) {
        self.course.with(|course| {
            if course.generation == generation {
                course.forget();
            }
        });
    }

    /// The value is gone.
    pub(crate) fn lost(&self, now: Option<Instant>) {
        self.course
            .with(|course| course.value_lost(now, self.proven_after));
    }

    /// Until when nothing is attempted, while that is so.
    pub(crate) fn pausing_until(&self) -> Option<Instant> {
        self.course.with(|course| course.pausing_until)
    }

    /// When the next attempt may begin, if one has failed.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.course.with(|course| course.next_at)
    }
}

impl Course {
    /// Says it at most once of each value.
    fn value_lost(&mut self, now: Option<Instant>, proven_after: Option<Duration>) {
        let open_for = now.zip(self.opened_at.take()).map(|(now, at)| now - at);
        if open_for
            .zip(proven_after)
            .is_some_and(|(open_for, enough)| open_for >= enough)
        {
            self.forget();
        }
    }

    fn forget(&mut self) {
        self.delays = None;
        self.next_at = None;
    }
}

/// Somebody waits for the next attempt.
struct Pause<'a> {
    pacing: &'a Pacing,
    changed: &'a Signal,
}

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        self.pacing
            .course
            .with(|course| course.pausing_until = None);
        self.changed.notify_all();
    }
}
