//! What all handles, leases and the Runner of one pool share.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use super::config::Config;
use super::error::AcquireError;
use super::family::Membership;
use super::loans::Loans;
use super::openings::{Openings, Since};
use super::queue::{End, Place, WaitQueue};
use super::quota::{Quota, run_errands};
use super::slot::{Limits, Slot};
use super::stack::Stacks;
use super::status::Status;
use super::timings::Timings;
use crate::Instant;
use crate::cleanup::{Audit, Corpse, Ledger, Why, abandon_value};
use crate::event::Reporter;
use crate::random::Random;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::signal::Signal;
use crate::sync::{Arc, AtomicUsize, CachePadded, Lock};
use crate::work::{Attachment, Wakes};

/// The pool itself.
///
/// A value is always in exactly one place: idle in a stack, handed over in the queue, in a lease,
/// under a check or a hook, in the graveyard, or being closed. Each place is counted where it is.
pub(crate) struct Shared<R: LocalResource, C: Clock> {
    pub(crate) resource: R,
    pub(crate) clock: C,
    pub(crate) config: Config,
    /// Whether a value that lies idle is lent as it is, unless it has rested: nothing is done or noted before.
    pub(crate) lends_plainly: bool,
    /// The same for a value that comes back.
    pub(crate) returns_plainly: bool,
    /// Whether the clock is read before a value is lent, and, if it counts for how long it is idle, as it comes back.
    pub(crate) is_strict: bool,
    pub(crate) reporter: Reporter,
    /// Spawns a Runner, where `build` was told how.
    pub(crate) spawn_runner: Option<SpawnRunner<R, C>>,
    pub(crate) stacks: Stacks<R::Value>,
    /// The bound that it shares with other pools, if it is one of a family.
    pub(crate) quota: Option<Arc<Quota>>,
    pub(crate) queue: CachePadded<Lock<Queue<R::Value>>>,
    pub(crate) random: Lock<Random>,
    /// Who holds what, where somebody wants to know.
    pub(crate) loans: Option<Lock<Loans>>,
    /// How long things took, where somebody wants to know.
    pub(crate) timings: Option<Lock<Timings>>,
    /// How many `Pool` handles there are. Leases do not count.
    pub(crate) handles: AtomicUsize,
    /// Tells whoever awaits a shutdown or a start that something changed.
    pub(crate) changed: Signal,
}

/// Spawns a Runner of this pool on the pool's own runtime. User code: under no lock.
pub(crate) type SpawnRunner<R, C> = fn(&Arc<Shared<R, C>>);

/// What a waiter is handed.
#[derive(Debug)]
pub(crate) enum Handed<V> {
    One(Slot<V>),
    /// All that it asked for at once.
    Many(Vec<Slot<V>>),
}

/// What a waiter gets. An error is boxed, so that it costs who waits no memory.
pub(crate) type Answer<V> = Result<Handed<V>, Box<AcquireError>>;

/// All that the queue's lock guards.
///
/// In this order: what a hand-over writes comes first, beside the lock, so that a thread that takes its turn
/// after another fetches as little of it as can be.
#[repr(C)]
pub(crate) struct Queue<V> {
    /// Leases given out through the queue, taken by their waiters or not, less those that came back
    /// through it.
    pub(crate) lent: i64,
    pub(crate) waiters: WaitQueue<Answer<V>>,
    /// What the first who waits has got so far, if it wants several.
    pub(crate) gathered: Vec<Slot<V>>,
    pub(crate) gated: bool,
    pub(crate) suspended: bool,
    pub(crate) phase: Phase,
    pub(crate) watch: Watch,
    /// Until when values that are checked before a loan get no more time for it than suspect ones.
    pub(crate) suspicion_ends: Instant,
    /// When all idle values may come under suspicion again.
    pub(crate) suspects_from: Instant,
    /// Values that have passed no check since then are checked before they are handed on: one was found broken.
    pub(crate) doubted_before: Instant,
    /// When all values may come under doubt again.
    pub(crate) doubts_from: Instant,
    /// While the Runner rests: when one of the idle values has to be looked at.
    pub(crate) next_due: Instant,
    pub(crate) runner: Attachment,
    /// `true` once a Runner was attached.
    pub(crate) had_runner: bool,
    /// `true` if the executor took the Runner, as far as is known: it did not drop it at once.
    pub(crate) runner_spawned: bool,
    pub(crate) max_size: usize,
    pub(crate) limits: Limits,
    /// What it shares with other pools, if it is one of a family.
    pub(crate) family: Option<Membership>,
    /// Slots taken: by every live value, and by every opening under way, less the broken values that are closed
    /// beside their successors.
    pub(crate) size: usize,
    pub(crate) opening: usize,
    /// Openings whose value is open and not yet ready for its first use.
    pub(crate) finishing: usize,
    pub(crate) openings: Openings,
    /// Whether the minimum is to be kept open.
    pub(crate) warm: bool,
    /// How many tasks await a start, and so drive openings.
    pub(crate) starters: usize,
    /// Values that came back and wait for what is done after a release.
    pub(crate) returned: VecDeque<Slot<V>>,
    /// Values under a check or a hook.
    pub(crate) checking: usize,
    pub(crate) graveyard: VecDeque<Corpse<V>>,
    pub(crate) closing: usize,
    /// Of those on their way out, the ones that were found broken. Only `pool/retired.rs` changes it.
    pub(crate) broken: usize,
    /// How many broken values may be closed without a slot.
    pub(crate) allowance: usize,
    /// Changes when a shutdown runs out of time: closings from before it were counted already.
    pub(crate) era: u64,
    pub(crate) ledger: Ledger,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Open,
    /// Nobody is served any more; values are being closed.
    Draining,
    Closed,
}

