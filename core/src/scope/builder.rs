//! How a scope is set up and begun.

use core::fmt;
use core::future::Future;
use core::time::Duration;

use super::error::ScopeError;
use super::finalizer::{Kind, Sending, Staying};
use super::handle::{LocalScope, Scope};
use super::opened::{LocalOpened, Opened};
use super::run::run;
use super::shared::{Handle, ScopeLimits, ScopeShared};
use crate::config::{ConfigError, above_zero};
use crate::drive::{self, SpawnRunner};
use crate::name::Name;
use crate::opening::OpenError;
use crate::resource::{BoxError, LocalResource, Resource};
use crate::runtime::{Clock, Spawn, SpawnLocal, Timer};
use crate::sink::Sink;
use crate::sync::Arc;

/// How a scope is to be: its name, its times, where its events go. Made by [`Scope::builder`]. For the
/// defaults, [`scope`](crate::scope()) and [`with_resource`](crate::with_resource) are shorter.
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// # let rt = Runtime;
/// let import = Scope::builder()
///     .name("import")
///     .open_timeout(Duration::from_secs(10))
///     .close_timeout(Duration::from_secs(5));
/// let imported = import.run(&rt, |s| async move { Ok::<_, BoxError>(s.open(Db).await?.len()) });
/// assert_eq!(block_on(imported).unwrap(), 7);
/// ```
#[must_use = "a builder does nothing until it is run"]
pub struct ScopeBuilder {
    name: Option<Name>,
    sink: Option<Sink>,
    close_timeout: Option<Duration>,
    open_timeout: Option<Duration>,
    hook_timeout: Option<Duration>,
    timeout: Option<Duration>,
}

impl ScopeBuilder {
    pub(crate) const fn new() -> Self {
        Self {
            name: None,
            sink: None,
            close_timeout: Some(Duration::from_secs(30)),
            open_timeout: Some(Duration::from_secs(30)),
            hook_timeout: Some(Duration::from_secs(5)),
            timeout: None,
        }
    }

    /// The name in events, errors and reports. By default `Scope`, with a number.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let import = Scope::builder().name("import");
    /// let name = import.run_inline(&NoTimer, |s| async move { Ok::<_, BoxError>(s.name()) });
    /// assert_eq!(block_on(name).unwrap().as_str(), "import");
    /// ```
    pub fn name(mut self, name: impl AsRef<str>) -> Self {
        self.name = Some(Name::new(name));
        self
    }

    /// Where events go. By default nowhere. Those of a value carry the scope's name and the resource's type,
    /// `import/Db`; those of a deferred finalizer, where it was deferred.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let sink = std::sync::Arc::new(|event: &Event<'_>| println!("{event}"));
    /// let import = Scope::builder().events(sink);
    /// ```
    pub fn events(mut self, sink: impl Into<Sink>) -> Self {
        self.sink = Some(sink.into());
        self
    }

