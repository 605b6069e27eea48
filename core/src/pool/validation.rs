//! What is asked about a value before it is lent.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::config::PoolConfig;
use super::shared::PoolShared;
use super::slot::Slot;
use crate::cause::Cause;
use crate::ending::Why;
use crate::hooks::Hooks;
use crate::kernel::Place;
use crate::kernel::{Life, Lifetime, Standing};
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::sync::{self, Arc};
use crate::time::Instant;

/// Whether a pool checks a value before it lends it.
///
/// A check costs the user a round trip; none costs the user of a value that has died an error. Most die while they
/// lie idle, so the default of a checked resource is [`AfterIdle`](CheckOnAcquire::AfterIdle) half a second. And where one
/// has died, as when its server restarts, others have: once a value was found broken each other is checked before its next
/// loan, at most once a second, but by [`Never`](CheckOnAcquire::Never).
///
/// ```
/// use core::time::Duration;
/// use tenure_core::pool::CheckOnAcquire;
/// # use tenure_core::{Pool, Resource};
/// # fn f<R: Resource>(db: R) {
/// # if R::CHECKED { return; }
/// let seldom = CheckOnAcquire::AfterIdle(Duration::from_secs(10));
/// assert_eq!(CheckOnAcquire::default(), CheckOnAcquire::AfterIdle(Duration::from_millis(500)));
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckOnAcquire {
    /// No value is checked before it is lent.
    Never,
    /// A value that was idle for that long is checked before it is lent; one that was idle for less than half of
    /// it is not. Between the two it depends on when the Runner looked.
    ///
    /// A value that is lent without a check costs no reading of the clock: the Runner notes, a few times within
    /// the time, which values lie idle, and sleeps while none comes back. Without a Runner the clock is read
    /// as a value comes back, which costs the pool its fast path. Without a clock (a [`NoTimer`](crate::NoTimer)) no
    /// time passes and none is checked: use [`Always`](CheckOnAcquire::Always).
    AfterIdle(Duration),
    /// Every value is checked each time before it is lent.
    Always,
}

impl Default for CheckOnAcquire {
    /// After half a second of idleness, as HikariCP does (its `aliveBypassWindowMs`); pgx pings after more than a
    /// second. A value that was used within half a second is seldom dead, and one that is used often pays nothing.
    fn default() -> Self {
        Self::AfterIdle(Duration::from_millis(500))
    }
}

impl<R: LocalResource, C: Clock> PoolShared<R, C> {
    /// Returns `true` if the resource calls the value broken, or panics when asked. Under no lock.
    #[inline(always)]
    pub(crate) fn is_broken(&self, slot: &mut Slot<R::Value>) -> bool {
        let broken = sync::contain(|| self.resource.is_broken(&mut slot.value));
        broken.unwrap_or_else(|message| self.report_broken_question(message))
    }

    /// Why the value is not to be lent, if it is not: it is broken, or past one of its limits, which counts where they
    /// are strict. One that was opened after the caller had asked is lent in any case, however short its life is.
    /// Under no lock. The clock is read unless the time is known.
    #[inline(always)]
    pub(crate) fn unfit_to_lend(
        &self,
        slot: &mut Slot<R::Value>,
        asked_at: Instant,
        now: Option<Instant>,
    ) -> Option<Why> {
        if self.is_broken(slot) {
            self.suspect_others();
            return Some(Why::Broken);
        }
        if self.is_strict {
            self.past_its_limits(slot, asked_at, now)
        } else {
            None
        }
    }

    #[cold]
    fn past_its_limits(
        &self,
        slot: &Slot<R::Value>,
        asked_at: Instant,
        now: Option<Instant>,
    ) -> Option<Why> {
        let life = &slot.life;
        if life.opened_at >= asked_at {
            return None;
        }
        let now = now.or_else(|| self.now())?;
        let longest = self.config.max_lifetime;
        if longest.is_some_and(|longest| now >= Lifetime { longest, now }.ends_at(life)) {
            return Some(Why::TooOld);
        }
        let limit = self.config.idle_timeout?;
        let is_stale = now >= life.idle_since + limit;
        let can_be_spared = || self.look(|kernel| kernel.spare() > 0);
        (is_stale && can_be_spared()).then_some(Why::IdleTooLong)
    }

    /// Notes when a loan of the value has ended, where limits are strict.
    pub(crate) fn note_idle_since(&self, slot: &mut Slot<R::Value>) {
        if self.config.notes_returns() {
            slot.life.idle_since = self.now().unwrap_or_default();
        }
    }

    #[cold]
    fn report_broken_question(&self, message: String) -> bool {
        self.reporter.swallowed(&self.clock, "is_broken", message);
        true
    }

    /// Returns `true` if something is done to every value before it is lent.
    #[inline(always)]
    pub(crate) fn prepares(&self) -> bool {
        prepares::<R>(&self.config)
    }

    /// For how long a value may lie idle and be lent unchecked, if that counts.
    #[inline]
    pub(crate) fn rest_limit(&self) -> Option<Duration> {
        match self.config.check_on.acquire {
            CheckOnAcquire::AfterIdle(limit) if R::CHECKED => Some(limit),
            _ => None,
        }
    }

    /// Returns `true` if the value is checked before it is lent. Reads the clock only for one that was seen idle.
    #[inline]
    pub(crate) fn checks_before_lending(&self, life: &Life) -> bool {
        R::CHECKED
            && match self.config.check_on.acquire {
                CheckOnAcquire::Never => false,
                CheckOnAcquire::AfterIdle(limit) => {
                    life.standing > Standing::RESTED
                        || life.standing == Standing::RESTED
                            && self
                                .now()
                                .is_some_and(|now| self.may_have_rested(life, limit, now))
                }
                CheckOnAcquire::Always => true,
            }
    }

