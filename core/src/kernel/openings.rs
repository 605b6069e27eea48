//! When a pool may open values, and which callers are told that it cannot.
//!
//! All openings of a pool share one [`PoolOpenings`], which knows no error and no waker:
//!
//! - **Begun** ([`PoolOpenings::begin`]): the opening joins the list of those under way, in order of their start.
//! - **Overdue** ([`PoolOpenings::note_time`]): it has not answered for [`OVERDUE_AFTER`]. It runs on, but no longer
//!   counts as on its way for those who wait, so that another may begin.
//! - **Called off** ([`PoolOpenings::give_way`]): the newest overdue one, where no place is free for another. Its own
//!   future sees the mark at its next poll, ends, and frees the slot; so a slot is never taken twice. The oldest is
//!   never chosen: it runs to its timeout, so that a slow handshake can succeed.
//! - **Ended**: it leaves the list, well, badly, or dropped.
//!
//! From the first failure (or overdue opening) until the next success, openings begin one at a time, at the pace.
//! The pace is measured from the start of one opening to the start of the next, as gRPC does.
//!
//! Failures are counted in `failed`, which only grows. A waiter notes the count and the time when it joins
//! ([`Since`]); what it is told ([`PoolOpenings::verdict`]) follows from what failed after that, and from nothing else.

use core::time::Duration;

use super::storage::List;
use crate::backoff::{Backoff, Delays};
use crate::random::Random;
use crate::retry::LEAST_PAUSE;
use crate::retry::{Decision, ErrorClass, Retry, StopReason};
use crate::time::Instant;
use crate::time::nanos;

/// An opening that takes longer no longer holds up the next.
pub(crate) const OVERDUE_AFTER: Duration = Duration::from_secs(1);

/// By up to so much earlier, at random, so that pools whose server hangs do not stay in step.
const OVERDUE_JITTER: Duration = Duration::from_millis(150);

/// By up to so much later as long as all is well, since a handshake may take a second.
const OVERDUE_LATER: Duration = Duration::from_millis(50);

/// While openings are overdue and none has failed, and after a request to try soon, openings begin this far apart.
const LEAST_APART: Duration = Duration::from_millis(500);

/// Failures older than this say nothing about the server any more, unless the pace is slower.
const REMEMBERED_FOR: Duration = Duration::from_secs(30);

/// An opening that hung while other values are in service is followed by a rest so many times as long as it took.
/// Callers are served meanwhile, and a server that is slow because of its load must be able to recover.
const REST_AFTER_HANG: u32 = 2;

/// The pool's openings, under way and failed.
#[derive(Debug)]
pub(crate) struct PoolOpenings<L> {
    policy: Retry,
    /// For how long openings fail during a caller's wait before it is told.
    refuse_after: Option<Duration>,
    /// Whether an opening holds up the next for as long as it takes, since two values exclude each other.
    holds_up: bool,
    seed: u64,
    random: Random,
    /// In order of their start.
    under_way: L,
    /// How many of those are overdue, or called off.
    overdue: usize,
    next: u64,
    /// Openings below this number began before the newest one that succeeded: their failure says nothing new.
    proven: u64,
    last_began_at: Option<Instant>,
    /// Openings that began together before any of them failed share a number, and count as one attempt.
    burst: u64,
    /// Attempts that failed, ever.
    failed: u32,
    failing: Option<Failing>,
    /// A value failed its first check: no opening before this.
    rest_until: Option<Instant>,
}

