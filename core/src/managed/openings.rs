//! The attempts to open a managed resource's value: their pace, those under way, and how they fail.
//!
//! All of it stands in the resource's cell, under one lock. One [`ManagedOpenJob`](super::job::ManagedOpenJob) at a time drives a
//! round of attempts ([`attempts`](super::attempts)):
//!
//! - **Begun**: the attempt joins the list of those under way. The start of the next is paced from here.
//! - **Unanswered**: an attempt that has not answered for [`UNANSWERED_AFTER`] no longer holds up the next, which begins
//!   beside it. There are two at most. If another is due, the newer one gives way to it; the older runs to its
//!   timeout, so that a slow handshake can succeed.
//! - **Failed**: the count `failed` grows, and never shrinks. A caller notes the count when it begins to wait
//!   ([`Since`]). What it is told ([`ManagedOpenings::refusal`]) follows from the attempts that failed after that.
//! - **Opened**: the failures are forgotten. The pace is forgotten once the value has proven itself, so that a server that
//!   accepts and then breaks every value is asked no more often than one that refuses.

use alloc::vec::Vec;
use core::time::Duration;

use crate::backoff::Delays;
use crate::cause::Cause;
use crate::failure::OpenFailure;
use crate::random::Random;
use crate::retry::LEAST_PAUSE;
use crate::retry::{Decision, ErrorClass, Retry, StopReason};
use crate::time::Instant;

/// After so long without an answer an attempt no longer holds up the next. Up to a twentieth later as long as nothing is
/// known to be wrong, since a handshake may take a second; up to a quarter earlier after that, so that a server that is back
/// is found within a second.
const UNANSWERED_AFTER: Duration = Duration::from_secs(1);

/// How long an attempt may go without an answer. Clients whose attempts hang together drift apart by it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UnansweredAfter {
    while_well: Duration,
    in_trouble: Duration,
}

impl UnansweredAfter {
    pub(crate) fn draw(random: &mut Random) -> Self {
        let second = crate::time::nanos(UNANSWERED_AFTER);
        let mut up_to = |most| Duration::from_nanos(random.below_or_equal(most));
        Self {
            while_well: UNANSWERED_AFTER + up_to(second / 20),
            in_trouble: UNANSWERED_AFTER.saturating_sub(up_to(second / 4)),
        }
    }
}

/// How many attempts are under way at most.
const MOST_UNDER_WAY: usize = 2;

#[derive(Debug)]
pub(crate) struct ManagedOpenings {
    /// A value that has been open for so long has proven itself.
    proven_after: Option<Duration>,
    /// The opening that the latest attempt is of.
    generation: u64,
    /// Absent once a value has proven itself, and while the next is drawn.
    delays: Option<Delays>,
    next_at: Option<Instant>,
    pausing_until: Option<Instant>,
    opened_at: Option<Instant>,
    /// The oldest first.
    under_way: Vec<AttemptUnderWay>,
    /// How many attempts have failed, ever.
    failed: u64,
    failing: Option<FailureStreak>,
}

/// An attempt that has not ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AttemptUnderWay {
    /// From 1, within its opening.
    pub(crate) number: u32,
    pub(crate) began_at: Option<Instant>,
    /// From here on it does not hold up the next.
    unanswered_at: Option<Instant>,
}

/// The failures since the last success.
#[derive(Debug)]
struct FailureStreak {
    attempts: u32,
    /// When the first of them began.
    began_at: Option<Instant>,
    /// When the latest of them failed.
    failed_at: Option<Instant>,
    /// The count of failed attempts at the latest after which no other was to be made, and why.
    refused: Option<(u64, StopReason)>,
    /// How long the server asked to wait, in the latest of them.
    asked: Duration,
    cause: Cause,
}

/// When a caller began to wait, and how many attempts had failed by then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WaitedSince {
    pub(crate) at: Option<Instant>,
    failed: u64,
}

/// For how long attempts fail, during a caller's wait, before it is told.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    /// As the resource was built.
    AsBuilt,
    /// It is told of the first failure.
    OneAttempt,
    /// It is told only of what is not worth a retry.
    Endless,
}

/// Whether another attempt may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NextAttempt {
    /// Now. The attempt of this number gives way to it, if there is one.
    Now {
        gives_way: Option<u32>,
    },
    At(Instant),
    /// Not before one of those under way has ended.
    Later,
}

impl ManagedOpenings {
    pub(crate) const fn new(proven_after: Option<Duration>) -> Self {
        Self {
            proven_after,
            generation: 0,
            delays: None,
            next_at: None,
            pausing_until: None,
            opened_at: None,
            under_way: Vec::new(),
            failed: 0,
            failing: None,
        }
    }

    /// Takes out the delays of the pace, for the next to be drawn outside the lock: a custom backoff is user code.
    pub(crate) fn take_delays(&mut self, generation: u64) -> Option<Delays> {
        // From here on, what is said of an older value does not change the pace.
        self.generation = generation;
        self.delays.take()
    }

