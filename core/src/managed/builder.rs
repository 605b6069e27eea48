//! How a managed resource is configured and built.

use core::time::Duration;

use super::Managed;
use super::config::ManagedConfig;
use super::runner::Runner;
use super::shared::{ManagedCell, ManagedShared, SpawnManagedRunner};
use crate::backoff::Backoff;
use crate::config::ConfigError;
use crate::drive::LEAST_PERIOD;
use crate::held::HeldResource;
use crate::name::Name;
use crate::opening::attempt_limit;
use crate::random::Random;
use crate::reporter::Reporter;
use crate::resource::{LocalResource, Resource};
use crate::retry::Retry;
use crate::runtime::{Clock, Spawn, SpawnLocal, Timer};
use crate::signal::Signal;
use crate::sink::{SharedBudget, Sink};
use crate::start::Start;
use crate::state::Machine;
use crate::sync::{Arc, AtomicUsize, Lock};

/// How a [`Managed`] resource is to be: its retries, its checks, its times. Made by
/// [`Managed::builder`].
///
/// ```
/// use core::time::Duration;
/// use tenure_core::{Managed, NoTimer, Resource, Retry};
/// # struct Text;
/// # impl Resource for Text {
/// #     type Value = String;
/// #     type Error = std::io::Error;
/// #     const CHECKED: bool = true;
/// #     async fn open(&self) -> Result<String, Self::Error> { Ok(String::new()) }
/// #     async fn check(&self, _: &mut String) -> Result<(), Self::Error> { Ok(()) }
/// # }
/// let (text, runner) = Managed::builder(Text)
///     .name("text")
///     .retry(Retry::CRITICAL)
///     .check_every(Duration::from_secs(30))
///     .reopen_after(5)
///     .build_with_runner(NoTimer)?;
/// # Ok::<(), tenure_core::ConfigError>(())
/// ```
#[must_use = "a builder does nothing until it is built"]
pub struct ManagedBuilder<R: LocalResource> {
    resource: HeldResource<R>,
    name: Option<Name>,
    sink: Option<Sink>,
    config: ManagedConfig,
    start: Start,
}

impl<R: LocalResource<Value: Clone>> ManagedBuilder<R> {
    /// As [`check_every`](ManagedBuilder::check_every), for holders that do not know whether there is a check.
    pub(crate) fn check_every_if_checked(mut self, interval: Duration) -> Self {
        self.config.check_every = R::CHECKED.then_some(interval);
        self
    }

