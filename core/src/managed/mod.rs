//! One value that all tasks share, with a lifecycle.

mod attempts;
mod builder;
mod call;
mod config;
mod error;
mod job;
mod member;
mod open;
mod openings;
mod ready;
mod reconnect;
mod revocation;
mod runner;
mod shared;
mod shutdown;
mod status;
mod watch;
mod weak;

use core::future::{Future, ready};
use core::sync::atomic::Ordering;
use core::time::Duration;

pub use crate::opening::OpenError;
pub use builder::ManagedBuilder;
pub(crate) use builder::{spawn_runner, spawn_runner_locally};
pub use call::CallOptions;
pub(crate) use call::Ways;
pub use error::{CallError, CheckError, Revoked, RevokedFor, Unreachable};
pub use runner::Runner;
pub use watch::{StateChange, Watch};

use crate::cleanup::Report;
use crate::ending::Why;
use crate::held::HeldResource;
use crate::resource::{BoxError, LocalResource};
use crate::retry::{ErrorClass, Failure};
use crate::runtime::{Clock, Timer};
use crate::sync::{Arc, Text};
use crate::time::Instant;
use job::{ManagedCheckJob, Purpose};
use open::wait_until_open;
pub(crate) use openings::Patience;
pub(crate) use reconnect::ManagedStanding;
use shared::ManagedShared;
pub(crate) use shared::SpawnManagedRunner;
pub(crate) use weak::WeakManaged;

/// One value that is opened once, shared by all tasks, watched, recovered and always closed: a
/// client, a channel, a session, a device.
///
/// The value is a cheap clone (`Arc<Client>`, a channel): [`get`](Managed::get) hands one out,
/// [`call`](Managed::call) runs an operation on one under the retry policy. However many tasks ask at
/// once, one opening runs and all wait for it.
///
/// What `get` hands out is not tracked: only calls made through `call` delay a close.
///
/// Cloning it is cheap and gives another handle. When the last handle is dropped without a
/// [`shutdown`](Managed::shutdown), the Runner closes the value; where there is no Runner, it is
/// abandoned, and counted as such.
///
/// For values that one task at a time uses, take a [`Pool`](crate::Pool).
///
/// ```
/// use std::sync::Arc;
/// use tenure_core::{Managed, NoTimer, Resource};
///
/// struct Api;
/// # struct Client; impl Client { async fn fetch(&self) -> std::io::Result<u32> { Ok(42) } }
///
/// impl Resource for Api {
///     type Value = Arc<Client>;
///     type Error = std::io::Error;
///
///     async fn open(&self) -> Result<Arc<Client>, Self::Error> {
///         Ok(Arc::new(Client))
///     }
/// }
///
/// # futures::executor::block_on(async {
/// // With a runtime: `Managed::builder(Api).build(Tokio::current())`.
/// let (api, _runner) = Managed::builder(Api).build_with_runner(NoTimer)?;
/// let answer = api.call("fetch", |client| async move { client.fetch().await }).await?;
/// assert_eq!(answer, 42);
/// api.close().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap()
/// ```
pub struct Managed<R: LocalResource, C: Clock> {
    shared: Arc<ManagedShared<R, C>>,
}

impl<R: LocalResource<Value: Clone>> Managed<R, crate::runtime::NoTimer> {
    /// Begins to build a managed `resource`. The runtime comes at the end, with
    /// [`build`](ManagedBuilder::build).
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let (managed, _runner) = Managed::builder(Db).build_with_runner(NoTimer)?;
    /// # Ok::<(), ConfigError>(())
    /// ```
    pub fn builder(resource: R) -> ManagedBuilder<R>
    where
        R::Error: Into<BoxError>,
    {
        ManagedBuilder::new(HeldResource::new(resource))
    }
}

impl<R: LocalResource<Value: Clone>, C: Clock> Managed<R, C> {
    /// Returns another Runner, in the place of one that was dropped.
    pub(crate) fn runner(&self) -> Runner<R, C> {
        Runner::new(self.shared.clone())
    }

    pub(crate) const fn new(shared: Arc<ManagedShared<R, C>>) -> Self {
        Self { shared }
    }