/// What is done when a value is laid idle that was in use, beside laying it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watch {
    /// Nothing: the next sweep sees it, or for how long values lie idle does not count.
    Nothing,
    /// The Runner is woken, which has seen all that lay idle and plans no sweep for others.
    WakesRunner,
    /// The time is noted: there is no Runner to do it.
    NotesTime,
}

/// What somebody who wants a value finds.
pub(crate) enum Entry<V> {
    Taken(Handed<V>),
    Waits {
        place: Place,
        /// Whether a Runner does what is needed.
        driven: bool,
        /// How many attempts had failed when it came.
        failed: u32,
    },
    /// The Runner is to be spawned anew, by this caller, who then asks again.
    RunnerLost,
    /// The same for the time, which counts since openings are under way or fail.
    TimeWanted,
}

/// What a caller asks of the queue.
pub(crate) struct Request {
    pub(crate) wanted: u32,
    pub(crate) end: End,
    /// When it came, unless it has not looked.
    pub(crate) at: Option<Instant>,
    /// How many attempts had failed then, if it has waited before.
    pub(crate) failed: Option<u32>,
}

impl<V> Queue<V> {
    pub(crate) fn new(
        openings: Openings,
        warm: bool,
        max_size: usize,
        limits: Limits,
        family: Option<Membership>,
    ) -> Self {
        Self {
            lent: 0,
            waiters: WaitQueue::new(),
            gathered: Vec::new(),
            gated: false,
            suspended: false,
            phase: Phase::Open,
            watch: Watch::Nothing,
            suspicion_ends: Instant::EPOCH,
            suspects_from: Instant::EPOCH,
            doubted_before: Instant::EPOCH,
            doubts_from: Instant::EPOCH,
            next_due: Instant::MAX,
            runner: Attachment::Absent,
            had_runner: false,
            runner_spawned: false,
            max_size,
            limits,
            family,
            size: 0,
            opening: 0,
            finishing: 0,
            openings,
            warm,
            starters: 0,
            returned: VecDeque::new(),
            checking: 0,
            graveyard: VecDeque::new(),
            closing: 0,
            broken: 0,
            allowance: 0,
            era: 0,
            ledger: Ledger::default(),
        }
    }

    /// How many openings should begin, apart from any pause after a failure.
    ///
    /// Derived, not counted: serving a waiter or losing one lowers it by itself, so that a spike of
    /// waiters opens no more than it needs.
    pub(crate) fn openings_due(&self, config: &Config) -> usize {
        self.within_quota(self.openings_wanted(config))
    }

    /// The same, apart from what other pools of its family leave.
    pub(crate) fn openings_wanted(&self, config: &Config) -> usize {
        if self.phase != Phase::Open {
            return 0;
        }
        let room = self.max_size.saturating_sub(self.size);
        self.openings_missing(config).min(room)
    }