/// The failures since the last success.
#[derive(Debug)]
struct Failing {
    attempts: u32,
    /// When the first attempt that failed began.
    began_at: Option<Instant>,
    /// When the latest attempt failed.
    failed_at: Option<Instant>,
    delays: Delays,
    /// From the start of one opening to the start of the next.
    delay: Duration,
    /// When the server asked to come back.
    not_before: Option<Instant>,
    /// The same while other values are in service.
    rest_until: Option<Instant>,
    /// There is no clock: the next opening waits until a caller asks.
    awaits_caller: bool,
    /// The count of failed attempts at the latest permanent refusal.
    refused: Option<u32>,
    /// Of the latest failure.
    class: ErrorClass,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct OpeningUnderWay {
    number: u64,
    began_at: Option<Instant>,
    overdue_at: Option<Instant>,
    is_overdue: bool,
    is_called_off: bool,
    /// Its value is open, and is being made ready.
    has_value: bool,
}

impl OpeningUnderWay {
    /// In a place that is not in use.
    pub(crate) const NONE: Self = Self {
        number: 0,
        began_at: None,
        overdue_at: None,
        is_overdue: false,
        is_called_off: false,
        has_value: false,
    };
}

/// An opening under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpeningTicket {
    pub(crate) number: u64,
    burst: Option<u64>,
    began_at: Option<Instant>,
    pub(crate) attempt: u32,
}

/// When a caller began to wait, and how many attempts had failed then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Since {
    /// The epoch, if openings were at rest: no attempt that fails can have begun before.
    pub(crate) at: Instant,
    pub(crate) failed: u32,
}

/// The delay after a failure, drawn outside the lock since a custom backoff is user code.
#[derive(Debug)]
pub(crate) struct Drawn {
    pub(crate) delays: Delays,
    pub(crate) delay: Duration,
}

/// What became of a failure.
#[derive(Debug)]
pub(crate) struct Noted {
    /// How long until the next opening may begin.
    pub(crate) retry_in: Option<Duration>,
    /// Whether its error is what callers are told from now on.
    pub(crate) is_told: bool,
}

/// How openings failed, but for the error of the latest failure that counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FailureFacts {
    pub(crate) attempts: u32,
    pub(crate) elapsed: Option<Duration>,
    pub(crate) stopped: Option<StopReason>,
    /// How long ago the latest attempt failed.
    pub(crate) age: Option<Duration>,
}

impl<L: List<OpeningUnderWay>> PoolOpenings<L> {
    pub(crate) const fn new(
        under_way: L,
        policy: Retry,
        refuse_after: Option<Duration>,
        holds_up: bool,
        seed: u64,
    ) -> Self {
        Self {
            policy,
            refuse_after,
            holds_up,
            seed,
            random: Random::seeded(seed),
            under_way,
            overdue: 0,
            next: 0,
            proven: 0,
            last_began_at: None,
            burst: 0,
            failed: 0,
            failing: None,
            rest_until: None,
        }
    }

    /// Openings under way that are not overdue.
    #[inline]
    pub(crate) fn fresh(&self) -> usize {
        self.under_way.len() - self.overdue
    }

    /// Returns `true` if no opening has failed or is overdue.
    #[inline]
    pub(crate) const fn are_well(&self) -> bool {
        self.failing.is_none() && self.overdue == 0
    }

    /// Returns `true` if nothing is under way, failing or paced: the common case.
    #[inline]
    pub(crate) fn are_at_rest(&self) -> bool {
        self.failing.is_none() && self.under_way.is_empty() && self.rest_until.is_none()
    }

    /// Returns `true` if the server is to be probed by one opening at a time.
    pub(crate) fn are_in_trouble(&self) -> bool {
        self.failing.is_some()
            || (self.overdue > 0 && {
                let mut under_way = self.under_way.iter();
                under_way.any(|opening| opening.is_overdue && opening.number >= self.proven)
            })
    }

    /// Returns `true` if openings fail, by what is known at `now`.
    pub(crate) fn are_failing(&self, now: Option<Instant>) -> bool {
        let failing = self.failing.as_ref();
        failing.is_some_and(|failing| !self.is_stale(failing, now))
    }

    /// Returns `true` if any failure is remembered.
    #[inline]
    pub(crate) const fn remember_failure(&self) -> bool {
        self.failing.is_some()
    }

    /// The latest failure, unless it is too old to say anything at `now`.
    pub(crate) fn failure(&self, now: Option<Instant>) -> Option<FailureFacts> {
        let failing = self.failing.as_ref()?;
        (!self.is_stale(failing, now)).then(|| FailureFacts {
            attempts: failing.attempts,
            elapsed: elapsed(failing.began_at, failing.failed_at),
            stopped: failing.refused.map(|_| StopReason::GivenUp),
            age: elapsed(failing.failed_at, now),
        })
    }

