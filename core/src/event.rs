//! What happens, told as it happens: the event sink.

use core::fmt;
use core::panic::Location;
use core::time::Duration;

use crate::cause::{Cause, Told};
use crate::ending::{Ending, Why};
use crate::name::Name;
use crate::state::State;
use crate::time::Instant;

/// Receives every event of a resource or a pool: for logs, metrics and tests.
///
/// Every transition, attempt, ending and swallowed error arrives here; what has no caller to return
/// to arrives here alone. Any closure over an [`Event`] is a sink.
///
/// A sink runs in the task that caused the event, never under a lock. Keep it short, and do not let
/// it wait. Its panics are contained, with `std`.
///
/// ```
/// use std::sync::Arc;
/// use tenure_core::{Event, EventSink};
///
/// let sink: Arc<dyn EventSink> = Arc::new(|event: &Event<'_>| println!("{event}"));
/// ```
pub trait EventSink: Send + Sync {
    /// Takes one event.
    fn event(&self, event: &Event<'_>);
}

impl<F: Fn(&Event<'_>) + Send + Sync> EventSink for F {
    fn event(&self, event: &Event<'_>) {
        self(event);
    }
}

/// Something that happened to a resource. Prints as one line, in which errors are shown with all their
/// sources and without what looks like a password.
///
/// ```
#[doc = include_str!("doc_setting.txt")]
/// let sink = |event: &Event<'_>| println!("{event}");
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Event<'a> {
    /// Whose event it is.
    pub name: &'a Name,
    /// When it happened, if there is a clock.
    pub at: Option<Instant>,
    /// What happened.
    pub kind: EventKind<'a>,
}

/// What happened.
///
/// ```
#[doc = include_str!("doc_setting.txt")]
/// let failures = |event: &Event<'_>| match event.kind {
///     EventKind::OpenFailed { error, .. } => eprintln!("{}: {error}", event.name),
///     _ => {}
/// };
/// # let _: &dyn EventSink = &failures;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EventKind<'a> {
    /// The state changed. Numbers count from 1 without gaps, so that events which two threads sent at
    /// once can be put in order.
    Transition {
        /// The state before.
        from: State,
        /// The state after.
        to: State,
        /// Which change of this resource it is.
        number: u64,
    },
    /// An attempt to open a value began.
    OpenBegan {
        /// The attempt's number, from 1: within this opening, or, in a pool, since openings began to
        /// fail.
        attempt: u32,
    },
    /// A value was opened.
    Opened {
        /// The attempt's number, from 1: within this opening, or, in a pool, since openings began to
        /// fail.
        attempt: u32,
        /// How long the attempt took.
        took: Option<Duration>,
    },
    /// An attempt to open a value failed.
    OpenFailed {
        /// The attempt's number, from 1: within this opening, or, in a pool, since openings began to
        /// fail.
        attempt: u32,
        /// Why.
        error: &'a Cause,
        /// How long until the next attempt; there is none, if `None`.
        retry_in: Option<Duration>,
    },
    /// An opening was dropped before it had a result.
    OpenCalledOff,
    /// A value passed a check.
    CheckPassed,
    /// A value failed a check.
    CheckFailed {
        /// Why.
        error: &'a Cause,
    },
    /// An attempt of a call failed.
    CallFailed {
        /// The operation's name.
        operation: &'a str,
        /// The attempt's number, from 1.
        attempt: u32,
        /// Why.
        error: &'a Cause,
        /// How long until the next attempt; there is none, if `None`.
        retry_in: Option<Duration>,
    },
    /// A value ended.
    Ended {
        /// In which way.
        ending: Ending,
        /// What it was closed for.
        why: Why,
        /// What went wrong on the way, if anything.
        error: Option<&'a Cause>,
    },
    /// A finalizer that was deferred to the end of a scope ran, and succeeded.
    Finalized,
    /// A finalizer that was deferred to the end of a scope failed, panicked or took too long.
    FinalizeFailed {
        /// What it said.
        error: &'a Cause,
    },
    /// A finalizer that was deferred to the end of a scope was dropped: nothing could run it, or not to its
    /// end.
    FinalizeDropped {
        /// What its drop panicked with, if it did.
        error: Option<&'a Cause>,
    },
    /// A hook of the resource failed. What follows is told apart: a value that ends, a failed opening.
    HookFailed {
        /// The hook's name.
        hook: &'static str,
        /// What it said.
        error: &'a Cause,
    },
    /// A lease is held for longer than the pool's
    /// [`leak_after`](crate::pool::PoolBuilder::leak_after). Told once for each.
    Leaked {
        /// Where it was taken.
        taken_at: &'static Location<'static>,
        /// For how long it has been held.
        held_for: Duration,
    },
    /// A task that holds every value there may be asks for one more, and so waits for itself, unless
    /// another future of the same task gives one back.
    SelfDeadlock {
        /// How many values it holds.
        held: usize,
    },
    /// The Runner that [`build`](crate::pool::PoolBuilder::build) spawned ended before its time, most likely
    /// because its runtime did. The next use spawns another.
    RunnerEnded,
    /// Another Runner goes on with the background work.
    RunnerRestarted,
    /// The Runner was woken late: the clock has jumped, as after a suspend of the machine, or the
    /// executor was kept from running it. Timeouts that came due meanwhile come at once.
    Late {
        /// By how much.
        by: Duration,
    },
    /// An error or a panic of user code had no caller to return to.
    Swallowed {
        /// Which code it was.
        phase: &'static str,
        /// What it said.
        error: &'a Cause,
    },
}