    pub(crate) fn next(&self, now: Option<Instant>, is_exclusive: bool) -> NextAttempt {
        let newest = self.under_way.last();
        let at = match newest {
            None => self.next_at,
            Some(newest) => match newest.unanswered_at.filter(|_| !is_exclusive) {
                Some(at) => self.next_at.max(Some(at)),
                None => return NextAttempt::Later,
            },
        };
        match at.zip(now) {
            Some((at, now)) if now < at => NextAttempt::At(at),
            _ => {
                let is_full = self.under_way.len() >= MOST_UNDER_WAY;
                let gives_way = newest.filter(|_| is_full).map(|newest| newest.number);
                NextAttempt::Now { gives_way }
            }
        }
    }

    /// Notes that the next attempt waits for its time. Returns `true` if that is new.
    pub(crate) fn pause(&mut self, until: Option<Instant>) -> bool {
        let until = until.filter(|_| self.under_way.is_empty());
        core::mem::replace(&mut self.pausing_until, until) != until
    }

    pub(crate) fn began(
        &mut self,
        number: u32,
        now: Option<Instant>,
        unanswered_after: UnansweredAfter,
        (delay, delays): (Duration, Delays),
    ) {
        let is_well = self.failing.is_none() && self.under_way.is_empty();
        let unanswered_after = if is_well {
            unanswered_after.while_well
        } else {
            unanswered_after.in_trouble
        };
        self.delays = Some(delays);
        self.next_at = now.map(|now| now + delay);
        self.pausing_until = None;
        self.under_way.push(AttemptUnderWay {
            number,
            began_at: now,
            unanswered_at: now.map(|now| now + unanswered_after),
        });
    }

    /// Takes an attempt that has ended off the list.
    pub(crate) fn ended(&mut self, number: u32) -> Option<AttemptUnderWay> {
        let mut under_way = self.under_way.iter();
        let index = under_way.position(|attempt| attempt.number == number)?;
        Some(self.under_way.remove(index))
    }

    /// The round of attempts is over. Returns how many were still under way.
    pub(crate) fn round_ended(&mut self) -> usize {
        self.pausing_until = None;
        core::mem::take(&mut self.under_way).len()
    }

    /// Takes a failure. Returns the error that it replaces, to be dropped outside the lock.
    #[must_use = "an error of the user's is not to be dropped under a lock"]
    pub(crate) fn failed(
        &mut self,
        attempt: Option<AttemptUnderWay>,
        (class, refused): (ErrorClass, Option<StopReason>),
        cause: Cause,
        now: Option<Instant>,
    ) -> Option<Cause> {
        self.failed += 1;
        let began_at = attempt.map_or(now, |attempt| attempt.began_at);
        let asked = class.least_delay();
        self.next_at = self.next_after(class, now);
        let earlier = self.failing.take();
        let (attempts, since, earlier_refused, forgotten) = match earlier {
            Some(failing) => (
                failing.attempts,
                failing.began_at,
                failing.refused,
                Some(failing.cause),
            ),
            None => (0, began_at, None, None),
        };
        self.failing = Some(FailureStreak {
            attempts: attempts.saturating_add(1),
            began_at: since,
            failed_at: now,
            refused: refused
                .map(|reason| (self.failed, reason))
                .or(earlier_refused),
            asked,
            cause,
        });
        forgotten
    }

    /// Takes a success. Returns the error that it forgets, to be dropped outside the lock.
    #[must_use = "an error of the user's is not to be dropped under a lock"]
    pub(crate) fn succeeded(&mut self, now: Option<Instant>) -> Option<Cause> {
        self.opened_at = now;
        self.failing.take().map(|failing| failing.cause)
    }

    /// The value that this opening gave works. If the next attempt has begun, that says nothing any more. Returns `true` if
    /// that ends a pause, of which whoever pauses is to hear.
    #[must_use = "whoever pauses goes on pausing"]
    pub(crate) fn proven(&mut self, generation: u64) -> bool {
        let is_meant = self.generation == generation;
        if is_meant {
            self.forget_pace();
        }
        is_meant && self.pausing_until.is_some()
    }

    /// Returns `true` if the latest value has proven itself, or none was opened.
    pub(crate) const fn is_proven(&self) -> bool {
        self.delays.is_none()
    }

    /// The value is gone.
    pub(crate) fn value_lost(&mut self, now: Option<Instant>) {
        let open_for = now.zip(self.opened_at.take()).map(|(now, at)| now - at);
        if open_for
            .zip(self.proven_after)
            .is_some_and(|(open_for, enough)| open_for >= enough)
        {
            self.forget_pace();
        }
    }

    fn forget_pace(&mut self) {
        self.delays = None;
        self.next_at = None;
    }

    /// Until when nothing is attempted, while that is so.
    pub(crate) const fn pausing_until(&self) -> Option<Instant> {
        self.pausing_until
    }

    /// When the next attempt may begin, if one was made.
    pub(crate) const fn next_at(&self) -> Option<Instant> {
        self.next_at
    }

