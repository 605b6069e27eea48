//! What is known of a connection beside its value: what became of each attempt and call.

use core::time::Duration;

use super::stats::{CallCounts, ConnectCounts, ConnectionStats};
use super::when_down::WhenDown;
use crate::cause::{Cause, Panicked};
use crate::event::{Event, EventKind, EventSink};
use crate::sink::Sink;
use crate::state::State;
use crate::sync::Lock;
use crate::time::Instant;
use crate::timeout::Elapsed;

pub(crate) struct Link {
    pub(crate) address: crate::name::Name,
    pub(crate) when_down: WhenDown,
    /// So many calls in a row that fail without being connection errors make the connection degraded.
    doubt_after: Option<u32>,
    /// So many attempts in a row that time out make it reconnect.
    reconnect_after_timeouts: Option<u32>,
    facts: Lock<Facts>,
    /// The user's sink, which is told everything after this one.
    sink: Option<Sink>,
}

#[derive(Debug, Default)]
struct Facts {
    connects: ConnectCounts,
    calls: CallCounts,
    /// Attempts under way, which were counted as begun.
    attempting: u64,
    was_connected: bool,
    doubts: Doubts,
    /// Timeouts in a row, counted likewise.
    timeouts: Doubts,
    last_connect_at: Option<Instant>,
    last_success_at: Option<Instant>,
    last_failure_at: Option<Instant>,
    last_failure: Option<Cause>,
    is_up: bool,
    up_since: Option<Instant>,
    down_since: Option<Instant>,
    downtime: Duration,
    /// The number of the latest change of state that was seen.
    latest_change: u64,
}

impl Link {
    pub(crate) fn new(
        address: crate::name::Name,
        when_down: WhenDown,
        doubt_after: Option<u32>,
        reconnect_after_timeouts: Option<u32>,
        sink: Option<Sink>,
    ) -> Self {
        Self {
            address,
            when_down,
            doubt_after,
            reconnect_after_timeouts,
            facts: Lock::new(Facts::default()),
            sink,
        }
    }

    pub(crate) fn stats(&self, now: Option<Instant>) -> ConnectionStats {
        self.facts.with(|facts| {
            let since = |at: Option<Instant>| now.zip(at).map(|(now, at)| now - at);
            ConnectionStats {
                connects: ConnectCounts {
                    under_way: facts.attempting,
                    ..facts.connects
                },
                calls: facts.calls,
                last_connect_at: facts.last_connect_at,
                last_success_at: facts.last_success_at,
                last_failure_at: facts.last_failure_at,
                last_failure: facts.last_failure.clone(),
                uptime: since(facts.up_since),
                downtime: facts.downtime + since(facts.down_since).unwrap_or_default(),
            }
        })
    }

    /// A call begins. What is returned has to be told how it ends.
    pub(crate) fn call_began(&self) {
        self.facts.with(|facts| {
            facts.calls.begun += 1;
            facts.calls.in_flight += 1;
        });
    }

    pub(crate) fn call_ended(&self, ending: CallEnding) {
        self.facts.with(|facts| {
            facts.calls.in_flight -= 1;
            match ending {
                CallEnding::Succeeded => facts.calls.succeeded += 1,
                CallEnding::Failed => facts.calls.failed += 1,
                CallEnding::Cancelled => facts.calls.cancelled += 1,
            }
        });
    }

    pub(crate) fn call_retried(&self) {
        self.facts.with(|facts| facts.calls.retries += 1);
    }

    /// An operation has succeeded, on the connection that this opening gave: it works.
    pub(crate) fn operation_succeeded(&self, generation: u64, now: Option<Instant>) {
        self.facts.with(|facts| {
            if let Some(doubts) = facts.doubts.on(generation) {
                *doubts = 0;
            }
            if let Some(timeouts) = facts.timeouts.on(generation) {
                *timeouts = 0;
            }
            facts.last_success_at = now.or(facts.last_success_at);
        });
    }

    /// An operation has failed on the connection that this opening gave, and not because of it. Says whether there were
    /// too many of these in a row.
    pub(crate) fn operation_failed(&self, generation: u64, now: Option<Instant>) -> bool {
        self.facts.with(|facts| {
            facts.last_failure_at = now.or(facts.last_failure_at);
            let Some(doubts) = facts.doubts.on(generation) else {
                return false;
            };
            *doubts = doubts.saturating_add(1);
            self.doubt_after.is_some_and(|most| *doubts >= most)
        })
    }

    /// The connection has failed an operation.
    pub(crate) fn connection_failed(&self, now: Option<Instant>) {
        self.facts
            .with(|facts| facts.last_failure_at = now.or(facts.last_failure_at));
    }

