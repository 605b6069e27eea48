//! Checks and hooks: what is done to a value between its opening and its end.

use alloc::boxed::Box;
use core::time::Duration;

use super::Done;
use crate::cause::Cause;
use crate::contain::hook;
use crate::ending::Why;
use crate::event::EventKind;
use crate::hooks::Hooks;
use crate::kernel::Place;
use crate::kernel::Standing;
use crate::pool::config::PoolConfig;
use crate::pool::shared::PoolShared;
use crate::pool::slot::Slot;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::sync::Arc;
use crate::time::Instant;

/// When a value is checked, or has its hook run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// While it lies idle.
    Idle,
    /// After it was given back.
    Return,
    /// Before it is lent, for as long as its user would wait.
    Lend {
        until: Instant,
        /// Whether it is checked, beside the hook.
        checks: bool,
    },
}

/// A value under its check, or under a hook.
pub(crate) struct CheckJob<R: LocalResource, C: Clock> {
    shared: Arc<PoolShared<R, C>>,
    /// Here until there is a verdict, so that a check or a hook that is cut off half-way leaves it to be closed.
    slot: Option<Box<Slot<R::Value>>>,
    occasion: Occasion,
    /// What it is to be closed for, when this is dropped.
    cut_off: Why,
    /// Until when its check is to be quick.
    suspicion_ends: Instant,
    /// Since when it is checked before a loan.
    checked_since: Option<Instant>,
}

impl<R: LocalResource, C: Clock> CheckJob<R, C> {
    /// Takes over a value that was counted as under a check.
    pub(crate) fn new(
        shared: &Arc<PoolShared<R, C>>,
        slot: Box<Slot<R::Value>>,
        occasion: Occasion,
    ) -> Self {
        Self {
            shared: shared.clone(),
            slot: Some(slot),
            occasion,
            cut_off: Why::CheckCutOff,
            suspicion_ends: Instant::EPOCH,
            checked_since: None,
        }
    }

    /// Takes over a value that is on loan, or is about to be.
    pub(crate) fn claim_lent(
        shared: &Arc<PoolShared<R, C>>,
        slot: Box<Slot<R::Value>>,
        until: Instant,
        checks: bool,
    ) -> Self {
        let suspicion_ends = shared.adjust(|transaction| {
            let kernel = transaction.kernel();
            kernel.shift(Place::Lent, Place::Checking);
            kernel.suspicion().ends()
        });
        let mut job = Self::new(shared, slot, Occasion::Lend { until, checks });
        job.suspicion_ends = suspicion_ends;
        job
    }

    /// Takes over a value that was about to be lent and is unfit: it goes to its end as this is dropped.
    pub(crate) fn claim_unfit(
        shared: &Arc<PoolShared<R, C>>,
        slot: Box<Slot<R::Value>>,
        why: Why,
    ) -> Self {
        let mut job = Self::claim_lent(shared, slot, Instant::MAX, false);
        job.cut_off = why;
        job
    }

    pub(crate) async fn perform(mut self) -> Done<R, C> {
        let shared = self.shared.clone();
        let config = &shared.config;
        let checks = match self.occasion {
            Occasion::Idle => true,
            Occasion::Return => config.check_on.release || self.is_suspect(),
            Occasion::Lend { checks, .. } => checks,
        };
        if checks {
            if let Occasion::Lend { .. } = self.occasion {
                self.checked_since = shared.now();
            }
            if let Err(cause) = self.check().await {
                return self.unfit(Why::CheckFailed, cause);
            }
        }
        self.clear();
        self.cut_off = Why::HookCutOff;
        match self.run_hook().await {
            Ok(()) => self.fit(),
            Err((name, cause)) => {
                let failed = EventKind::HookFailed {
                    hook: name,
                    error: &cause,
                };
                shared.reporter.send(&shared.clock, failed);
                self.unfit(Why::HookFailed, cause)
            }
        }
    }

    /// Returns `true` if its last operation was cut off, or it was found among others that were dead.
    fn is_suspect(&self) -> bool {
        let slot = self.slot.as_ref();
        slot.is_some_and(|slot| slot.life.standing == Standing::SUSPECT)
    }

    /// It has answered its check.
    fn clear(&mut self) {
        let checked_since = self.checked_since.take();
        if let Some(Slot { life, .. }) = self.slot.as_deref_mut() {
            life.idle_since = checked_since.unwrap_or(life.idle_since);
            if life.standing == Standing::SUSPECT {
                life.standing = Standing::USED;
            }
        }
    }

    /// Returns `true` if the value gave no answer: a suspect one that failed its check, or one that was not heard of
    /// for as long as a suspect one has.
    fn shows_dead_peer(&self, why: Why, now: Option<Instant>) -> bool {
        match why {
            Why::CheckFailed if self.is_suspect() => true,
            Why::CheckFailed | Why::CheckCutOff => {
                let took = self.checked_since.zip(now).map(|(since, now)| now - since);
                took.zip(self.shared.config.suspect_timeout)
                    .is_some_and(|(took, limit)| took >= limit)
            }
            _ => false,
        }
    }

