//! How what the core says is written to `defmt`, the log of small devices: as it is displayed, so that no error is cut
//! short and no secret is shown. What is one of a few words is sent as the number of that word.

use core::fmt::Display;

use defmt::{Display2Format, Format, Formatter};

use crate::config::ConfigError;
use crate::retry::RetryError;
use crate::retry::StopReason;
use crate::retry::{Decision, ErrorClass};
use crate::state::State;
use crate::time::Instant;
use crate::timeout::TimedOut;

impl Format for State {
    fn format(&self, f: Formatter<'_>) {
        match self {
            Self::Uninitialized => defmt::write!(f, "Uninitialized"),
            Self::Initializing => defmt::write!(f, "Initializing"),
            Self::Ready => defmt::write!(f, "Ready"),
            Self::Degraded => defmt::write!(f, "Degraded"),
            Self::Error => defmt::write!(f, "Error"),
            Self::Closing => defmt::write!(f, "Closing"),
            Self::Closed => defmt::write!(f, "Closed"),
        }
    }
}

impl Format for Instant {
    fn format(&self, f: Formatter<'_>) {
        defmt::write!(f, "{=u64:us}", self.as_nanos() / 1_000);
    }
}

impl<E: Display, R> Format for RetryError<E, R> {
    fn format(&self, f: Formatter<'_>) {
        defmt::write!(f, "{}", Display2Format(self));
    }
}

/// What is displayed in its own words.
macro_rules! as_displayed {
    ($($Type:ty),+ $(,)?) => {$(
        impl Format for $Type {
            fn format(&self, f: Formatter<'_>) {
                defmt::write!(f, "{}", Display2Format(self));
            }
        }
    )+};
}

/// What only a debugger is shown otherwise.
macro_rules! as_debugged {
    ($($Type:ty),+ $(,)?) => {$(
        impl Format for $Type {
            fn format(&self, f: Formatter<'_>) {
                defmt::write!(f, "{}", defmt::Debug2Format(self));
            }
        }
    )+};
}

pub(crate) use as_displayed;

as_displayed!(ConfigError, StopReason, TimedOut);
as_debugged!(Decision, ErrorClass);
