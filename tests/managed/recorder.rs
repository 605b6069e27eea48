//! Keeps the events of a resource, as they came.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tenure_core::{Ending, Event, EventKind, EventSink, Instant, State, Why};

/// An event that was kept.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) name: String,
    pub(crate) at: Option<Instant>,
    /// How it would stand in a log.
    pub(crate) line: String,
    pub(crate) what: What,
}

/// `EventKind`, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Transition(State, State, u64),
    OpenBegan(u32),
    Opened(u32),
    OpenFailed(u32, String, Option<Duration>),
    OpenCalledOff,
    CheckPassed,
    CheckFailed(String),
    CallFailed(String, u32, String, Option<Duration>),
    Ended(Ending, Why, Option<String>),
    Swallowed(&'static str, String),
}

#[derive(Debug, Default)]
pub(crate) struct Recorder(Mutex<Vec<Seen>>);

impl Recorder {
    pub(crate) fn all(&self) -> Vec<Seen> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn whats(&self) -> Vec<What> {
        self.all().into_iter().map(|seen| seen.what).collect()
    }

    pub(crate) fn count(&self, what: &What) -> usize {
        self.whats().iter().filter(|seen| *seen == what).count()
    }

    /// The transitions in the order of their numbers.
    pub(crate) fn transitions(&self) -> Vec<(State, State, u64)> {
        let mut transitions: Vec<_> = self
            .whats()
            .into_iter()
            .filter_map(|what| match what {
                What::Transition(from, to, number) => Some((from, to, number)),
                _ => None,
            })
            .collect();
        transitions.sort_by_key(|(_, _, number)| *number);
        transitions
    }

    pub(crate) fn endings(&self) -> Vec<(Ending, Why)> {
        let whats = self.whats().into_iter();
        whats
            .filter_map(|what| match what {
                What::Ended(ending, why, _) => Some((ending, why)),
                _ => None,
            })
            .collect()
    }

    /// How long was to be waited after each attempt to open that failed.
    pub(crate) fn delays(&self) -> Vec<Option<Duration>> {
        let whats = self.whats().into_iter();
        whats
            .filter_map(|what| match what {
                What::OpenFailed(_, _, retry_in) => Some(retry_in),
                _ => None,
            })
            .collect()
    }
}

impl EventSink for Recorder {
    fn event(&self, event: &Event<'_>) {
        let what = match &event.kind {
            EventKind::Transition { from, to, number } => What::Transition(*from, *to, *number),
            EventKind::OpenBegan { attempt } => What::OpenBegan(*attempt),
            EventKind::Opened { attempt, .. } => What::Opened(*attempt),
            EventKind::OpenFailed {
                attempt,
                error,
                retry_in,
            } => What::OpenFailed(*attempt, error.to_string(), *retry_in),
            EventKind::OpenCalledOff => What::OpenCalledOff,
            EventKind::CheckPassed => What::CheckPassed,
            EventKind::CheckFailed { error } => What::CheckFailed(error.to_string()),
            EventKind::CallFailed {
                operation,
                attempt,
                error,
                retry_in,
            } => What::CallFailed(
                (*operation).to_owned(),
                *attempt,
                error.to_string(),
                *retry_in,
            ),
            EventKind::Ended { ending, why, error } => {
                What::Ended(*ending, *why, error.map(ToString::to_string))
            }
            EventKind::Swallowed { phase, error } => What::Swallowed(phase, error.to_string()),
            other => panic!("an event that this recorder does not know: {other:?}"),
        };
        let seen = Seen {
            name: event.name.to_string(),
            at: event.at,
            line: event.to_string(),
            what,
        };
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(seen);
    }
}
