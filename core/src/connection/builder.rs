//! How a connection is configured and built.

use alloc::format;
use core::time::Duration;

use super::Connection;
use super::link::Link;
use super::when_down::WhenDown;
use crate::backoff::Backoff;
use crate::config::{ConfigError, above_zero};
use crate::managed::{
    Managed, ManagedBuilder, Runner, SpawnManagedRunner, spawn_runner, spawn_runner_locally,
};
use crate::name::Name;
use crate::resource::{BoxError, LocalResource, Resource};
use crate::retry::Retry;
use crate::runtime::{Clock, Spawn, SpawnLocal, Timer};
use crate::sink::Sink;
use crate::sync::Arc;

/// Configures a [`Connection`]. Made by [`Connection::builder`].
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// let builder = Connection::builder("db:5432", Db)
///     .name("orders")
///     .retry(Retry::CRITICAL)
///     .check_every(Duration::from_secs(60));
/// # let _ = builder.build_with_runner(Virtual::default())?;
/// # Ok::<(), BoxError>(())
/// ```
#[must_use = "a builder does nothing until it is built"]
pub struct ConnectionBuilder<R: LocalResource> {
    managed: ManagedBuilder<R>,
    address: Name,
    name: Name,
    sink: Option<Sink>,
    retry: Retry,
    doubt_after: Option<u32>,
    reconnect_after_timeouts: Option<u32>,
    when_down: WhenDown,
}

impl<R: LocalResource<Value: Clone>> ConnectionBuilder<R> {
    pub(crate) fn new(address: impl AsRef<str>, resource: R) -> Self
    where
        R::Error: Into<BoxError>,
    {
        let managed = Managed::builder(resource);
        Self {
            managed: managed.check_every_if_checked(Duration::from_secs(60)),
            address: Name::new(address),
            name: Name::generated::<R>(),
            sink: None,
            retry: Retry::DEFAULT,
            doubt_after: Some(5),
            reconnect_after_timeouts: None,
            when_down: WhenDown::default(),
        }
    }

    /// The name in errors and events, to which the address is added. By default the resource's type, with a number.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Connection::builder("db:5432", Db).name("orders");
    /// # let _ = builder.build_with_runner(Virtual::default())?;
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn name(mut self, name: impl AsRef<str>) -> Self {
        self.name = Name::new(name);
        self
    }

    /// Where events go. By default nowhere.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let sink = std::sync::Arc::new(|event: &Event<'_>| println!("{event}"));
    /// let builder = Connection::builder("db:5432", Db).events(sink);
    /// # let _ = builder.build_with_runner(Virtual::default())?;
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn events(mut self, sink: impl Into<Sink>) -> Self {
        self.sink = Some(sink.into());
        self
    }

    /// Sets how calls are retried. Default 3 retries, from 1 s to 30 s. Attempts to connect have a
    /// [pace](ConnectionBuilder::open_pace) instead.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Connection::builder("db:5432", Db).retry(Retry::CRITICAL);
    /// # let _ = builder.build_with_runner(Virtual::default())?;
    /// # Ok::<(), BoxError>(())
    /// ```
    pub const fn retry(mut self, policy: Retry) -> Self {
        self.retry = policy;
        self
    }

    /// Sets how far apart attempts to connect begin, from the start of one to the start of the next. Default
    /// [`Backoff::OPENING`], 525 ms to 700 ms; the first attempt is made at once.
    ///
    /// The pace goes on from one opening to the next, and begins anew once a connection has
    /// [proven](ConnectionBuilder::proven_after) itself. See
    /// [`ManagedBuilder::open_pace`](crate::managed::ManagedBuilder::open_pace).
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let slower = Backoff::constant(Duration::from_secs(5)).jitter(Jitter::Equal);
    /// let builder = Connection::builder("db:5432", Db).open_pace(slower);
    /// # let _ = builder.build_with_runner(Virtual::default())?;
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn open_pace(mut self, pace: Backoff) -> Self {
        self.managed = self.managed.open_pace(pace);
        self
    }

    /// Sets for how long attempts to connect fail, during a caller's own wait, before it is told so. Default 3 s; `None`
    /// lets callers wait for as long as their own limit. See
    /// [`ManagedBuilder::refuse_after`](crate::managed::ManagedBuilder::refuse_after).
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Connection::builder("db:5432", Db).refuse_after(Duration::from_secs(10));
    /// # let _ = builder.build_with_runner(Virtual::default())?;
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn refuse_after(mut self, failing_for: impl Into<Option<Duration>>) -> Self {
        self.managed = self.managed.refuse_after(failing_for);
        self
    }

