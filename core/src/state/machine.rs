//! The state machine, without any IO: events go in, actions come out.

use super::{State, Trigger, next};
use crate::time::Instant;

/// The lifecycle of one managed value, as a pure state machine.
///
/// [`step`](Machine::step) takes what happened and says what to do. It awaits nothing, locks nothing
/// and allocates nothing, so it runs anywhere and can be tested exhaustively. Each opening has a
/// generation, so that what an old attempt reports late changes nothing.
///
/// You need it only to build something beside [`Managed`](crate::Managed), which wraps it.
///
/// ```
/// use tenure_core::Instant;
/// use tenure_core::state::{Action, Event, Machine, State, Thresholds};
///
/// let now = Instant::EPOCH;
/// let mut machine = Machine::new(Thresholds::default(), Some(now));
/// let Action::Open { generation } = machine.step(Event::OpenWanted, Some(now)).action else {
///     panic!("a fresh machine opens when asked");
/// };
/// machine.step(Event::Opened { generation }, Some(now));
/// assert_eq!(machine.state(), State::Ready);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    state: State,
    generation: u64,
    changes: u64,
    thresholds: Thresholds,
    failures: u32,
    passes: u32,
    created_at: Option<Instant>,
    initialized_at: Option<Instant>,
    last_error_at: Option<Instant>,
}

/// How many checks in a row it takes to change the verdict on a value.
///
/// The defaults for the first two are the original system's: one failure degrades, one success
/// recovers. The third is Kubernetes' `failureThreshold` for a restart, 3.
///
/// ```
/// use tenure_core::state::Thresholds;
/// let patient = Thresholds { fail_after: 2, recover_after: 2, reopen_after: Some(5) };
/// assert_ne!(patient, Thresholds::default());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Failed checks in a row until `Degraded`.
    pub fail_after: u32,
    /// Passed checks in a row until `Ready` again.
    pub recover_after: u32,
    /// Failed checks in a row until the value is given up and opened anew; never, if `None`.
    pub reopen_after: Option<u32>,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            fail_after: 1,
            recover_after: 1,
            reopen_after: Some(3),
        }
    }
}

/// What happened.
///
/// ```
/// use tenure_core::state::{Action, Change, Event, Machine, State, Thresholds};
/// let mut machine = Machine::new(Thresholds::default(), None);
/// machine.step(Event::OpenWanted, None);
/// assert_eq!(machine.state(), State::Initializing);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody wants the value.
    OpenWanted,
    /// The opening of this generation was called off: nobody drives it and nobody wants it.
    OpenCalledOff {
        /// The opening's number.
        generation: u64,
    },
    /// The opening of this generation gave a value.
    Opened {
        /// The opening's number.
        generation: u64,
    },
    /// An attempt of the opening of this generation failed; others may follow.
    AttemptFailed {
        /// The opening's number.
        generation: u64,
    },
    /// The opening of this generation failed for good.
    OpenFailed {
        /// The opening's number.
        generation: u64,
    },
    /// The value of this generation passed a check.
    CheckPassed {
        /// The number of the opening that gave the value.
        generation: u64,
    },
    /// The value of this generation failed a check.
    CheckFailed {
        /// The number of the opening that gave the value.
        generation: u64,
    },
    /// The value of this generation answered a check, and said that it cannot serve now. It is degraded until a check
    /// passes, and not opened anew for that.
    Unwell {
        /// The number of the opening that gave the value.
        generation: u64,
    },
    /// Calls on the value of this generation fail, though it seems to be connected. It is not opened anew for that.
    Doubted {
        /// The number of the opening that gave the value.
        generation: u64,
    },
    /// A call on the value of this generation has succeeded. That ends a doubt. What a check has found only a check
    /// takes back; but as long as calls succeed, the value is not opened anew for it.
    Trusted {
        /// The number of the opening that gave the value.
        generation: u64,
    },
    /// The value of this generation is broken.
    ValueLost {
        /// The number of the opening that gave the value.
        generation: u64,
    },
    /// Somebody wants all closed.
    CloseWanted,
    /// Nothing is left to close.
    CloseEnded,
}

/// What to do about it.
///
/// ```
/// use tenure_core::state::{Action, Change, Event, Machine, State, Thresholds};
/// let mut machine = Machine::new(Thresholds::default(), None);
/// assert_eq!(machine.step(Event::OpenWanted, None).action, Action::Open { generation: 1 });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    None,
    /// Open a value, under this number.
    Open {
        /// The opening's number.
        generation: u64,
    },
    /// Keep the value that was opened.
    Keep,
    /// The value came too late: close it.
    CloseLate,
    /// Take the current value out of use and close it.
    Retire,
    /// Close whatever there is, then report [`Event::CloseEnded`].
    Close,
    /// Refuse: it is closing or closed.
    Refuse,
}