    /// How long each close, and each deferred finalizer, may take. Default 30 s; `None`, or a clock without
    /// a timer, sets no limit.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let import = Scope::builder().close_timeout(Duration::from_secs(5));
    /// ```
    pub fn close_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.close_timeout = limit.into();
        self
    }

    /// Sets how long each of the [hooks](crate::Hooks) `after_open` and `before_close` may take; one that takes longer has
    /// failed. Default 5 s, as for a pool.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Scope::builder().hook_timeout(Duration::from_secs(1));
    /// ```
    pub fn hook_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.hook_timeout = limit.into();
        self
    }

    /// How long each opening may take. Default 30 s; `None`, or a clock without a timer, sets no limit.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let import = Scope::builder().open_timeout(Duration::from_secs(5));
    /// ```
    pub fn open_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.open_timeout = limit.into();
        self
    }

    /// How long the body may take, with all that it opens. By default there is no limit; nor is there one with
    /// a clock without a timer. When it is over, the body is dropped and the finalizers are run, which are told
    /// [`Exit::Cancelled`](super::Exit::Cancelled).
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let import = Scope::builder().name("import").timeout(Duration::from_secs(60));
    /// let never = import.run_inline(&Virtual::default(), |_| core::future::pending::<Result<(), BoxError>>());
    /// assert_eq!(block_on(never).unwrap_err().to_string(), "import timed out after 60s");
    /// ```
    pub fn timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.timeout = limit.into();
        self
    }

    /// Runs `body` in a scope, as [`scope`](crate::scope()) does.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # let rt = Runtime;
    /// let import = Scope::builder().name("import");
    /// let imported = import.run(&rt, |s| async move { Ok::<_, BoxError>(s.open(Db).await?.len()) });
    /// assert_eq!(block_on(imported).unwrap(), 7);
    /// ```
    ///
    /// # Errors
    /// As [`scope`](crate::scope()), [`ScopeError::TimedOut`], and [`ScopeError::Config`], which names the
    /// setting that is wrong.
    ///
    /// # Panics
    /// As [`scope`](crate::scope()).
    ///
    /// # Cancel safety
    /// As [`scope`](crate::scope()).
    pub fn run<T, B, F, U, E>(
        self,
        runtime: &T,
        body: B,
    ) -> impl Future<Output = Result<U, ScopeError<E, U>>> + use<T, B, F, U, E>
    where
        T: Timer<Sleep: Send + 'static> + Spawn + Send + Sync + 'static,
        B: FnOnce(Scope<T>) -> F,
        F: Future<Output = Result<U, E>>,
    {
        let limit = self.timeout;
        let root = self.begin::<Sending, T>(runtime, Some(spawn));
        async move {
            let root = root.map_err(|error| ScopeError::Config { error })?;
            let handle = Scope::new(root.clone());
            run(root, limit, || body(handle)).await
        }
    }

    /// Runs `body` in a scope, as [`scope_local`](crate::scope_local) does.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # let rt = Runtime;
    /// let import = Scope::builder().name("import");
    /// let imported = import.run_local(&rt, |s| async move { Ok::<_, BoxError>(s.open(Db).await?.len()) });
    /// assert_eq!(block_on(imported).unwrap(), 7);
    /// ```
    ///
    /// # Errors
    /// As [`run`](ScopeBuilder::run).
    ///
    /// # Panics
    /// As [`scope`](crate::scope()).
    ///
    /// # Cancel safety
    /// As [`scope`](crate::scope()).
    pub fn run_local<T, B, F, U, E>(
        self,
        runtime: &T,
        body: B,
    ) -> impl Future<Output = Result<U, ScopeError<E, U>>> + use<T, B, F, U, E>
    where
        T: Timer<Sleep: 'static> + SpawnLocal + 'static,
        B: FnOnce(LocalScope<T>) -> F,
        F: Future<Output = Result<U, E>>,
    {
        self.run_staying(runtime, Some(spawn_local), body)
    }

    /// Runs `body` in a scope, as [`scope_inline`](crate::scope_inline) does.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let import = Scope::builder().name("import");
    /// let imported = import.run_inline(&NoTimer, |s| async move { Ok::<_, BoxError>(s.open(Db).await?.len()) });
    /// assert_eq!(block_on(imported).unwrap(), 7);
    /// ```
    ///
    /// # Errors
    /// As [`run`](ScopeBuilder::run).
    ///
    /// # Panics
    /// As [`scope`](crate::scope()).
    ///
    /// # Cancel safety
    /// As [`scope_inline`](crate::scope_inline).
    pub fn run_inline<C, B, F, U, E>(
        self,
        clock: &C,
        body: B,
    ) -> impl Future<Output = Result<U, ScopeError<E, U>>> + use<C, B, F, U, E>
    where
        C: Clock<Sleep: 'static> + 'static,
        B: FnOnce(LocalScope<C>) -> F,
        F: Future<Output = Result<U, E>>,
    {
        self.run_staying(clock, None, body)
    }

    /// Runs `body` with one value of `resource`, as [`with_resource`](crate::with_resource) does.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # let rt = Runtime;
    /// let measure = Scope::builder().name("measure");
    /// let length = measure.with_resource(&rt, Db, |db| async move { Ok::<_, BoxError>(db.len()) });
    /// assert_eq!(block_on(length).unwrap(), 7);
    /// ```
    ///
    /// # Errors
    /// As [`with_resource`](crate::with_resource), and [`ScopeError::Config`].
    ///
    /// # Panics
    /// As [`scope`](crate::scope()).
    ///
    /// # Cancel safety
    /// As [`scope`](crate::scope()).
    pub fn with_resource<T, R, B, F, U, E>(
        self,
        runtime: &T,
        resource: R,
        body: B,
    ) -> impl Future<Output = Result<U, ScopeError<E, U>>> + use<T, R, B, F, U, E>
    where
        T: Timer<Sleep: Send + 'static> + Spawn + Send + Sync + 'static,
        R: Resource,
        B: FnOnce(Opened<R, T>) -> F,
        F: Future<Output = Result<U, E>>,
    {
        let scope = self.run(runtime, |scope| async move {
            let value = scope.open(resource).await.map_err(BodyError::Unopened)?;
            body(value).await.map_err(BodyError::Failed)
        });
        async move { scope.await.map_err(BodyError::unwrap) }
    }

    /// Runs `body` with one value of `resource`, as [`with_resource_local`](crate::with_resource_local)
    /// does.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # let rt = Runtime;
    /// let measure = Scope::builder().name("measure");
    /// let length = measure.with_resource_local(&rt, Db, |db| async move { Ok::<_, BoxError>(db.len()) });
    /// assert_eq!(block_on(length).unwrap(), 7);
    /// ```
    ///
    /// # Errors
    /// As [`with_resource`](ScopeBuilder::with_resource).
    ///
    /// # Panics
    /// As [`scope`](crate::scope()).
    ///
    /// # Cancel safety
    /// As [`scope`](crate::scope()).
    pub fn with_resource_local<T, R, B, F, U, E>(
        self,
        runtime: &T,
        resource: R,
        body: B,
    ) -> impl Future<Output = Result<U, ScopeError<E, U>>> + use<T, R, B, F, U, E>
    where
        T: Timer<Sleep: 'static> + SpawnLocal + 'static,
        R: LocalResource<Error: Into<BoxError>> + 'static,
        B: FnOnce(LocalOpened<R, T>) -> F,
        F: Future<Output = Result<U, E>>,
    {
        self.with_resource_staying(runtime, Some(spawn_local), resource, body)
    }

    /// Runs `body` with one value of `resource`, as [`with_resource_inline`](crate::with_resource_inline)
    /// does.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let measure = Scope::builder().name("measure");
    /// let length = measure.with_resource_inline(&NoTimer, Db, |db| async move { Ok::<_, BoxError>(db.len()) });
    /// assert_eq!(block_on(length).unwrap(), 7);
    /// ```
    ///
    /// # Errors
    /// As [`with_resource`](ScopeBuilder::with_resource).
    ///
    /// # Panics
    /// As [`scope`](crate::scope()).
    ///
    /// # Cancel safety
    /// As [`scope_inline`](crate::scope_inline).
    pub fn with_resource_inline<C, R, B, F, U, E>(
        self,
        clock: &C,
        resource: R,
        body: B,
    ) -> impl Future<Output = Result<U, ScopeError<E, U>>> + use<C, R, B, F, U, E>
    where
        C: Clock<Sleep: 'static> + 'static,
        R: LocalResource<Error: Into<BoxError>> + 'static,
        B: FnOnce(LocalOpened<R, C>) -> F,
        F: Future<Output = Result<U, E>>,
    {
        self.with_resource_staying(clock, None, resource, body)
    }

    fn with_resource_staying<C, R, B, F, U, E>(
        self,
        clock: &C,
        spawn: Option<SpawnRunner<ScopeShared<Staying, C>>>,
        resource: R,
        body: B,
    ) -> impl Future<Output = Result<U, ScopeError<E, U>>> + use<C, R, B, F, U, E>
    where
        C: Clock<Sleep: 'static> + 'static,
        R: LocalResource<Error: Into<BoxError>> + 'static,
        B: FnOnce(LocalOpened<R, C>) -> F,
        F: Future<Output = Result<U, E>>,
    {
        let scope = self.run_staying(clock, spawn, |scope: LocalScope<C>| async move {
            let value = scope.open(resource).await.map_err(BodyError::Unopened)?;
            body(value).await.map_err(BodyError::Failed)
        });
        async move { scope.await.map_err(BodyError::unwrap) }
    }

    fn run_staying<C, B, F, U, E>(
        self,
        clock: &C,
        spawn: Option<SpawnRunner<ScopeShared<Staying, C>>>,
        body: B,
    ) -> impl Future<Output = Result<U, ScopeError<E, U>>> + use<C, B, F, U, E>
    where
        C: Clock<Sleep: 'static> + 'static,
        B: FnOnce(LocalScope<C>) -> F,
        F: Future<Output = Result<U, E>>,
    {
        let limit = self.timeout;
        let root = self.begin::<Staying, C>(clock, spawn);
        async move {
            let root = root.map_err(|error| ScopeError::Config { error })?;
            let handle = LocalScope::new(root.clone());
            run(root, limit, || body(handle)).await
        }
    }

    fn begin<K: Kind, C: Clock>(
        self,
        clock: &C,
        spawn: Option<SpawnRunner<ScopeShared<K, C>>>,
    ) -> Result<Handle<K, C>, ConfigError> {
        for (field, time) in [
            ("close_timeout", self.close_timeout),
            ("open_timeout", self.open_timeout),
            ("hook_timeout", self.hook_timeout),
            ("timeout", self.timeout),
        ] {
            if let Some(time) = time {
                above_zero(field, time)?;
            }
        }
        Ok(Handle::root(ScopeShared::new(
            clock.clone(),
            self.name.unwrap_or_else(Name::generated::<Scope<C>>),
            ScopeLimits {
                open: self.open_timeout,
                hook: self.hook_timeout,
                close: self.close_timeout,
            },
            self.sink,
            spawn,
        )))
    }
}

