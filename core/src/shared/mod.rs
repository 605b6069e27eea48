//! One value that is open as long as anyone uses it, and can be swapped for a new one meanwhile.

mod book;
mod builder;
mod generation;
mod inner;
mod job;
mod member;
mod runner;
mod share;
mod shutdown;
mod swap;

use core::sync::atomic::Ordering;
use core::time::Duration;

pub use builder::SharedBuilder;
pub use runner::Runner;
pub use share::Share;

use crate::cleanup::{Audit, Report};
use crate::ending::Why;
use crate::held::HeldResource;
use crate::name::Name;
use crate::opening::OpenError;
use crate::resource::{BoxError, LocalResource};
use crate::runtime::{Clock, NoTimer, Timer};
use crate::state::State;
use crate::sync::Arc;
use crate::timeout::{Elapsed, Limited};
use inner::Inner;
use shutdown::close_shared;

/// One value that is opened by its first user, kept while anyone uses it and for a time after, and closed then;
/// whose place another can take while the old one's users finish.
///
/// [`acquire`](Shared::acquire) gives a [`Share`], through which all users reach the same value at the same time:
/// it is a cheap handle that can be cloned, such as a client or an `Arc`. Where a value is to stay open whether or
/// not anyone uses it, take a [`Managed`](crate::Managed); where each user needs one for itself, a
/// [`Pool`](crate::Pool).
///
/// Cloning it is cheap and gives another handle. When the last one is dropped, the value is closed in the
/// background once its users have finished, or abandoned where there is no background.
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// # let rt = Runtime;
/// let shared = Shared::builder(Db).idle_timeout(Duration::from_secs(60)).build(rt)?;
/// # block_on(async {
/// let share = shared.acquire().await?; // opened now
/// let other = shared.acquire().await?; // the same value
/// assert_eq!(*share, *other);
///
/// shared.swap().await?; // whoever comes now gets a new one
/// assert!(!share.is_current() && shared.acquire().await?.is_current());
/// drop((share, other)); // now the old one is closed
///
/// assert!(shared.shutdown(Duration::from_secs(5)).await.is_clean());
/// # Ok::<(), BoxError>(())
/// # }).unwrap();
/// # Ok::<(), BoxError>(())
/// ```
pub struct Shared<R: LocalResource, C: Clock> {
    inner: Arc<Inner<R, C>>,
}

impl<R: LocalResource<Value: Clone>> Shared<R, NoTimer> {
    /// Begins to configure a shared value of `resource`.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let (shared, _runner) = Shared::builder(Db).name("db").build_with_runner(NoTimer)?;
    /// assert_eq!(shared.name().as_str(), "db");
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn builder(resource: R) -> SharedBuilder<R>
    where
        R::Error: Into<BoxError>,
    {
        SharedBuilder::new(HeldResource::new(resource))
    }
}

impl<R: LocalResource<Value: Clone>, C: Clock> Shared<R, C> {
    /// A share of the value, which is opened if it is not. However many ask at once, one opening runs, by the
    /// [policy](SharedBuilder::retry) that was set. While a value that was idle too long is closed, a new one is
    /// not opened.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # let (shared, _runner) = Shared::builder(Db).build_with_runner(NoTimer)?;
    /// # block_on(async {
    /// let share = shared.acquire().await?;
    /// assert_eq!(*share, "session");
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// # Ok::<(), BoxError>(())
    /// ```
    ///
    /// # Errors
    /// [`OpenError`]: it did not open, or is closed for good.
    ///
    /// # Cancel safety
    /// Dropping the future gives up this caller's place. The opening goes on if a Runner drives it, or if others
    /// wait for it.
    pub async fn acquire(&self) -> Result<Share<R, C>, OpenError> {
        Inner::acquire(&self.inner).await
    }

    /// Opens a new value, and puts it in the place of the one that is there: all who acquire from then on get
    /// the new one. The old one is closed once its users have finished. If the new one does not open, the old
    /// one stays.
    ///
    /// Callers who ask for this while a swap of the same value is under way join that, and share its outcome: however
    /// many find a value to be broken, one new value is opened. A user that holds a share calls
    /// [`swap_if_current`](Share::swap_if_current), which also does nothing once the value was replaced. If what `open`
    /// reads has changed, such as an address in a file, a swap under way may have read it before: then use
    /// [`swap_to`](Shared::swap_to), which joins no other.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # let (shared, _runner) = Shared::builder(Db).build_with_runner(NoTimer)?;
    /// # block_on(async {
    /// let share = shared.acquire().await?;
    /// shared.swap().await?;
    /// assert!(!share.is_current());
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// # Ok::<(), BoxError>(())
    /// ```
    ///
    /// # Errors
    /// [`OpenError`]: the new value did not open, or all is closed for good.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the old value in its place, unless others have joined the swap, who go on with it; a
    /// new one that was opened already is closed.
    pub async fn swap(&self) -> Result<(), OpenError> {
        Inner::swap(&self.inner, None).await
    }

