//! What all handles, watchers and the Runner of one managed resource share.

use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use core::time::Duration;

use super::config::ManagedConfig;
use super::error::RevokedFor;
use super::openings::ManagedOpenings;
use super::revocation::{EndOfCalls, Revocation};
use super::watch::WatchHistory;
use crate::cause::{Cause, Panicked};
use crate::cleanup::Audit;
use crate::drive::{Attachment, Closer, SpawnRunner, Wakes};
use crate::ending::Why;
use crate::event::EventKind;
use crate::held::HeldResource;
use crate::random::Random;
use crate::reporter::Reporter;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::signal::Signal;
use crate::state::{Action, Event, Machine, State};
use crate::sync::{self, Arc, AtomicUsize, Lock};
use crate::time::Instant;

pub(crate) type SpawnManagedRunner<R, C> = SpawnRunner<ManagedShared<R, C>>;

pub(crate) struct ManagedShared<R: LocalResource, C: Clock> {
    pub(crate) resource: HeldResource<R>,
    /// `Clone::clone` of the value, for places that do not know it can be cloned.
    pub(crate) clone_value: fn(&R::Value) -> R::Value,
    /// Spawns a Runner, where `build` was told how.
    pub(crate) spawn_runner: Option<SpawnRunner<Self>>,
    pub(crate) clock: C,
    pub(crate) config: ManagedConfig,
    pub(crate) reporter: Reporter,
    pub(crate) cell: Lock<ManagedCell<R::Value>>,
    pub(crate) random: Lock<Random>,
    /// How many `Managed` handles there are. Watchers do not count.
    pub(crate) handles: AtomicUsize,
    /// Tells everybody who waits, for whatever, that something changed.
    pub(crate) changed: Signal,
}

/// All that the lock guards.
pub(crate) struct ManagedCell<V> {
    pub(crate) machine: Machine,
    pub(crate) history: WatchHistory,
    pub(crate) current: Option<ManagedValue<V>>,
    /// Values out of use whose calls have not ended.
    pub(crate) retired: Vec<(ManagedValue<V>, Why)>,
    pub(crate) closer: Closer<Arc<V>>,
    /// What a shutdown closes values for.
    pub(crate) close_why: Why,
    pub(crate) flight: Flight,
    /// How many tasks wait for an opening.
    pub(crate) waiting: usize,
    /// How many callers of `reconnect` have not returned.
    pub(crate) reconnecting: usize,
    pub(crate) openings: ManagedOpenings,
    pub(crate) last_error: Option<Cause>,
    pub(crate) runner: Attachment,
    /// `true` once a Runner was attached.
    pub(crate) had_runner: bool,
    /// Whether the Runner keeps the value open by itself.
    pub(crate) kept_open: bool,
    /// The generation whose value is under a scheduled check.
    pub(crate) checking: Option<u64>,
    pub(crate) check_at: Option<Instant>,
    pub(crate) recover_at: Option<Instant>,
}

/// A value, and the calls that use it.
#[derive(Debug)]
pub(crate) struct ManagedValue<V> {
    pub(crate) value: Arc<V>,
    pub(crate) generation: u64,
    pub(crate) calls: usize,
    pub(crate) used_at: Option<Instant>,
    pub(crate) revocation: Arc<Revocation>,
    pub(crate) suspicion: ManagedSuspicion,
}

/// Whether a value that one call found broken is checked for the sake of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ManagedSuspicion {
    None,
    /// It is to be checked.
    Due,
    UnderCheck,
}

/// The one opening there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flight {
    None,
    /// Wanted, and nobody drives it.
    Due,
    UnderWay,
}

/// What was found under the lock and is done outside it.
#[derive(Default)]
#[must_use = "whoever waits sleeps on until they are applied"]
pub(crate) struct ManagedEffects {
    pub(crate) wakes: Wakes,
    /// Values whose calls are to end.
    pub(crate) revoked: Vec<(Arc<Revocation>, RevokedFor)>,
    moves: Vec<(State, State, u64)>,
}

impl ManagedEffects {
    /// The calls on this value end after the grace period.
    pub(crate) fn found_dead<V>(&mut self, held: &ManagedValue<V>) {
        let revocation = held.revocation.clone();
        self.revoked.push((revocation, RevokedFor::FoundDead));
    }
}

