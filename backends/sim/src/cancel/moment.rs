//! When an operation is dropped.

use std::fmt;
use std::str::FromStr;

use super::Cancelled;
use crate::executor::Front;
use crate::world::World;

/// When to drop an operation, if at all. It is printed and read as in `never`, `instead-of-poll-3` or,
/// with another operation held after two polls, `after-poll-1-other-at-2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    Never,
    At(Moment),
}

/// A moment at which an operation is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) way: Way,
    /// The number of the poll or the step. The first is 1.
    pub(super) number: u64,
    /// How many times the other operation of a pair has been polled.
    pub(super) other_at: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    AfterPoll,
    InsteadOfPoll,
    AfterStep,
    ByPanic,
}

impl Way {
    pub(super) const ALL: [Self; 4] = [
        Self::AfterPoll,
        Self::InsteadOfPoll,
        Self::AfterStep,
        Self::ByPanic,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::AfterPoll => "after-poll",
            Self::InsteadOfPoll => "instead-of-poll",
            Self::AfterStep => "after-step",
            Self::ByPanic => "by-panic-in-poll",
        }
    }

    /// Drops the operation in this way.
    pub(super) fn cancel(self, world: &World, front: &mut Front<'_>) {
        world.with(|state| state.note(|| format!("the operation is dropped, {}", self.name())));
        match self {
            Self::ByPanic => front.cancel_by_panic(),
            Self::AfterPoll | Self::InsteadOfPoll | Self::AfterStep => front.cancel(),
        }
    }

    /// Counts one more operation that was dropped in this way.
    pub(super) const fn count(self, cancelled: &mut Cancelled) {
        match self {
            Self::AfterPoll => cancelled.after_polls += 1,
            Self::InsteadOfPoll => cancelled.instead_of_polls += 1,
            Self::AfterStep => cancelled.after_steps += 1,
            Self::ByPanic => cancelled.by_panic += 1,
        }
    }
}

const NEVER: &str = "never";
const OTHER_AT: &str = "-other-at-";

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::At(moment) = self else {
            return f.write_str(NEVER);
        };
        write!(f, "{}-{}", moment.way.name(), moment.number)?;
        match moment.other_at {
            Some(polls) => write!(f, "{OTHER_AT}{polls}"),
            None => Ok(()),
        }
    }
}

impl FromStr for When {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text == NEVER {
            return Ok(Self::Never);
        }
        let (text, other_at) = match text.split_once(OTHER_AT) {
            Some((text, polls)) => (text, Some(polls.parse().map_err(drop)?)),
            None => (text, None),
        };
        let (name, number) = text.rsplit_once('-').ok_or(())?;
        let way = Way::ALL.into_iter().find(|way| way.name() == name);
        Ok(Self::At(Moment {
            way: way.ok_or(())?,
            number: number.parse().map_err(drop)?,
            other_at,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_as_it_is_printed() {
        for way in Way::ALL {
            for other_at in [None, Some(0), Some(17)] {
                let number = 12;
                let when = When::At(Moment {
                    way,
                    number,
                    other_at,
                });
                assert_eq!(when.to_string().parse(), Ok(when));
            }
        }
        assert_eq!("never".parse(), Ok(When::Never));
        assert_eq!("after-lunch".parse::<When>(), Err(()));
        assert_eq!("after-lunch-1".parse::<When>(), Err(()));
    }
}
