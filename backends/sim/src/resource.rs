//! Ready-made resources on which everything can go wrong.

use std::future::{Future, pending};
use std::panic::resume_unwind;
use std::sync::Arc;

use tenure_core::{ErrorClass, Failure, Hooks, Resource, Why};

use crate::backend::{Backend, Ended};
use crate::faults::{Fault, Hook, Verdict};

/// A resource whose values one task at a time uses, for a [`Pool`](tenure_core::Pool). Its
/// [`Backend`] says what goes wrong, and accounts for every value.
///
/// For values that are shared, take [`SharedFaultyResource`]. It has the hooks of a pool as well, and may fail
/// in them, if it is made by [`hooked`](FaultyResource::hooked).
///
/// ```
/// use std::time::Duration;
/// use tenure_core::Pool;
/// use tenure_sim::{Backend, Ended, Fault, Faults, FaultyResource, Hook};
///
/// tenure_sim::run(1, |sim| async move {
///     let backend = Backend::new(&sim);
///     backend.set_faults(Faults::none().nth(Hook::Open, 1, Fault::Fail));
///     let pool = Pool::builder(FaultyResource::new(&backend)).build(sim).unwrap();
///     assert!(pool.acquire().await.unwrap().ask().is_ok(), "the second attempt succeeded");
///     pool.shutdown(Duration::from_secs(1)).await;
///     assert_eq!((backend.calls(Hook::Open), backend.ended(Ended::Closed)), (2, 1));
///     backend.assert_accounted();
/// });
/// ```
#[derive(Clone, Debug)]
pub struct FaultyResource<const HOOKED: bool = false> {
    backend: Backend,
}

/// The counterpart of [`FaultyResource`] for values that all tasks share, for a
/// [`Managed`](tenure_core::Managed).
///
/// ```
/// use tenure_core::Managed;
/// use tenure_sim::{Backend, SharedFaultyResource};
///
/// tenure_sim::run(1, |sim| async move {
///     let backend = Backend::new(&sim);
///     let managed = Managed::builder(SharedFaultyResource::new(&backend)).build(sim).unwrap();
///     let answer = managed.call("ask", |value| async move { value.ask() }).await;
///     assert!(answer.is_ok());
///     managed.close().await;
///     backend.assert_accounted();
/// });
/// ```
#[derive(Clone, Debug)]
pub struct SharedFaultyResource {
    backend: Backend,
}

/// A value of a faulty resource.
///
/// ```
/// # use tenure_core::Resource;
/// # use tenure_sim::{Backend, FaultyResource};
/// # tenure_sim::run(1, |sim| async move {
/// # let backend = Backend::new(&sim);
/// let value: tenure_sim::FaultyValue = FaultyResource::new(&backend).open().await.unwrap();
/// assert_eq!(value.id(), 1);
/// # });
/// ```
#[derive(Debug)]
pub struct FaultyValue {
    backend: Backend,
    id: u64,
}

/// Why a call did not succeed.
///
/// ```
/// use tenure_sim::{FaultyError, Hook};
/// let error = FaultyError::Injected { hook: Hook::Open, call: 3 };
/// assert_eq!(error.to_string(), "open 3 fails by plan");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultyError {
    /// The plan said so.
    Injected {
        /// What was called.
        hook: Hook,
        /// For which time.
        call: u64,
    },
    /// There is an outage.
    Outage {
        /// What was called.
        hook: Hook,
    },
    /// The value was [broken](Backend::break_value). It classes as
    /// [`Reconnect`](ErrorClass::Reconnect), all else as [`Retry`](ErrorClass::Retry).
    Broken {
        /// The number of the value.
        value: u64,
    },
    /// The value was closed, or is being closed.
    Closed {
        /// The number of the value.
        value: u64,
    },
}

impl FaultyResource<true> {
    /// A resource whose values this backend keeps account of, with all [hooks](tenure_core::Hooks).
    ///
    /// ```
    /// # use tenure_core::Pool;
    /// # use tenure_sim::{Backend, FaultyResource, Hook};
    /// # tenure_sim::run(1, |sim| async move {
    /// let backend = Backend::new(&sim);
    /// let pool = Pool::builder(FaultyResource::hooked(&backend)).build(sim).unwrap();
    /// drop(pool.acquire().await.unwrap());
    /// assert_eq!((backend.calls(Hook::AfterOpen), backend.calls(Hook::BeforeAcquire)), (1, 1));
    /// # });
    /// ```
    #[must_use]
    pub fn hooked(backend: &Backend) -> Self {
        Self {
            backend: backend.clone(),
        }
    }
}

