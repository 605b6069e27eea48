//! What is varied about every scene: who does the background work, what goes wrong, how tasks are polled.

use std::time::Duration;

use tenure_sim::{Backend, Fault, Faults, Hook, Sim};

/// Who does the background work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Background {
    /// A Runner.
    Runs,
    /// A Runner, until the middle of the operation.
    IsLost,
    /// Nobody.
    IsAbsent,
}

impl Background {
    pub(crate) const ALL: [Self; 3] = [Self::Runs, Self::IsLost, Self::IsAbsent];
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    Nothing,
    First(Hook, Fault),
}

impl Trouble {
    pub(crate) const ALL: [Self; 8] = [
        Self::Nothing,
        Self::First(Hook::Open, Fault::Fail),
        Self::First(Hook::Open, Fault::Panic),
        Self::First(Hook::Open, Fault::Hang),
        Self::First(Hook::Check, Fault::Fail),
        Self::First(Hook::Close, Fault::Fail),
        Self::First(Hook::Close, Fault::Panic),
        Self::First(Hook::Close, Fault::Hang),
    ];

    /// Those of a resource that has hooks.
    pub(crate) const OF_HOOKS: [Self; 8] = [
        Self::First(Hook::AfterOpen, Fault::Fail),
        Self::First(Hook::AfterOpen, Fault::Hang),
        Self::First(Hook::BeforeAcquire, Fault::Fail),
        Self::First(Hook::BeforeAcquire, Fault::Hang),
        Self::First(Hook::AfterRelease, Fault::Fail),
        Self::First(Hook::AfterRelease, Fault::Hang),
        Self::First(Hook::BeforeClose, Fault::Fail),
        Self::First(Hook::BeforeClose, Fault::Hang),
    ];

    /// Those that are looked at for pairs.
    pub(crate) const SHARED: [Self; 3] = [
        Self::Nothing,
        Self::First(Hook::Open, Fault::Fail),
        Self::First(Hook::Close, Fault::Hang),
    ];
}

impl Trouble {
    /// From now on hooks take their time, and the next call of one goes wrong.
    pub(crate) fn begin(self, backend: &Backend) {
        for hook in Hook::ALL {
            backend.set_time(hook, HOOK_TIME);
        }
        if let Self::First(hook, fault) = self {
            let next = backend.calls(hook) + 1;
            backend.set_faults(Faults::none().nth(hook, next, fault));
        }
    }
}

/// Whether tasks are polled only when they were woken.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Polls {
    AsWoken,
    NowAndThenUnasked,
}

impl Polls {
    pub(crate) const ALL: [Self; 2] = [Self::AsWoken, Self::NowAndThenUnasked];

    pub(crate) fn set(self, sim: &Sim) {
        match self {
            Self::AsWoken => {}
            Self::NowAndThenUnasked => sim.poll_spuriously(3),
        }
    }
}

/// How long a hook takes.
pub(crate) const HOOK_TIME: Duration = Duration::from_millis(10);

/// When, in the middle of an operation, others do something.
pub(crate) const MEANWHILE: Duration = Duration::from_millis(5);

/// What an operation with a limit gets: less than the time of two hooks.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(15);
