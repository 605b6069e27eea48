//! A use of the shared value.

use core::fmt;
use core::mem;
use core::ops::Deref;

use super::inner::Inner;
use crate::name::Redacted;
use crate::opening::OpenError;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::sync::Arc;

/// A share of the value of a [`Shared`](super::Shared): while anyone has one, that value stays open.
///
/// It gives the value itself, which all shares have in common. Dropping it never waits, blocks or panics.
/// Forgotten (`mem::forget`), it keeps the value open until a shutdown's time is over. Do not keep a clone of the
/// value beyond the share: it may be closed by then.
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// # let (shared, _runner) = Shared::builder(Db).build_with_runner(NoTimer)?;
/// # block_on(async {
/// let share = shared.acquire().await?;
/// assert_eq!(share.len(), 7);
/// # Ok::<(), BoxError>(())
/// # }).unwrap();
/// # Ok::<(), BoxError>(())
/// ```
#[must_use = "dropped, it keeps nothing open"]
pub struct Share<R: LocalResource, C: Clock> {
    value: R::Value,
    seat: Seat<R, C>,
}

impl<R: LocalResource, C: Clock> Share<R, C> {
    /// Whether a new user would get the same value: it was not replaced, and there was no shutdown.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # let (shared, _runner) = Shared::builder(Db).build_with_runner(NoTimer)?;
    /// # block_on(async {
    /// let share = shared.acquire().await?;
    /// assert!(share.is_current());
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// # Ok::<(), BoxError>(())
    /// ```
    #[must_use]
    pub fn is_current(&self) -> bool {
        let number = self.seat.number;
        self.seat
            .inner
            .book
            .with(|book| book.current == Some(number))
    }
}

impl<R: LocalResource<Value: Clone>, C: Clock> Share<R, C> {
    /// Replaces the value that this share has, as [`Shared::swap`](super::Shared::swap) does, unless that was done already.
    ///
    /// It is for a user that found the value to be broken: however many users of one value find that, and whenever, one
    /// new value is opened.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # let (shared, _runner) = Shared::builder(Db).build_with_runner(NoTimer)?;
    /// # block_on(async {
    /// let (one, other) = (shared.acquire().await?, shared.acquire().await?);
    /// one.swap_if_current().await?;
    /// other.swap_if_current().await?;
    /// assert!(!one.is_current());
    /// assert_eq!(shared.audit().opened, 2);
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// # Ok::<(), BoxError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Shared::swap`](super::Shared::swap).
    ///
    /// # Cancel safety
    /// As [`Shared::swap`](super::Shared::swap).
    pub async fn swap_if_current(&self) -> Result<(), OpenError> {
        Inner::swap(&self.seat.inner, Some(self.seat.number)).await
    }
}

impl<R: LocalResource, C: Clock> Deref for Share<R, C> {
    type Target = R::Value;

    fn deref(&self) -> &R::Value {
        &self.value
    }
}

/// Another share of the same value, be it replaced or not.
impl<R: LocalResource<Value: Clone>, C: Clock> Clone for Share<R, C> {
    fn clone(&self) -> Self {
        Self {
            value: self.value.clone(),
            seat: self.seat.again(),
        }
    }
}

impl<R: LocalResource<Value: fmt::Debug>, C: Clock> fmt::Debug for Share<R, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Share")
            .field(&Redacted(&self.value))
            .finish()
    }
}

/// A place among the users of a generation: first of those who wait, then of those who hold the value.
pub(crate) struct Seat<R: LocalResource, C: Clock> {
    inner: Arc<Inner<R, C>>,
    pub(crate) number: u64,
    holds: bool,
}

impl<R: LocalResource, C: Clock> Seat<R, C> {
    /// The place of one who waits, and who is counted already.
    pub(crate) const fn new(inner: Arc<Inner<R, C>>, number: u64) -> Self {
        Self {
            inner,
            number,
            holds: false,
        }
    }

    /// It has come: from now on this one holds the value.
    pub(crate) fn hold(mut self, value: R::Value) -> Share<R, C> {
        self.inner.book.with(|book| {
            if let Some(generation) = book.generation(self.number) {
                generation.waiting -= 1;
                generation.holding += 1;
            }
        });
        self.holds = true;
        Share { value, seat: self }
    }

    fn again(&self) -> Self {
        self.inner.book.with(|book| {
            if let Some(generation) = book.generation(self.number) {
                generation.holding += 1;
            }
        });
        Self {
            inner: self.inner.clone(),
            number: self.number,
            holds: true,
        }
    }
}

impl<R: LocalResource, C: Clock> Drop for Seat<R, C> {
    fn drop(&mut self) {
        let now = self.inner.now();
        let held = mem::take(&mut self.holds);
        self.inner
            .change(|book, _| book.leave(self.number, held, now));
        self.inner.abandon_orphans();
    }
}