    /// Sets by one policy how often connecting is tried and when callers are told, in the place of
    /// [`open_pace`](ConnectionBuilder::open_pace) and [`refuse_after`](ConnectionBuilder::refuse_after).
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Connection::builder("db:5432", Db).open_retry(Retry::CRITICAL);
    /// # let _ = builder.build_with_runner(Virtual::default())?;
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn open_retry(mut self, policy: Retry) -> Self {
        self.managed = self.managed.open_retry(policy);
        self
    }

    /// A connection has proven itself with a check or a call that succeeds, or else when it has been open for so
    /// long. Default 60 s; `None` counts checks and calls alone.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Connection::builder("db:5432", Db).proven_after(Duration::from_secs(10));
    /// # let _ = builder.build_with_runner(Virtual::default())?;
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn proven_after(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.managed = self.managed.proven_after(time);
        self
    }

    /// After how many failed calls in a row the connection is degraded, though none of them was an error of the
    /// connection. It never reconnects for that. Default 5, as Envoy takes an outlier; `None` for never.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Connection::builder("db:5432", Db).doubt_after(3);
    /// # let _ = builder.build_with_runner(Virtual::default())?;
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn doubt_after(mut self, calls: impl Into<Option<u32>>) -> Self {
        self.doubt_after = calls.into();
        self
    }

    /// Sets after how many attempts of calls in a row that time out it reconnects: for a resource that has no check, and
    /// would not find out otherwise that its peer is dead. Default `None`, for never.
    ///
    /// The old connection is merely replaced: calls on it finish, if they can. It is off by default because a timeout does
    /// not tell a dead peer from a slow one, and an overloaded server that is also reconnected to gets slower; a
    /// [check](crate::Resource::check) tells them apart. Redis and gRPC clients do not reconnect for timeouts of calls
    /// either; pgx closes a connection whose query was cut off, which nobody else uses.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Connection::builder("db:5432", Db).reconnect_after_timeouts(3);
    /// # let _ = builder.build_with_runner(Virtual::default())?;
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn reconnect_after_timeouts(mut self, attempts: impl Into<Option<u32>>) -> Self {
        self.reconnect_after_timeouts = attempts.into();
        self
    }

    /// What calls do while there is no connection. By default they wait to their deadline.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # use tenure_core::connection::WhenDown;
    /// let builder = Connection::builder("db:5432", Db).when_down(WhenDown::FailAtOnce);
    /// # let _ = builder.build_with_runner(Virtual::default())?;
    /// # Ok::<(), BoxError>(())
    /// ```
    pub const fn when_down(mut self, when_down: WhenDown) -> Self {
        self.when_down = when_down;
        self
    }

    /// How often the connection is checked, less up to a tenth. Default 60 s, if the resource is
    /// [checked](crate::Resource::CHECKED); what was called with success within that time is not checked.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Connection::builder("db:5432", Db).check_every(Duration::from_secs(10));
    /// # let _ = builder.build_with_runner(Virtual::default())?;
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn check_every(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.managed = self.managed.check_every(interval);
        self
    }