impl FaultyResource {
    /// A resource whose values this backend keeps account of.
    ///
    /// ```
    /// # tenure_sim::run(1, |sim| async move {
    /// let resource = tenure_sim::FaultyResource::new(&tenure_sim::Backend::new(&sim));
    /// # });
    /// ```
    #[must_use]
    pub fn new(backend: &Backend) -> Self {
        Self {
            backend: backend.clone(),
        }
    }
}

impl SharedFaultyResource {
    /// A resource whose values this backend keeps account of.
    ///
    /// ```
    /// # tenure_sim::run(1, |sim| async move {
    /// let resource = tenure_sim::SharedFaultyResource::new(&tenure_sim::Backend::new(&sim));
    /// # });
    /// ```
    #[must_use]
    pub fn new(backend: &Backend) -> Self {
        Self {
            backend: backend.clone(),
        }
    }
}

impl FaultyValue {
    /// Its number: the first that its backend opened is 1.
    #[must_use]
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// Uses the value.
    ///
    /// ```
    /// # use tenure_core::Resource;
    /// # use tenure_sim::{Backend, FaultyError, FaultyResource};
    /// # tenure_sim::run(1, |sim| async move {
    /// # let backend = Backend::new(&sim);
    /// let value = FaultyResource::new(&backend).open().await.unwrap();
    /// assert!(value.ask().is_ok());
    /// backend.break_all();
    /// assert_eq!(value.ask(), Err(FaultyError::Broken { value: 1 }));
    /// # });
    /// ```
    ///
    /// # Errors
    /// If it is broken, or if its end has begun.
    pub fn ask(&self) -> Result<(), FaultyError> {
        let value = self.id;
        if !self.backend.is_usable(value) {
            Err(FaultyError::Closed { value })
        } else if self.is_broken() {
            Err(FaultyError::Broken { value })
        } else {
            Ok(())
        }
    }

    /// Whether it was [broken](Backend::break_value).
    ///
    /// ```
    /// # use tenure_core::Resource;
    /// # use tenure_sim::{Backend, FaultyResource};
    /// # tenure_sim::run(1, |sim| async move {
    /// # let backend = Backend::new(&sim);
    /// let value = FaultyResource::new(&backend).open().await.unwrap();
    /// assert!(!value.is_broken());
    /// # });
    /// ```
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.backend.is_broken(self.id)
    }

    /// Ends a value that was taken out of its pool.
    ///
    /// ```
    /// # use tenure_core::Pool;
    /// # use tenure_sim::{Backend, Ended, FaultyResource};
    /// # tenure_sim::run(1, |sim| async move {
    /// # let backend = Backend::new(&sim);
    /// # let pool = Pool::builder(FaultyResource::new(&backend)).build(sim).unwrap();
    /// let value = pool.acquire().await.unwrap().detach();
    /// value.end();
    /// assert_eq!(backend.ended(Ended::ByHand), 1);
    /// # });
    /// ```
    pub fn end(self) {
        self.backend.end(self.id, Ended::ByHand);
    }
}

impl Drop for FaultyValue {
    fn drop(&mut self) {
        self.backend.value_dropped(self.id);
    }
}

impl<const HOOKED: bool> Resource for FaultyResource<HOOKED> {
    type Value = FaultyValue;
    type Error = FaultyError;
    const CHECKED: bool = true;
    const HOOKS: Hooks = if HOOKED {
        Hooks::AFTER_OPEN
            .and(Hooks::BEFORE_ACQUIRE)
            .and(Hooks::AFTER_RELEASE)
            .and(Hooks::BEFORE_CLOSE)
    } else {
        Hooks::NONE
    };

    async fn after_open(&self, value: &mut FaultyValue) -> Result<(), FaultyError> {
        act(value, Hook::AfterOpen).await
    }

    async fn before_acquire(&self, value: &mut FaultyValue) -> Result<(), FaultyError> {
        act(value, Hook::BeforeAcquire).await
    }

    async fn after_release(&self, value: &mut FaultyValue) -> Result<(), FaultyError> {
        act(value, Hook::AfterRelease).await
    }

    async fn before_close(&self, value: &mut FaultyValue) -> Result<(), FaultyError> {
        act(value, Hook::BeforeClose).await
    }

    async fn open(&self) -> Result<FaultyValue, FaultyError> {
        open(&self.backend).await
    }

    fn close(
        &self,
        value: FaultyValue,
        _: Why,
    ) -> impl Future<Output = Result<(), FaultyError>> + Send {
        Closing::begin(&value).finish()
    }

    async fn check(&self, value: &mut FaultyValue) -> Result<(), FaultyError> {
        act(value, Hook::Check).await
    }

    fn is_broken(&self, value: &mut FaultyValue) -> bool {
        value.is_broken()
    }

