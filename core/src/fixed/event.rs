//! What a pool without a heap tells.

use core::fmt;
use core::time::Duration;

use super::FixedPool;
use crate::ending::{Ending, Why};
use crate::local_resource::LocalResource;
use crate::runtime::Clock;

/// What happens to the values of a [`FixedPool`], for a log.
///
/// ```
#[doc = include_str!("doc_setting.txt")]
/// fn tell(event: &FixedEvent<'_>) {
///     if let FixedEvent::OpenFailed { error: Some(error), .. } = event {
///         println!("{error}");
///     }
/// }
/// let pool = FixedPool::<_, _, 1, 4>::new(Modem, NoTimer).events(&tell);
/// ```
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum FixedEvent<'e> {
    /// An opening has begun.
    OpenBegan {
        /// The first, or so many-eth since one succeeded.
        attempt: u32,
    },
    /// A value is open.
    Opened {
        /// Of which attempt.
        attempt: u32,
    },
    /// An opening has failed.
    OpenFailed {
        /// Which.
        attempt: u32,
        /// What it answered. None if it took longer than its limit.
        error: Option<&'e dyn fmt::Display>,
        /// When the next may begin, if one follows.
        retry_in: Option<Duration>,
    },
    /// An opening was dropped before it had answered: its caller was served by another value, or has gone.
    OpenCalledOff {
        /// Which.
        attempt: u32,
    },
    /// A check has failed, and the value is closed.
    CheckFailed {
        /// What it answered. None if it took longer than its limit.
        error: Option<&'e dyn fmt::Display>,
    },
    /// A value has ended.
    Ended {
        /// How.
        ending: Ending,
        /// Why.
        why: Why,
        /// What its close answered, if that failed.
        error: Option<&'e dyn fmt::Display>,
    },
}

impl fmt::Display for FixedEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, error) = match self {
            Self::OpenBegan { attempt } => return write!(f, "opening, attempt {attempt}"),
            Self::Opened { attempt } => return write!(f, "opened at attempt {attempt}"),
            Self::OpenFailed { attempt, error, .. } => {
                write!(f, "attempt {attempt} ")?;
                ("failed", error)
            }
            Self::OpenCalledOff { attempt } => {
                return write!(f, "attempt {attempt} was called off");
            }
            Self::CheckFailed { error } => ("its check failed", error),
            Self::Ended { ending, why, error } => {
                write!(f, "{why}: ")?;
                return match error {
                    Some(error) => write!(f, "{ending}: {error}"),
                    None => write!(f, "{ending}"),
                };
            }
        };
        match error {
            Some(error) => write!(f, "{what}: {error}"),
            None => write!(f, "{what}: no answer in time"),
        }
    }
}

impl fmt::Debug for FixedEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whom events are told, and how an error is shown there.
pub(super) struct Sends<E> {
    sink: &'static (dyn Fn(&FixedEvent<'_>) + Sync),
    show: fn(&E) -> &dyn fmt::Display,
}

impl<E> Sends<E> {
    pub(super) fn show<'e>(&self, error: Option<&'e E>) -> Option<&'e dyn fmt::Display> {
        error.map(self.show)
    }
}

impl<R: LocalResource, C: Clock, const VALUES: usize, const WAITERS: usize>
    FixedPool<R, C, VALUES, WAITERS>
{
    /// Tells `sink` what happens. It is called by whoever makes it happen, outside all locks, and has to be quick.
    #[must_use]
    pub fn events(mut self, sink: &'static (dyn Fn(&FixedEvent<'_>) + Sync)) -> Self
    where
        R::Error: fmt::Display,
    {
        self.sends = Some(Sends {
            sink,
            show: |error| error,
        });
        self
    }

    /// Tells of what happened, with an error, if there is one.
    pub(super) fn send<'e>(
        &self,
        error: Option<&'e R::Error>,
        event: impl FnOnce(Option<&'e dyn fmt::Display>) -> FixedEvent<'e>,
    ) {
        if let Some(sends) = &self.sends {
            (sends.sink)(&event(sends.show(error)));
        }
    }
}