    /// The same, apart from the places there are.
    fn openings_missing(&self, config: &Config) -> usize {
        let fresh = self.openings_on_their_way();
        let for_waiters = self.openings_wanted_by_waiters();
        let keeps_warm = self.warm && (self.runner.is_attached() || self.starters > 0);
        let for_minimum = if keeps_warm {
            self.least(config).saturating_sub(self.in_service() + fresh)
        } else {
            0
        };
        let missing = for_waiters.max(for_minimum);
        // While the server does not answer, one opening at a time probes it.
        if missing > 0 && self.openings.are_in_trouble() {
            missing.min(1_usize.saturating_sub(fresh))
        } else {
            missing
        }
    }

    /// Returns how many openings waiters would make use of, whether there is room for them or not.
    pub(super) fn openings_wanted_by_waiters(&self) -> usize {
        if self.suspended {
            0
        } else {
            let on_their_way = self.openings_on_their_way();
            self.waiters.wanted().saturating_sub(on_their_way)
        }
    }

    /// How many openings count as on their way: those that are not overdue. In a family whose places others want, an
    /// overdue one counts too, or a key whose server hangs would take several of them.
    fn openings_on_their_way(&self) -> usize {
        let fresh = self.openings.fresh();
        let is_contended = || { self.family.as_ref() }.is_some_and(Membership::others_want);
        if fresh < self.opening && is_contended() {
            self.opening
        } else {
            fresh
        }
    }

    /// How many values are to be open: a start verifies that one can be opened, whatever the minimum.
    pub(crate) fn least(&self, config: &Config) -> usize {
        config.min_size.max(usize::from(self.starters > 0))
    }

    /// Returns `true` if an opening is due and no place is free, but one would be if an overdue opening gave way.
    pub(crate) fn wants_place(&self, config: &Config) -> bool {
        self.phase == Phase::Open
            && self.openings.can_give_way()
            && self.openings_due(config) == 0
            && self.openings_missing(config) > 0
    }

    /// Returns `true` if the pace lets an opening begin by now.
    pub(crate) fn may_open(&self, now: Option<Instant>) -> bool {
        self.openings.may_begin(now, self.in_service() > 0)
    }

    /// When a driver of openings has something to do, if time decides: once the pace lets the next begin, if one is
    /// due, once an opening is overdue, or once more can be had in its family.
    pub(crate) fn opens_at(&self, is_paused: bool) -> Option<Instant> {
        let paced = self.openings.resumes_at(self.in_service() > 0);
        let overdue_at = self.openings.next_overdue_at();
        let next = paced.filter(|_| is_paused);
        let next = if is_paused {
            next
        } else {
            self.next_family_look()
        };
        next.into_iter().chain(overdue_at).min()
    }

    /// Whether no conclusion is to be drawn from anything: all that is wanted is on its way, or all slots
    /// are taken. The common case of a pool under load.
    #[inline]
    fn is_in_order(&self, config: &Config) -> bool {
        let serves = self.phase == Phase::Open
            && self.starters == 0
            && self.family.is_none()
            && self.openings.are_well();
        let is_full = self.size >= self.max_size
            || (self.waiters.wanted() <= self.opening
                && self.in_service() + self.opening >= config.min_size);
        serves && is_full && self.graveyard.is_empty() && self.returned.is_empty()
    }

    /// Values that live and are not on their way out.
    pub(crate) fn in_service(&self) -> usize {
        self.size + self.beside() - self.opening - self.graveyard.len() - self.closing
    }

    /// How many more values there are, or will be, than the maximum allows since it was lowered.
    pub(crate) fn surplus(&self) -> usize {
        (self.in_service() + self.opening).saturating_sub(self.max_size)
    }

    /// Values that nobody can have for now, because something is being done to them.
    fn in_care(&self) -> usize {
        self.checking + self.returned.len() + self.finishing
    }
}

