//! How long to wait before each retry.

use core::time::Duration;

use crate::config::{self, ConfigError};
use crate::random::Random;
use crate::time::nanos;

/// How long to wait before each retry: a rule of growth, a cap, and a jitter.
///
/// It is a plain value, `Copy` and built by `const` functions, that keeps integer nanoseconds. All
/// arithmetic saturates, so that any number of retries is safe. What it says holds for the sum: a
/// delay, its jitter included, is never longer than the cap.
///
/// It does not count attempts, read clocks or wait; [`Retry`](crate::Retry) does. [`Backoff::delays`]
/// serves a loop of your own.
///
/// [`Backoff::DEFAULT`], which is also the [`Default`], carries the numbers of the Python system that
/// this library follows: 1 s at first, doubled each time, at most 30 s, with [`Jitter::Full`].
///
/// ```
/// use core::time::Duration;
/// use tenure_core::{Backoff, Jitter};
///
/// static RECONNECT: Backoff = Backoff::exponential(Duration::from_millis(100))
///     .cap(Duration::from_secs(10))
///     .jitter(Jitter::Equal);
///
/// assert!(RECONNECT.validate().is_ok());
/// assert_eq!(RECONNECT.nominal(3), Duration::from_millis(400));
/// assert_eq!(RECONNECT.nominal(u32::MAX), Duration::from_secs(10));
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Backoff {
    growth: Growth,
    /// Set by `factor`, whatever the growth; `validate` refuses one that nothing heeds.
    factor: Option<u32>,
    cap: u64,
    jitter: Jitter,
    seed: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
enum Growth {
    Constant(u64),
    Linear(u64),
    Exponential(u64),
    Fibonacci(u64),
    Custom(fn(u32) -> Duration),
}

/// The original's `max_retry_delay`.
const DEFAULT_CAP: Duration = Duration::from_secs(30);

/// The original doubles.
const DEFAULT_FACTOR: u32 = 2;

impl Backoff {
    /// 1 s, doubled for each retry, at most 30 s, [`Jitter::Full`].
    pub const DEFAULT: Self = Self::exponential(Duration::from_secs(1));

    /// The pace at which a server is probed while openings fail: from 525 ms to 700 ms, [`Jitter::Quarter`].
    ///
    /// The default of what opens values for many callers at once. Such openings are few, one at a time, and callers wait
    /// for them; so they do not back off as calls do. This one is about as slow as it can be with service back within a second of
    /// the server.
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use tenure_core::Backoff;
    /// let mut delays = Backoff::OPENING.delays(42).take(100);
    /// assert!(delays.all(|delay| (525..=700).contains(&delay.as_millis())));
    /// ```
    pub const OPENING: Self = Self::constant(Duration::from_millis(700)).jitter(Jitter::Quarter);

    /// Doubles with each retry: `base`, 2 `base`, 4 `base` .. See [`Backoff::factor`].
    ///
    /// The usual choice. It starts with a cap of 30 s and [`Jitter::Full`].
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use tenure_core::Backoff;
    /// let backoff = Backoff::exponential(Duration::from_millis(50));
    /// assert_eq!([1, 2, 3].map(|n| backoff.nominal(n).as_millis()), [50, 100, 200]);
    /// ```
    pub const fn exponential(base: Duration) -> Self {
        Self::growing(Growth::Exponential(nanos(base)))
    }

    /// The same delay before each retry. Zero is allowed, and means to retry at once.
    ///
    /// It has no jitter unless one is asked for. Its cap is 30 s, or `delay` where that is longer; it
    /// matters for [`ErrorClass::RetryAfter`](crate::ErrorClass::RetryAfter). Not for many clients of
    /// one server: they would all come back together, again and again.
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use tenure_core::Backoff;
    /// let backoff = Backoff::constant(Duration::from_secs(5));
    /// assert_eq!(backoff.nominal(1), backoff.nominal(1_000));
    /// ```
    pub const fn constant(delay: Duration) -> Self {
        let delay = nanos(delay);
        let cap = nanos(DEFAULT_CAP);
        Self {
            cap: if delay > cap { delay } else { cap },
            jitter: Jitter::None,
            ..Self::growing(Growth::Constant(delay))
        }
    }

    /// Grows by `step` with each retry: `step`, 2 `step`, 3 `step` ..
    ///
    /// It starts with a cap of 30 s and [`Jitter::Full`].
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use tenure_core::Backoff;
    /// let backoff = Backoff::linear(Duration::from_secs(2));
    /// assert_eq!([1, 2, 3].map(|n| backoff.nominal(n).as_secs()), [2, 4, 6]);
    /// ```
    pub const fn linear(step: Duration) -> Self {
        Self::growing(Growth::Linear(nanos(step)))
    }

    /// Grows as the Fibonacci numbers do: 1, 1, 2, 3, 5 .. times `base`; gentler than doubling.
    ///
    /// It starts with a cap of 30 s and [`Jitter::Full`].
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use tenure_core::Backoff;
    /// let backoff = Backoff::fibonacci(Duration::from_secs(1));
    /// assert_eq!([1, 2, 3, 4, 5].map(|n| backoff.nominal(n).as_secs()), [1, 1, 2, 3, 5]);
    /// ```
    pub const fn fibonacci(base: Duration) -> Self {
        Self::growing(Growth::Fibonacci(nanos(base)))
    }

    /// Whatever `delay` says for a retry's number, which counts from 1.
    ///
    /// It starts with a cap of 30 s and no jitter, so that the delays are those of the function.
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use tenure_core::Backoff;
    /// const STEPS: Backoff = Backoff::custom(|retry| match retry {
    ///     1 => Duration::ZERO,
    ///     2 => Duration::from_millis(100),
    ///     _ => Duration::from_secs(5),
    /// });
    /// assert_eq!(STEPS.nominal(2), Duration::from_millis(100));
    /// ```
    pub const fn custom(delay: fn(u32) -> Duration) -> Self {
        Self {
            jitter: Jitter::None,
            ..Self::growing(Growth::Custom(delay))
        }
    }

    /// What an exponential backoff multiplies by; 2 unless set. 1 is allowed, 0 is not.
    ///
    /// Only [`Backoff::exponential`] has one: on another kind, [`validate`](Backoff::validate) says so.
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use tenure_core::Backoff;
    /// let backoff = Backoff::exponential(Duration::from_millis(10)).factor(3);
    /// assert_eq!([1, 2, 3].map(|n| backoff.nominal(n).as_millis()), [10, 30, 90]);
    /// ```
    pub const fn factor(mut self, factor: u32) -> Self {
        self.factor = Some(factor);
        self
    }

    /// The longest delay, jitter included.
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use tenure_core::Backoff;
    /// let backoff = Backoff::DEFAULT.cap(Duration::from_secs(3));
    /// assert!(backoff.delays(42).take(100).all(|delay| delay <= Duration::from_secs(3)));
    /// ```
    pub const fn cap(mut self, cap: Duration) -> Self {
        self.cap = nanos(cap);
        self
    }

    /// How the delays of many clients are spread.
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use tenure_core::{Backoff, Jitter};
    /// let exact = Backoff::DEFAULT.jitter(Jitter::None);
    /// assert_eq!(exact.delays(42).next(), Some(Duration::from_secs(1)));
    /// ```
    pub const fn jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// Fixes the jitter's random numbers, so that each sequence of delays is the same.
    ///
    /// For tests. In production leave it unset: the timer's
    /// [`entropy`](crate::Timer::entropy) then seeds each sequence, and clients differ.
    ///
    /// ```
    /// # use tenure_core::Backoff;
    /// let backoff = Backoff::DEFAULT.seed(7);
    /// assert!(backoff.delays(1).take(5).eq(backoff.delays(2).take(5)));
    /// ```
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The delay before the given retry, without jitter. Retries count from 1; there is no delay
    /// before the first attempt, so `nominal(0)` is zero.
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use tenure_core::Backoff;
    /// assert_eq!(Backoff::DEFAULT.nominal(1), Duration::from_secs(1));
    /// assert_eq!(Backoff::DEFAULT.nominal(9), Duration::from_secs(30));
    /// ```
    #[must_use]
    pub fn nominal(&self, retry: u32) -> Duration {
        Duration::from_nanos(self.nominal_nanos(retry))
    }

    /// The delays of one operation's retries, without end: the first is the one before the first retry.
    ///
    /// `entropy` seeds the jitter unless [`Backoff::seed`] did; pass
    /// [`Timer::entropy`](crate::Timer::entropy). The same number gives the same delays.
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use tenure_core::Backoff;
    /// let delays: Vec<Duration> = Backoff::DEFAULT.delays(42).take(3).collect();
    /// assert!(delays[0] <= Duration::from_secs(1));
    /// assert!(delays[2] <= Duration::from_secs(4));
    /// ```
    pub const fn delays(&self, entropy: u64) -> Delays {
        Delays {
            backoff: *self,
            pace: self.pace(entropy),
        }
    }

    /// As [`delays`](Backoff::delays), for what keeps the backoff beside it.
    pub(crate) const fn pace(&self, entropy: u64) -> Pace {
        let seed = match self.seed {
            Some(seed) => seed,
            None => entropy,
        };
        Pace {
            random: Random::seeded(seed),
            retry: 0,
            previous: 0,
        }
    }

    /// Says whether the settings make sense together. What is built from a backoff calls it.
    ///
    /// # Errors
    /// The cap is below the first delay; the base or step of a kind that grows from it is zero; a
    /// factor is zero, or set where nothing heeds it; the cap of a custom backoff is zero.
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use tenure_core::Backoff;
    /// assert!(Backoff::constant(Duration::ZERO).validate().is_ok());
    /// let error = Backoff::exponential(Duration::ZERO).validate().unwrap_err();
    /// assert_eq!(error.to_string(), "`backoff.base` (0ns) must be above zero");
    /// ```
    #[inline]
    pub fn validate(&self) -> Result<(), ConfigError> {
        if let Some(factor) = self.factor {
            let Growth::Exponential(_) = self.growth else {
                let what = "an exponential backoff";
                return Err(config::only_for("backoff.factor", factor, what));
            };
            if factor == 0 {
                return Err(config::zero("backoff.factor", factor));
            }
        }
        let first = match self.growth {
            Growth::Constant(first)
            | Growth::Linear(first)
            | Growth::Exponential(first)
            | Growth::Fibonacci(first) => first,
            Growth::Custom(_) if self.cap == 0 => {
                return Err(config::zero("backoff.cap", Duration::ZERO));
            }
            Growth::Custom(_) => return Ok(()),
        };
        if first == 0 && !matches!(self.growth, Growth::Constant(_)) {
            return Err(config::zero(self.first_setting(), Duration::ZERO));
        }
        // Compared as the numbers they are: a policy is validated by each retry under it.
        if self.cap < first {
            let (field, first) = (self.first_setting(), Duration::from_nanos(first));
            return Err(config::below("backoff.cap", self.longest(), field, first));
        }
        Ok(())
    }

    /// Returns the name of the setting that is the first delay.
    #[cold]
    const fn first_setting(&self) -> &'static str {
        match self.growth {
            Growth::Constant(_) => "backoff.delay",
            Growth::Linear(_) => "backoff.step",
            Growth::Exponential(_) | Growth::Fibonacci(_) => "backoff.base",
            Growth::Custom(_) => "backoff.cap",
        }
    }

    pub(crate) const fn has_no_delay(&self) -> bool {
        matches!(self.growth, Growth::Constant(0))
    }

    pub(crate) const fn longest(&self) -> Duration {
        Duration::from_nanos(self.cap)
    }

    const fn growing(growth: Growth) -> Self {
        Self {
            growth,
            factor: None,
            cap: nanos(DEFAULT_CAP),
            jitter: Jitter::Full,
            seed: None,
        }
    }

    fn nominal_nanos(&self, retry: u32) -> u64 {
        let Some(earlier) = retry.checked_sub(1) else {
            return 0;
        };
        let delay = match self.growth {
            Growth::Constant(delay) => delay,
            Growth::Linear(step) => step.saturating_mul(retry.into()),
            Growth::Exponential(base) => {
                let factor = u64::from(self.factor.unwrap_or(DEFAULT_FACTOR));
                base.saturating_mul(factor.saturating_pow(earlier))
            }
            Growth::Fibonacci(base) => base.saturating_mul(fibonacci_number(retry)),
            Growth::Custom(delay) => nanos(delay(retry)),
        };
        delay.min(self.cap)
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// How chance spreads the delays, so that clients which failed together do not come back together.
///
/// The formulas are those of Marc Brooker's "Exponential Backoff And Jitter" (AWS Architecture Blog,
/// 2015), whose measurements favour [`Full`](Jitter::Full). `n` is the capped delay without jitter.
///
/// ```
/// use core::time::Duration;
/// use tenure_core::{Backoff, Jitter};
///
/// let backoff = Backoff::DEFAULT.jitter(Jitter::Equal);
/// let first = backoff.delays(3).next().unwrap();
/// assert!(first >= Duration::from_millis(500) && first <= Duration::from_secs(1));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Jitter {
    /// Exactly `n`. For tests, and where there is but one client.
    None,
    /// Anything from zero to `n`. Spreads load best.
    #[default]
    Full,
    /// Half of `n`, and anything from zero to the other half. Where a delay near zero would be useless.
    Equal,
    /// Three quarters of `n`, and anything from zero to the last quarter. Where the pace matters more than the spread.
    Quarter,
    /// Anything from the first delay to three times the delay before, within the cap.
    ///
    /// It makes its own growth: of the backoff's kind only the first delay counts. Unlike in the article
    /// the cap bounds the range, not the draw: else two thirds of the later delays would be the cap
    /// itself, and everybody's the same.
    Decorrelated,
}

/// The delays before the retries of one operation, an iterator without end.
///
/// From [`Backoff::delays`]. Make a new one for each operation: it remembers how far it has got.
///
/// ```
/// use core::time::Duration;
/// use tenure_core::{Backoff, Jitter};
///
/// let backoff = Backoff::linear(Duration::from_secs(1)).jitter(Jitter::None);
/// let mut delays = backoff.delays(0);
/// assert_eq!(delays.next(), Some(Duration::from_secs(1)));
/// assert_eq!(delays.next(), Some(Duration::from_secs(2)));
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Delays {
    backoff: Backoff,
    pace: Pace,
}

/// How far the delays of one operation have got.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    random: Random,
    retry: u32,
    /// Nanoseconds of the delay before, for `Jitter::Decorrelated`.
    previous: u64,
}