    /// Swaps to a value of a resource with other settings, such as a new address or password, with which all values
    /// after this one are opened. If a swap to yet another resource is begun later and is over before this one, that
    /// stays.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # let (shared, _runner) = Shared::builder(Db).build_with_runner(NoTimer)?;
    /// # block_on(async {
    /// shared.swap_to(Db).await?;
    /// assert!(shared.acquire().await?.is_current());
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// # Ok::<(), BoxError>(())
    /// ```
    ///
    /// # Errors
    /// As [`swap`](Shared::swap).
    ///
    /// # Cancel safety
    /// As [`swap`](Shared::swap).
    pub async fn swap_to(&self, resource: R) -> Result<(), OpenError> {
        Inner::swap_to(&self.inner, resource).await
    }

    /// Closes for good, like [`shutdown`](Shared::shutdown), with no limit but that of a close: it waits for all
    /// users.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # let (shared, _runner) = Shared::builder(Db).build_with_runner(NoTimer)?;
    /// # block_on(async {
    /// drop(shared.acquire().await?);
    /// assert_eq!(shared.close().await.closed, 1);
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// # Ok::<(), BoxError>(())
    /// ```
    ///
    /// # Cancel safety
    /// As [`shutdown`](Shared::shutdown).
    pub async fn close(&self) -> Report {
        close_shared(&self.inner, None).await
    }

    /// Where the value stands that a new user would get: [`Uninitialized`](State::Uninitialized) while there is
    /// none.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # let (shared, _runner) = Shared::builder(Db).build_with_runner(NoTimer)?;
    /// assert_eq!(shared.state(), State::Uninitialized);
    /// # Ok::<(), BoxError>(())
    /// ```
    #[must_use]
    pub fn state(&self) -> State {
        self.inner.state()
    }

    /// How many values were opened, and where each of them is. One that has users counts as in use, once.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # let (shared, _runner) = Shared::builder(Db).build_with_runner(NoTimer)?;
    /// # block_on(async {
    /// let share = shared.acquire().await?;
    /// assert_eq!(shared.audit().in_use, 1);
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// # Ok::<(), BoxError>(())
    /// ```
    #[must_use]
    pub fn audit(&self) -> Audit {
        self.inner.audit()
    }
}

impl<R: LocalResource, C: Clock> Shared<R, C> {
    /// The name in events and errors.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # let (shared, _runner) = Shared::builder(Db).name("db").build_with_runner(NoTimer)?;
    /// assert_eq!(shared.name().as_str(), "db");
    /// # Ok::<(), BoxError>(())
    /// ```
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.inner.settings.reporter.name
    }
}

impl<R: LocalResource<Value: Clone>, T: Timer> Shared<R, T> {
    /// A share of the value, as [`acquire`](Shared::acquire) gives it, within a time.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # let (shared, _runner) = Shared::builder(Db).build_with_runner(Virtual::default())?;
    /// # block_on(async {
    /// let share = shared.acquire_timeout(Duration::from_secs(5)).await?;
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// # Ok::<(), BoxError>(())
    /// ```
    ///
    /// # Errors
    /// As [`acquire`](Shared::acquire), and [`OpenError::TimedOut`].
    ///
    /// # Cancel safety
    /// As [`acquire`](Shared::acquire).
    pub async fn acquire_timeout(&self, timeout: Duration) -> Result<Share<R, T>, OpenError> {
        let clock = self.inner.clock.clone();
        match Limited::new(clock, Some(timeout), Inner::acquire(&self.inner)).await {
            Ok(acquired) => acquired,
            Err(Elapsed { limit }) => Err(OpenError::TimedOut {
                name: self.name().clone(),
                waited: limit,
                last: self.inner.last_error(),
            }),
        }
    }

    /// Closes for good: nobody is served from now on. Each value is closed once its users have finished, and
    /// under them when `within` is over; the report then says how many were still in use.
    ///
    /// Called again, it waits for what is left and reports the whole. Concurrent callers all wait.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # let (shared, _runner) = Shared::builder(Db).build_with_runner(Virtual::default())?;
    /// # block_on(async {
    /// let share = shared.acquire().await?;
    /// let report = shared.shutdown(Duration::from_secs(5)).await;
    /// assert_eq!(report.still_in_use, 1);
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// # Ok::<(), BoxError>(())
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the future leaves all closing: call it again to go on. A close that this future drove itself, because there is
    /// no Runner, counts as abandoned.
    pub async fn shutdown(&self, within: Duration) -> Report {
        close_shared(&self.inner, Some(within)).await
    }
}

impl<R: LocalResource, C: Clock> Clone for Shared<R, C> {
    fn clone(&self) -> Self {
        self.inner.handles.fetch_add(1, Ordering::Relaxed);
        Self {
            inner: self.inner.clone(),
        }
    }
}

impl<R: LocalResource, C: Clock> Drop for Shared<R, C> {
    fn drop(&mut self) {
        if self.inner.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.inner.begin_closing(Why::HandlesDropped);
            self.inner.abandon_orphans();
        }
    }
}

impl<R: LocalResource, C: Clock> core::fmt::Debug for Shared<R, C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Shared")
            .field("name", self.name())
            .finish_non_exhaustive()
    }
}