    fn is_stale(&self, failing: &Failing, now: Option<Instant>) -> bool {
        let remembered = REMEMBERED_FOR.max(self.policy.backoff.longest());
        let until = failing.failed_at.map(|at| at + remembered);
        let until = until.map(|until| until.max(failing.not_before.unwrap_or(until)));
        now.zip(until).is_some_and(|(now, until)| now >= until)
    }

    /// How long the oldest opening has been under way, if one is.
    pub(crate) fn longest_under_way(&self, now: Option<Instant>) -> Option<Duration> {
        let began_at = self.under_way.first()?.began_at;
        now.zip(began_at).map(|(now, at)| now - at)
    }

    /// How many attempts have failed, ever.
    pub(crate) const fn failed_attempts(&self) -> u32 {
        self.failed
    }

    /// How many attempts the policy makes before callers are told.
    pub(crate) const fn max_attempts(&self) -> u32 {
        self.policy.max_attempts()
    }

    /// Marks what is overdue by now, and forgets failures that are too old. Returns `true` if there was any: after either,
    /// more openings may be due.
    pub(super) fn note_time(&mut self, now: Option<Instant>) -> bool {
        let Some(time) = now.filter(|_| !self.are_at_rest()) else {
            return false;
        };
        let mut newly = false;
        for opening in self.under_way.iter_mut() {
            if opening.is_overdue || opening.is_called_off {
                continue;
            }
            if opening.overdue_at.is_none_or(|at| at > time) {
                continue;
            }
            opening.is_overdue = true;
            self.overdue += 1;
            newly = true;
        }
        if { self.failing.as_ref() }.is_some_and(|failing| self.is_stale(failing, now)) {
            self.failing = None;
            newly = true;
        }
        newly
    }

    /// When the next opening becomes overdue.
    pub(crate) fn next_overdue_at(&self) -> Option<Instant> {
        if self.under_way.is_empty() {
            return None;
        }
        let fresh = { self.under_way.iter() }
            .filter(|opening| !opening.is_overdue && !opening.is_called_off);
        fresh.filter_map(|opening| opening.overdue_at).min()
    }

    /// Returns `true` if another opening may begin by now. `spares` says whether values are in service, so that
    /// it is not urgent.
    pub(crate) fn may_begin(&self, now: Option<Instant>, spares: bool) -> bool {
        if let Some(Failing {
            awaits_caller: true,
            ..
        }) = self.failing
        {
            return false;
        }
        if self.are_at_rest() {
            return true;
        }
        let resumes_at = self.resumes_at(spares);
        resumes_at.zip(now).is_none_or(|(at, now)| now >= at)
    }

    /// When the pace lets the next opening begin, if time decides.
    pub(crate) fn resumes_at(&self, spares: bool) -> Option<Instant> {
        if self.are_at_rest() {
            return None;
        }
        let last = self.last_began_at;
        let paced = match &self.failing {
            Some(Failing {
                awaits_caller: true,
                ..
            }) => return None,
            Some(failing) => {
                let rest_until = failing.rest_until.filter(|_| spares);
                let paced = last.map(|at| at + failing.delay);
                paced.max(failing.not_before).max(rest_until)
            }
            None if self.are_in_trouble() => last.map(|at| at + LEAST_APART),
            None => None,
        };
        paced.max(self.rest_until)
    }

