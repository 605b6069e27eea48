//! An event sink that remembers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tenure_core::{Ending, Event, EventKind, EventSink, Instant, Why};

/// What happened, in a form that outlives the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Happened {
    OpenBegan(u32),
    Opened(u32),
    /// The attempt, what it said, and whether another follows.
    OpenFailed(u32, String, bool),
    OpenCalledOff,
    CheckPassed,
    CheckFailed(String),
    Ended(Ending, Why, Option<String>),
    /// Which hook, and what it said.
    HookFailed(&'static str, String),
    /// The file and the line where the lease was taken, and for how long it was held.
    Leaked(&'static str, u32, Duration),
    SelfDeadlock(usize),
    Late(Duration),
    Swallowed(String),
    Other,
}

/// Remembers every event, in order. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Vec<Record>>>);

/// One event: what it was, how it prints, whose it was and when.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) happened: Happened,
    pub(crate) line: String,
    pub(crate) name: String,
    pub(crate) at: Option<Instant>,
}

impl Recorder {
    pub(crate) fn sink(&self) -> Arc<dyn EventSink> {
        let recorder = self.clone();
        Arc::new(move |event: &Event<'_>| recorder.record(event))
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        self.0.lock().expect("no sink panics here").clone()
    }

    pub(crate) fn happened(&self) -> Vec<Happened> {
        let records = self.records();
        records.into_iter().map(|record| record.happened).collect()
    }

    pub(crate) fn count(&self, which: impl Fn(&Happened) -> bool) -> usize {
        self.happened().iter().filter(|event| which(event)).count()
    }

    /// How many values have ended.
    pub(crate) fn endings(&self) -> usize {
        self.count(|event| matches!(event, Happened::Ended(..)))
    }

    fn record(&self, event: &Event<'_>) {
        let happened = match &event.kind {
            EventKind::OpenBegan { attempt } => Happened::OpenBegan(*attempt),
            EventKind::Opened { attempt, .. } => Happened::Opened(*attempt),
            EventKind::OpenFailed {
                attempt,
                error,
                retry_in,
            } => Happened::OpenFailed(*attempt, error.to_string(), retry_in.is_some()),
            EventKind::OpenCalledOff => Happened::OpenCalledOff,
            EventKind::CheckPassed => Happened::CheckPassed,
            EventKind::CheckFailed { error } => Happened::CheckFailed(error.to_string()),
            EventKind::Ended { ending, why, error } => {
                Happened::Ended(*ending, *why, error.map(ToString::to_string))
            }
            EventKind::HookFailed { hook, error } => Happened::HookFailed(hook, error.to_string()),
            EventKind::Leaked { taken_at, held_for } => {
                Happened::Leaked(taken_at.file(), taken_at.line(), *held_for)
            }
            EventKind::SelfDeadlock { held } => Happened::SelfDeadlock(*held),
            EventKind::Late { by } => Happened::Late(*by),
            EventKind::Swallowed { error, .. } => Happened::Swallowed(error.to_string()),
            _ => Happened::Other,
        };
        let record = Record {
            happened,
            line: event.to_string(),
            name: event.name.to_string(),
            at: event.at,
        };
        self.0.lock().expect("no sink panics here").push(record);
    }
}