    /// When the next attempt may begin after a failure. A server that asks to come back later is waited for in full.
    fn next_after(&self, class: ErrorClass, now: Option<Instant>) -> Option<Instant> {
        let asked = class.least_delay();
        let asked_at = now.filter(|_| !asked.is_zero()).map(|now| now + asked);
        self.next_at.max(asked_at)
    }

    /// How long until the next attempt after a failure.
    pub(crate) fn pause_after(&self, class: ErrorClass, now: Option<Instant>) -> Duration {
        let next_at = self.next_after(class, now).zip(now);
        next_at.map_or(Duration::ZERO, |(at, now)| at - now)
    }

    /// For how long attempts have been failing once this one has failed, if there is a clock.
    pub(crate) fn failing_for(&self, number: u32, now: Option<Instant>) -> Option<Duration> {
        let mut under_way = self.under_way.iter();
        let attempt = under_way.find(|attempt| attempt.number == number);
        let began_at = match &self.failing {
            Some(failing) => failing.began_at,
            None => attempt?.began_at,
        };
        now.zip(began_at).map(|(now, began_at)| now - began_at)
    }

    /// For how long the oldest attempt under way has not answered.
    pub(crate) fn unanswered_for(&self, now: Option<Instant>) -> Option<Duration> {
        let began_at = self.under_way.first()?.began_at?;
        now.map(|now| now - began_at)
    }

    /// A caller begins to wait.
    pub(crate) const fn since(&self, now: Option<Instant>) -> WaitedSince {
        WaitedSince {
            at: now,
            failed: self.failed,
        }
    }

    /// Returns `true` if an attempt has failed while a caller waited.
    pub(crate) const fn has_failed_since(&self, since: WaitedSince) -> bool {
        self.failed > since.failed
    }

    /// What a caller is told that has waited since then: how attempts failed meanwhile. `None` lets it wait on.
    pub(crate) fn refusal(
        &self,
        since: WaitedSince,
        now: Option<Instant>,
        patience: Patience,
        policy: &Retry,
        refuse_after: Option<Duration>,
    ) -> Option<OpenFailure> {
        let failing = self.failing.as_ref()?;
        let own = self.failed - since.failed;
        if own == 0 {
            return None;
        }
        let attempts = u32::try_from(own).unwrap_or(u32::MAX).min(failing.attempts);
        let elapsed = now.zip(since.at).map(|(now, at)| now - at);
        let refused = failing.refused.filter(|(count, _)| *count > since.failed);
        let is_final =
            |reason| reason == StopReason::GivenUp || !matches!(patience, Patience::Endless);
        let stopped = if let Some((_, reason)) = refused.filter(|(_, reason)| is_final(*reason)) {
            reason
        } else {
            // Told at once as well if the pace leaves no attempt within its patience.
            let pause = self
                .next_at
                .zip(now)
                .map_or(Duration::ZERO, |(at, now)| at - now);
            let longest = refuse_after.unwrap_or_else(|| policy.backoff.longest());
            let is_late = elapsed
                .zip(refuse_after)
                .is_some_and(|(elapsed, limit)| elapsed >= limit);
            match (
                policy.decide(attempts, elapsed, ErrorClass::Retry, Duration::ZERO, None),
                patience,
            ) {
                // Without a clock nothing keeps further attempts at a distance.
                (Decision::Stop(StopReason::NoTimer), _) => StopReason::NoTimer,
                (Decision::Stop(reason), Patience::AsBuilt) => reason,
                (_, Patience::AsBuilt) if failing.asked > longest => {
                    StopReason::RetryAfter(failing.asked)
                }
                (_, Patience::AsBuilt) if is_late || pause > longest.max(LEAST_PAUSE) => {
                    StopReason::Deadline
                }
                (_, Patience::OneAttempt) => StopReason::Deadline,
                _ => return None,
            }
        };
        Some(OpenFailure {
            attempts,
            elapsed,
            stopped: Some(stopped),
            age: now.zip(failing.failed_at).map(|(now, at)| now - at),
            cause: failing.cause.clone(),
        })
    }

    /// How the latest attempt failed, if it did, for a caller that does not wait.
    pub(crate) fn latest_failure(&self, now: Option<Instant>) -> Option<OpenFailure> {
        let failing = self.failing.as_ref()?;
        Some(OpenFailure {
            attempts: failing.attempts,
            elapsed: failing
                .failed_at
                .zip(failing.began_at)
                .map(|(failed, began)| failed - began),
            stopped: failing.refused.map(|(_, reason)| reason),
            age: now.zip(failing.failed_at).map(|(now, at)| now - at),
            cause: failing.cause.clone(),
        })
    }

    /// What the latest attempt said, if it failed within so long before now.
    pub(crate) fn cause_within(&self, now: Option<Instant>, waited: Duration) -> Option<Cause> {
        let failing = self.failing.as_ref()?;
        let age = now.zip(failing.failed_at).map(|(now, at)| now - at);
        age.is_none_or(|age| age <= waited)
            .then(|| failing.cause.clone())
    }
}
