//! What a pool decides, without values, wakers or user code: indices, counts and times in, actions out.
//!
//! # The protocol
//!
//! A **value** is in one [`Place`] at a time, and [`Counts`] has how many are where:
//!
//! ```text
//! Outside ─ begin ─▶ Opening ─▶ Finishing ─▶┐ place: what becomes of a value that nobody holds
//!                       └───────────────────┤   ├▶ Idle      nobody waits
//!            Lent ─ released ───────────────┤   ├▶ Lent      to the first who waits
//!            Lent ─ released ─▶ Returned ┐  │   ├▶ Gathered  for the first, who wants several
//!            Idle ─ check due ─▶ Checking ◀─┘   └▶ Retired   unfit: closed, old, called in, one too many
//! any of these ─▶ Retired ─ claim ─▶ Closing ─ ended ─▶ Outside
//! ```
//!
//! The stacks move values between Idle and Lent by themselves, as long as their gates are down; those two share a count
//! here. The gates are up whenever [`gates_are_up`](Kernel::gates_are_up) says so, above all while somebody waits: then
//! each value that comes back passes here, and nobody overtakes.
//!
//! A **waiter** is `Waiting` from [`join`](Kernel::join) on, then `Answered`, with a value or an error, until it looks or
//! [leaves](Kernel::leave). One that leaves while it waits loses nothing; an answer that it has not looked at is placed
//! anew. Whoever holds the values keeps the answers and the wakers, by [`WaiterId`].
//!
//! An **opening** is under way from [`claim`](Kernel::claim) until it has opened, failed or was dropped: `openings.rs`.
//!
//! **Who may change what.** One lock guards the kernel and the values beside it (`state/`). It comes before the lock of
//! any stack and before that of a family's quota, and no user code runs under it. [`transact`] is the way in; on the
//! way out it asks for all that follows from the change: [`dispatch`](Kernel::dispatch) (who is to be told or woken),
//! then the gates. No counter but those of the stacks is written outside the lock, so nothing here needs an atomic.
//!
//! # One acquire that finds nothing idle
//!
//! 1. `Waiting::poll` finds the stacks empty and calls `enter` with its waker.
//! 2. Under the lock, [`admit`](Kernel::admit) lets it in, and the stacks are searched as their gates go up.
//! 3. [`join`](Kernel::join) gives it a [`WaiterId`]; its waker is kept beside that.
//! 4. On the way out, [`dispatch`](Kernel::dispatch) finds an opening due, and has the Runner woken after the unlock.
//! 5. The Runner's [`claim`](Kernel::claim) moves Outside to Opening: an `OpenJob`, polled by the Runner.
//! 6. It has opened: [`opened`](Kernel::opened), then [`place`](Kernel::place) names the first waiter.
//! 7. The value becomes that waiter's answer, Opening moves to Lent, and its waker is woken after the unlock.
//! 8. `Waiting::poll` looks, takes the answer, gives up the `WaiterId`, and makes a lease of it.
//! 9. Dropped before that look, it [leaves](Kernel::leave), and the value is placed anew: step 6.
//! 10. When nobody waits any more, the gates go down on the way out, and the stacks serve alone again.
//!
//! [`transact`]: crate::pool::shared::PoolShared::transact

mod counts;
mod deadlines;
mod family;
mod life;
mod notices;
mod openings;
mod queue;
mod requests;
mod storage;
mod values;
mod work;

pub(crate) use counts::{Counts, Place};
pub(crate) use deadlines::Timekeeping;
pub(crate) use family::{Donor, FamilyQuota, Membership, QuotaStanding};
pub(crate) use life::{Birth, Generation, Life, Lifetime, Limits, Standing};
pub(crate) use notices::Notices;
pub(crate) use openings::{Drawn, FailureFacts, Noted, OVERDUE_AFTER, OpeningTicket};
pub(crate) use openings::{OpeningUnderWay, PoolOpenings};
pub(crate) use openings::{Since, fallback_delay};
pub(crate) use queue::{CanDo, End, Left, QueueEntry, WaiterId};
pub(crate) use requests::{Admission, QueueRequest};
pub(crate) use storage::{FixedList, InPlace, List, Storage};
pub(crate) use values::{Fate, Suspicion};
pub(crate) use work::{Driver, Work};