/// The answer of one step.
///
/// ```
/// use tenure_core::state::{Action, Change, Event, Machine, State, Thresholds};
/// let mut machine = Machine::new(Thresholds::default(), None);
/// let change = machine.step(Event::CloseWanted, None);
/// assert_eq!(change.moved, Some((State::Uninitialized, State::Closed)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The states before and after, if the state changed.
    pub moved: Option<(State, State)>,
    /// What to do.
    pub action: Action,
}

impl Machine {
    /// A machine for a value that was never opened.
    ///
    /// ```
    /// use tenure_core::state::{Action, Change, Event, Machine, State, Thresholds};
    /// let machine = Machine::new(Thresholds::default(), None);
    /// assert_eq!(machine.state(), State::Uninitialized);
    /// ```
    #[must_use]
    pub const fn new(thresholds: Thresholds, now: Option<Instant>) -> Self {
        Self {
            state: State::Uninitialized,
            generation: 0,
            changes: 0,
            thresholds,
            failures: 0,
            passes: 0,
            created_at: now,
            initialized_at: None,
            last_error_at: None,
        }
    }

    /// Takes what happened, moves by [`TABLE`](super::TABLE), and says what to do.
    ///
    /// ```
    /// use tenure_core::state::{Action, Change, Event, Machine, State, Thresholds};
    /// let mut machine = Machine::new(Thresholds::default(), None);
    /// machine.step(Event::OpenWanted, None);
    /// machine.step(Event::OpenFailed { generation: 1 }, None);
    /// assert_eq!(machine.state(), State::Error);
    /// ```
    pub fn step(&mut self, event: Event, now: Option<Instant>) -> Change {
        let before = self.state;
        let action = self.react(event, now);
        let moved = (before != self.state).then_some((before, self.state));
        Change { moved, action }
    }

    fn react(&mut self, event: Event, now: Option<Instant>) -> Action {
        match event {
            Event::OpenWanted => self.open_wanted(),
            Event::OpenCalledOff { generation } => {
                self.go_if_current(generation, Trigger::OpenCalledOff);
                Action::None
            }
            Event::Opened { generation } => self.opened(generation, now),
            Event::AttemptFailed { generation } => {
                if generation == self.generation && self.state == State::Initializing {
                    self.last_error_at = now;
                }
                Action::None
            }
            Event::OpenFailed { generation } => {
                if self.go_if_current(generation, Trigger::OpenFailed) {
                    self.last_error_at = now;
                }
                Action::None
            }
            Event::CheckPassed { generation } => self.check_passed(generation),
            Event::CheckFailed { generation } => self.check_failed(generation, now),
            Event::Unwell { generation } => {
                if self.holds(generation) {
                    // As if checks had failed, so that a call that succeeds is not taken for more than it is.
                    self.failures = self.thresholds.fail_after;
                    self.last_error_at = now;
                    self.passes = 0;
                    self.go(Trigger::HealthLost);
                }
                Action::None
            }
            Event::Doubted { generation } => {
                if self.holds(generation) {
                    self.last_error_at = now;
                    self.passes = 0;
                    self.go(Trigger::HealthLost);
                }
                Action::None
            }
            Event::Trusted { generation } => self.trusted(generation),
            Event::ValueLost { generation } => self.value_lost(generation, now),
            Event::CloseWanted => self.close_wanted(),
            Event::CloseEnded => {
                self.go(Trigger::CloseEnded);
                Action::None
            }
        }
    }

    fn open_wanted(&mut self) -> Action {
        if self.go(Trigger::OpenBegan) {
            self.generation += 1;
            Action::Open {
                generation: self.generation,
            }
        } else if self.is_closing() {
            Action::Refuse
        } else {
            Action::None
        }
    }

    fn opened(&mut self, generation: u64, now: Option<Instant>) -> Action {
        if self.go_if_current(generation, Trigger::Opened) {
            self.initialized_at = now;
            self.failures = 0;
            self.passes = 0;
            Action::Keep
        } else {
            Action::CloseLate
        }
    }