    /// Opens the value if it is not open, and waits until it is.
    ///
    /// Attempts are made at one [pace](ManagedBuilder::open_pace) however many ask, and all get the value. A caller is told
    /// once attempts have failed for [3 s of its own wait](ManagedBuilder::refuse_after), and at once of a
    /// refusal for good. For a program
    /// that should not come up without its resource, await this first.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// managed.open().await?;
    /// assert!(managed.is_healthy());
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`OpenError`] says how the opening failed, or that the resource is closed.
    ///
    /// # Cancel safety
    /// With a Runner the opening goes on. Without one, the task that drives it takes it along when it
    /// is dropped, and the next that waits starts anew.
    pub async fn open(&self) -> Result<(), OpenError> {
        wait_until_open(&self.shared, None, Patience::AsBuilt)
            .await
            .map(|_| ())
    }

    /// A clone of the value, opened first if need be.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// let session = managed.get().await?;
    /// assert_eq!(session, "session");
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`open`](Managed::open).
    ///
    /// # Cancel safety
    /// As [`open`](Managed::open).
    pub async fn get(&self) -> Result<R::Value, OpenError> {
        wait_until_open(&self.shared, None, Patience::AsBuilt)
            .await
            .map(|value| (*value).clone())
    }

    /// A clone of the value, if it is open now.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// assert_eq!(managed.try_get(), None);
    /// managed.open().await?;
    /// assert!(managed.try_get().is_some());
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn try_get(&self) -> Option<R::Value> {
        let value = self
            .shared
            .cell
            .with(|cell| Some(cell.current.as_ref()?.value.clone()))?;
        Some((*value).clone())
    }

    /// Runs `operation` on the value, opened first if need be, again and again until it succeeds or
    /// the policy says stop.
    ///
    /// An error that the resource [classifies](crate::Resource::classify) as
    /// [`Reconnect`](crate::ErrorClass::Reconnect) has the value opened anew before the next attempt:
    /// once, however many calls fail on the same value. Other calls on the old value finish, unless it is
    /// [found dead](ManagedBuilder::call_grace).
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// let length = managed.call("length", |session| async move { Ok(session.len()) }).await?;
    /// assert_eq!(length, 7);
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`CallError`] says how many attempts were made, over how long, and what the last one said.
    ///
    /// # Cancel safety
    /// Dropping the future drops the attempt under way.
    pub async fn call<O, F, U>(&self, name: impl Into<Text>, operation: O) -> Result<U, CallError>
    where
        O: FnMut(R::Value) -> F,
        F: Future<Output = Result<U, R::Error>>,
    {
        self.call_with(CallOptions::named(name), operation).await
    }

    /// Like [`call`](Managed::call), with a policy, limits or a budget of its own.
    ///
    /// ```
    /// # use tenure_core::{Managed, NoTimer, Resource};
    /// use tenure_core::CallOptions;
    /// # struct Text;
    /// # impl Resource for Text {
    /// #     type Value = String;
    /// #     type Error = std::io::Error;
    /// #     async fn open(&self) -> Result<String, Self::Error> { Ok("hello".into()) }
    /// # }
    /// # futures::executor::block_on(async {
    /// # let (text, _runner) = Managed::builder(Text).build_with_runner(NoTimer)?;
    /// let once = CallOptions::named("length").max_retries(0);
    /// let length = text.call_with(once, |text| async move { Ok(text.len()) }).await?;
    /// assert_eq!(length, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap()
    /// ```
    ///
    /// # Errors
    /// As [`call`](Managed::call).
    ///
    /// # Cancel safety
    /// As [`call`](Managed::call).
    pub async fn call_with<O, F, U>(
        &self,
        options: CallOptions,
        operation: O,
    ) -> Result<U, CallError>
    where
        O: FnMut(R::Value) -> F,
        F: Future<Output = Result<U, R::Error>>,
    {
        let ways = Ways {
            // An attempt that was cut off while it waited for the value did nothing.
            classify: |failure: Failure<'_, R::Error>, runs_on: Option<u64>| match runs_on {
                Some(_) => self.shared.resource.classify(failure),
                None => ErrorClass::Retry,
            },
            until_open: || ready(Ok(())),
            succeeded: |_, _| {},
        };
        self.call_in(ways, options, operation).await
    }

    /// The same for holders that call in ways of their own.
    pub(crate) fn call_in<O, F, U, K, W, P, S>(
        &self,
        ways: Ways<K, W, S>,
        options: CallOptions,
        operation: O,
    ) -> impl Future<Output = Result<U, CallError>>
    where
        O: FnMut(R::Value) -> F,
        F: Future<Output = Result<U, R::Error>>,
        K: Fn(Failure<'_, R::Error>, Option<u64>) -> ErrorClass,
        W: Fn() -> P,
        P: Future<Output = Result<(), OpenError>>,
        S: Fn(u64, Option<Instant>),
    {
        call::call(&self.shared, options, ways, operation)
    }

    /// Checks the value now, and counts the verdict as a background check does.
    ///
    /// A resource without a check cannot ask for it: that does not compile.
    ///
    /// ```
    /// # use tenure_core::{Managed, NoTimer, Resource};
    /// # struct Text;
    /// # impl Resource for Text {
    /// #     type Value = String;
    /// #     type Error = std::io::Error;
    /// #     const CHECKED: bool = true;
    /// #     async fn open(&self) -> Result<String, Self::Error> { Ok("hello".into()) }
    /// #     async fn check(&self, _: &mut String) -> Result<(), Self::Error> { Err(std::io::Error::other("gone")) }
    /// # }
    /// # futures::executor::block_on(async {
    /// let (text, _runner) = Managed::builder(Text).build_with_runner(NoTimer)?;
    /// text.open().await?;
    /// assert!(text.check().await.is_err());
    /// assert!(!text.is_healthy() && text.is_usable());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap()
    /// ```
    ///
    /// # Errors
    /// [`CheckError`] says what the check said, or that nothing is open.
    ///
    /// # Cancel safety
    /// A check that is dropped counts as none.
    pub async fn check(&self) -> Result<(), CheckError> {
        const {
            assert!(
                R::CHECKED,
                "this resource has no check: write `check` and set `CHECKED`"
            )
        };
        self.check_now().await
    }

    async fn check_now(&self) -> Result<(), CheckError> {
        let name = self.name().clone();
        let shared = &self.shared;
        let job = shared.cell.with(|cell| {
            Some(ManagedCheckJob::claim(
                shared,
                cell.current.as_ref()?,
                Purpose::Asked,
            ))
        });
        match job {
            Some(job) => job
                .perform()
                .await
                .map_err(|cause| CheckError::Failed { name, cause }),
            None => Err(CheckError::NotOpen { name }),
        }
    }

    /// Shuts the resource down like [`shutdown`](Managed::shutdown), with no limit but the
    /// [`close_timeout`](ManagedBuilder::close_timeout): it waits for every call. Calls on a value that was
    /// [found dead](ManagedBuilder::call_grace) do not hold it up.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// managed.open().await?;
    /// assert_eq!(managed.close().await.closed, 1);
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Cancel safety
    /// As [`shutdown`](Managed::shutdown).
    pub async fn close(&self) -> Report {
        self.close_within(None, Why::Shutdown).await
    }

    /// Closes it with no time for that: a close under way counts as timed out, and what waits to be closed is abandoned.
    pub(crate) fn close_at_once(&self, why: Why) -> Report {
        self.shared.begin_closing(why);
        self.shared.cut_short();
        self.shared.report()
    }

    pub(crate) async fn close_within(&self, within: Option<Duration>, why: Why) -> Report {
        shutdown::close_managed(&self.shared, within, why).await
    }
}

