//! What others than checks know of the value: that it is lost, suspect or well, and opening it anew.

use super::Managed;
use super::error::Unreachable;
use super::open::wait_until_open;
use super::openings::Patience;
use super::shared::ManagedShared;
use crate::cause::Cause;
use crate::ending::Why;
use crate::event::EventKind;
use crate::opening::OpenError;
use crate::resource::LocalResource;
use crate::retry::Retry;
use crate::runtime::Clock;
use crate::state::{Event, State};
use crate::time::Instant;

/// The state, and when attempts to open are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ManagedStanding {
    pub(crate) state: State,
    /// Until when no attempt is made, while that is so.
    pub(crate) pausing_until: Option<Instant>,
    /// When the next attempt may begin, if one was made.
    pub(crate) next_at: Option<Instant>,
}

impl<R: LocalResource, C: Clock> ManagedShared<R, C> {
    pub(crate) fn standing(&self) -> ManagedStanding {
        self.cell.with(|cell| ManagedStanding {
            state: cell.state(),
            pausing_until: cell.openings.pausing_until(),
            next_at: cell.openings.next_at(),
        })
    }
}

/// A caller of `reconnect` that has not returned.
struct Reconnecting<'a, R: LocalResource, C: Clock> {
    shared: &'a ManagedShared<R, C>,
}

impl<'a, R: LocalResource, C: Clock> Reconnecting<'a, R, C> {
    fn begin(shared: &'a ManagedShared<R, C>) -> Self {
        let now = shared.now();
        shared.with(|cell, effects| {
            let is_joined = cell.reconnecting > 0 && !cell.openings.is_proven();
            cell.reconnecting += 1;
            let current = cell.current.as_ref().map(|held| held.generation);
            if let Some(generation) = current.filter(|_| !is_joined) {
                let lost = Event::ValueLost { generation };
                cell.step_because(Why::Replaced, lost, now, effects);
            }
        });
        Self { shared }
    }
}

impl<R: LocalResource, C: Clock> Drop for Reconnecting<'_, R, C> {
    fn drop(&mut self) {
        self.shared.cell.with(|cell| cell.reconnecting -= 1);
    }
}

impl<R: LocalResource, C: Clock> Managed<R, C> {
    /// The value is to be replaced, if there is one: it is closed once no call uses it.
    pub(crate) fn lose(&self) {
        self.lose_if(Why::Replaced, |_| true);
    }

    /// Replaces the value, and waits for the next. Callers at once cause one replacement: while one of them has not
    /// returned, the value that came meanwhile and has not proven itself is what the others want.
    pub(crate) async fn reconnect(&self) -> Result<(), OpenError>
    where
        R: LocalResource<Value: Clone>,
    {
        let _reconnecting = Reconnecting::begin(&self.shared);
        wait_until_open(&self.shared, None, Patience::AsBuilt)
            .await
            .map(|_| ())
    }

    /// The value that this opening gave is to be replaced, if it is still there.
    pub(crate) fn lose_generation(&self, generation: u64) {
        let (now, lost) = (self.shared.now(), Event::ValueLost { generation });
        self.shared.with(|cell, effects| {
            cell.step_because(Why::Replaced, lost, now, effects);
        });
    }

    /// The value is dead, if there is one: the calls on it end after the grace period.
    pub(crate) fn found_dead(&self) {
        let now = self.shared.now();
        self.shared.with(|cell, effects| {
            let Some(held) = &cell.current else {
                return;
            };
            let generation = held.generation;
            if held.calls > 0 {
                effects.found_dead(held);
            }
            cell.step(Event::ValueLost { generation }, now, effects);
        });
    }

    /// Replaces the value if it was opened before that. Returns `true` if it was.
    pub(crate) fn lose_if_opened_before(&self, at: Instant) -> bool {
        self.lose_if(Why::Replaced, |opened_at| {
            opened_at.is_some_and(|opened_at| opened_at < at)
        })
    }

    fn lose_if(&self, why: Why, is_meant: impl FnOnce(Option<Instant>) -> bool) -> bool {
        let now = self.shared.now();
        self.shared.with(|cell, effects| {
            let opened_at = cell.machine.initialized_at();
            let current = cell.current.as_ref().map(|held| held.generation);
            let Some(generation) = current.filter(|_| is_meant(opened_at)) else {
                return false;
            };
            cell.step_because(why, Event::ValueLost { generation }, now, effects);
            true
        })
    }

    /// Calls on the value of this opening fail. It is degraded for that, and not opened anew.
    pub(crate) fn doubt(&self, generation: u64) {
        let (now, doubted) = (self.shared.now(), Event::Doubted { generation });
        self.shared
            .with(|cell, effects| cell.step(doubted, now, effects));
    }

    /// A call has succeeded on the value of this opening. That is of interest, if it is degraded.
    pub(crate) fn trust(&self, generation: u64) {
        if self.state() == State::Degraded {
            let (now, trusted) = (self.shared.now(), Event::Trusted { generation });
            self.shared
                .with(|cell, effects| cell.step(trusted, now, effects));
        }
    }

    /// How the latest attempt to open failed, for a caller that does not wait.
    pub(crate) fn latest_failure(&self) -> Option<OpenError> {
        self.shared.latest_failure()
    }

    /// Opens the value like [`open`](Managed::open), for a caller of other patience.
    pub(crate) async fn open_with(&self, patience: Patience) -> Result<(), OpenError>
    where
        R: LocalResource<Value: Clone>,
    {
        wait_until_open(&self.shared, None, patience)
            .await
            .map(|_| ())
    }

    pub(crate) fn standing(&self) -> ManagedStanding {
        self.shared.standing()
    }

    /// The policy of calls that say nothing else.
    pub(crate) fn policy(&self) -> Retry {
        self.shared.config.retry
    }

    /// Tells the event sink of an error that has no caller.
    pub(crate) fn swallow(&self, phase: &'static str, error: &Cause) {
        let shared = &self.shared;
        let swallowed = EventKind::Swallowed { phase, error };
        shared.reporter.send(&shared.clock, swallowed);
    }

    pub(crate) fn clock(&self) -> &C {
        &self.shared.clock
    }

    /// Waits until there is a value, degraded or not.
    pub(crate) async fn wait_for_usable(&self) -> Result<(), Unreachable> {
        let mut watch = self.watch();
        loop {
            let state = self.state();
            if state.is_usable() {
                return Ok(());
            }
            if watch.changed().await.is_none() {
                return Err(Unreachable {
                    name: self.name().clone(),
                    wanted: State::Ready,
                    state,
                });
            }
        }
    }
}