    pub(super) fn begin(&mut self, now: Option<Instant>) -> OpeningTicket {
        let number = self.next;
        let burst = (!self.are_in_trouble()).then_some(self.burst);
        self.next += 1;
        self.last_began_at = now;
        let mut up_to = |most| Duration::from_nanos(self.random.below_or_equal(nanos(most)));
        let overdue_after = if self.failing.is_none() && self.overdue == 0 {
            OVERDUE_AFTER + up_to(OVERDUE_LATER)
        } else {
            OVERDUE_AFTER - up_to(OVERDUE_JITTER)
        };
        self.under_way.push(OpeningUnderWay {
            number,
            began_at: now,
            overdue_at: now
                .filter(|_| !self.holds_up)
                .map(|now| now + overdue_after),
            is_overdue: false,
            is_called_off: false,
            has_value: false,
        });
        OpeningTicket {
            number,
            burst,
            began_at: now,
            attempt: { self.failing.as_ref() }.map_or(1, |failing| failing.attempts + 1),
        }
    }

    /// Returns `true` if an opening would have to give way for another to find a place, and can.
    pub(crate) fn can_give_way(&self) -> bool {
        self.overdue > 0 && self.newest_to_give_way().is_some()
    }

    /// Calls off the newest overdue opening that is not the oldest. Returns its number, since its driver is to be woken.
    pub(super) fn give_way(&mut self) -> Option<u64> {
        let index = self.newest_to_give_way()?;
        let opening = self.under_way.get_mut(index)?;
        opening.is_called_off = true;
        Some(opening.number)
    }

    fn newest_to_give_way(&self) -> Option<usize> {
        // One at a time: the place of one that was called off is free as soon as its driver has seen it.
        if self.under_way.iter().any(|opening| opening.is_called_off) {
            return None;
        }
        let may = |opening: &OpeningUnderWay| opening.is_overdue && !opening.has_value;
        let newest = self.under_way.iter().rposition(may)?;
        (newest > 0).then_some(newest)
    }

    /// Returns `true` if the opening was called off.
    pub(crate) fn has_called_off(&self, ticket: OpeningTicket) -> bool {
        let opening = self.opening(ticket.number);
        opening.is_none_or(|opening| opening.is_called_off)
    }

    /// The opening has a value, which is being made ready.
    pub(super) fn has_value(&mut self, ticket: OpeningTicket) {
        if let Some(opening) = self
            .find(ticket.number)
            .and_then(|at| self.under_way.get_mut(at))
        {
            opening.has_value = true;
        }
    }

    /// Returns `true` if the opening is under way, and not overdue.
    pub(crate) fn is_fresh(&self, number: u64) -> bool {
        let opening = self.opening(number);
        opening.is_some_and(|opening| !opening.is_overdue)
    }

    fn opening(&self, number: u64) -> Option<&OpeningUnderWay> {
        self.under_way.get(self.find(number)?)
    }

    fn find(&self, number: u64) -> Option<usize> {
        { self.under_way.iter() }.position(|opening| opening.number == number)
    }

    /// Takes an opening that has ended off the list.
    pub(super) fn ended(&mut self, ticket: OpeningTicket) {
        let opening = self
            .find(ticket.number)
            .map(|index| self.under_way.remove(index));
        self.overdue -= usize::from(opening.is_some_and(|opening| opening.is_overdue));
    }

    /// Takes a success.
    pub(super) fn succeeded(&mut self, ticket: OpeningTicket) {
        self.proven = self.proven.max(ticket.number + 1);
        self.rest_until = None;
        self.failing = None;
    }

    /// The delays of the failures from here on, to be drawn from outside the lock.
    pub(crate) fn delays(&self) -> Delays {
        match &self.failing {
            Some(failing) => failing.delays.clone(),
            None => {
                let seed = self.seed.wrapping_add(self.next);
                self.policy.backoff.delays(seed)
            }
        }
    }