fn spawn<T>(scope: &Arc<ScopeShared<Sending, T>>)
where
    T: Timer<Sleep: Send + 'static> + Spawn + Send + Sync + 'static,
{
    scope.clock.spawn(drive::run(scope.clone()));
}

fn spawn_local<T>(scope: &Arc<ScopeShared<Staying, T>>)
where
    T: Timer<Sleep: 'static> + SpawnLocal + 'static,
{
    scope.clock.spawn_local(drive::run(scope.clone()));
}

/// How a body failed that has its value opened first.
enum BodyError<E> {
    Unopened(OpenError),
    Failed(E),
}

impl<E> BodyError<E> {
    fn unwrap<T>(scope: ScopeError<Self, T>) -> ScopeError<E, T> {
        match scope {
            ScopeError::Body { error, report } => match error {
                Self::Failed(error) => ScopeError::Body { error, report },
                Self::Unopened(error) => ScopeError::Unopened { error },
            },
            ScopeError::Cleanup { value, report } => ScopeError::Cleanup { value, report },
            ScopeError::TimedOut { limit, report } => ScopeError::TimedOut { limit, report },
            ScopeError::Unopened { error } => ScopeError::Unopened { error },
            ScopeError::Config { error } => ScopeError::Config { error },
        }
    }
}

impl fmt::Debug for ScopeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopeBuilder")
            .field("name", &self.name)
            .field("close_timeout", &self.close_timeout)
            .field("open_timeout", &self.open_timeout)
            .field("hook_timeout", &self.hook_timeout)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