impl Pace {
    /// Returns the next delay of `backoff`, which is that of all calls.
    pub(crate) fn next(&mut self, backoff: &Backoff) -> Duration {
        self.retry = self.retry.saturating_add(1);
        let delay = match backoff.jitter {
            Jitter::None => backoff.nominal_nanos(self.retry),
            Jitter::Full => {
                let nominal = backoff.nominal_nanos(self.retry);
                self.random.below_or_equal(nominal)
            }
            Jitter::Equal => {
                let nominal = backoff.nominal_nanos(self.retry);
                nominal / 2 + self.random.below_or_equal(nominal - nominal / 2)
            }
            Jitter::Quarter => {
                let nominal = backoff.nominal_nanos(self.retry);
                nominal - self.random.below_or_equal(nominal / 4)
            }
            Jitter::Decorrelated => {
                let base = backoff.nominal_nanos(1);
                let tripled = self.previous.max(base).saturating_mul(3);
                let highest = tripled.min(backoff.cap);
                base + self.random.below_or_equal(highest - base)
            }
        };
        self.previous = delay;
        Duration::from_nanos(delay)
    }
}

impl Iterator for Delays {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(self.pace.next(&self.backoff))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::MAX, None)
    }
}

/// Saturates, after which further steps would change nothing.
fn fibonacci_number(n: u32) -> u64 {
    let (mut number, mut next) = (0_u64, 1_u64);
    for _ in 0..n {
        if number == u64::MAX {
            break;
        }
        (number, next) = (next, number.saturating_add(next));
    }
    number
}

#[cfg(test)]
mod tests;