    /// Takes a failure.
    pub(super) fn failed(
        &mut self,
        ticket: OpeningTicket,
        class: ErrorClass,
        now: Option<Instant>,
        drawn: Drawn,
    ) -> Noted {
        if ticket.number < self.proven {
            // An opening that began later has succeeded: this one hung since the outage.
            return Noted {
                retry_in: None,
                is_told: false,
            };
        }
        let counts = self.failing.is_none() || ticket.burst.is_none_or(|burst| burst == self.burst);
        if counts {
            self.burst += u64::from(ticket.burst.is_some());
            self.failed = self.failed.wrapping_add(1);
        }
        let is_permanent = matches!(class, ErrorClass::GiveUp | ErrorClass::ReconnectOnly);
        let mut is_told = true;
        let failing = match &mut self.failing {
            Some(failing) => {
                // The others of a burst do not hide that one was refused for good.
                is_told = counts || is_permanent || failing.refused.is_none();
                failing
            }
            none => none.insert(Failing {
                attempts: 0,
                began_at: ticket.began_at,
                failed_at: None,
                delays: drawn.delays.clone(),
                delay: Duration::ZERO,
                not_before: None,
                rest_until: None,
                awaits_caller: false,
                refused: None,
                class,
            }),
        };
        failing.failed_at = now;
        if is_permanent {
            failing.refused = Some(self.failed);
        }
        if counts {
            // The others of a burst do not count for who came since, and could not be told to them.
            failing.awaits_caller = now.is_none();
            failing.attempts = failing.attempts.saturating_add(1);
            let is_over = is_permanent || failing.attempts >= self.policy.max_attempts();
            // A policy without delays must not make a busy loop of callers who keep asking.
            let least = if is_over { LEAST_PAUSE } else { Duration::ZERO };
            failing.delay = drawn.delay.max(least);
            failing.delays = drawn.delays;
        }
        failing.class = class;
        // The pool goes on opening whatever its callers were told, but not before the server said.
        let asked = class.least_delay();
        if let Some(now) = now.filter(|_| asked > Duration::ZERO) {
            failing.not_before = failing.not_before.max(Some(now + asked));
        }
        let is_over = is_permanent || failing.attempts >= self.policy.max_attempts();
        if let Some(took) =
            elapsed(ticket.began_at, now).filter(|took| *took >= OVERDUE_AFTER - OVERDUE_JITTER)
        {
            failing.rest_until = now.map(|now| now + took * REST_AFTER_HANG);
        }
        let resumes_at = self.resumes_at(false).zip(now);
        Noted {
            retry_in: resumes_at.filter(|_| !is_over).map(|(at, now)| at - now),
            is_told,
        }
    }

    /// A value that was opened then has failed its first check: the next is not opened at once after it, or a
    /// caller would open and close values as fast as that goes.
    pub(super) fn rest_after(&mut self, opened_at: Instant) {
        self.rest_until = self.rest_until.max(Some(opened_at + LEAST_PAUSE));
    }

    /// Why a caller that has waited since then is to be told how openings fail, if it is.
    pub(crate) fn verdict(&self, since: Since) -> Option<StopReason> {
        let failing = self.failing.as_ref()?;
        let attempts = self.failed_since(since)?;
        let refused = failing
            .refused
            .map(|count| count.wrapping_sub(since.failed));
        // What was counted before the caller came has wrapped round.
        if refused.is_some_and(|after| after > 0 && after <= attempts) {
            return Some(StopReason::GivenUp);
        }
        let elapsed = self.elapsed_since(since);
        let resumes_at = self.resumes_at(false).zip(failing.failed_at);
        let pause = resumes_at.map_or(Duration::ZERO, |(at, now)| at - now);
        if let (Some(elapsed), Some(limit)) = (elapsed, self.refuse_after) {
            if elapsed >= limit || pause > limit {
                return Some(StopReason::Deadline);
            }
        }
        let class = match failing.class {
            // Of an attempt before the caller came, or it would have been told above.
            ErrorClass::GiveUp | ErrorClass::ReconnectOnly => ErrorClass::Retry,
            class => class,
        };
        match self.policy.decide(attempts, elapsed, class, pause, None) {
            Decision::Stop(reason) => Some(reason),
            Decision::RetryIn(_) => None,
        }
    }

    /// The same where the time of those who wait is not over while an opening is on its way.
    pub(super) fn hope_ends(&self, since: Since, none_on_its_way: bool) -> Option<StopReason> {
        let reason = self.verdict(since)?;
        (none_on_its_way || reason == StopReason::Deadline).then_some(reason)
    }