impl<R: LocalResource<Value: Clone>, T: Timer> Managed<R, T> {
    /// Opens the value like [`open`](Managed::open), and waits for at most `timeout`, which is this
    /// caller's own: others who wait for the same opening have theirs.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// managed.open_timeout(Duration::from_secs(5)).await?;
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`open`](Managed::open), and [`OpenError::TimedOut`].
    ///
    /// # Cancel safety
    /// As [`open`](Managed::open).
    pub async fn open_timeout(&self, timeout: Duration) -> Result<(), OpenError> {
        wait_until_open(&self.shared, Some(timeout), Patience::AsBuilt)
            .await
            .map(|_| ())
    }

    /// A clone of the value like [`get`](Managed::get), within `timeout`.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// let session = managed.get_timeout(Duration::from_secs(5)).await?;
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`open_timeout`](Managed::open_timeout).
    ///
    /// # Cancel safety
    /// As [`open`](Managed::open).
    pub async fn get_timeout(&self, timeout: Duration) -> Result<R::Value, OpenError> {
        let value = wait_until_open(&self.shared, Some(timeout), Patience::AsBuilt).await?;
        Ok((*value).clone())
    }

    /// Shuts the resource down: calls off an opening under way, wakes all who wait with
    /// [`OpenError::Closed`], waits for the calls in flight, closes the value, and says what was not
    /// closed when `within` is over. Calls that are in flight then end at once, with
    /// [`CallError::revoked`]: they may have run.
    ///
    /// Called again, it waits for what is left and reports the whole. Concurrent callers all wait.
    /// What was never opened is closed at once, and nothing of the user's runs.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// let report = managed.shutdown(Duration::from_secs(10)).await;
    /// assert!(report.is_clean());
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the future leaves the resource closing; call it again to wait for the end. A close
    /// that this future drove itself, because there is no Runner, counts as abandoned.
    pub async fn shutdown(&self, within: Duration) -> Report {
        self.close_within(Some(within), Why::Shutdown).await
    }
}

impl<R: LocalResource, C: Clock> Clone for Managed<R, C> {
    fn clone(&self) -> Self {
        self.shared.handles.fetch_add(1, Ordering::Relaxed);
        Self {
            shared: self.shared.clone(),
        }
    }
}

impl<R: LocalResource, C: Clock> Drop for Managed<R, C> {
    fn drop(&mut self) {
        if self.shared.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared
                .with(|cell, effects| effects.wakes.push(cell.runner.take_waker()));
            self.shared.close_if_orphaned();
        }
    }
}

impl<R: LocalResource, C: Clock> core::fmt::Debug for Managed<R, C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.shared.fmt(f)
    }
}