impl EventKind<'_> {
    /// The error that it tells of, if it is of one.
    pub(crate) const fn error(&self) -> Option<&Cause> {
        match self {
            Self::OpenFailed { error, .. }
            | Self::CheckFailed { error }
            | Self::CallFailed { error, .. }
            | Self::FinalizeFailed { error }
            | Self::HookFailed { error, .. }
            | Self::Swallowed { error, .. } => Some(error),
            Self::Ended { error, .. } | Self::FinalizeDropped { error } => *error,
            _ => None,
        }
    }
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.name)?;
        match &self.kind {
            EventKind::Transition { from, to, .. } => write!(f, "{from} -> {to}"),
            EventKind::OpenBegan { attempt } => write!(f, "opening, attempt {attempt}"),
            EventKind::Opened { attempt, took } => {
                write!(f, "opened at attempt {attempt}{}", After(*took))
            }
            EventKind::OpenFailed {
                attempt,
                error,
                retry_in,
            } => {
                write!(
                    f,
                    "opening failed, attempt {attempt}: {}{}",
                    Told(error),
                    Again(*retry_in)
                )
            }
            EventKind::OpenCalledOff => write!(f, "opening called off"),
            EventKind::CheckPassed => write!(f, "check passed"),
            EventKind::CheckFailed { error } => write!(f, "check failed: {}", Told(error)),
            EventKind::CallFailed {
                operation,
                attempt,
                error,
                retry_in,
            } => {
                write!(
                    f,
                    "{operation} failed, attempt {attempt}: {}{}",
                    Told(error),
                    Again(*retry_in)
                )
            }
            EventKind::Ended {
                ending,
                why,
                error: None,
            } => write!(f, "{ending} ({why})"),
            EventKind::Ended {
                ending,
                why,
                error: Some(error),
            } => {
                write!(f, "{ending} ({why}): {}", Told(error))
            }
            EventKind::Finalized => write!(f, "finalized"),
            EventKind::FinalizeFailed { error } => write!(f, "finalizer failed: {}", Told(error)),
            EventKind::FinalizeDropped { error: None } => write!(f, "finalizer dropped"),
            EventKind::FinalizeDropped { error: Some(error) } => {
                write!(f, "finalizer dropped: {}", Told(error))
            }
            EventKind::HookFailed { hook, error } => {
                write!(f, "{hook} failed: {}", Told(error))
            }
            EventKind::Leaked { taken_at, held_for } => {
                write!(
                    f,
                    "a lease taken at {taken_at} has been held for {held_for:?}"
                )
            }
            EventKind::SelfDeadlock { held } => {
                write!(f, "a task holds all {held} values and asks for one more")
            }
            EventKind::RunnerEnded => write!(f, "background work has ended with its runtime"),
            EventKind::RunnerRestarted => write!(f, "background work goes on"),
            EventKind::Late { by } => write!(f, "background work is late by {by:?}"),
            EventKind::Swallowed { phase, error } => write!(f, "error in {phase}: {}", Told(error)),
        }
    }
}

struct After(Option<Duration>);

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |took| write!(f, " after {took:?}"))
    }
}

struct Again(Option<Duration>);

impl fmt::Display for Again {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .map_or(Ok(()), |delay| write!(f, ", again in {delay:?}"))
    }
}