    /// Whether it could be built.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        self.config.validate()
    }

    pub(crate) fn new(resource: HeldResource<R>) -> Self {
        Self {
            resource,
            name: None,
            sink: None,
            config: ManagedConfig::default(),
            start: Start::Lazily,
        }
    }

    /// The name in states, events, errors and reports. By default the resource type's, with a number.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Managed::builder(Db).name("postgres://app:secret@db/users");
    /// let (managed, _runner) = builder.build_with_runner(NoTimer)?;
    /// assert_eq!(managed.name().as_str(), "postgres://***@db/users");
    /// # Ok::<(), ConfigError>(())
    /// ```
    pub fn name(mut self, name: impl AsRef<str>) -> Self {
        self.name = Some(Name::new(name));
        self
    }

    /// Where events go. By default nowhere.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let sink = std::sync::Arc::new(|event: &Event<'_>| println!("{event}"));
    /// let builder = Managed::builder(Db).events(sink);
    /// ```
    pub fn events(mut self, sink: impl Into<Sink>) -> Self {
        self.sink = Some(sink.into());
        self
    }

    /// Sets how calls are retried. Default [`Retry::default`], 3 retries from 1 s on. A call can have its own, see
    /// [`CallOptions`](crate::CallOptions). Openings have a [pace](ManagedBuilder::open_pace) instead.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Managed::builder(Db).retry(Retry::CRITICAL);
    /// ```
    pub const fn retry(mut self, policy: Retry) -> Self {
        self.config.retry = policy;
        self
    }

    /// Sets how far apart attempts to open begin, from the start of one to the start of the next. Default
    /// [`Backoff::OPENING`], 525 ms to 700 ms; the first attempt is made at once.
    ///
    /// The pace goes on from one opening to the next, however many callers ask, and begins anew once a value has
    /// [proven](ManagedBuilder::proven_after) itself: a server that accepts and then breaks every value is asked no
    /// more often than one that refuses. An attempt that has not answered for a second does not hold up the next, which
    /// is made beside it, unless the resource is [exclusive](crate::Resource::EXCLUSIVE).
    ///
    /// gRPC begins with 1 s and grows to 120 s, which is how late service may then be back. Set a slower pace where
    /// thousands of clients share a small server.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let slower = Backoff::constant(Duration::from_secs(5)).jitter(Jitter::Equal);
    /// let builder = Managed::builder(Db).open_pace(slower);
    /// ```
    pub const fn open_pace(mut self, pace: Backoff) -> Self {
        self.config.open_retry = self.config.open_retry.backoff(pace);
        self
    }

    /// Sets for how long attempts to open fail, during a caller's own wait, before it is told so with
    /// [`OpenError::Failed`](crate::OpenError::Failed). Default 3 s; `None` lets callers wait for as long as their
    /// own limit.
    ///
    /// Only attempts that ended during the caller's wait count. It is told at once of one that is
    /// [not worth a retry](crate::ErrorClass::GiveUp). Whatever callers are told, the Runner goes on.
    ///
    /// 3 s outlast the restart of a proxy and a lost packet or two, and are short enough to try elsewhere.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Managed::builder(Db).refuse_after(Duration::from_secs(10));
    /// ```
    pub fn refuse_after(mut self, failing_for: impl Into<Option<Duration>>) -> Self {
        self.config.refuse_after = failing_for.into();
        self
    }

    /// Sets by one policy how often opening is tried and when callers are told: its backoff is the
    /// [pace](ManagedBuilder::open_pace), and its retries and deadline replace
    /// [`refuse_after`](ManagedBuilder::refuse_after). A caller is told once so many attempts have failed during its own
    /// wait. By default there is no such policy, but the two settings apart.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Managed::builder(Db).open_retry(Retry::CRITICAL);
    /// ```
    pub const fn open_retry(mut self, policy: Retry) -> Self {
        self.config.open_retry = policy;
        self.config.refuse_after = None;
        self
    }

    /// Sets after how long a value has proven itself, if no check or call on it has succeeded before. Default 60 s;
    /// `None` counts checks and calls alone.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Managed::builder(Db).proven_after(Duration::from_secs(10));
    /// ```
    pub fn proven_after(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.config.proven_after = time.into();
        self
    }

    /// A budget that pays for the retries of calls, shared with whoever else holds it. Default none.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let budget = std::sync::Arc::new(Budget::standard());
    /// let db = Managed::builder(Db).budget(budget.clone());
    /// let cache = Managed::builder(Db).budget(budget);
    /// ```
    pub fn budget(mut self, budget: impl Into<SharedBudget>) -> Self {
        self.config.budget = Some(budget.into());
        self
    }

    /// How often the Runner checks the value, at most once in a millisecond. Default never, as in the original.
    ///
    /// A value that a call used with success within that time is not checked, unless it is degraded.
    /// Checks come up to a tenth early, so that resources do not stay in step.
    ///
    /// A resource without a check cannot ask for it:
    ///
    /// ```compile_fail
    /// # use tenure_core::{Managed, NoTimer, Resource};
    /// # struct Text;
    /// # impl Resource for Text {
    /// #     type Value = String;
    /// #     type Error = std::io::Error;
    /// #     async fn open(&self) -> Result<String, Self::Error> { Ok(String::new()) }
    /// # }
    /// let builder = Managed::builder(Text).check_every(core::time::Duration::from_secs(1));
    /// ```
    pub fn check_every(mut self, interval: impl Into<Option<Duration>>) -> Self {
        const {
            assert!(
                R::CHECKED,
                "this resource has no check: write `check` and set `CHECKED`"
            )
        };
        self.config.check_every = interval.into();
        self
    }

    /// How long after an opening the first check comes. Default one interval. Without an
    /// [interval](ManagedBuilder::check_every) there are no checks to delay.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Managed::builder(Db)
    ///     .check_every(Duration::from_secs(10))
    ///     .initial_delay(Duration::from_secs(60));
    /// ```
    pub const fn initial_delay(mut self, delay: Duration) -> Self {
        self.config.initial_delay = Some(delay);
        self
    }

    /// How long a check may take; one that takes longer has failed. Default 5 s, as HikariCP's
    /// `validationTimeout`.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Managed::builder(Db).check_timeout(Duration::from_secs(2));
    /// ```
    pub fn check_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.config.check_timeout = limit.into();
        self
    }

    /// How many checks in a row must fail for `Degraded`. Default 1, as in the original.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Managed::builder(Db).fail_after(2);
    /// ```
    pub const fn fail_after(mut self, checks: u32) -> Self {
        self.config.thresholds.fail_after = checks;
        self
    }

    /// How many checks in a row must pass for `Ready` again. Default 1, as in the original.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Managed::builder(Db).recover_after(2);
    /// ```
    pub const fn recover_after(mut self, checks: u32) -> Self {
        self.config.thresholds.recover_after = checks;
        self
    }

    /// How many checks in a row must fail for the value to be given up and opened anew. Default 3, as
    /// Kubernetes' `failureThreshold`; `None` never gives it up.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Managed::builder(Db).fail_after(2).reopen_after(6);
    /// let never = Managed::builder(Db).reopen_after(None);
    /// ```
    pub fn reopen_after(mut self, checks: impl Into<Option<u32>>) -> Self {
        self.config.thresholds.reopen_after = checks.into();
        self
    }

    /// How long one attempt to open may take. Default 5 s.
    ///
    /// An attempt that has not answered for a second no longer holds up the next; but of a resource that is
    /// [exclusive](crate::Resource::EXCLUSIVE) one at a time is made, so that a lost packet costs all of this. HikariCP
    /// and sqlx allow 30 s for all of it, gRPC 20 s for one attempt.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Managed::builder(Db).open_timeout(Duration::from_secs(10));
    /// ```
    pub fn open_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.config.open_timeout = limit.into();
        self
    }

    /// How long a close may take. Default 5 s.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Managed::builder(Db).close_timeout(Duration::from_secs(1));
    /// ```
    pub fn close_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.config.close_timeout = limit.into();
        self
    }

    /// Sets how long each of the [hooks](crate::Hooks) `after_open` and `before_close` may take; one that takes longer has
    /// failed. Default 5 s, as for a pool.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Managed::builder(Db).hook_timeout(Duration::from_secs(1));
    /// ```
    pub fn hook_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.config.hook_timeout = limit.into();
        self
    }

    /// Sets how long the close of a value may take that was found broken, if that is less than
    /// [`close_timeout`](ManagedBuilder::close_timeout). Default 1 s: its server may never answer a farewell.
    ///
    /// Such a value is closed beside its successor, unless the resource is
    /// [exclusive](crate::Resource::EXCLUSIVE). Where there is no Runner, the task that opens the successor closes it
    /// first.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Managed::builder(Db).broken_close_timeout(Duration::from_millis(200));
    /// ```
    pub fn broken_close_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.config.broken_close_timeout = limit.into();
        self
    }

    /// Sets how long calls on a value that was found dead may go on. Default 5 s; with `None` they end by themselves or
    /// not at all.
    ///
    /// A value is found dead by [so many](ManagedBuilder::reopen_after) failed checks. If one call finds it broken,
    /// it is checked once more, and found dead if that check fails. Calls on it then end with an error that
    /// says so, [`CallError::revoked`](crate::CallError::revoked); they may have run. Calls on a value that is merely
    /// replaced finish. Without a clock there is no grace period.
    ///
    /// A gRPC keepalive gives calls no time at all. 5 s let answers that are on their way arrive, and are what checks
    /// have by default.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Managed::builder(Db).call_grace(Duration::from_secs(1));
    /// ```
    pub fn call_grace(mut self, grace: impl Into<Option<Duration>>) -> Self {
        self.config.call_grace = grace.into();
        self
    }

    /// When the value is opened. Default [`Start::Lazily`].
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Managed::builder(Db).start(Start::InBackground);
    /// ```
    pub const fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// Builds the resource and its [`Runner`], which is yours to spawn, await or drop.
    ///
    /// # Errors
    /// A [`ConfigError`] that names the field that is wrong.
    #[expect(
        clippy::type_complexity,
        reason = "a name for the pair would say less than the pair"
    )]
    pub fn build_with_runner<C: Clock>(
        self,
        clock: C,
    ) -> Result<(Managed<R, C>, Runner<R, C>), ConfigError> {
        self.build_with(clock, None)
    }

    /// The same for one that spawns its Runner by itself.
    #[expect(
        clippy::type_complexity,
        reason = "a name for the pair would say less than the pair"
    )]
    pub(crate) fn build_with<C: Clock>(
        self,
        clock: C,
        spawn_runner: Option<SpawnManagedRunner<R, C>>,
    ) -> Result<(Managed<R, C>, Runner<R, C>), ConfigError> {
        self.config.validate()?;
        let mut config = self.config;
        config.open_timeout = attempt_limit(&config.open_retry, config.open_timeout);
        config.check_every = config.check_every.map(|every| every.max(LEAST_PERIOD));
        let machine = Machine::new(config.thresholds, clock.try_now());
        let shared = Arc::new(ManagedShared {
            spawn_runner,
            cell: Lock::new(ManagedCell::new(
                machine,
                self.start == Start::InBackground,
                config.proven_after,
            )),
            random: Lock::new(Random::seeded(clock.seed())),
            handles: AtomicUsize::new(1),
            changed: Signal::new(),
            reporter: Reporter {
                name: self.name.unwrap_or_else(Name::generated::<R>),
                sink: self.sink,
            },
            resource: self.resource,
            clone_value: Clone::clone,
            clock,
            config,
        });
        Ok((Managed::new(shared.clone()), Runner::new(shared)))
    }

    /// Builds the resource, and spawns its Runner on the current thread.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// /// Runs what is spawned on this thread, some day.
    /// # #[derive(Clone)]
    /// # struct Here;
    /// # impl Timer for Here {
    /// #     type Sleep = core::future::Pending<()>;
    /// #     fn now(&self) -> Instant { Instant::EPOCH }
    /// #     fn sleep_until(&self, _: Instant) -> Self::Sleep { core::future::pending() }
    /// # }
    /// impl SpawnLocal for Here {
    ///     // ..
    /// #     fn spawn_local<F: Future<Output = ()> + 'static>(&self, _: F) {}
    /// }
    /// let managed = Managed::builder(Db).build_local(Here)?;
    /// # Ok::<(), ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// A [`ConfigError`] that names the field that is wrong.
    pub fn build_local<T>(self, runtime: T) -> Result<Managed<R, T>, ConfigError>
    where
        R: 'static,
        T: Timer<Sleep: 'static> + SpawnLocal + 'static,
    {
        let (managed, runner) = self.build_with(runtime.clone(), Some(spawn_runner_locally))?;
        runtime.spawn_local(runner.run());
        Ok(managed)
    }
}