    /// How long a check may take. Default 5 s.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Connection::builder("db:5432", Db).check_timeout(Duration::from_secs(1));
    /// # let _ = builder.build_with_runner(Virtual::default())?;
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn check_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.managed = self.managed.check_timeout(limit);
        self
    }

    /// How many failed checks in a row make it reconnect. Default 3; `None` for never.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Connection::builder("db:5432", Db).reopen_after(1);
    /// # let _ = builder.build_with_runner(Virtual::default())?;
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn reopen_after(mut self, checks: impl Into<Option<u32>>) -> Self {
        self.managed = self.managed.reopen_after(checks);
        self
    }

    /// How long each attempt to connect may take. Default 5 s.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Connection::builder("db:5432", Db).open_timeout(Duration::from_secs(5));
    /// # let _ = builder.build_with_runner(Virtual::default())?;
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn open_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.managed = self.managed.open_timeout(limit);
        self
    }

    /// How long a close may take. Default 5 s.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Connection::builder("db:5432", Db).close_timeout(Duration::from_secs(1));
    /// # let _ = builder.build_with_runner(Virtual::default())?;
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn close_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.managed = self.managed.close_timeout(limit);
        self
    }

    /// Sets how long each of the [hooks](crate::Hooks) `after_open` and `before_close` may take. Default 5 s.
    /// See [`ManagedBuilder::hook_timeout`].
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Connection::builder("db:5432", Db).hook_timeout(Duration::from_secs(1));
    /// # let _ = builder.build_with_runner(Virtual::default())?;
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn hook_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.managed = self.managed.hook_timeout(limit);
        self
    }

    /// Sets how long the close of a broken connection may take, which goes on beside the next attempt. Default 1 s. See
    /// [`ManagedBuilder::broken_close_timeout`](crate::managed::ManagedBuilder::broken_close_timeout).
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Connection::builder("db:5432", Db).broken_close_timeout(Duration::from_millis(200));
    /// # let _ = builder.build_with_runner(Virtual::default())?;
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn broken_close_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.managed = self.managed.broken_close_timeout(limit);
        self
    }

    /// Sets how long calls may go on over a connection that was found dead. Default 5 s. See
    /// [`ManagedBuilder::call_grace`](crate::managed::ManagedBuilder::call_grace).
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Connection::builder("db:5432", Db).call_grace(Duration::from_secs(1));
    /// # let _ = builder.build_with_runner(Virtual::default())?;
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn call_grace(mut self, grace: impl Into<Option<Duration>>) -> Self {
        self.managed = self.managed.call_grace(grace);
        self
    }

    /// Builds it, with its background work as a value: for any executor, and for none.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let (connection, runner) = Connection::builder("db:5432", Db).build_with_runner(NoTimer)?;
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
    ) -> Result<(Connection<R, C>, Runner<R, C>), ConfigError> {
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
        spawn_runner: Option<SpawnManagedRunner<R, C>>,
    ) -> Result<(Connection<R, C>, Runner<R, C>), ConfigError> {
        if let Some(calls) = self.doubt_after {
            above_zero("doubt_after", calls)?;
        }
        if let Some(attempts) = self.reconnect_after_timeouts {
            above_zero("reconnect_after_timeouts", attempts)?;
        }
        self.retry.validate()?;
        let link = Arc::new(Link::new(
            self.address.clone(),
            self.when_down,
            self.doubt_after,
            self.reconnect_after_timeouts,
            self.sink,
        ));
        let (managed, runner) = self
            .managed
            .name(format!("{} at {}", self.name, self.address))
            .events(link.clone())
            .retry(self.retry)
            .build_with(clock, spawn_runner)?;
        Ok((Connection { managed, link }, runner))
    }

    /// Builds it, with its background work on this thread, for resources that are not `Send`.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # let rt = Runtime;
    /// let connection = Connection::builder("db:5432", Db).build_local(rt)?;
    /// # Ok::<(), BoxError>(())
    /// ```
    ///
    /// # Errors
    /// As [`build_with_runner`](ConnectionBuilder::build_with_runner).
    pub fn build_local<T>(self, runtime: T) -> Result<Connection<R, T>, ConfigError>
    where
        R: 'static,
        T: Timer<Sleep: 'static> + SpawnLocal + 'static,
    {
        let (connection, runner) = self.build_with(runtime.clone(), Some(spawn_runner_locally))?;
        runtime.spawn_local(runner.run());
        Ok(connection)
    }
}

impl<R: Resource<Value: Clone + Sync>> ConnectionBuilder<R> {
    /// Builds it, with its background work spawned on `runtime`.
    ///
    /// If the Runner ends with its runtime, the next use spawns another in the runtime around it, and the value
    /// is opened anew there, unless it [outlives](Resource::OUTLIVES_RUNTIME) its runtime.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # let rt = Runtime;
    /// let connection = Connection::builder("db:5432", Db).build(rt)?;
    /// # Ok::<(), BoxError>(())
    /// ```
    ///
    /// # Errors
    /// As [`build_with_runner`](ConnectionBuilder::build_with_runner).
    pub fn build<T>(self, runtime: T) -> Result<Connection<R, T>, ConfigError>
    where
        T: Timer<Sleep: Send + 'static> + Spawn + Send + Sync + 'static,
    {
        let (connection, runner) = self.build_with(runtime.clone(), Some(spawn_runner))?;
        runtime.spawn(runner.run());
        Ok(connection)
    }
}

impl<R: LocalResource> core::fmt::Debug for ConnectionBuilder<R> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ConnectionBuilder")
            .field("managed", &self.managed)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