use core::time::Duration;

use deadlines::Deadlines;
use queue::WaitQueue;

use crate::time::Instant;

/// All that a pool decides by. See the [module](self) for what changes it, and when.
///
/// In this order: what a hand-over writes comes first, beside the lock, so that a thread that takes its turn
/// after another fetches as little of it as can be.
#[repr(C)]
pub(crate) struct Kernel<S: Storage> {
    counts: Counts,
    queue: WaitQueue<S::Waiters>,
    notices: Notices,
    suspended: bool,
    phase: PoolPhase,
    watch: IdleWatch,
    runner: RunnerState,
    /// Whether the minimum is to be kept open.
    warm: bool,
    /// How many tasks await a start, and so drive openings.
    starters: usize,
    bounds: Bounds,
    limits: Limits,
    deadlines: Deadlines,
    openings: PoolOpenings<S::Openings>,
    /// What it shares with other pools, if it is one of a family.
    family: Option<Membership<S::Quota>>,
    suspicion: Suspicion,
    /// While the Runner rests: when one of the idle values has to be looked at.
    next_due: Instant,
    /// `true` once a Runner was attached.
    had_runner: bool,
    /// `true` if the executor took the Runner, as far as is known: it did not drop it at once.
    runner_spawned: bool,
    /// Changes when a shutdown runs out of time: closings from before it were counted already.
    era: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PoolPhase {
    Open,
    /// Nobody is served any more; values are being closed.
    Draining,
    Closed,
}

/// What is done when a value is laid idle that was in use, beside laying it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdleWatch {
    /// Nothing: the next sweep sees it, or for how long values lie idle does not count.
    Nothing,
    /// The Runner is woken, which has seen all that lay idle and plans no sweep for others.
    WakesRunner,
    /// The time is noted: there is no Runner to do it.
    NotesTime,
}

/// Whether a Runner does the background work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunnerState {
    /// None does: whoever needs the work done drives it.
    Absent,
    Attached,
    /// The next use spawns one: the one that `build` spawned has ended before its time, as with its runtime, or none was
    /// needed so far, as of a key that was only looked up.
    Lost,
}

/// How many values there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) min_size: usize,
    pub(crate) max_size: usize,
    pub(crate) max_waiters: Option<usize>,
    pub(crate) idle_timeout: Option<Duration>,
    /// How long those wait who say nothing else.
    pub(crate) acquire_timeout: Option<Duration>,
    /// Whether the maximum was ever lowered: else there are never more values than it allows.
    pub(crate) was_lowered: bool,
}

impl<S: Storage> Kernel<S> {
    pub(crate) fn new(
        waiters: S::Waiters,
        openings: PoolOpenings<S::Openings>,
        warm: bool,
        bounds: Bounds,
        limits: Limits,
        family: Option<Membership<S::Quota>>,
    ) -> Self {
        Self {
            counts: Counts::default(),
            queue: WaitQueue::new(waiters),
            notices: Notices::NONE,
            suspended: false,
            phase: PoolPhase::Open,
            watch: IdleWatch::Nothing,
            runner: RunnerState::Absent,
            warm,
            starters: 0,
            bounds,
            limits,
            deadlines: Deadlines::new(bounds.acquire_timeout),
            openings,
            family,
            suspicion: Suspicion::NONE,
            next_due: Instant::MAX,
            had_runner: false,
            runner_spawned: false,
            era: 0,
        }
    }

    pub(crate) const fn counts(&self) -> &Counts {
        &self.counts
    }

    pub(crate) const fn queue(&self) -> &WaitQueue<S::Waiters> {
        &self.queue
    }

    pub(crate) const fn openings(&self) -> &PoolOpenings<S::Openings> {
        &self.openings
    }

