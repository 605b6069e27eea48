//! The states of a managed resource, and the one table of how it moves between them.
//!
//! [`TABLE`] is the whole truth: [`State::can_go`], [`State::can_reach`], the [`Picture`] in the
//! documentation and the exhaustive tests are all derived from it, and [`Machine`] moves by it alone.

mod machine;
mod picture;
#[cfg(test)]
mod tests;

pub use machine::{Action, Change, Event, Machine, Thresholds};
pub use picture::Picture;

/// Where a managed resource stands.
///
/// ```
/// use tenure_core::State;
///
/// assert!(State::Degraded.is_usable() && !State::Degraded.is_healthy());
/// assert!(State::Ready.can_go(State::Degraded));
/// assert!(!State::Closed.can_go(State::Error), "closed is final");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Nothing was opened yet, or an opening was called off.
    Uninitialized,
    /// An opening is under way, its retries included.
    Initializing,
    /// The value is open and healthy.
    Ready,
    /// The value is open, and its checks fail.
    Degraded,
    /// There is no value: opening failed, or the value was lost.
    Error,
    /// A shutdown is under way.
    Closing,
    /// All is closed. Final.
    Closed,
}

impl State {
    /// Every state, in the order of a life.
    pub const ALL: [Self; 7] = [
        Self::Uninitialized,
        Self::Initializing,
        Self::Ready,
        Self::Degraded,
        Self::Error,
        Self::Closing,
        Self::Closed,
    ];

    /// Whether there is a value to use: `Ready` or `Degraded`.
    ///
    /// ```
    /// use tenure_core::State;
    /// assert!(State::Degraded.is_usable() && !State::Error.is_usable());
    /// ```
    #[must_use]
    pub const fn is_usable(self) -> bool {
        matches!(self, Self::Ready | Self::Degraded)
    }

    /// Whether there is a value and its checks pass: `Ready`.
    ///
    /// ```
    /// use tenure_core::State;
    /// assert!(!State::Degraded.is_healthy());
    /// ```
    #[must_use]
    pub const fn is_healthy(self) -> bool {
        matches!(self, Self::Ready)
    }

    /// Whether one transition leads from here to `to`.
    ///
    /// ```
    /// # use tenure_core::State;
    /// assert!(State::Error.can_go(State::Initializing));
    /// assert!(!State::Closing.can_go(State::Ready));
    /// ```
    #[must_use]
    pub fn can_go(self, to: Self) -> bool {
        TABLE.iter().any(|row| row.from == self && row.to == to)
    }

    /// Whether any number of transitions, at least one, leads from here to `to`.
    ///
    /// ```
    /// # use tenure_core::State;
    /// assert!(State::Uninitialized.can_reach(State::Degraded));
    /// assert!(!State::Closing.can_reach(State::Ready));
    /// ```
    #[must_use]
    pub fn can_reach(self, to: Self) -> bool {
        let mut reached = [false; Self::ALL.len()];
        let mut grew = true;
        while grew {
            grew = false;
            for row in &TABLE {
                let from_here = row.from == self || reached[row.from as usize];
                if from_here && !reached[row.to as usize] {
                    reached[row.to as usize] = true;
                    grew = true;
                }
            }
        }
        reached[to as usize]
    }

    /// The state's name as the documentation writes it.
    ///
    /// ```
    /// use tenure_core::State;
    /// assert_eq!(State::Ready.name(), "Ready");
    /// ```
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uninitialized => "Uninitialized",
            Self::Initializing => "Initializing",
            Self::Ready => "Ready",
            Self::Degraded => "Degraded",
            Self::Error => "Error",
            Self::Closing => "Closing",
            Self::Closed => "Closed",
        }
    }
}

impl core::fmt::Display for State {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(self.name())
    }
}

/// What moves a resource from one state to another.
///
/// ```
/// use tenure_core::state::{next, State, Trigger};
/// let lost = Trigger::ALL.map(|trigger| next(State::Ready, trigger));
/// assert!(lost.contains(&Some(State::Error)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// An opening began.
    OpenBegan,
    /// An opening was called off before it had a result.
    OpenCalledOff,
    /// An opening gave a value.
    Opened,
    /// An opening failed for good, its retries included.
    OpenFailed,
    /// As many checks in a row failed as it takes to be degraded.
    HealthLost,
    /// As many checks in a row passed as it takes to be ready again.
    HealthRegained,
    /// The value turned out to be broken, or its checks failed too often.
    ValueLost,
    /// A shutdown began with nothing ever opened.
    ClosedUnopened,
    /// A shutdown began.
    CloseBegan,
    /// The last value has been closed.
    CloseEnded,
}

impl Trigger {
    /// Every trigger.
    pub const ALL: [Self; 10] = [
        Self::OpenBegan,
        Self::OpenCalledOff,
        Self::Opened,
        Self::OpenFailed,
        Self::HealthLost,
        Self::HealthRegained,
        Self::ValueLost,
        Self::ClosedUnopened,
        Self::CloseBegan,
        Self::CloseEnded,
    ];
}

/// One row of [`TABLE`].
///
/// ```
/// use tenure_core::state::{State, TABLE};
/// let from_ready = TABLE.iter().filter(|row| row.from == State::Ready);
/// assert_eq!(from_ready.count(), 3);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The state before.
    pub from: State,
    /// What happened.
    pub trigger: Trigger,
    /// The state after.
    pub to: State,
}

/// Every transition there is. What has no row here does not happen.
///
/// ```
/// use tenure_core::state::{State, TABLE};
/// assert!(TABLE.iter().all(|row| row.from != State::Closed));
/// ```
pub const TABLE: [Transition; 16] = {
    use State::{Closed, Closing, Degraded, Error, Initializing, Ready, Uninitialized};
    use Trigger as T;
    [
        row(Uninitialized, T::OpenBegan, Initializing),
        row(Uninitialized, T::ClosedUnopened, Closed),
        row(Uninitialized, T::CloseBegan, Closing),
        row(Initializing, T::Opened, Ready),
        row(Initializing, T::OpenFailed, Error),
        row(Initializing, T::OpenCalledOff, Uninitialized),
        row(Initializing, T::CloseBegan, Closing),
        row(Ready, T::HealthLost, Degraded),
        row(Ready, T::ValueLost, Error),
        row(Ready, T::CloseBegan, Closing),
        row(Degraded, T::HealthRegained, Ready),
        row(Degraded, T::ValueLost, Error),
        row(Degraded, T::CloseBegan, Closing),
        row(Error, T::OpenBegan, Initializing),
        row(Error, T::CloseBegan, Closing),
        row(Closing, T::CloseEnded, Closed),
    ]
};

const fn row(from: State, trigger: Trigger, to: State) -> Transition {
    Transition { from, trigger, to }
}

/// Where `trigger` leads from `from`, if anywhere.
///
/// ```
/// use tenure_core::state::{next, State, Trigger};
/// assert_eq!(next(State::Ready, Trigger::HealthLost), Some(State::Degraded));
/// assert_eq!(next(State::Closed, Trigger::OpenBegan), None);
/// ```
#[must_use]
pub fn next(from: State, trigger: Trigger) -> Option<State> {
    TABLE
        .iter()
        .find(|row| row.from == from && row.trigger == trigger)
        .map(|row| row.to)
}