impl<R: LocalResource, C: Clock> Shared<R, C> {
    /// Takes as many idle values as are wanted, or joins the queue.
    pub(crate) fn enter(
        &self,
        waker: core::task::Waker,
        request: Request,
        may_respawn: bool,
    ) -> Result<Entry<R::Value>, Box<AcquireError>> {
        let Request {
            wanted,
            end,
            at,
            failed,
        } = request;
        let mut wakes = Wakes::default();
        let mut waker = Some(waker);
        let now = self.family_time();
        let entry = self.queue.with(|queue| {
            queue.tell_time(now);
            if queue.phase != Phase::Open {
                let pool = self.reporter.name.clone();
                return Err(Box::new(AcquireError::Closed { pool }));
            }
            if wanted as usize > queue.max_size {
                return Err(self.too_many(wanted, queue.max_size));
            }
            if may_respawn && queue.runner.claim_respawn() {
                return Ok(Entry::RunnerLost);
            }
            // Else none that began before it came can fail while it waits.
            if at.is_none() && !queue.openings.are_at_rest() {
                return Ok(Entry::TimeWanted);
            }
            if !queue.warm {
                queue.warm = true;
            }
            let mut missing = wanted;
            if queue.waiters.waiting() == 0 && !queue.suspended {
                while let Some(slot) = self.take_with_nobody_waiting(queue) {
                    if wanted == 1 {
                        queue.lent += 1;
                        return Ok(Entry::Taken(Handed::One(slot)));
                    }
                    queue.gathered.push(slot);
                    missing -= 1;
                    if missing == 0 {
                        queue.lent += i64::from(wanted);
                        let gathered = core::mem::take(&mut queue.gathered);
                        return Ok(Entry::Taken(Handed::Many(gathered)));
                    }
                }
            } else if end == End::Back && self.is_full(queue) {
                return Err(Box::new(AcquireError::QueueFull {
                    pool: self.reporter.name.clone(),
                    status: Box::new(self.status_under_lock(queue)),
                }));
            }
            let failed = failed.unwrap_or(queue.openings.failed_attempts());
            let since = Since {
                at: at.unwrap_or_default(),
                failed,
            };
            let place = self.join(queue, waker.take(), missing, end, since, &mut wakes);
            queue.openings.retry_without_clock();
            self.poke(queue, &mut wakes);
            let driven = queue.runner.is_attached();
            Ok(Entry::Waits {
                place,
                driven,
                failed,
            })
        });
        self.wake(wakes);
        entry
    }

    #[cold]
    pub(crate) fn too_many(&self, wanted: u32, max_size: usize) -> Box<AcquireError> {
        Box::new(AcquireError::TooMany {
            pool: self.reporter.name.clone(),
            wanted: wanted as usize,
            max_size,
        })
    }

    /// What a caller is told that wants more values than any pool can hold.
    #[cold]
    pub(crate) fn refuse_uncountable(&self, wanted: usize) -> AcquireError {
        let pool = self.reporter.name.clone();
        self.queue.with(|queue| match queue.phase {
            Phase::Open => AcquireError::TooMany {
                pool,
                wanted,
                max_size: queue.max_size.min(u32::MAX as usize),
            },
            Phase::Draining | Phase::Closed => AcquireError::Closed { pool },
        })
    }

    fn take_with_nobody_waiting(&self, queue: &mut Queue<R::Value>) -> Option<Slot<R::Value>> {
        if queue.gated {
            return self.stacks.take_behind_gates();
        }
        let slot = self.stacks.gate_or_take();
        queue.gated = slot.is_none();
        slot
    }

    fn is_full(&self, queue: &Queue<R::Value>) -> bool {
        let most = self.config.max_waiters;
        most.is_some_and(|most| queue.waiters.waiting() >= most)
    }

    fn join(
        &self,
        queue: &mut Queue<R::Value>,
        waker: Option<core::task::Waker>,
        missing: u32,
        end: End,
        since: Since,
        wakes: &mut Wakes,
    ) -> Place {
        if end == End::Back || queue.waiters.waiting() == 0 {
            let place = queue.waiters.join(waker, missing, end, since);
            self.settle_gates(queue);
            return place;
        }
        // What was gathered for the one who was first is for the one who comes before it.
        let gathered = core::mem::take(&mut queue.gathered);
        queue.waiters.first_lost(gathered.len() as u32);
        let place = queue.waiters.join(waker, missing, end, since);
        self.give_each(queue, gathered, wakes);
        place
    }

    /// Draws the conclusions from any change: whether all is closed, whether hope is gone, and who
    /// drives the work there is: the Runner, else whoever awaits a shutdown or a start, else those who
    /// wait.
    #[inline]
    pub(crate) fn poke(&self, queue: &mut Queue<R::Value>, wakes: &mut Wakes) {
        if !queue.is_in_order(&self.config) {
            self.draw_conclusions(queue, wakes);
        }
    }

