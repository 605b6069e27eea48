//! What all handles, leases and the Runner of one pool share, and the hand-off of values.

use core::sync::atomic::Ordering;

use super::builder::Config;
use super::error::AcquireError;
use super::openings::Openings;
use super::queue::{Place, WaitQueue};
use super::slot::Slot;
use super::stack::Stacks;
use super::status::Status;
use crate::Instant;
use crate::cleanup::{Audit, Corpse, Ending, Ledger, Why, abandon_value};
use crate::event::{EventKind, Reporter};
use crate::random::Random;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::sync::{AtomicUsize, Lock, Signal};
use crate::work::{Attachment, Wakes};

/// The pool itself.
///
/// A value is always in exactly one place: idle in a stack, handed over in the queue, in a lease,
/// under a check, in the graveyard, or being closed. Each place is counted where it is.
pub(crate) struct Shared<R: LocalResource, C: Clock> {
    pub(crate) resource: R,
    pub(crate) clock: C,
    pub(crate) config: Config,
    pub(crate) reporter: Reporter,
    pub(crate) stacks: Stacks<R::Value>,
    pub(crate) queue: Lock<Queue<R::Value>>,
    pub(crate) random: Lock<Random>,
    /// How many `Pool` handles there are. Leases do not count.
    pub(crate) handles: AtomicUsize,
    /// Tells whoever awaits a shutdown or a start that something changed.
    pub(crate) changed: Signal,
}

/// What a waiter gets.
pub(crate) type Answer<V> = Result<Slot<V>, AcquireError>;

/// All that the queue's lock guards.
pub(crate) struct Queue<V> {
    pub(crate) waiters: WaitQueue<Answer<V>>,
    gated: bool,
    pub(crate) phase: Phase,
    pub(crate) runner: Attachment,
    /// Slots taken: by every live value, and by every opening under way.
    pub(crate) size: usize,
    pub(crate) opening: usize,
    pub(crate) openings: Openings,
    /// Whether the minimum is to be kept open.
    pub(crate) warm: bool,
    /// How many tasks await a start, and so drive openings.
    pub(crate) starters: usize,
    /// Values in the cells of waiters who have not taken them yet.
    handed: usize,
    /// Leases given out through the queue, less those that came back through it.
    lent: i64,
    pub(crate) checking: usize,
    pub(crate) graveyard: alloc::collections::VecDeque<Corpse<V>>,
    pub(crate) closing: usize,
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

/// What somebody who wants a value finds.
pub(crate) enum Entry<V> {
    Taken(Slot<V>),
    Waits(Place),
}

impl<V> Queue<V> {
    pub(crate) fn new(openings: Openings, warm: bool) -> Self {
        Self {
            waiters: WaitQueue::new(),
            gated: false,
            phase: Phase::Open,
            runner: Attachment::Absent,
            size: 0,
            opening: 0,
            openings,
            warm,
            starters: 0,
            handed: 0,
            lent: 0,
            checking: 0,
            graveyard: alloc::collections::VecDeque::new(),
            closing: 0,
            era: 0,
            ledger: Ledger::default(),
        }
    }

    /// How many openings should begin, apart from any pause after a failure.
    ///
    /// Derived, not counted: serving a waiter or losing one lowers it by itself, so that a spike of
    /// waiters opens no more than it needs.
    pub(crate) fn openings_due(&self, config: &Config) -> usize {
        if self.phase != Phase::Open {
            return 0;
        }
        let for_waiters = self.waiters.waiting().saturating_sub(self.opening);
        let keeps_warm = self.warm && (self.runner.is_attached() || self.starters > 0);
        let for_minimum = if keeps_warm {
            config
                .min_size
                .saturating_sub(self.in_service() + self.opening)
        } else {
            0
        };
        let room = config.max_size.saturating_sub(self.size);
        let due = for_waiters.max(for_minimum).min(room);
        // While the backend fails, one opening at a time probes it.
        if self.openings.are_failing() {
            due.min(1_usize.saturating_sub(self.opening))
        } else {
            due
        }
    }