    fn check_passed(&mut self, generation: u64) -> Action {
        if self.holds(generation) {
            self.failures = 0;
            self.passes = self.passes.saturating_add(1);
            if self.passes >= self.thresholds.recover_after {
                self.go(Trigger::HealthRegained);
            }
        }
        Action::None
    }

    fn trusted(&mut self, generation: u64) -> Action {
        let fail_after = self.thresholds.fail_after;
        if self.failures < fail_after {
            return self.check_passed(generation);
        }
        if self.holds(generation) {
            self.failures = fail_after;
        }
        Action::None
    }

    fn check_failed(&mut self, generation: u64, now: Option<Instant>) -> Action {
        if !self.holds(generation) {
            return Action::None;
        }
        self.last_error_at = now;
        self.passes = 0;
        self.failures = self.failures.saturating_add(1);
        if self
            .thresholds
            .reopen_after
            .is_some_and(|limit| self.failures >= limit)
        {
            self.go(Trigger::ValueLost);
            return Action::Retire;
        }
        if self.failures >= self.thresholds.fail_after {
            self.go(Trigger::HealthLost);
        }
        Action::None
    }

    fn value_lost(&mut self, generation: u64, now: Option<Instant>) -> Action {
        if self.go_if_current(generation, Trigger::ValueLost) {
            self.last_error_at = now;
            Action::Retire
        } else {
            Action::None
        }
    }

    fn close_wanted(&mut self) -> Action {
        if self.generation == 0 && self.go(Trigger::ClosedUnopened) {
            Action::None
        } else if self.go(Trigger::CloseBegan) {
            Action::Close
        } else {
            Action::None
        }
    }

    fn go_if_current(&mut self, generation: u64, trigger: Trigger) -> bool {
        generation == self.generation && self.go(trigger)
    }

    fn go(&mut self, trigger: Trigger) -> bool {
        let Some(to) = next(self.state, trigger) else {
            return false;
        };
        self.state = to;
        self.changes += 1;
        true
    }

    fn holds(&self, generation: u64) -> bool {
        self.state.is_usable() && generation == self.generation
    }

    fn is_closing(&self) -> bool {
        matches!(self.state, State::Closing | State::Closed)
    }

    /// The state now.
    ///
    /// ```
    /// use tenure_core::state::{Action, Change, Event, Machine, State, Thresholds};
    /// let machine = Machine::new(Thresholds::default(), None);
    /// assert_eq!(machine.state(), State::Uninitialized);
    /// ```
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// The number of the latest opening; 0 before the first.
    ///
    /// ```
    /// use tenure_core::state::{Action, Change, Event, Machine, State, Thresholds};
    /// let machine = Machine::new(Thresholds::default(), None);
    /// assert_eq!(machine.generation(), 0);
    /// ```
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// How often the state has changed.
    ///
    /// ```
    /// use tenure_core::state::{Action, Change, Event, Machine, State, Thresholds};
    /// let machine = Machine::new(Thresholds::default(), None);
    /// assert_eq!(machine.changes(), 0);
    /// ```
    #[must_use]
    pub const fn changes(&self) -> u64 {
        self.changes
    }

    /// Failed checks in a row.
    ///
    /// ```
    /// use tenure_core::state::{Action, Change, Event, Machine, State, Thresholds};
    /// let machine = Machine::new(Thresholds::default(), None);
    /// assert_eq!(machine.failures(), 0);
    /// ```
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// When the machine was made, if there was a clock.
    ///
    /// ```
    /// use tenure_core::state::{Action, Change, Event, Machine, State, Thresholds};
    /// let machine = Machine::new(Thresholds::default(), None);
    /// assert_eq!(machine.created_at(), None);
    /// ```
    #[must_use]
    pub const fn created_at(&self) -> Option<Instant> {
        self.created_at
    }

    /// When the latest value was opened.
    ///
    /// ```
    /// use tenure_core::state::{Action, Change, Event, Machine, State, Thresholds};
    /// let machine = Machine::new(Thresholds::default(), None);
    /// assert_eq!(machine.initialized_at(), None);
    /// ```
    #[must_use]
    pub const fn initialized_at(&self) -> Option<Instant> {
        self.initialized_at
    }

    /// When the latest opening or check failed, or the value was lost.
    ///
    /// ```
    /// use tenure_core::state::{Action, Change, Event, Machine, State, Thresholds};
    /// let machine = Machine::new(Thresholds::default(), None);
    /// assert_eq!(machine.last_error_at(), None);
    /// ```
    #[must_use]
    pub const fn last_error_at(&self) -> Option<Instant> {
        self.last_error_at
    }
}
