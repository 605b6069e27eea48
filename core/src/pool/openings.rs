//! When the pool may try to open a value, and what it says when it cannot.

use core::time::Duration;

use crate::Instant;
use crate::backoff::Delays;
use crate::cause::Cause;
use crate::failure::OpenFailure;
use crate::retry::{Decision, ErrorClass, Retry, StopReason};
use crate::work::LEAST_PAUSE;

/// The pool's openings since the last one that succeeded.
///
/// All openings of a pool share one schedule. Were each to retry on its own, a pool of a hundred
/// would knock on a dead backend a hundred times as often as its policy says.
#[derive(Debug)]
pub(crate) struct Openings {
    policy: Retry,
    seed: u64,
    delays: Option<Delays>,
    /// Failures that belong together, because the openings were under way at the same time, count as
    /// one attempt. Each such round has a number.
    round: u64,
    attempts: u32,
    began_at: Option<Instant>,
    pause: Pause,
    failure: Option<OpenFailure>,
    told: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    None,
    Until(Instant),
    /// There is no clock to wait by: until somebody asks again.
    UntilAsked,
}

/// An opening under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    round: u64,
    pub(crate) attempt: u32,
}

impl Openings {
    pub(crate) const fn new(policy: Retry, seed: u64) -> Self {
        Self {
            policy,
            seed,
            delays: None,
            round: 0,
            attempts: 0,
            began_at: None,
            pause: Pause::None,
            failure: None,
            told: false,
        }
    }

    pub(crate) fn may_begin(&self, now: Option<Instant>) -> bool {
        match self.pause {
            Pause::None => true,
            Pause::Until(at) => now.is_none_or(|now| now >= at),
            Pause::UntilAsked => false,
        }
    }

    /// When the pause after a failure ends, if time ends it.
    pub(crate) const fn resumes_at(&self) -> Option<Instant> {
        match self.pause {
            Pause::Until(at) => Some(at),
            Pause::None | Pause::UntilAsked => None,
        }
    }

    pub(crate) fn begin(&mut self, now: Option<Instant>) -> Ticket {
        if self.attempts == 0 && self.began_at.is_none() {
            self.began_at = now;
        }
        Ticket {
            round: self.round,
            attempt: self.attempts + 1,
        }
    }

    /// Whether the latest opening that ended has failed.
    #[inline]
    pub(crate) const fn are_failing(&self) -> bool {
        self.failure.is_some()
    }

    /// How openings failed since the last success.
    pub(crate) const fn failure(&self) -> Option<&OpenFailure> {
        self.failure.as_ref()
    }

    /// How many attempts the policy makes before those who wait may give up hope.
    pub(crate) const fn max_attempts(&self) -> u32 {
        self.policy.max_attempts()
    }

    /// Takes a success. Hands back the error it forgets, to be dropped outside the lock.
    #[must_use = "an error of the user's is not to be dropped under a lock"]
    pub(crate) fn succeeded(&mut self) -> Option<Cause> {
        let forgotten = self.failure.take().map(|failure| failure.cause);
        *self = Self {
            round: self.round + 1,
            ..Self::new(self.policy, self.seed)
        };
        forgotten
    }

    /// Takes a failure, and says how long until the next attempt; `None` if those who wait may give
    /// up hope. Also hands back the error it forgets, to be dropped outside the lock.
    pub(crate) fn failed(
        &mut self,
        ticket: Ticket,
        class: ErrorClass,
        cause: Cause,
        now: Option<Instant>,
    ) -> (Option<Duration>, Option<Cause>) {
        // A fresh start may have come while this opening was under way: then time counts from here.
        let began_at = self.began_at.or(now);
        self.began_at = began_at;
        let elapsed = now.zip(began_at).map(|(now, began)| now - began);
        let (policy, seed) = (self.policy, self.seed.wrapping_add(self.round));
        let mut stopped = self.gave_up();
        let pause_left = self.resumes_at().zip(now).map(|(at, now)| at - now);
        let mut retry_in = pause_left.filter(|_| stopped.is_none());
        if ticket.round == self.round || self.attempts == 0 {
            self.round += 1;
            self.attempts = self.attempts.saturating_add(1);
            let delays = self
                .delays
                .get_or_insert_with(|| policy.backoff.delays(seed));
            let delay = delays.next().unwrap_or_default();
            stopped = match policy.decide(self.attempts, elapsed, class, delay, None) {
                Decision::RetryIn(delay) => {
                    retry_in = Some(delay);
                    None
                }
                Decision::Stop(reason) => {
                    retry_in = None;
                    Some(reason)
                }
            };
            let pause = retry_in.unwrap_or_else(|| delay.max(LEAST_PAUSE));
            self.pause = now.map_or(Pause::UntilAsked, |now| Pause::Until(now + pause));
        }
        // The pool goes on opening whatever its callers were told, but not before the server said.
        let asked = class.least_delay();
        if let Some(now) = now.filter(|_| asked > Duration::ZERO) {
            let at = self.resumes_at().max(Some(now + asked));
            self.pause = at.map_or(Pause::None, Pause::Until);
        }
        let attempts = self.attempts;
        let forgotten = self.failure.replace(OpenFailure {
            attempts,
            elapsed,
            stopped,
            age: now.map(|_| Duration::ZERO),
            cause,
        });
        (retry_in, forgotten.map(|failure| failure.cause))
    }

    /// A value that was opened then has failed its first check: the next is not opened at once after it, or a
    /// caller would open and close values as fast as that goes.
    pub(crate) fn rest_after(&mut self, opened_at: Instant) {
        if self.pause == Pause::None {
            self.pause = Pause::Until(opened_at + LEAST_PAUSE);
        }
    }

    /// Whether the policy is exhausted, so that nothing is to be hoped for from openings.
    pub(crate) fn gave_up(&self) -> Option<StopReason> {
        self.failure.as_ref().and_then(|failure| failure.stopped)
    }

    /// Everybody who waited knows of the failure. Whoever comes next gets a fresh start.
    pub(crate) const fn everybody_was_told(&mut self) {
        self.told = true;
    }

    /// Somebody wants a value. After everybody was told, that is a new round of attempts. What paces them
    /// goes on: callers who ask again and again must not make a dead backend's load.
    pub(crate) fn asked_again(&mut self) {
        if self.told {
            self.forget_attempts();
        }
        self.retry_without_clock();
    }

    /// Something else changed: where no clock ends a pause, that does.
    pub(crate) fn retry_without_clock(&mut self) {
        if self.pause == Pause::UntilAsked {
            self.pause = Pause::None;
            if let Some(failure) = &mut self.failure {
                failure.stopped = None;
            }
        }
    }

    /// Forgets the attempts that were made, and the pause after them: for somebody who asks once.
    pub(crate) fn start_afresh(&mut self) {
        self.delays = None;
        self.pause = Pause::None;
        self.forget_attempts();
    }

    fn forget_attempts(&mut self) {
        self.told = false;
        self.attempts = 0;
        self.began_at = None;
        if let Some(failure) = &mut self.failure {
            failure.stopped = None;
        }
    }
}
