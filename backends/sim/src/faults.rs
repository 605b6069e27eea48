//! What goes wrong, and when.

use std::ops::Range;
use std::time::Duration;

use tenure_core::{Instant, Timer};

use crate::sim::Sim;

/// What a resource is asked to do.
///
/// ```
/// use tenure_sim::{Backend, Hook};
/// # tenure_sim::run(1, |sim| async move {
/// # let backend = Backend::new(&sim);
/// assert_eq!(backend.calls(Hook::Open), 0);
/// # });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// To open a value.
    Open,
    /// To check a value.
    Check,
    /// To close a value.
    Close,
    /// To make a new value ready for its first use.
    AfterOpen,
    /// To make a value ready for its next user.
    BeforeAcquire,
    /// To clean a value up after its last use.
    AfterRelease,
    /// To take leave of a value before it is closed.
    BeforeClose,
}

impl Hook {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Open,
        Self::Check,
        Self::Close,
        Self::AfterOpen,
        Self::BeforeAcquire,
        Self::AfterRelease,
        Self::BeforeClose,
    ];
}

impl std::fmt::Display for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Check => "check",
            Self::Close => "close",
            Self::AfterOpen => "after_open",
            Self::BeforeAcquire => "before_acquire",
            Self::AfterRelease => "after_release",
            Self::BeforeClose => "before_close",
        })
    }
}

/// What happens instead of a success.
///
/// ```
/// use std::time::Duration;
/// use tenure_sim::{Fault, Faults, Hook};
/// let slow_start = Faults::none().nth(Hook::Open, 1, Fault::Slow(Duration::from_secs(20)));
/// # let _ = slow_start;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It answers with an error.
    Fail,
    /// It never answers.
    Hang,
    /// It panics.
    Panic,
    /// It succeeds, this much later than usual.
    Slow(Duration),
}

/// A plan of faults, made by hand or [drawn](Faults::drawn) from the seed.
///
/// The first rule that applies to a call decides; an outage comes after all of them.
///
/// ```
/// use std::time::Duration;
/// use tenure_sim::{Backend, Fault, Faults, Hook};
///
/// tenure_sim::run(1, |sim| async move {
///     let plan = Faults::none()
///         .nth(Hook::Open, 2, Fault::Hang)
///         .one_in(10, Hook::Check, Fault::Fail)
///         .outage(Duration::from_secs(60)..Duration::from_secs(90));
///     let backend = Backend::new(&sim);
///     backend.set_faults(plan);
/// });
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    rules: Vec<Rule>,
    outages: Vec<Range<Duration>>,
    jumps: Vec<(Duration, Duration)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rule {
    hook: Hook,
    when: When,
    fault: Fault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Nth(u64),
    OneIn(u64),
}

/// What the plan has for one call.
pub(crate) enum Verdict {
    Good,
    Fault(Fault),
    Outage,
}

impl Faults {
    /// Nothing goes wrong.
    ///
    /// ```
    /// # use tenure_sim::Faults;
    /// assert_eq!(Faults::none(), Faults::default());
    /// ```
    #[must_use]
    pub const fn none() -> Self {
        Self {
            rules: Vec::new(),
            outages: Vec::new(),
            jumps: Vec::new(),
        }
    }

    /// The call of `hook` with this number goes wrong. The first is 1.
    ///
    /// # Panics
    /// If `call` is 0: there is no such call.
    ///
    /// ```
    /// # use tenure_sim::{Fault, Faults, Hook};
    /// let second_close_panics = Faults::none().nth(Hook::Close, 2, Fault::Panic);
    /// # let _ = second_close_panics;
    /// ```
    #[must_use]
    pub fn nth(self, hook: Hook, call: u64, fault: Fault) -> Self {
        assert!(call > 0, "`call` (0) must be above 0: the first call is 1");
        self.with(hook, When::Nth(call), fault)
    }

