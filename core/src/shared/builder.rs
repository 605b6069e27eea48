//! How a shared resource is configured and built.

use core::time::Duration;

use super::Shared;
use super::book::GenerationBook;
use super::generation::Lent;
use super::inner::{Built, Inner};
use super::runner::Runner;
use crate::cleanup::{Audit, Report};
use crate::config::ConfigError;
use crate::drive::{Attachment, SpawnRunner};
use crate::held::HeldResource;
use crate::managed::ManagedBuilder;
use crate::name::Name;
use crate::reporter::Reporter;
use crate::resource::{LocalResource, Resource};
use crate::retry::Retry;
use crate::runtime::{Clock, Spawn, SpawnLocal, Timer};
use crate::signal::Signal;
use crate::sink::Sink;
use crate::sync::{Arc, AtomicUsize, Lock};

/// Configures a [`Shared`] value. Made by [`Shared::builder`].
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// let builder = Shared::builder(Db)
///     .name("db")
///     .idle_timeout(Duration::from_secs(60))
///     .retry(Retry::USER_FACING);
/// # let _ = builder.build_with_runner(NoTimer)?;
/// # Ok::<(), BoxError>(())
/// ```
#[must_use = "a builder does nothing until it is built"]
pub struct SharedBuilder<R: LocalResource> {
    resource: HeldResource<R>,
    settings: Settings,
}

/// What every generation is built with.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) reporter: Reporter,
    retry: Option<Retry>,
    open_timeout: Option<Duration>,
    close_timeout: Option<Duration>,
    hook_timeout: Option<Duration>,
    pub(crate) idle_timeout: Option<Duration>,
}

impl<R: LocalResource<Value: Clone>> SharedBuilder<R> {
    pub(crate) fn new(resource: HeldResource<R>) -> Self {
        Self {
            resource,
            settings: Settings {
                reporter: Reporter {
                    name: Name::generated::<R>(),
                    sink: None,
                },
                retry: None,
                open_timeout: Some(Duration::from_secs(5)),
                close_timeout: Some(Duration::from_secs(5)),
                hook_timeout: Some(Duration::from_secs(5)),
                idle_timeout: Some(Duration::from_secs(300)),
            },
        }
    }

    /// The name in events and errors. By default the resource's type, with a number.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Shared::builder(Db).name("db");
    /// # let _ = builder.build_with_runner(NoTimer)?;
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn name(mut self, name: impl AsRef<str>) -> Self {
        self.settings.reporter.name = Name::new(name);
        self
    }

    /// Where events go. By default nowhere.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let sink = std::sync::Arc::new(|event: &Event<'_>| println!("{event}"));
    /// let builder = Shared::builder(Db).events(sink);
    /// # let _ = builder.build_with_runner(NoTimer)?;
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn events(mut self, sink: impl Into<Sink>) -> Self {
        self.settings.reporter.sink = Some(sink.into());
        self
    }

    /// How long the value is kept without a user. Default 5 minutes, as for a pool; zero closes it with its last
    /// user, and `None`, or a clock without a timer, keeps it until the shutdown.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Shared::builder(Db).idle_timeout(Duration::from_secs(60));
    /// # let _ = builder.build_with_runner(NoTimer)?;
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn idle_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings.idle_timeout = timeout.into();
        self
    }

    /// Sets how often an opening is tried, and when those who wait are told. By default the pace of
    /// [`ManagedBuilder::open_pace`] goes on for 3 s. See [`ManagedBuilder::open_retry`].
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Shared::builder(Db).retry(Retry::NEVER);
    /// # let _ = builder.build_with_runner(NoTimer)?;
    /// # Ok::<(), BoxError>(())
    /// ```
    pub const fn retry(mut self, policy: Retry) -> Self {
        self.settings.retry = Some(policy);
        self
    }

    /// How long each attempt to open may take. Default 5 s. See [`ManagedBuilder::open_timeout`].
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Shared::builder(Db).open_timeout(Duration::from_secs(5));
    /// # let _ = builder.build_with_runner(NoTimer)?;
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn open_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.open_timeout = limit.into();
        self
    }

    /// How long a close may take. Default 5 s. See [`ManagedBuilder::close_timeout`].
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Shared::builder(Db).close_timeout(Duration::from_secs(5));
    /// # let _ = builder.build_with_runner(NoTimer)?;
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn close_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.close_timeout = limit.into();
        self
    }

    /// Sets how long each of the [hooks](crate::Hooks) `after_open` and `before_close` may take. Default 5 s.
    /// See [`ManagedBuilder::hook_timeout`].
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Shared::builder(Db).hook_timeout(Duration::from_secs(1));
    /// # let _ = builder.build_with_runner(NoTimer)?;
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn hook_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.hook_timeout = limit.into();
        self
    }

    /// Builds it, with its background work as a value: for any executor, and for none.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let (shared, runner) = Shared::builder(Db).build_with_runner(NoTimer)?;
    /// # drop(runner);
    /// # Ok::<(), BoxError>(())
    /// ```
    ///
    /// # Errors
    /// [`ConfigError`] names the setting that makes no sense.
    #[expect(
        clippy::type_complexity,
        reason = "a name for the pair would say less than the pair"
    )]
    pub fn build_with_runner<C: Clock>(
        self,
        clock: C,
    ) -> Result<(Shared<R, C>, Runner<R, C>), ConfigError> {
        self.build_with(clock, None)
    }

    /// The same for one that spawns its Runner by itself.
    #[expect(
        clippy::type_complexity,
        reason = "a name for the pair would say less than the pair"
    )]
    fn build_with<C: Clock>(
        self,
        clock: C,
        spawn_runner: Option<SpawnRunner<Inner<R, C>>>,
    ) -> Result<(Shared<R, C>, Runner<R, C>), ConfigError> {
        let Self { resource, settings } = self;
        let resource = Arc::new(resource);
        settings.validate(resource.clone())?;
        let inner = Arc::new(Inner {
            clock,
            spawn_runner,
            book: Lock::new(GenerationBook {
                resource,
                generations: alloc::vec::Vec::new(),
                current: None,
                latest: 0,
                standby: None,
                resource_from: 0,
                arrived: alloc::collections::VecDeque::new(),
                runner: Attachment::Absent,
                runner_has_begun: false,
                had_runner: false,
                is_spawning: false,
                is_shut: false,
                shut_at: None,
                ended: Audit::default(),
                report: Report::empty(settings.reporter.name.clone()),
            }),
            settings,
            handles: AtomicUsize::new(1),
            changed: Signal::new(),
        });
        let shared = Shared {
            inner: inner.clone(),
        };
        Ok((shared, Runner::new(inner)))
    }

    /// Builds it, with its background work on this thread, for resources that are not `Send`.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # let rt = Runtime;
    /// let shared = Shared::builder(Db).build_local(rt)?;
    /// # Ok::<(), BoxError>(())
    /// ```
    ///
    /// # Errors
    /// As [`build_with_runner`](SharedBuilder::build_with_runner).
    pub fn build_local<T>(self, runtime: T) -> Result<Shared<R, T>, ConfigError>
    where
        R: 'static,
        T: Timer<Sleep: 'static> + SpawnLocal + 'static,
    {
        let spawn_runner: SpawnRunner<Inner<R, T>> =
            |inner| inner.clock.spawn_local(Runner::new(inner.clone()).run());
        let (shared, runner) = self.build_with(runtime.clone(), Some(spawn_runner))?;
        runtime.spawn_local(runner.run());
        Ok(shared)
    }
}