    /// Values that live and are not on their way out.
    pub(crate) fn in_service(&self) -> usize {
        self.size - self.opening - self.graveyard.len() - self.closing
    }
}

impl<R: LocalResource, C: Clock> Shared<R, C> {
    /// Takes an idle value, or joins the queue.
    pub(crate) fn enter(&self, waker: core::task::Waker) -> Result<Entry<R::Value>, AcquireError> {
        let mut wakes = Wakes::default();
        let mut waker = Some(waker);
        let entry = self.queue.with(|queue| {
            if queue.phase != Phase::Open {
                let pool = self.reporter.name.clone();
                return Err(AcquireError::Closed { pool });
            }
            queue.warm = true;
            if !queue.gated {
                if let Some(slot) = self.stacks.gate_or_take() {
                    queue.lent += 1;
                    return Ok(Entry::Taken(slot));
                }
                queue.gated = true;
            }
            let place = queue.waiters.join(waker.take());
            queue.openings.asked_again();
            self.poke(queue, &mut wakes);
            Ok(Entry::Waits(place))
        });
        self.wake(wakes);
        entry
    }

    /// Takes an idle value without joining the queue, past a lowered gate only.
    pub(crate) fn take_idle(&self) -> Option<Slot<R::Value>> {
        self.stacks.take()
    }

    /// Takes note that a waiter has taken the value it was handed.
    pub(crate) fn handed_value_taken(&self, queue: &mut Queue<R::Value>) {
        queue.handed -= 1;
        queue.lent += 1;
    }

    /// A waiter leaves before it took its answer: what it had been handed goes to the next.
    pub(crate) fn leave(&self, place: Place) {
        let mut wakes = Wakes::default();
        let refused = self.queue.with(|queue| {
            let (answer, waker) = queue.waiters.leave(place);
            wakes.drop_waker(waker);
            let refused = match answer {
                Some(Ok(slot)) => {
                    queue.handed -= 1;
                    self.give(queue, slot, &mut wakes);
                    None
                }
                Some(Err(error)) => Some(error),
                None => None,
            };
            self.lower_gates_if_nobody_waits(queue);
            self.poke(queue, &mut wakes);
            refused
        });
        drop(refused);
        self.wake(wakes);
    }

    /// Takes back a lent value that is good.
    #[inline]
    pub(crate) fn release(&self, slot: Slot<R::Value>) {
        if let Err(slot) = self.stacks.put_back(slot) {
            self.release_through_queue(slot);
        }
    }

    #[cold]
    fn release_through_queue(&self, slot: Slot<R::Value>) {
        let mut wakes = Wakes::default();
        self.queue.with(|queue| {
            queue.lent -= 1;
            self.give(queue, slot, &mut wakes);
            self.poke(queue, &mut wakes);
        });
        self.wake(wakes);
    }

    /// Hands a value that nobody holds to the first waiter, or lays it idle, or buries it.
    pub(crate) fn give(
        &self,
        queue: &mut Queue<R::Value>,
        slot: Slot<R::Value>,
        wakes: &mut Wakes,
    ) {
        self.hand_over(queue, slot, wakes, Stacks::add);
    }

    /// The same for a value whose idleness nobody has interrupted: it is used last of all.
    pub(crate) fn give_back_idle(
        &self,
        queue: &mut Queue<R::Value>,
        slot: Slot<R::Value>,
        wakes: &mut Wakes,
    ) {
        self.hand_over(queue, slot, wakes, Stacks::add_last);
    }