impl<V> ManagedCell<V> {
    pub(crate) fn new(machine: Machine, kept_open: bool, proven_after: Option<Duration>) -> Self {
        Self {
            machine,
            history: WatchHistory::default(),
            current: None,
            retired: Vec::new(),
            closer: Closer::default(),
            close_why: Why::Shutdown,
            flight: Flight::None,
            waiting: 0,
            reconnecting: 0,
            openings: ManagedOpenings::new(proven_after),
            last_error: None,
            runner: Attachment::Absent,
            had_runner: false,
            kept_open,
            checking: None,
            check_at: None,
            recover_at: None,
        }
    }

    pub(crate) fn state(&self) -> State {
        self.machine.state()
    }

    pub(crate) fn is_closing(&self) -> bool {
        matches!(self.state(), State::Closing | State::Closed)
    }

    /// Whether the current value is under a scheduled check.
    pub(crate) fn is_checking(&self) -> bool {
        self.checking.is_some()
            && self.checking == self.current.as_ref().map(|held| held.generation)
    }

    /// Lets the machine take an event and does what it says.
    pub(crate) fn step(
        &mut self,
        event: Event,
        now: Option<Instant>,
        effects: &mut ManagedEffects,
    ) -> Action {
        let why = match event {
            Event::CheckFailed { .. } => Why::CheckFailed,
            _ => Why::Broken,
        };
        self.step_because(why, event, now, effects)
    }

    /// Like [`step`](ManagedCell::step); a value that is retired by it, and not by a shutdown, is closed for `why`.
    pub(crate) fn step_because(
        &mut self,
        why: Why,
        event: Event,
        now: Option<Instant>,
        effects: &mut ManagedEffects,
    ) -> Action {
        let change = self.machine.step(event, now);
        if let Some((from, to)) = change.moved {
            let number = self.machine.changes();
            self.history.push(from, to, number, now);
            effects.moves.push((from, to, number));
            if from.is_usable() && !to.is_usable() {
                self.openings.value_lost(now);
            }
            effects.wakes.signal();
            if to == State::Closed {
                // A Runner with nothing to do sleeps without a timer: it ends only if it is told.
                effects.wakes.push(self.runner.take_waker());
            }
        }
        match change.action {
            Action::Open { .. } => {
                self.flight = Flight::Due;
                self.kept_open = true;
                self.recover_at = None;
                effects.wakes.push(self.runner.take_waker());
                effects.wakes.signal();
            }
            Action::Retire => {
                self.recover_at = now;
                self.retire(why, effects);
            }
            Action::Close => {
                self.recover_at = None;
                self.retire(self.close_why, effects);
            }
            Action::None | Action::Keep | Action::CloseLate | Action::Refuse => {}
        }
        change.action
    }

    /// Takes the current value out of use: it is closed once the calls on it have ended.
    fn retire(&mut self, why: Why, effects: &mut ManagedEffects) {
        self.check_at = None;
        if let Some(held) = self.current.take() {
            if why == Why::CheckFailed && held.calls > 0 {
                effects.found_dead(&held);
            }
            self.retired.push((held, why));
        }
        self.queue_unused_for_closing(effects);
    }

    /// Sends those retired values to be closed that no call uses any more.
    pub(crate) fn queue_unused_for_closing(&mut self, effects: &mut ManagedEffects) {
        let mut index = 0;
        while index < self.retired.len() {
            if self.retired[index].0.calls == 0 {
                let (held, why) = self.retired.remove(index);
                self.closer.retire(held.value, why);
            } else {
                index += 1;
            }
        }
        effects.wakes.push(self.runner.take_waker());
        effects.wakes.signal();
    }

    /// Closes for good once nothing is left to close.
    pub(crate) fn finish_if_drained(&mut self, now: Option<Instant>, effects: &mut ManagedEffects) {
        let drained = self.current.is_none()
            && self.retired.is_empty()
            && self.closer.is_empty()
            && self.flight != Flight::UnderWay;
        if drained && self.state() == State::Closing {
            self.step(Event::CloseEnded, now, effects);
        }
    }

    /// The value of this generation, wherever it is.
    pub(crate) fn held(&mut self, generation: u64) -> Option<&mut ManagedValue<V>> {
        let retired = self.retired.iter_mut().map(|(held, _)| held);
        self.current
            .iter_mut()
            .chain(retired)
            .find(|held| held.generation == generation)
    }

    /// One call has found the value of this generation broken. The Runner checks it if other calls still use it.
    pub(crate) fn suspect(&mut self, generation: u64, effects: &mut ManagedEffects) {
        let suspected = self.retired_by(generation);
        if let Some(held) = suspected.filter(|held| held.calls > 0) {
            if held.suspicion == ManagedSuspicion::None {
                held.suspicion = ManagedSuspicion::Due;
                effects.wakes.push(self.runner.take_waker());
            }
        }
    }