    pub(crate) const fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) const fn suspicion(&self) -> &Suspicion {
        &self.suspicion
    }

    pub(crate) const fn family(&self) -> Option<&Membership<S::Quota>> {
        self.family.as_ref()
    }

    pub(crate) const fn phase(&self) -> PoolPhase {
        self.phase
    }

    #[inline(always)]
    pub(crate) fn is_open(&self) -> bool {
        self.phase == PoolPhase::Open
    }

    #[inline(always)]
    pub(crate) const fn is_suspended(&self) -> bool {
        self.suspended
    }

    pub(crate) const fn is_warm(&self) -> bool {
        self.warm
    }

    pub(crate) const fn starters(&self) -> usize {
        self.starters
    }

    #[inline(always)]
    pub(crate) const fn watch(&self) -> IdleWatch {
        self.watch
    }

    pub(crate) const fn next_due(&self) -> Instant {
        self.next_due
    }

    pub(crate) const fn era(&self) -> u64 {
        self.era
    }

    #[inline(always)]
    pub(crate) const fn max_size(&self) -> usize {
        self.bounds.max_size
    }

    pub(crate) const fn min_size(&self) -> usize {
        self.bounds.min_size
    }

    #[inline(always)]
    pub(crate) fn has_runner(&self) -> bool {
        self.runner == RunnerState::Attached
    }

    /// Returns `true` if the next use is to spawn another Runner.
    #[inline(always)]
    pub(crate) fn has_lost_runner(&self) -> bool {
        self.runner == RunnerState::Lost
    }

    /// Dispatches what follows from any change: whether all is closed, what the family is told, and who drives the work
    /// there is: the Runner, else whoever awaits a shutdown or a start, else those who wait.
    pub(crate) fn dispatch(&mut self) {
        self.finish_if_drained();
        self.settle_family();
        if self.phase != PoolPhase::Open || self.starters > 0 {
            self.notices.tell_of_change();
        }
        let openings = self.openings_due() + usize::from(self.wants_place());
        let others = self.counts.retired() + self.counts.returned();
        if self.has_runner() {
            let work = openings + others;
            if work > 0 || self.phase != PoolPhase::Open {
                self.notices.tell_runner();
            }
        } else {
            self.wake_waiters_for(openings, others);
        }
    }

    /// Whether there is nothing to dispatch: all that is wanted is on its way, or all slots
    /// are taken. The common case of a pool under load.
    #[inline]
    pub(crate) fn is_in_order(&self) -> bool {
        let serves = self.phase == PoolPhase::Open
            && self.starters == 0
            && self.family.is_none()
            && self.openings.are_well();
        let counts = &self.counts;
        let is_full = || {
            counts.size() >= self.bounds.max_size
                || (self.queue.wanted() <= counts.openings()
                    && counts.in_service() + counts.openings() >= self.bounds.min_size)
        };
        serves && counts.retired() == 0 && counts.returned() == 0 && is_full()
    }

    /// What others are to be told of the changes since the last time.
    #[inline(always)]
    pub(crate) fn take_notices(&mut self) -> Option<Notices> {
        (self.notices.any() || self.queue.lacks_keeper()).then(|| self.notices.take())
    }

    /// The gates of an open pool are up exactly while somebody waits, while nobody is served, while
    /// there are too many values, while the next use is to spawn the Runner, or where other pools may want
    /// the places of these. Those of one that is shut down stay up.
    #[inline]
    pub(crate) fn gates_are_up(&self) -> bool {
        self.queue.waiting() > 0
            || self.suspended
            || self.phase != PoolPhase::Open
            || self.surplus() > 0
            || self.has_lost_runner()
            || self.family.is_some()
    }

    /// How many more values there are, or will be, than the maximum allows since it was lowered.
    #[inline]
    pub(crate) fn surplus(&self) -> usize {
        if !self.bounds.was_lowered {
            return 0;
        }
        (self.counts.in_service() + self.counts.openings()).saturating_sub(self.bounds.max_size)
    }

    // Directions, from whoever holds the pool.

    pub(crate) const fn suspend(&mut self) {
        self.suspended = true;
    }

    /// What failed meanwhile is no sign of what comes now.
    pub(crate) fn resume(&mut self) {
        self.suspended = false;
        self.openings.forget_failures();
    }

    pub(crate) const fn set_watch(&mut self, watch: IdleWatch) {
        self.watch = watch;
    }

    /// The Runner rests: it has seen all that lies idle, and plans to look again when that is due.
    pub(crate) const fn runner_rests(&mut self, due: Instant) {
        self.next_due = due;
        self.watch = IdleWatch::WakesRunner;
    }

    /// Has the Runner plan a sweep, if it plans none.
    pub(crate) fn wake_sweeper(&mut self) {
        if self.watch == IdleWatch::WakesRunner {
            self.watch = IdleWatch::Nothing;
            self.notices.tell_runner();
        }
    }

    pub(crate) const fn wake_runner(&mut self) {
        self.notices.tell_runner();
    }

    pub(crate) fn wake_waiters_for(&mut self, openings: usize, others: usize) {
        if openings > 0 || others > 0 {
            self.notices.tell_helpers(openings, others);
        }
    }

    /// Somebody awaits a start. Returns since when, as failures count for it.
    pub(crate) fn starter_came(&mut self, at: Instant) -> Since {
        self.starters += 1;
        self.warm = true;
        self.openings.try_soon();
        let failed = self.openings.failed_attempts();
        Since { at, failed }
    }

    pub(crate) const fn starter_left(&mut self) {
        self.starters -= 1;
    }

    /// A Runner counts as attached from here on. Returns `true` if it takes the place of one that was lost.
    pub(crate) const fn attach_runner(&mut self) -> bool {
        self.runner = RunnerState::Attached;
        let restarted = core::mem::replace(&mut self.had_runner, true);
        self.runner_spawned = !restarted;
        restarted
    }

    /// The Runner has ended. Where the next use `can_spawn` another and one is of use, it is lost.
    pub(crate) fn detach_runner(&mut self, can_spawn: bool) -> bool {
        self.runner_breaks_promise();
        let lost = can_spawn && self.wants_next_runner();
        self.runner = if lost {
            RunnerState::Lost
        } else {
            RunnerState::Absent
        };
        lost
    }

    /// The Runner that was lost ended before its time, most likely with its runtime.
    pub(crate) fn runner_lost(&mut self, had_begun: bool) {
        // If not, the caller that was to restart it was refused by its executor.
        let was_spawned = had_begun || self.runner_spawned;
        self.tell_family_of_lost_runner(was_spawned);
        // Any of them may live in the runtime that ends, and never run again, and what keeps the others may be work of
        // another pool of the family. Each tries once to spawn a Runner. Of a try that fails no more hear than the one
        // that made it and another, or all would be woken as often as there are waiters.
        self.wake_waiters_for(0, if was_spawned { usize::MAX } else { 2 });
    }

    pub(crate) const fn runner_was_spawned(&mut self) {
        self.runner_spawned = true;
    }

    /// The first use spawns the Runner.
    pub(crate) const fn spawn_at_first_use(&mut self) {
        self.runner = RunnerState::Lost;
    }

    /// Returns `true` to the one caller that is to spawn another Runner, once no lock is held.
    ///
    /// Until that one is attached there is none, as far as others see. If it is dropped before, unpolled,
    /// the Runner is lost again, and the next use tries.
    pub(crate) fn claim_respawn(&mut self) -> bool {
        let lost = self.has_lost_runner();
        if lost {
            self.runner = RunnerState::Absent;
        }
        lost
    }

    /// Returns `true` if another Runner is to take the place of one that ends now. A draining pool can do without,
    /// unless others of its family may wait for the places of its values.
    fn wants_next_runner(&self) -> bool {
        match self.phase {
            PoolPhase::Open => true,
            PoolPhase::Draining => self.family.is_some(),
            PoolPhase::Closed => false,
        }
    }

    pub(crate) const fn begin_draining(&mut self) {
        self.phase = PoolPhase::Draining;
    }

    /// Closes for good once a draining pool holds nothing any more.
    fn finish_if_drained(&mut self) {
        let holds_nothing = self.counts.size() == 0 && self.counts.leaving() == 0;
        if self.phase == PoolPhase::Draining && holds_nothing {
            self.phase = PoolPhase::Closed;
        }
    }

    /// From here on, closings that began before do not count.
    pub(crate) const fn begin_era(&mut self) {
        self.era += 1;
    }
}