    #[cold]
    fn draw_conclusions(&self, queue: &mut Queue<R::Value>, wakes: &mut Wakes) {
        self.finish_if_drained(queue);
        self.tell_without_hope(queue, wakes);
        self.settle_family(queue, wakes);
        if queue.phase != Phase::Open || queue.starters > 0 {
            wakes.signal();
        }
        let work = queue.openings_due(&self.config)
            + usize::from(queue.wants_place(&self.config))
            + queue.graveyard.len()
            + queue.returned.len();
        if queue.runner.is_attached() {
            if work > 0 || queue.phase != Phase::Open {
                wakes.push(queue.runner.take_waker());
            }
        } else if work > 0 {
            queue.waiters.wake_idlers(work, |waker| wakes.push(waker));
        }
    }

    pub(crate) fn audit(&self) -> Audit {
        self.queue.with(|queue| self.audit_under_lock(queue))
    }

    pub(crate) fn audit_under_lock(&self, queue: &Queue<R::Value>) -> Audit {
        let (idle, lent) = self.stacks.count();
        let in_use = lent + queue.lent + queue.gathered.len() as i64;
        Audit {
            idle: idle as u64,
            // A value that is lost would make this negative one day: show it, do not wrap.
            in_use: u64::try_from(in_use).unwrap_or(u64::MAX),
            checking: queue.in_care() as u64,
            closing: (queue.graveyard.len() + queue.closing) as u64,
            ..queue.ledger.tally.audit()
        }
    }

    pub(crate) fn status(&self) -> Status {
        self.queue.with(|queue| self.status_under_lock(queue))
    }

    pub(crate) fn status_under_lock(&self, queue: &Queue<R::Value>) -> Status {
        let audit = self.audit_under_lock(queue);
        Status {
            max_size: queue.max_size,
            size: queue.size + queue.beside(),
            idle: audit.idle as usize,
            in_use: audit.in_use as usize,
            waiting: queue.waiters.waiting(),
            opening: queue.opening - queue.finishing,
            checking: queue.in_care(),
            closing: queue.graveyard.len() + queue.closing,
            audit,
        }
    }

    /// Wakes all who were found under the lock. Outside it.
    #[inline(always)]
    pub(crate) fn wake(&self, wakes: Wakes) {
        if wakes.is_empty() {
            // It holds nothing, and to find that out again would cost a call.
            core::mem::forget(wakes);
        } else {
            self.wake_some(wakes);
        }
    }

    #[inline(never)]
    fn wake_some(&self, wakes: Wakes) {
        let errands = wakes.have_errands();
        self.wake_without_errands(wakes);
        if let (true, Some(quota)) = (errands, &self.quota) {
            run_errands(quota);
        }
    }

    /// Wakes and drops what was collected, and leaves errands to the caller. Within an errand, the loop that runs it runs
    /// those that follow as well: nested, they would be as deep as the family is large.
    pub(super) fn wake_without_errands(&self, wakes: Wakes) {
        if let Err(message) = wakes.wake(&self.changed) {
            self.tell_of_waker(message);
        }
    }

    #[cold]
    fn tell_of_waker(&self, message: String) {
        self.reporter.swallowed(&self.clock, "waker", message);
    }

    pub(crate) fn now(&self) -> Option<Instant> {
        self.clock.try_now()
    }

    pub(crate) fn has_handles(&self) -> bool {
        self.handles.load(Ordering::Acquire) > 0
    }
}

impl<R: LocalResource, C: Clock> Drop for Shared<R, C> {
    /// Neither a Runner nor a handle nor a lease is left: nothing can await a close any more.
    fn drop(&mut self) {
        let mut left = self.stacks.take_all();
        let mut wakes = Wakes::default();
        let mut corpses = self.queue.with(|queue| {
            left.extend(queue.returned.drain(..));
            let places = core::mem::take(&mut queue.size);
            if let Some(family) = &mut queue.family {
                family.end(places, queue.allowance, &mut wakes);
            }
            core::mem::take(&mut queue.graveyard)
        });
        self.wake(wakes);
        let why = Why::HandlesDropped;
        corpses.extend(left.drain(..).map(|slot| Corpse {
            value: slot.value,
            why,
        }));
        for corpse in corpses {
            abandon_value(&self.resource, &self.clock, &self.reporter, corpse);
        }
    }
}

impl<R: LocalResource, C: Clock> core::fmt::Debug for Shared<R, C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Pool")
            .field("name", &self.reporter.name)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}