    /// The check of a suspected value has ended.
    pub(crate) fn settle_suspicion(
        &mut self,
        generation: u64,
        is_dead: bool,
        effects: &mut ManagedEffects,
    ) {
        if let Some(held) = self.retired_by(generation) {
            held.suspicion = ManagedSuspicion::None;
            if is_dead {
                effects.found_dead(held);
            }
        }
    }

    /// The check of a suspected value was dropped, unless it has ended: another is due.
    pub(crate) fn suspect_again(&mut self, generation: u64, effects: &mut ManagedEffects) {
        if let Some(held) = self.retired_by(generation) {
            if held.suspicion == ManagedSuspicion::UnderCheck {
                held.suspicion = ManagedSuspicion::Due;
                effects.wakes.push(self.runner.take_waker());
            }
        }
    }

    fn retired_by(&mut self, generation: u64) -> Option<&mut ManagedValue<V>> {
        let mut retired = self.retired.iter_mut().map(|(held, _)| held);
        retired.find(|held| held.generation == generation)
    }

    pub(crate) fn audit(&self) -> Audit {
        Audit {
            idle: u64::from(self.current.as_ref().is_some_and(|held| held.calls == 0)),
            in_use: u64::from(self.current.as_ref().is_some_and(|held| held.calls > 0))
                + self.retired.len() as u64,
            ..self.closer.audit()
        }
    }
}

impl<R: LocalResource, C: Clock> ManagedShared<R, C> {
    /// Runs `change` under the lock, then does outside it what it found.
    pub(crate) fn with<U>(
        &self,
        change: impl FnOnce(&mut ManagedCell<R::Value>, &mut ManagedEffects) -> U,
    ) -> U {
        self.change_and_tell(change, |output| output)
    }

    /// The same, and tells of it before what follows from it is told, and before anybody is woken.
    pub(crate) fn change_and_tell<T, U>(
        &self,
        change: impl FnOnce(&mut ManagedCell<R::Value>, &mut ManagedEffects) -> T,
        tell: impl FnOnce(T) -> U,
    ) -> U {
        let mut effects = ManagedEffects::default();
        let output = self.cell.with(|cell| change(cell, &mut effects));
        for (revocation, why) in effects.revoked {
            self.revoke(&revocation, why);
        }
        let told = tell(output);
        for (from, to, number) in effects.moves {
            self.reporter
                .send(&self.clock, EventKind::Transition { from, to, number });
        }
        if let Err(message) = effects.wakes.wake(&self.changed) {
            self.reporter.swallowed(&self.clock, "waker", message);
        }
        told
    }

    #[cold]
    fn revoke(&self, revocation: &Revocation, why: RevokedFor) {
        let grace = match (why, self.config.call_grace) {
            (RevokedFor::Shutdown, _) => None,
            (RevokedFor::FoundDead, None) => return,
            (RevokedFor::FoundDead, grace) => grace,
        };
        let ends_at = grace.zip(self.now()).map(|(grace, now)| now + grace);
        revocation.revoke(EndOfCalls { why, ends_at });
    }

    /// The value by itself: taken out of its share, or cloned if somebody else holds one.
    pub(crate) fn unshare(&self, value: Arc<R::Value>) -> Result<R::Value, Cause> {
        Arc::try_unwrap(value).or_else(|value| {
            sync::contain(|| (self.clone_value)(&value))
                .map_err(|message| Cause::new(Panicked::new(message)))
        })
    }

    pub(crate) fn now(&self) -> Option<Instant> {
        self.clock.try_now()
    }

    pub(crate) fn has_handles(&self) -> bool {
        self.handles.load(Ordering::Acquire) > 0
    }

    /// `interval` less up to a tenth, so that resources that were built together drift apart.
    pub(crate) fn jittered(&self, interval: Duration) -> Duration {
        let most = crate::time::nanos(interval) / 10;
        let early = self.random.with(|random| random.below_or_equal(most));
        interval.saturating_sub(Duration::from_nanos(early))
    }
}

impl<R: LocalResource, C: Clock> core::fmt::Debug for ManagedShared<R, C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Managed")
            .field("name", &self.reporter.name)
            .field("state", &self.cell.with(|cell| cell.state()))
            .finish_non_exhaustive()
    }
}