    /// What a call said that failed, and when, unless that was noted.
    pub(crate) fn failed_with(&self, cause: &Cause, at: Option<Instant>) {
        let forgotten = self.facts.with(|facts| {
            facts.last_failure_at = at.or(facts.last_failure_at);
            facts.last_failure.replace(cause.clone())
        });
        drop(forgotten);
    }

    /// An attempt of a call was cut off, on the connection that this opening gave, or while it waited for one. Returns
    /// `true` if that were too many in a row on one connection.
    pub(crate) fn timed_out(&self, runs_on: Option<u64>) -> bool {
        self.facts.with(|facts| {
            facts.calls.timeouts += 1;
            let Some(row) = runs_on.and_then(|generation| facts.timeouts.on(generation)) else {
                return false;
            };
            *row = row.saturating_add(1);
            self.reconnect_after_timeouts
                .is_some_and(|most| *row >= most)
        })
    }

    fn opened(&self, at: Option<Instant>) {
        self.facts.with(|facts| {
            facts.attempting = facts.attempting.saturating_sub(1);
            facts.connects.succeeded += 1;
            facts.connects.reconnects += u64::from(facts.was_connected);
            facts.was_connected = true;
            facts.last_connect_at = at;
            facts.last_success_at = at;
        });
    }

    fn open_failed(&self, at: Option<Instant>, error: &Cause) {
        // The search asks errors for their sources, which is user code: outside the lock.
        let timed_out = error.downcast_ref::<Elapsed>().is_some();
        let panicked = !timed_out && error.downcast_ref::<Panicked>().is_some();
        let forgotten = self.facts.with(|facts| {
            // One that was cut off before it began is no attempt.
            if facts.attempting > 0 {
                facts.attempting -= 1;
                let counts = &mut facts.connects;
                if timed_out {
                    counts.timed_out += 1;
                } else if panicked {
                    counts.panicked += 1;
                } else {
                    counts.refused += 1;
                }
            }
            facts.last_failure_at = at;
            facts.last_failure.replace(error.clone())
        });
        drop(forgotten);
    }

    fn changed(&self, from: State, to: State, number: u64, at: Option<Instant>) {
        self.facts.with(|facts| {
            if number <= facts.latest_change {
                return;
            }
            facts.latest_change = number;
            // What changed from there and is told by another thread may come too late.
            if facts.is_up && !(from.is_usable() && to.is_usable()) {
                facts.is_up = false;
                facts.up_since = None;
            }
            if to.is_usable() && !facts.is_up {
                facts.end_downtime(at);
                facts.is_up = true;
                facts.up_since = at;
            }
            // Before it was first wanted, and after its end, it is not down.
            if matches!(to, State::Initializing | State::Error) {
                facts.down_since = facts.down_since.or(at);
            } else if !to.is_usable() {
                facts.end_downtime(at);
            }
        });
    }
}

/// How many calls in a row have failed on one connection, and not because of it.
#[derive(Debug, Default)]
struct Doubts {
    generation: u64,
    calls: u32,
}

impl Doubts {
    /// Those about the connection that this opening gave. What is said late of an older one says nothing of the latest.
    fn on(&mut self, generation: u64) -> Option<&mut u32> {
        if generation > self.generation {
            *self = Self {
                generation,
                calls: 0,
            };
        }
        (generation == self.generation).then_some(&mut self.calls)
    }
}

impl Facts {
    /// It is not down any more, if it was.
    fn end_downtime(&mut self, at: Option<Instant>) {
        let down_for = at.zip(self.down_since.take()).map(|(at, since)| at - since);
        self.downtime += down_for.unwrap_or_default();
    }
}

impl EventSink for Link {
    fn event(&self, event: &Event<'_>) {
        match &event.kind {
            EventKind::Transition { from, to, number } => {
                self.changed(*from, *to, *number, event.at);
            }
            EventKind::OpenBegan { .. } => self.facts.with(|facts| {
                facts.attempting += 1;
                facts.connects.begun += 1;
            }),
            EventKind::Opened { .. } => self.opened(event.at),
            EventKind::OpenFailed { error, .. } => self.open_failed(event.at, error),
            EventKind::OpenCalledOff => self.facts.with(|facts| {
                if facts.attempting > 0 {
                    facts.attempting -= 1;
                    facts.connects.called_off += 1;
                }
            }),
            EventKind::CheckPassed => self
                .facts
                .with(|facts| facts.last_success_at = event.at.or(facts.last_success_at)),
            EventKind::CheckFailed { error } => {
                self.connection_failed(event.at);
                self.failed_with(error, None);
            }
            _ => {}
        }
        if let Some(sink) = &self.sink {
            sink.event(event);
        }
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallEnding {
    Succeeded,
    Failed,
    Cancelled,
}
