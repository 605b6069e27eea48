//! What is said of a bad configuration, and the checks that say it.
//!
//! The checks are public for crates that add a builder of their own, so that all of them complain in
//! the same words.

use core::fmt;
use core::time::Duration;

/// A setting that makes no sense: which field, its value, and the rule or the other value it breaks.
///
/// Whatever is built from settings answers with it: nothing panics on a bad setting, and nothing mends
/// one silently. Do not use it for what goes wrong while running.
///
/// ```
/// use core::time::Duration;
/// use tenure_core::Backoff;
///
/// let backoff = Backoff::exponential(Duration::from_secs(1)).cap(Duration::from_millis(500));
/// let error = backoff.validate().unwrap_err();
/// assert_eq!(error.field(), "backoff.cap");
/// assert_eq!(error.to_string(), "`backoff.cap` (500ms) is below `backoff.base` (1s)");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigError {
    field: &'static str,
    value: ConfigValue,
    rule: Rule,
}

impl ConfigError {
    /// The name of the field that is wrong.
    ///
    /// ```
    /// let error = tenure_core::config::above_zero("max_size", 0usize).unwrap_err();
    /// assert_eq!(error.field(), "max_size");
    /// ```
    #[must_use]
    pub const fn field(&self) -> &'static str {
        self.field
    }

    /// The value it was given.
    ///
    /// ```
    /// use tenure_core::config::{ConfigValue, above_zero};
    /// assert_eq!(above_zero("max_size", 0usize).unwrap_err().value(), ConfigValue::Count(0));
    /// ```
    #[must_use]
    pub const fn value(&self) -> ConfigValue {
        self.value
    }

    /// The field it disagrees with, and that one's value, if it is wrong only beside another.
    ///
    /// ```
    /// use tenure_core::config::{ConfigValue, at_most};
    /// let error = at_most("min_size", 5usize, "max_size", 3).unwrap_err();
    /// assert_eq!(error.limit(), Some(("max_size", ConfigValue::Count(3))));
    /// ```
    #[must_use]
    pub const fn limit(&self) -> Option<(&'static str, ConfigValue)> {
        match self.rule {
            Rule::AtLeast(field, value) | Rule::AtMost(field, value) => Some((field, value)),
            Rule::AboveZero | Rule::OnlyFor(_) => None,
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({}) ", self.field, self.value)?;
        match (self.rule, self.value) {
            (Rule::AtLeast(other, limit), _) => write!(f, "is below `{other}` ({limit})"),
            (Rule::AtMost(other, limit), _) => write!(f, "is above `{other}` ({limit})"),
            (Rule::AboveZero, ConfigValue::Duration(_)) => f.write_str("must be above zero"),
            (Rule::AboveZero, ConfigValue::Count(_)) => f.write_str("must be at least 1"),
            (Rule::OnlyFor(what), _) => write!(f, "applies only to {what}"),
        }
    }
}

impl core::error::Error for ConfigError {}

/// The value of a setting, as a [`ConfigError`] quotes it.
///
/// ```
/// use core::time::Duration;
/// use tenure_core::config::ConfigValue;
/// assert_eq!(ConfigValue::from(Duration::from_secs(2)).to_string(), "2s");
/// assert_eq!(ConfigValue::from(7u32).to_string(), "7");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ConfigValue {
    /// A length of time.
    Duration(Duration),
    /// A number of things.
    Count(u64),
}

impl fmt::Display for ConfigValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duration(duration) => write!(f, "{duration:?}"),
            Self::Count(count) => write!(f, "{count}"),
        }
    }
}

impl From<Duration> for ConfigValue {
    fn from(duration: Duration) -> Self {
        Self::Duration(duration)
    }
}

impl From<u32> for ConfigValue {
    fn from(count: u32) -> Self {
        Self::Count(count.into())
    }
}

impl From<u64> for ConfigValue {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<usize> for ConfigValue {
    fn from(count: usize) -> Self {
        Self::Count(count as u64)
    }
}

/// Checks that `value` is not below `limit`, which is the value of the field `other`.
///
/// # Errors
/// Names both fields and both values.
///
/// ```
/// use tenure_core::config::at_least;
/// assert!(at_least("max_size", 4usize, "min_size", 4).is_ok());
/// let error = at_least("max_size", 3usize, "min_size", 5).unwrap_err();
/// assert_eq!(error.to_string(), "`max_size` (3) is below `min_size` (5)");
/// ```
pub fn at_least<V: Into<ConfigValue>>(
    field: &'static str,
    value: V,
    other: &'static str,
    limit: V,
) -> Result<(), ConfigError> {
    let (value, limit) = (value.into(), limit.into());
    if value >= limit {
        Ok(())
    } else {
        Err(below(field, value, other, limit))
    }
}

/// Checks that `value` is not above `limit`, which is the value of the field `other`.
///
/// # Errors
/// Names both fields and both values.
///
/// ```
/// use tenure_core::config::at_most;
/// assert!(at_most("min_size", 3usize, "max_size", 3).is_ok());
/// let error = at_most("min_size", 5usize, "max_size", 3).unwrap_err();
/// assert_eq!(error.to_string(), "`min_size` (5) is above `max_size` (3)");
/// ```
pub fn at_most<V: Into<ConfigValue>>(
    field: &'static str,
    value: V,
    other: &'static str,
    limit: V,
) -> Result<(), ConfigError> {
    let (value, limit) = (value.into(), limit.into());
    if value <= limit {
        return Ok(());
    }
    let rule = Rule::AtMost(other, limit);
    Err(ConfigError { field, value, rule })
}

/// Checks that a duration or a count is not zero.
///
/// # Errors
/// Names the field and its value.
///
/// ```
/// use core::time::Duration;
/// use tenure_core::config::above_zero;
/// assert!(above_zero("check_every", Duration::from_nanos(1)).is_ok());
/// let error = above_zero("check_every", Duration::ZERO).unwrap_err();
/// assert_eq!(error.to_string(), "`check_every` (0ns) must be above zero");
/// let error = above_zero("max_size", 0usize).unwrap_err();
/// assert_eq!(error.to_string(), "`max_size` (0) must be at least 1");
/// ```
pub fn above_zero<V: Into<ConfigValue>>(field: &'static str, value: V) -> Result<(), ConfigError> {
    let value = value.into();
    let is_zero = match value {
        ConfigValue::Duration(duration) => duration.is_zero(),
        ConfigValue::Count(count) => count == 0,
    };
    if is_zero {
        Err(zero(field, value))
    } else {
        Ok(())
    }
}

/// Returns the error for a setting that must not be zero.
#[cold]
pub(crate) fn zero<V: Into<ConfigValue>>(field: &'static str, value: V) -> ConfigError {
    ConfigError {
        field,
        value: value.into(),
        rule: Rule::AboveZero,
    }
}

/// Returns the error for a `value` that is below that of the field `other`.
#[cold]
pub(crate) fn below<V: Into<ConfigValue>>(
    field: &'static str,
    value: V,
    other: &'static str,
    limit: V,
) -> ConfigError {
    ConfigError {
        field,
        value: value.into(),
        rule: Rule::AtLeast(other, limit.into()),
    }
}

/// What is said of a setting that only `what` heeds, given to something else.
#[cold]
pub(crate) fn only_for<V: Into<ConfigValue>>(
    field: &'static str,
    value: V,
    what: &'static str,
) -> ConfigError {
    ConfigError {
        field,
        value: value.into(),
        rule: Rule::OnlyFor(what),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    AtLeast(&'static str, ConfigValue),
    AtMost(&'static str, ConfigValue),
    AboveZero,
    OnlyFor(&'static str),
}