impl<R: Resource<Value: Clone + Sync>> SharedBuilder<R> {
    /// Builds it, with its background work spawned on `runtime`.
    ///
    /// If the Runner ends with its runtime, the next use spawns another in the runtime around it, and the value
    /// is opened anew there, unless it [outlives](Resource::OUTLIVES_RUNTIME) its runtime.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # let rt = Runtime;
    /// let shared = Shared::builder(Db).build(rt)?;
    /// # Ok::<(), BoxError>(())
    /// ```
    ///
    /// # Errors
    /// As [`build_with_runner`](SharedBuilder::build_with_runner).
    pub fn build<T>(self, runtime: T) -> Result<Shared<R, T>, ConfigError>
    where
        T: Timer<Sleep: Send + 'static> + Spawn + Send + Sync + 'static,
    {
        let (shared, runner) = self.build_with(runtime.clone(), Some(spawn_runner))?;
        runtime.spawn(runner.run());
        Ok(shared)
    }
}

/// Spawns a Runner of this shared resource.
fn spawn_runner<R, T>(inner: &Arc<Inner<R, T>>)
where
    R: Resource<Value: Clone + Sync>,
    T: Timer<Sleep: Send + 'static> + Spawn + Send + Sync + 'static,
{
    inner.clock.spawn(Runner::new(inner.clone()).run());
}

impl Settings {
    /// A value that is not open yet.
    pub(crate) fn build<R: LocalResource<Value: Clone>, C: Clock>(
        &self,
        resource: Arc<HeldResource<R>>,
        clock: C,
    ) -> Built<R, C> {
        match self.generation(resource).build_with_runner(clock) {
            Ok((managed, runner)) => Built { managed, runner },
            Err(error) => unreachable!("the settings were valid: {error}"),
        }
    }

    fn validate<R: LocalResource<Value: Clone>>(
        &self,
        resource: Arc<HeldResource<R>>,
    ) -> Result<(), ConfigError> {
        self.generation(resource).validate()
    }

    fn generation<R: LocalResource<Value: Clone>>(
        &self,
        resource: Arc<HeldResource<R>>,
    ) -> ManagedBuilder<Lent<R>> {
        let builder = ManagedBuilder::new(resource.replaced(Lent(resource.clone())))
            .name(self.reporter.name.as_str())
            .open_timeout(self.open_timeout)
            .close_timeout(self.close_timeout)
            .hook_timeout(self.hook_timeout);
        let builder = match self.retry {
            Some(policy) => builder.open_retry(policy),
            None => builder,
        };
        match &self.reporter.sink {
            Some(sink) => builder.events(sink.clone()),
            None => builder,
        }
    }
}

impl<R: LocalResource> core::fmt::Debug for SharedBuilder<R> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SharedBuilder")
            .field("name", &self.settings.reporter.name)
            .field("idle_timeout", &self.settings.idle_timeout)
            .finish_non_exhaustive()
    }
}