    /// Each call of `hook` goes wrong with a chance of one in so many, which the seed decides. With 1,
    /// all do.
    ///
    /// # Panics
    /// If `calls` is 0.
    ///
    /// ```
    /// # use tenure_sim::{Fault, Faults, Hook};
    /// let unreliable = Faults::none().one_in(4, Hook::Open, Fault::Fail);
    /// # let _ = unreliable;
    /// ```
    #[must_use]
    pub fn one_in(self, calls: u64, hook: Hook, fault: Fault) -> Self {
        assert!(calls > 0, "`calls` (0) must be above 0");
        self.with(hook, When::OneIn(calls), fault)
    }

    /// All but closes fails within this time, counted from the start of the world.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tenure_sim::Faults;
    /// let outage = Faults::none().outage(Duration::from_secs(5)..Duration::from_secs(65));
    /// # let _ = outage;
    /// ```
    #[must_use]
    pub fn outage(mut self, time: Range<Duration>) -> Self {
        self.outages.push(time);
        self
    }

    /// The clock jumps forward by this much when it gets `at` this time, counted from the start of the
    /// world, as when the machine was suspended: every timer on the way is late.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tenure_core::Timer;
    /// # use tenure_sim::{Backend, Faults};
    /// tenure_sim::run(1, |sim| async move {
    ///     let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
    ///     Backend::new(&sim).set_faults(Faults::none().jump(minute, hour));
    ///     sim.sleep(minute * 2).await;
    ///     assert_eq!(sim.now() - tenure_core::Instant::EPOCH, minute + hour);
    /// });
    /// ```
    #[must_use]
    pub fn jump(mut self, at: Duration, by: Duration) -> Self {
        self.jumps.push((at, by));
        self
    }

    /// A plan that the seed decides: each hook may fail, hang, panic or be slow, seldom or often, and
    /// there may be an outage within the first ten minutes, and the clock may jump by up to an hour.
    ///
    /// ```
    /// # use tenure_sim::Faults;
    /// let plan = |seed| tenure_sim::run(seed, |sim| async move { Faults::drawn(&sim) });
    /// assert_eq!(plan(5), plan(5));
    /// assert!((0..20).any(|seed| plan(seed) != plan(seed + 1)));
    /// ```
    #[must_use]
    pub fn drawn(sim: &Sim) -> Self {
        let mut plan = Self::none();
        for hook in Hook::ALL {
            let slow = Fault::Slow(Duration::from_millis(1 + sim.below(20_000)));
            for fault in [Fault::Fail, Fault::Hang, Fault::Panic, slow] {
                if sim.below(4) == 0 {
                    plan = plan.one_in(2 + sim.below(15), hook, fault);
                }
            }
        }
        if sim.below(4) == 0 {
            let start = Duration::from_secs(sim.below(600));
            let end = start + Duration::from_secs(1 + sim.below(120));
            plan = plan.outage(start..end);
        }
        if sim.below(8) == 0 {
            let at = Duration::from_secs(sim.below(600));
            plan = plan.jump(at, Duration::from_secs(1 + sim.below(3_600)));
        }
        plan
    }

    fn with(mut self, hook: Hook, when: When, fault: Fault) -> Self {
        self.rules.push(Rule { hook, when, fault });
        self
    }

    /// When the clock jumps, and how far.
    pub(crate) fn jumps(&self) -> impl Iterator<Item = (Instant, Duration)> {
        let from_start = |(at, by): &(Duration, Duration)| (Instant::EPOCH + *at, *by);
        self.jumps.iter().map(from_start)
    }

    /// What becomes of the call of `hook` with this number.
    pub(crate) fn verdict(&self, sim: &Sim, hook: Hook, call: u64) -> Verdict {
        let applies = |rule: &&Rule| {
            rule.hook == hook
                && match rule.when {
                    When::Nth(number) => number == call,
                    When::OneIn(calls) => sim.below(calls) == 0,
                }
        };
        if let Some(rule) = self.rules.iter().find(applies) {
            return Verdict::Fault(rule.fault);
        }
        let since_start = sim.now() - Instant::EPOCH;
        let is_down = self.outages.iter().any(|time| time.contains(&since_start));
        if is_down && !matches!(hook, Hook::Close | Hook::BeforeClose) {
            Verdict::Outage
        } else {
            Verdict::Good
        }
    }
}