    fn hand_over(
        &self,
        queue: &mut Queue<R::Value>,
        slot: Slot<R::Value>,
        wakes: &mut Wakes,
        lay_idle: impl FnOnce(&Stacks<R::Value>, Slot<R::Value>),
    ) {
        if queue.phase != Phase::Open {
            queue.graveyard.push_back(Corpse {
                value: slot.value,
                why: Why::Shutdown,
            });
            return;
        }
        match queue.waiters.answer_first(Ok(slot)) {
            Ok(waker) => {
                queue.handed += 1;
                wakes.push(waker);
                self.lower_gates_if_nobody_waits(queue);
            }
            Err(Ok(slot)) => {
                self.lower_gates_if_nobody_waits(queue);
                lay_idle(&self.stacks, slot);
            }
            Err(Err(_)) => unreachable!("the answer that comes back is the one that went in"),
        }
    }

    /// The gates of an open pool are up exactly while somebody waits.
    pub(crate) fn lower_gates_if_nobody_waits(&self, queue: &mut Queue<R::Value>) {
        if queue.gated && queue.waiters.waiting() == 0 && queue.phase == Phase::Open {
            self.stacks.lower_gates();
            queue.gated = false;
        }
    }

    /// Takes a lent value out of service, to be closed.
    pub(crate) fn bury(&self, value: R::Value, why: Why) {
        let mut wakes = Wakes::default();
        self.queue.with(|queue| {
            queue.lent -= 1;
            queue.graveyard.push_back(Corpse { value, why });
            queue.openings.retry_without_clock();
            self.poke(queue, &mut wakes);
        });
        self.wake(wakes);
    }

    /// A lent value leaves the pool for good, unclosed.
    pub(crate) fn detach(&self) {
        let mut wakes = Wakes::default();
        self.queue.with(|queue| {
            queue.lent -= 1;
            queue.size -= 1;
            wakes.drop_cause(queue.ledger.record(Ending::Detached, Why::Detached, None));
            queue.openings.retry_without_clock();
            self.poke(queue, &mut wakes);
        });
        self.wake(wakes);
        let (ending, why) = (Ending::Detached, Why::Detached);
        self.reporter.send(
            &self.clock,
            EventKind::Ended {
                ending,
                why,
                error: None,
            },
        );
    }

    /// Answers everyone who waits.
    pub(crate) fn refuse_all(
        &self,
        queue: &mut Queue<R::Value>,
        error: &AcquireError,
        wakes: &mut Wakes,
    ) {
        while let Ok(waker) = queue.waiters.answer_first(Err(error.clone())) {
            wakes.push(waker);
        }
        self.lower_gates_if_nobody_waits(queue);
    }

    /// Draws the conclusions from any change: whether all is closed, whether hope is gone, and who
    /// drives the work there is: the Runner, else whoever awaits a shutdown or a start, else those who
    /// wait.
    pub(crate) fn poke(&self, queue: &mut Queue<R::Value>, wakes: &mut Wakes) {
        self.finish_if_drained(queue);
        self.give_up_if_hopeless(queue, wakes);
        if queue.phase != Phase::Open || queue.starters > 0 {
            wakes.signal();
        }
        let work = queue.openings_due(&self.config) + queue.graveyard.len();
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
        let in_use = lent + queue.lent + queue.handed as i64;
        Audit {
            idle: idle as u64,
            // A value that is lost would make this negative one day: show it, do not wrap.
            in_use: u64::try_from(in_use).unwrap_or(u64::MAX),
            checking: queue.checking as u64,
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
            max_size: self.config.max_size,
            size: queue.size,
            idle: audit.idle as usize,
            in_use: audit.in_use as usize,
            waiting: queue.waiters.waiting(),
            opening: queue.opening,
            checking: queue.checking,
            closing: queue.graveyard.len() + queue.closing,
        }
    }

    /// Wakes all who were found under the lock. Outside it.
    pub(crate) fn wake(&self, wakes: Wakes) {
        wakes.wake(&self.changed);
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
        let mut left = self.stacks.gate_and_drain();
        let mut corpses = self
            .queue
            .with(|queue| core::mem::take(&mut queue.graveyard));
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