    fn classify(&self, failure: Failure<'_, FaultyError>) -> ErrorClass {
        failure
            .error()
            .map_or(ErrorClass::Retry, FaultyError::class)
    }

    fn abandon(&self, value: FaultyValue, _why: tenure_core::Why) {
        self.backend.end(value.id, Ended::Abandoned);
    }
}

impl Resource for SharedFaultyResource {
    type Value = Arc<FaultyValue>;
    type Error = FaultyError;
    const CHECKED: bool = true;

    async fn open(&self) -> Result<Arc<FaultyValue>, FaultyError> {
        open(&self.backend).await.map(Arc::new)
    }

    fn close(
        &self,
        value: Arc<FaultyValue>,
        _: Why,
    ) -> impl Future<Output = Result<(), FaultyError>> + Send {
        Closing::begin(&value).finish()
    }

    async fn check(&self, value: &mut Arc<FaultyValue>) -> Result<(), FaultyError> {
        act(value, Hook::Check).await
    }

    fn is_broken(&self, value: &mut Arc<FaultyValue>) -> bool {
        value.is_broken()
    }

    fn classify(&self, failure: Failure<'_, FaultyError>) -> ErrorClass {
        failure
            .error()
            .map_or(ErrorClass::Retry, FaultyError::class)
    }

    fn abandon(&self, value: Arc<FaultyValue>, _why: tenure_core::Why) {
        self.backend.end(value.id, Ended::Abandoned);
    }
}

async fn open(backend: &Backend) -> Result<FaultyValue, FaultyError> {
    let _opening = backend.begin_opening();
    outcome(backend, Hook::Open).await.give()?;
    Ok(FaultyValue {
        backend: backend.clone(),
        id: backend.add_value(),
    })
}

/// A hook on a value, which fails by plan, or because the value is no good.
async fn act(value: &FaultyValue, hook: Hook) -> Result<(), FaultyError> {
    outcome(&value.backend, hook).await.give()?;
    value.ask()
}

/// Lets a call take its time, and says what becomes of it.
async fn outcome(backend: &Backend, hook: Hook) -> Outcome {
    let (call, takes, verdict) = backend.called(hook);
    if !takes.is_zero() {
        backend.sim().sleep(takes).await;
    }
    match verdict {
        Verdict::Good => Outcome::Answer(Ok(())),
        Verdict::Outage => Outcome::Answer(Err(FaultyError::Outage { hook })),
        Verdict::Fault(Fault::Fail) => Outcome::Answer(Err(FaultyError::Injected { hook, call })),
        Verdict::Fault(Fault::Hang) => pending().await,
        Verdict::Fault(Fault::Panic) => Outcome::Panic { hook, call },
        Verdict::Fault(Fault::Slow(by)) => {
            backend.sim().sleep(by).await;
            Outcome::Answer(Ok(()))
        }
    }
}

enum Outcome {
    Answer(Result<(), FaultyError>),
    Panic { hook: Hook, call: u64 },
}

impl Outcome {
    fn give(self) -> Result<(), FaultyError> {
        match self {
            Self::Answer(answer) => answer,
            // Unwinds as a panic does, without the hook that prints: this one is no news.
            Self::Panic { hook, call } => {
                resume_unwind(Box::new(format!("{hook} {call} panics by plan")))
            }
        }
    }
}

/// A close that has begun. It counts from the call on, before it is first polled.
struct Closing {
    backend: Backend,
    id: u64,
    /// How the value ends when this is dropped.
    ends: Ended,
}

impl Closing {
    fn begin(value: &FaultyValue) -> Self {
        value.backend.begin_close(value.id);
        Self {
            backend: value.backend.clone(),
            id: value.id,
            ends: Ended::CloseCutOff,
        }
    }

    async fn finish(mut self) -> Result<(), FaultyError> {
        let outcome = outcome(&self.backend, Hook::Close).await;
        self.ends = match outcome {
            Outcome::Answer(Ok(())) => Ended::Closed,
            _ => Ended::CloseFailed,
        };
        outcome.give()
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.backend.end(self.id, self.ends);
    }
}

impl FaultyError {
    const fn class(&self) -> ErrorClass {
        match self {
            Self::Broken { .. } => ErrorClass::Reconnect,
            _ => ErrorClass::Retry,
        }
    }
}

impl std::fmt::Display for FaultyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Injected { hook, call } => write!(f, "{hook} {call} fails by plan"),
            Self::Outage { hook } => write!(f, "{hook} fails in an outage"),
            Self::Broken { value } => write!(f, "value {value} is broken"),
            Self::Closed { value } => write!(f, "value {value} is closed"),
        }
    }
}

impl std::error::Error for FaultyError {}