    async fn check(&mut self) -> Result<(), Cause> {
        let shared = &self.shared;
        let suspects = shared.config.suspect_timeout;
        let is_quick = self.is_suspect()
            || self
                .checked_since
                .is_some_and(|since| since < self.suspicion_ends);
        let suspects = suspects.filter(|_| is_quick);
        let general = shared.config.check_timeout;
        let limit = self.limit(suspects.into_iter().chain(general).min());
        let Some(slot) = &mut self.slot else {
            return Ok(());
        };
        check_value(shared, &mut slot.value, limit).await
    }

    async fn run_hook(&mut self) -> Result<(), (&'static str, Cause)> {
        let shared = &self.shared;
        let (resource, clock) = (&shared.resource, &shared.clock);
        let limit = self.limit(shared.config.hook_timeout);
        let Some(slot) = &mut self.slot else {
            return Ok(());
        };
        let value = &mut slot.value;
        let (name, result) = match self.occasion {
            Occasion::Return if R::HOOKS.has(Hooks::AFTER_RELEASE) => {
                let ran = hook(clock, limit, || resource.after_release(value)).await;
                ("after_release", ran)
            }
            Occasion::Lend { .. } if R::HOOKS.has(Hooks::BEFORE_ACQUIRE) => {
                let ran = hook(clock, limit, || resource.before_acquire(value)).await;
                ("before_acquire", ran)
            }
            _ => return Ok(()),
        };
        result.map_err(|error| (name, resource.cause_of_hook(error)))
    }

    /// The limit of one check or hook: the general one, or less where the user has less time.
    fn limit(&self, general: Option<Duration>) -> Option<Duration> {
        let own = match self.occasion {
            Occasion::Lend { until, .. } if until != Instant::MAX => {
                self.shared.now().map(|now| until - now)
            }
            _ => None,
        };
        own.into_iter().chain(general).min()
    }

    /// The value goes to where it is wanted.
    fn fit(&mut self) -> Done<R, C> {
        let Some(mut slot) = self.slot.take() else {
            return Done::Nothing;
        };
        let shared = &self.shared;
        if let Occasion::Lend { .. } = self.occasion {
            let lent = shared.adjust(|transaction| {
                let kernel = transaction.kernel();
                let serves = kernel.is_open();
                if serves {
                    kernel.shift(Place::Checking, Place::Lent);
                }
                serves
            });
            if lent {
                return Done::Ready(slot);
            }
            self.slot = Some(slot);
            self.end(Why::Shutdown);
            return Done::Nothing;
        }
        if let Some(now) = shared.now() {
            slot.life.check_at = shared.next_check(now);
        }
        let now = shared.family_time();
        shared.transact(|transaction| {
            transaction.kernel().note_return(&mut slot.life, now);
            match self.occasion {
                Occasion::Idle => transaction.place_last(slot, Place::Checking),
                _ => transaction.place(slot, Place::Checking),
            }
        });
        Done::Nothing
    }

    fn unfit(mut self, why: Why, cause: Cause) -> Done<R, C> {
        self.cut_off = why;
        match self.occasion {
            Occasion::Lend { .. } => Done::Unfit(cause, self),
            _ => Done::Nothing,
        }
    }

    /// The value is retired, unless it has gone elsewhere.
    fn end(&mut self, why: Why) {
        let now = match why {
            Why::CheckFailed | Why::CheckCutOff => self.shared.now(),
            _ => None,
        };
        let dead_peer = self.shows_dead_peer(why, now);
        let Some(slot) = self.slot.take() else {
            return;
        };
        let shared = &self.shared;
        let failed = matches!(why, Why::Broken | Why::CheckFailed | Why::HookFailed);
        let is_new = slot.life.uses == 0 && matches!(self.occasion, Occasion::Lend { .. });
        shared.transact(|transaction| {
            let kernel = transaction.kernel();
            if failed && is_new {
                kernel.rest_after(&slot.life);
            }
            let suspects =
                dead_peer && kernel.is_open() && now.is_some_and(|now| kernel.suspects_idle(now));
            transaction.retire(slot, Place::Checking, why);
            if suspects {
                transaction.suspect_idle();
            }
        });
    }
}

impl<R: LocalResource, C: Clock> Drop for CheckJob<R, C> {
    fn drop(&mut self) {
        self.end(self.cut_off);
    }
}

/// Checks a value, and tells of the verdict.
pub(super) async fn check_value<R: LocalResource, C: Clock>(
    shared: &PoolShared<R, C>,
    value: &mut R::Value,
    limit: Option<Duration>,
) -> Result<(), Cause> {
    match hook(&shared.clock, limit, || shared.resource.check(value)).await {
        Ok(()) => {
            shared.reporter.send(&shared.clock, EventKind::CheckPassed);
            Ok(())
        }
        Err(error) => {
            let error = shared.resource.cause_of_hook(error);
            let failed = EventKind::CheckFailed { error: &error };
            shared.reporter.send(&shared.clock, failed);
            Err(error)
        }
    }
}

impl<R: LocalResource, C: Clock> PoolShared<R, C> {
    /// Whether something is done to a value after it was given back.
    #[inline]
    pub(crate) fn cleans_up(&self) -> bool {
        cleans_up::<R>(&self.config)
    }
}

/// Returns `true` if a pool does something to every value after it was given back.
pub(crate) fn cleans_up<R: LocalResource>(config: &PoolConfig) -> bool {
    R::HOOKS.has(Hooks::AFTER_RELEASE) || config.check_on.release
}
