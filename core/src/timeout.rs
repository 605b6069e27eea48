//! A limit on how long a future may take.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use pin_project_lite::pin_project;

use crate::name::redacted;
use crate::runtime::{Clock, Timer};
use crate::sync::Text;
use crate::time::Instant;

/// Gives `future` at most `limit`, and fails with `message` when it needs longer.
///
/// The future is polled before the limit is looked at, so what is ready at once succeeds even with a
/// limit of zero, and costs no timer. Do not wrap what has a timeout of its own, such as
/// [`Pool::acquire_timeout`](crate::Pool::acquire_timeout): its own error says more.
///
/// # Errors
/// [`TimedOut`] with the message, when the limit passed first. The future is dropped then.
///
/// # Cancel safety
/// Dropping it drops `future`, and nothing else.
///
/// ```
/// use core::time::Duration;
/// use tenure_core::{with_timeout, Instant, Timer};
/// # #[derive(Clone)]
/// # struct Stopped;
/// # impl Timer for Stopped {
/// #     type Sleep = core::future::Pending<()>;
/// #     fn now(&self) -> Instant { Instant::EPOCH }
/// #     fn sleep_until(&self, _: Instant) -> Self::Sleep { core::future::pending() }
/// # }
/// # let timer = Stopped;
/// # futures::executor::block_on(async {
/// let fetched = with_timeout(&timer, Duration::from_secs(60), "fetching the data set", async { 7 });
/// assert_eq!(fetched.await.unwrap(), 7);
/// # })
/// ```
pub fn with_timeout<T: Timer, F: Future>(
    timer: &T,
    limit: Duration,
    message: impl Into<Text>,
    future: F,
) -> WithTimeout<F, T> {
    WithTimeout {
        limited: Limited::new(timer.clone(), Some(limit), future),
        message: Some(redacted(message.into())),
        limit,
    }
}

pin_project! {
    /// The future of [`with_timeout`].
    ///
    /// ```
    #[doc = include_str!("doc_setting.txt")]
    /// let never = with_timeout(&Virtual::default(), Duration::from_secs(1), "waiting", core::future::pending::<()>());
    /// assert!(block_on(never).is_err());
    /// ```
    ///
    /// # Cancel safety
    /// Dropping it drops the future within, and nothing else.
    #[must_use = "futures do nothing unless polled"]
    pub struct WithTimeout<F, C: Clock> {
        #[pin]
        limited: Limited<F, C>,
        message: Option<Text>,
        limit: Duration,
    }
}

impl<F: Future, C: Clock> Future for WithTimeout<F, C> {
    type Output = Result<F::Output, TimedOut>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        this.limited.poll(cx).map_err(|Elapsed { .. }| TimedOut {
            message: this.message.take().unwrap_or_default(),
            limit: *this.limit,
        })
    }
}

impl<F, C: Clock> fmt::Debug for WithTimeout<F, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithTimeout")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// A limit passed before the work was done.
///
/// ```
/// # use core::time::Duration;
/// # fn show(error: &tenure_core::TimedOut) {
/// println!("{}: no answer in {:?}", error.message(), error.limit());
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimedOut {
    message: Text,
    limit: Duration,
}

impl TimedOut {
    /// The message that was given to [`with_timeout`], redacted as names are.
    ///
    /// ```
    #[doc = include_str!("doc_setting.txt")]
    /// let never = with_timeout(&Virtual::default(), Duration::from_secs(1), "waiting", core::future::pending::<()>());
    /// assert_eq!(block_on(never).unwrap_err().message(), "waiting");
    /// ```
    #[must_use]
    pub fn message(&self) -> &str {
        core::ops::Deref::deref(&self.message)
    }

    /// The limit that passed.
    ///
    /// ```
    #[doc = include_str!("doc_setting.txt")]
    /// let never = with_timeout(&Virtual::default(), Duration::from_secs(1), "waiting", core::future::pending::<()>());
    /// assert_eq!(block_on(never).unwrap_err().limit(), Duration::from_secs(1));
    /// ```
    #[must_use]
    pub const fn limit(&self) -> Duration {
        self.limit
    }
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} timed out after {:?}", self.message, self.limit)
    }
}

impl core::error::Error for TimedOut {}

pin_project! {
    /// A future under a limit that need not exist. The sleep is made only once the future waits.
    pub(crate) struct Limited<F, C: Clock> {
        #[pin]
        future: F,
        #[pin]
        sleep: Option<C::Sleep>,
        clock: C,
        limit: Option<Duration>,
        ends_at: Option<Instant>,
    }
}

impl<F: Future, C: Clock> Limited<F, C> {
    pub(crate) fn new(clock: C, limit: Option<Duration>, future: F) -> Self {
        Self {
            future,
            sleep: None,
            clock,
            limit,
            ends_at: None,
        }
    }
}

/// The limit that passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Elapsed {
    pub(crate) limit: Duration,
}

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "timed out after {:?}", self.limit)
    }
}

impl core::error::Error for Elapsed {}

impl<F: Future, C: Clock> Future for Limited<F, C> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        let Some(limit) = *this.limit else {
            return Poll::Pending;
        };
        if this.ends_at.is_none() {
            *this.ends_at = this.clock.try_now().map(|now| now + limit);
        }
        let Some(ends_at) = *this.ends_at else {
            return Poll::Pending;
        };
        if this.sleep.is_none() {
            this.sleep.set(this.clock.try_sleep_until(ends_at));
        }
        match this.sleep.as_pin_mut() {
            Some(sleep) => sleep.poll(cx).map(|()| Err(Elapsed { limit })),
            None => Poll::Pending,
        }
    }
}
