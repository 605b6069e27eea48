//! The settings of a managed resource.

use core::time::Duration;

use crate::backoff::Backoff;
use crate::config::{ConfigError, above_zero, at_least};
use crate::retry::Retry;
use crate::sink::SharedBudget;
use crate::state::Thresholds;

#[derive(Clone, Debug)]
pub(crate) struct ManagedConfig {
    /// The policy of calls.
    pub(crate) retry: Retry,
    /// The policy of openings: their pace, and where it is limited, how many of them a caller waits for.
    pub(crate) open_retry: Retry,
    /// For how long attempts fail, during a caller's wait, before it is told.
    pub(crate) refuse_after: Option<Duration>,
    pub(crate) budget: Option<SharedBudget>,
    pub(crate) thresholds: Thresholds,
    pub(crate) check_every: Option<Duration>,
    pub(crate) initial_delay: Option<Duration>,
    pub(crate) check_timeout: Option<Duration>,
    pub(crate) open_timeout: Option<Duration>,
    pub(crate) close_timeout: Option<Duration>,
    pub(crate) hook_timeout: Option<Duration>,
    pub(crate) broken_close_timeout: Option<Duration>,
    /// How long calls on a value that was found dead go on.
    pub(crate) call_grace: Option<Duration>,
    pub(crate) proven_after: Option<Duration>,
}

impl Default for ManagedConfig {
    fn default() -> Self {
        Self {
            retry: Retry::default(),
            open_retry: Retry::new(Backoff::OPENING).max_retries(u32::MAX),
            refuse_after: Some(Duration::from_secs(3)),
            budget: None,
            thresholds: Thresholds::default(),
            check_every: None,
            initial_delay: None,
            check_timeout: Some(Duration::from_secs(5)),
            open_timeout: Some(Duration::from_secs(5)),
            close_timeout: Some(Duration::from_secs(5)),
            hook_timeout: Some(Duration::from_secs(5)),
            broken_close_timeout: Some(Duration::from_secs(1)),
            call_grace: Some(Duration::from_secs(5)),
            proven_after: Some(Duration::from_secs(60)),
        }
    }
}

impl ManagedConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        self.retry.validate()?;
        self.open_retry.validate()?;
        if let Some(budget) = &self.budget {
            budget.validate()?;
        }
        let Thresholds {
            fail_after,
            recover_after,
            reopen_after,
        } = self.thresholds;
        above_zero("fail_after", fail_after)?;
        above_zero("recover_after", recover_after)?;
        if let Some(reopen_after) = reopen_after {
            at_least("reopen_after", reopen_after, "fail_after", fail_after)?;
        }
        for (field, time) in [
            ("check_every", self.check_every),
            ("check_timeout", self.check_timeout),
            ("open_timeout", self.open_timeout),
            ("close_timeout", self.close_timeout),
            ("hook_timeout", self.hook_timeout),
            ("broken_close_timeout", self.broken_close_timeout),
        ] {
            if let Some(time) = time {
                above_zero(field, time)?;
            }
        }
        Ok(())
    }

    /// How many failed attempts to open count at most for a retry around them: the pace makes the others for all.
    pub(crate) fn most_counted_attempts(&self) -> u32 {
        let calls = self.retry.max_attempts();
        calls.min(self.open_retry.max_attempts())
    }
}