    /// How openings failed while a caller waited, if any did.
    pub(crate) fn failure_since(
        &self,
        since: Since,
        stopped: Option<StopReason>,
        now: Option<Instant>,
    ) -> Option<FailureFacts> {
        let failing = self.failing.as_ref()?;
        Some(FailureFacts {
            attempts: self.failed_since(since)?,
            elapsed: self.elapsed_since(since),
            stopped,
            age: elapsed(failing.failed_at, now),
        })
    }

    /// How many attempts have failed since a caller came, if any.
    fn failed_since(&self, since: Since) -> Option<u32> {
        Some(self.failed.wrapping_sub(since.failed)).filter(|attempts| *attempts > 0)
    }

    fn elapsed_since(&self, since: Since) -> Option<Duration> {
        let failing = self.failing.as_ref()?;
        let began_at = failing.began_at.map(|at| at.max(since.at));
        elapsed(began_at, failing.failed_at)
    }

    /// A caller has come, or something else changed: where no clock ends a pause, that does.
    pub(super) const fn retry_without_clock(&mut self) {
        if let Some(failing) = &mut self.failing {
            failing.awaits_caller = false;
        }
    }

    /// Forgets how openings failed: the server is another one now.
    pub(super) fn forget_failures(&mut self) {
        self.rest_until = None;
        self.failing = None;
    }

    /// Lets the next opening begin soon, whatever failed before: for a request to try now. The least distance
    /// between openings is kept, so that repeated requests make no load.
    pub(super) fn try_soon(&mut self) {
        self.rest_until = None;
        let seed = self.seed.wrapping_add(self.next);
        if let Some(failing) = &mut self.failing {
            failing.attempts = 0;
            failing.delays = self.policy.backoff.delays(seed);
            failing.delay = failing.delay.min(LEAST_APART);
            failing.not_before = None;
            failing.rest_until = None;
            failing.awaits_caller = false;
        }
    }
}

/// The delay where the user's backoff panicked.
pub(crate) fn fallback_delay() -> Duration {
    Backoff::OPENING.nominal(1)
}

fn elapsed(began_at: Option<Instant>, now: Option<Instant>) -> Option<Duration> {
    now.zip(began_at).map(|(now, began_at)| now - began_at)
}

#[cfg(test)]
mod tests {
    use super::super::storage::FixedList;
    use super::*;
    use crate::backoff::Backoff;

    fn openings() -> PoolOpenings<FixedList<OpeningUnderWay, 2>> {
        let under_way = FixedList::new(OpeningUnderWay::NONE);
        PoolOpenings::new(under_way, Retry::new(Backoff::OPENING), None, false, 7)
    }

    fn fails<L: List<OpeningUnderWay>>(
        openings: &mut PoolOpenings<L>,
        ticket: OpeningTicket,
        now: Option<Instant>,
    ) {
        let mut delays = openings.delays();
        let delay = delays.next().unwrap_or_default();
        openings.ended(ticket);
        openings.failed(ticket, ErrorClass::Retry, now, Drawn { delays, delay });
    }

    /// Without a clock openings go on when somebody asks.
    #[test]
    fn the_rest_of_a_burst_does_not_pause_openings_for_who_came_since_its_first_failure() {
        let mut openings = openings();
        let burst = [openings.begin(None), openings.begin(None)];
        fails(&mut openings, burst[0], None);
        assert!(!openings.may_begin(None, false), "until somebody asks");
        openings.retry_without_clock();
        fails(&mut openings, burst[1], None);
        assert!(openings.may_begin(None, false), "somebody has asked since");
    }

    #[test]
    fn a_failure_that_is_forgotten_is_news_to_who_drives_openings() {
        let mut openings = openings();
        let at = |seconds| Some(Instant::EPOCH + Duration::from_secs(seconds));
        let ticket = openings.begin(at(1));
        fails(&mut openings, ticket, at(1));
        assert!(!openings.note_time(at(2)));
        assert!(openings.note_time(at(10_000)));
        assert!(!openings.note_time(at(10_001)));
    }
}
