//! The settings of a pool.

use core::time::Duration;

use super::stack::IdleOrder;
use super::validation::CheckOnAcquire;
use crate::config::{ConfigError, above_zero, at_most};
use crate::kernel::Limits;
use crate::time::Instant;

/// With a limit below this, the clock is read before each loan.
const LEAST_LENIENT: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug)]
pub(crate) struct PoolConfig {
    pub(crate) min_size: usize,
    /// At first: the pool can be resized.
    pub(crate) max_size: usize,
    pub(crate) max_waiters: Option<usize>,
    pub(crate) idle_order: IdleOrder,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) max_lifetime: Option<Duration>,
    pub(crate) max_uses: Option<u32>,
    pub(crate) strict_limits: bool,
    pub(crate) check_every: Option<Duration>,
    pub(crate) check_on: CheckOn,
    pub(crate) check_timeout: Option<Duration>,
    pub(crate) suspect_timeout: Option<Duration>,
    pub(crate) hook_timeout: Option<Duration>,
    pub(crate) open_timeout: Option<Duration>,
    pub(crate) close_timeout: Option<Duration>,
    pub(crate) broken_close_timeout: Option<Duration>,
    /// By default a part of the maximum.
    pub(crate) max_closing_beside: Option<usize>,
    pub(crate) acquire_timeout: Option<Duration>,
    pub(crate) leak_after: Option<Duration>,
    pub(crate) refuses_self_deadlock: bool,
    pub(crate) timings: bool,
}

/// On which occasions a value is checked, beside while it lies idle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CheckOn {
    pub(crate) open: bool,
    pub(crate) acquire: CheckOnAcquire,
    pub(crate) release: bool,
}

impl PoolConfig {
    pub(crate) fn new(checked: bool) -> Self {
        Self {
            min_size: 0,
            max_size: 10,
            max_waiters: None,
            idle_order: IdleOrder::default(),
            idle_timeout: Some(Duration::from_secs(300)),
            max_lifetime: Some(Duration::from_secs(1800)),
            max_uses: None,
            strict_limits: false,
            check_every: checked.then_some(Duration::from_secs(60)),
            check_on: CheckOn {
                open: false,
                acquire: if checked {
                    CheckOnAcquire::default()
                } else {
                    CheckOnAcquire::Never
                },
                release: false,
            },
            check_timeout: Some(Duration::from_secs(5)),
            suspect_timeout: Some(Duration::from_millis(250)),
            hook_timeout: Some(Duration::from_secs(5)),
            open_timeout: Some(Duration::from_secs(5)),
            close_timeout: Some(Duration::from_secs(5)),
            broken_close_timeout: Some(Duration::from_secs(1)),
            max_closing_beside: None,
            acquire_timeout: Some(Duration::from_secs(30)),
            leak_after: None,
            refuses_self_deadlock: false,
            timings: false,
        }
    }

    /// How many broken values may be closed beside their successors, above this maximum.
    pub(crate) fn allowance(&self, max_size: usize) -> usize {
        self.max_closing_beside
            .unwrap_or_else(|| default_allowance(max_size))
    }

    /// Whether the clock is read before a value is lent: a sweep comes too seldom to keep so short a limit, or may
    /// come too late.
    pub(crate) fn is_strict(&self) -> bool {
        let limits = [self.max_lifetime, self.idle_timeout];
        let shortest = limits.into_iter().flatten().min();
        shortest.is_some_and(|shortest| self.strict_limits || shortest < LEAST_LENIENT)
    }

    /// Whether a value notes when it comes back, so that it knows by itself since when it is idle.
    pub(crate) fn notes_returns(&self) -> bool {
        self.is_strict() && self.idle_timeout.is_some()
    }

    /// The limits of a pool that begins now.
    pub(crate) fn limits(&self, now: Option<Instant>) -> Limits {
        Limits::new(self.max_uses.unwrap_or(u32::MAX), self.max_lifetime, now)
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        above_zero("max_size", self.max_size)?;
        at_most("min_size", self.min_size, "max_size", self.max_size)?;
        if let Some(waiters) = self.max_waiters {
            above_zero("max_waiters", waiters)?;
        }
        if let Some(uses) = self.max_uses {
            above_zero("max_uses", uses)?;
        }
        let after_idle = match self.check_on.acquire {
            CheckOnAcquire::AfterIdle(limit) => Some(limit),
            CheckOnAcquire::Never | CheckOnAcquire::Always => None,
        };
        for (field, time) in [
            ("check_on_acquire", after_idle),
            ("idle_timeout", self.idle_timeout),
            ("max_lifetime", self.max_lifetime),
            ("check_every", self.check_every),
            ("check_timeout", self.check_timeout),
            ("suspect_timeout", self.suspect_timeout),
            ("hook_timeout", self.hook_timeout),
            ("open_timeout", self.open_timeout),
            ("close_timeout", self.close_timeout),
            ("broken_close_timeout", self.broken_close_timeout),
            ("leak_after", self.leak_after),
        ] {
            if let Some(time) = time {
                above_zero(field, time)?;
            }
        }
        Ok(())
    }
}

/// How many broken values may be closed beside their successors, above this maximum, unless somebody says otherwise.
pub(super) const fn default_allowance(max_size: usize) -> usize {
    let quarter = max_size / 4;
    if quarter > 1 { quarter } else { 1 }
}