impl<R: Resource<Value: Clone + Sync>> ManagedBuilder<R> {
    /// Builds the resource, and spawns its Runner.
    ///
    /// If the Runner ends with its runtime, the next use spawns another in the runtime around it, and the value
    /// is opened anew there, unless it [outlives](Resource::OUTLIVES_RUNTIME) its runtime.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// /// Runs what is spawned on threads of its own.
    /// # #[derive(Clone)]
    /// # struct Threads;
    /// # impl Timer for Threads {
    /// #     type Sleep = core::future::Pending<()>;
    /// #     fn now(&self) -> Instant { Instant::EPOCH }
    /// #     fn sleep_until(&self, _: Instant) -> Self::Sleep { core::future::pending() }
    /// # }
    /// impl Spawn for Threads {
    ///     // ..
    /// #     fn spawn<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
    /// #         std::thread::spawn(|| block_on(future));
    /// #     }
    /// }
    /// let managed = Managed::builder(Db).build(Threads)?;
    /// # Ok::<(), ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// A [`ConfigError`] that names the field that is wrong.
    pub fn build<T>(self, runtime: T) -> Result<Managed<R, T>, ConfigError>
    where
        T: Timer<Sleep: Send + 'static> + Spawn + Send + Sync + 'static,
    {
        let (managed, runner) = self.build_with(runtime.clone(), Some(spawn_runner))?;
        runtime.spawn(runner.run());
        Ok(managed)
    }
}

/// Spawns a Runner of this resource.
pub(crate) fn spawn_runner<R, T>(shared: &Arc<ManagedShared<R, T>>)
where
    R: Resource<Value: Clone + Sync>,
    T: Timer<Sleep: Send + 'static> + Spawn + Send + Sync + 'static,
{
    shared.clock.spawn(Runner::new(shared.clone()).run());
}

/// Spawns a Runner of this resource on the current thread.
pub(crate) fn spawn_runner_locally<R, T>(shared: &Arc<ManagedShared<R, T>>)
where
    R: LocalResource<Value: Clone> + 'static,
    T: Timer<Sleep: 'static> + SpawnLocal + 'static,
{
    shared.clock.spawn_local(Runner::new(shared.clone()).run());
}

impl<R: LocalResource> core::fmt::Debug for ManagedBuilder<R> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ManagedBuilder")
            .field("name", &self.name)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