    /// Returns `true` if the value may have been idle for that long: it came back up to a period before a sweep saw
    /// it.
    fn may_have_rested(&self, life: &Life, limit: Duration, now: Instant) -> bool {
        let unseen = self.sweep_period().unwrap_or_default();
        now - life.idle_since + unseen >= limit
    }

    /// Takes an idle value without joining the queue: one that may be lent as it is.
    #[inline]
    pub(crate) fn try_take(this: &Arc<Self>) -> Option<Box<Slot<R::Value>>> {
        this.take_idle().or_else(|| Self::try_take_slowly(this))
    }

    /// The same, past a lowered gate, where the next value of its stack needs no look.
    #[inline(always)]
    pub(crate) fn take_idle(&self) -> Option<Box<Slot<R::Value>>> {
        if R::CHECKED {
            self.stacks.take::<true>()
        } else {
            self.stacks.take::<false>()
        }
    }

    /// Looks for a value under those that have rested, and behind gates that are up for others of the family, or
    /// for the next use to spawn the Runner.
    #[cold]
    fn try_take_slowly(this: &Arc<Self>) -> Option<Box<Slot<R::Value>>> {
        if Self::respawn_if_lost(this) {
            if let Some(slot) = this.take_idle() {
                return Some(slot);
            }
        }
        let (now, limit) = (this.now(), this.rest_limit());
        let fit = |slot: &Slot<R::Value>| {
            let life = &slot.life;
            let is_fresh = |(now, limit)| !this.may_have_rested(life, limit, now);
            life.standing < Standing::RESTED
                || life.standing == Standing::RESTED && now.zip(limit).is_some_and(is_fresh)
        };
        if limit.is_some() {
            if let Some(slot) = this.stacks.take_fit(fit) {
                return Some(slot);
            }
        }
        this.adjust(|transaction| {
            let kernel = transaction.kernel();
            let gates_are_up_for_others = kernel.family().is_some() || kernel.has_lost_runner();
            let stays = !gates_are_up_for_others
                || kernel.is_suspended()
                || !kernel.is_open()
                || kernel.queue().waiting() > 0;
            if stays {
                return None;
            }
            transaction.take_fit(fit)
        })
    }

    /// A value was found broken, and others may be that do not know it yet, as after a restart of their server: each is
    /// checked before its next loan.
    #[cold]
    pub(crate) fn suspect_others(&self) {
        if !R::CHECKED || self.config.check_on.acquire == CheckOnAcquire::Never {
            return;
        }
        let Some(now) = self.now() else {
            return;
        };
        self.adjust(|transaction| {
            if transaction.kernel().suspects_others(now) {
                transaction.for_each_idle(|life| {
                    if life.seen_idle(now, Standing::STALE) {
                        life.check_at = self.next_check(now);
                    } else {
                        life.worsen(Standing::STALE);
                    }
                });
            }
        });
    }
}

/// Returns `true` if a pool does something to every value before it lends it.
pub(crate) fn prepares<R: LocalResource>(config: &PoolConfig) -> bool {
    R::HOOKS.has(Hooks::BEFORE_ACQUIRE)
        || (R::CHECKED && config.check_on.acquire == CheckOnAcquire::Always)
}

/// What a caller is told whose value was broken before it was lent.
pub(crate) fn found_broken() -> Cause {
    Cause::new("the value was found broken before it was lent")
}

/// Idle values that are taken out to be asked about, one after another, under no lock. They count as under
/// check meanwhile; whatever ends the asking, each goes to where it belongs.
///
/// The one that was used last is asked about first, so that each is laid back under those above it.
pub(super) struct Asked<'p, R: LocalResource, C: Clock> {
    shared: &'p PoolShared<R, C>,
    /// Why those end that are not kept.
    why: Why,
    /// The one that is asked about, from its question on until it is settled.
    current: Option<(usize, Box<Slot<R::Value>>)>,
    /// The next is the last of them.
    left: Vec<(usize, Box<Slot<R::Value>>)>,
}

impl<'p, R: LocalResource, C: Clock> Asked<'p, R, C> {
    /// Takes out the idle values that are to be asked about.
    pub(super) fn take(
        shared: &'p PoolShared<R, C>,
        why: Why,
        which: impl Fn(&Slot<R::Value>) -> bool,
    ) -> Self {
        let slots = shared.adjust(|transaction| {
            if transaction.kernel().is_open() {
                transaction.take_those(which)
            } else {
                Vec::new()
            }
        });
        Self {
            shared,
            why,
            current: None,
            left: slots,
        }
    }

    pub(super) fn next(&mut self) -> Option<&mut Slot<R::Value>> {
        self.current = self.left.pop();
        self.current.as_mut().map(|(_, slot)| &mut **slot)
    }

    /// Lays the value back that was asked about, or hands it to the first waiter; or has it closed.
    pub(super) fn settle(&mut self, kept: bool) {
        let Some((home, slot)) = self.current.take() else {
            return;
        };
        let why = self.why;
        self.shared.transact(|transaction| {
            if kept {
                transaction.place_under(slot, Place::Checking, home);
            } else {
                transaction.retire(slot, Place::Checking, why);
            }
        });
    }
}

impl<R: LocalResource, C: Clock> Drop for Asked<'_, R, C> {
    fn drop(&mut self) {
        self.settle(false);
        while self.next().is_some() {
            self.settle(true);
        }
    }
}
