//! What others than checks know of the value.

use super::Managed;
use super::error::{OpenError, Unreachable};
use crate::Instant;
use crate::cause::Cause;
use crate::event::EventKind;
use crate::failure::OpenFailure;
use crate::resource::LocalResource;
use crate::retry::Retry;
use crate::runtime::Clock;
use crate::signal::Signal;
use crate::state::{Event, State};

impl<R: LocalResource, C: Clock> Managed<R, C> {
    /// The value is lost, if there is one: it is closed once no call uses it.
    pub(crate) fn lose(&self) {
        self.lose_if(|_| true);
    }

    /// The same, if it was opened before that. Says whether it was.
    pub(crate) fn lose_if_opened_before(&self, at: Instant) -> bool {
        self.lose_if(|opened_at| opened_at.is_some_and(|opened_at| opened_at < at))
    }

    fn lose_if(&self, is_meant: impl FnOnce(Option<Instant>) -> bool) -> bool {
        let now = self.shared.now();
        self.shared.with(|cell, effects| {
            let opened_at = cell.machine.initialized_at();
            let current = cell.current.as_ref().map(|held| held.generation);
            let Some(generation) = current.filter(|_| is_meant(opened_at)) else {
                return false;
            };
            cell.step(Event::ValueLost { generation }, now, effects);
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

    /// Why there is no value, as far as it is known.
    pub(crate) fn absence(&self) -> OpenError {
        let name = self.name().clone();
        let (failure, last_error) = self
            .shared
            .cell
            .with(|cell| (cell.failure.clone(), cell.last_error.clone()));
        let failure = match (failure, last_error) {
            (Some((_, failure)), _) => failure,
            (None, Some(cause)) => OpenFailure {
                attempts: 1,
                elapsed: None,
                stopped: None,
                cause,
            },
            (None, None) => return OpenError::Closed { name },
        };
        OpenError::Failed { name, failure }
    }

    pub(crate) fn signal(&self) -> &Signal {
        &self.shared.changed
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
