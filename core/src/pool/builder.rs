//! How a pool is configured and built.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use super::Pool;
use super::config::PoolConfig;
use super::job::cleans_up;
use super::loans::Loans;
use super::quota::{Quota, QuotaSeat};
use super::runner::Runner;
use super::shared::PoolShared;
use super::stack::{IdleOrder, Stacks};
use super::state::Guarded;
use super::storage::PoolKernel;
use super::validation::{CheckOnAcquire, prepares};
use crate::backoff::Backoff;
use crate::config::{ConfigError, above_zero};
use crate::drive::SpawnRunner;
use crate::held::HeldResource;
use crate::kernel::{Bounds, Membership, PoolOpenings};
use crate::name::Name;
use crate::opening::attempt_limit;
use crate::random::Random;
use crate::reporter::Reporter;
use crate::resource::{LocalResource, Resource};
use crate::retry::Retry;
use crate::runtime::{Clock, Spawn, SpawnLocal, Timer};
use crate::signal::Signal;
use crate::sink::Sink;
use crate::start::Start;
use crate::sync::{Arc, AtomicUsize, Lock};

/// For how long openings fail before callers are told, unless it is set.
const REFUSE_AFTER: Duration = Duration::from_secs(3);

/// How a [`Pool`] is to be: its size, its times, its retries. Made by [`Pool::builder`].
///
/// ```
/// use core::time::Duration;
/// # use tenure_core::{NoTimer, Pool, Resource};
/// # struct Text;
/// # impl Resource for Text {
/// #     type Value = String;
/// #     type Error = std::io::Error;
/// #     async fn open(&self) -> Result<String, Self::Error> { Ok(String::new()) }
/// # }
/// let (pool, runner) = Pool::builder(Text)
///     .name("texts")
///     .min_size(2)
///     .max_size(20)
///     .idle_timeout(Duration::from_secs(60))
///     .build_with_runner(NoTimer)?;
/// # Ok::<(), tenure_core::ConfigError>(())
/// ```
///
/// A mistake is an error that names the field and both values:
///
/// ```
/// # use tenure_core::{NoTimer, Pool, Resource};
/// # struct Text;
/// # impl Resource for Text {
/// #     type Value = String;
/// #     type Error = std::io::Error;
/// #     async fn open(&self) -> Result<String, Self::Error> { Ok(String::new()) }
/// # }
/// let error = Pool::builder(Text).min_size(5).max_size(3).build_with_runner(NoTimer).unwrap_err();
/// assert_eq!(error.to_string(), "`min_size` (5) is above `max_size` (3)");
/// ```
#[must_use = "a builder does nothing until it is built"]
pub struct PoolBuilder<R: LocalResource> {
    resource: HeldResource<R>,
    name: Option<Name>,
    sink: Option<Sink>,
    pub(super) config: PoolConfig,
    retry: Option<Retry>,
    pace: Option<Backoff>,
    refuse_after: Option<Option<Duration>>,
    start: Start,
}

impl<R: LocalResource> PoolBuilder<R> {
    pub(crate) fn new(resource: HeldResource<R>) -> Self {
        Self {
            resource,
            name: None,
            sink: None,
            config: PoolConfig::new(R::CHECKED),
            retry: None,
            pace: None,
            refuse_after: None,
            start: Start::InBackground,
        }
    }

    /// The name in events, errors and reports. By default the resource type's, with a number.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Pool::builder(Db).name("postgres://app:secret@db/users");
    /// let (pool, _runner) = builder.build_with_runner(NoTimer)?;
    /// assert_eq!(pool.name().as_str(), "postgres://***@db/users");
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
    /// let builder = Pool::builder(Db).events(sink);
    /// ```
    pub fn events(mut self, sink: impl Into<Sink>) -> Self {
        self.sink = Some(sink.into());
        self
    }

    /// How many values are kept open even if nobody uses them. Default 0, as in the original.
    ///
    /// A Runner opens them and replaces those that break; without one, [`Pool::start`] opens them.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Pool::builder(Db).min_size(2);
    /// ```
    pub const fn min_size(mut self, values: usize) -> Self {
        self.config.min_size = values;
        self
    }

    /// How many values may be open at once, those being opened and closed included. Default 10, as in
    /// the original.
    ///
    /// Above it there may be some that were found broken and are being closed:
    /// [`max_closing_beside`](Self::max_closing_beside).
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Pool::builder(Db).max_size(50);
    /// ```
    pub const fn max_size(mut self, values: usize) -> Self {
        self.config.max_size = values;
        self
    }

    /// How long a value may be idle, counted from its last use, before it is closed, unless the
    /// minimum needs it. Default 300 s, as in the original; `None` keeps values for ever.
    ///
    /// Values are looked at a few times per timeout: one is closed between the timeout and a quarter
    /// more after its last use.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Pool::builder(Db).idle_timeout(Duration::from_secs(600));
    /// let for_ever = Pool::builder(Db).idle_timeout(None);
    /// ```
    pub fn idle_timeout(mut self, after: impl Into<Option<Duration>>) -> Self {
        self.config.idle_timeout = after.into();
        self
    }

    /// How often an idle value is checked. Default 60 s, as in the original, for a resource that has
    /// a check; `None` checks nothing.
    ///
    /// A value that was used or checked within that time is not checked again. Checks come up to a
    /// tenth early, so that values do not stay in step, and at most a quarter late.
    ///
    /// A resource without a check cannot ask for it:
    ///
    /// ```compile_fail
    /// # use tenure_core::{NoTimer, Pool, Resource};
    /// # struct Text;
    /// # impl Resource for Text {
    /// #     type Value = String;
    /// #     type Error = std::io::Error;
    /// #     async fn open(&self) -> Result<String, Self::Error> { Ok(String::new()) }
    /// # }
    /// let builder = Pool::builder(Text).check_every(core::time::Duration::from_secs(1));
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

    /// How long a check may take; one that takes longer has failed. Default 5 s, as HikariCP's
    /// `validationTimeout`.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Pool::builder(Db).check_timeout(Duration::from_secs(2));
    /// ```
    pub fn check_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.config.check_timeout = limit.into();
        self
    }

    /// How long one attempt to open a value may take. Default 5 s.
    ///
    /// An attempt that has not answered for a second no longer holds up the next, as long as the maximum leaves a place;
    /// but a pool of one value waits for it. Hence a default well below
    /// [`acquire_timeout`](Self::acquire_timeout): with 30 s for both, as in HikariCP, one lost packet could cost a
    /// caller all of its time; pgx allows 2 minutes.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Pool::builder(Db).open_timeout(Duration::from_secs(10));
    /// ```
    pub fn open_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.config.open_timeout = limit.into();
        self
    }

    /// How long the close of a value may take. Default 5 s.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Pool::builder(Db).close_timeout(Duration::from_secs(1));
    /// ```
    pub fn close_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.config.close_timeout = limit.into();
        self
    }

    /// Sets how long the close of a value may take that was [found broken](crate::Why::is_of_broken_value), and its
    /// hook before that. Default 1 s; never longer than [`close_timeout`](Self::close_timeout).
    ///
    /// Its peer may be dead and never answer. HikariCP and pgx give every close 15 s, in the background.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Pool::builder(Db).broken_close_timeout(Duration::from_millis(200));
    /// ```
    pub fn broken_close_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.config.broken_close_timeout = limit.into();
        self
    }

    /// Sets how many values that were [found broken](crate::Why::is_of_broken_value) may be closed beside their
    /// successors, above [`max_size`](Self::max_size). Default a quarter of that, at least 1; 0 makes the maximum
    /// strict.
    ///
    /// A dead peer answers no farewell, and callers should not wait for that. A server counts such a value until it
    /// has noticed, so its own limit has to leave room for them. A resource that declares itself
    /// [`EXCLUSIVE`](crate::Resource::EXCLUSIVE) has none, and pools of a family
    /// share [an allowance](crate::pool::KeyedPoolBuilder::max_closing_beside) besides.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let strict = Pool::builder(Db).max_size(20).max_closing_beside(0);
    /// ```
    pub const fn max_closing_beside(mut self, values: usize) -> Self {
        self.config.max_closing_beside = Some(values);
        self
    }

    /// How long [`Pool::acquire`] waits in all. Default 30 s, as HikariCP and sqlx; `None` waits for
    /// ever.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Pool::builder(Db).acquire_timeout(Duration::from_secs(3));
    /// ```
    pub fn acquire_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.config.acquire_timeout = limit.into();
        self
    }

    /// Sets by one policy how often openings are tried and when callers are told: its backoff is the
    /// [pace](Self::open_pace), and its retries and deadline replace [`refuse_after`](Self::refuse_after).
    ///
    /// A caller is told once so many attempts have failed during its own wait. By default a pool has no such policy,
    /// but the two settings apart.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Pool::builder(Db).retry(Retry::CRITICAL);
    /// ```
    pub const fn retry(mut self, policy: Retry) -> Self {
        self.retry = Some(policy);
        self
    }

    /// Sets how far apart openings begin while they fail, from the start of one to the start of the next. Default
    /// [`Backoff::OPENING`], 525 ms to 700 ms.
    ///
    /// All openings of a pool keep one pace, however many callers wait, and one at a time is tried. Openings that began
    /// before the first one failed are not held back. Set a slower pace where thousands of pools share a
    /// small server.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let slower = Backoff::constant(Duration::from_secs(5)).jitter(Jitter::Equal);
    /// let builder = Pool::builder(Db).open_pace(slower);
    /// ```
    pub const fn open_pace(mut self, pace: Backoff) -> Self {
        self.pace = Some(pace);
        self
    }

    /// Sets for how long openings fail, during a caller's own wait, before it is told so with
    /// [`AcquireError::BackendDown`](crate::AcquireError::BackendDown). Default 3 s; `None` lets callers wait for as
    /// long as their [`acquire_timeout`](Self::acquire_timeout).
    ///
    /// It is told at the first failure after that, at once of a failure that is
    /// [not worth a retry](crate::ErrorClass::GiveUp), and at once too if the pace leaves no attempt within that
    /// time. While another value is in service, which may come back, callers wait for it.
    ///
    /// HikariCP and bb8 let callers wait for their whole timeout of 30 s, deadpool and pgx tell them of the first failure.
    /// 3 s outlast the restart of a proxy and a failed packet or two, and are short enough to try elsewhere.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Pool::builder(Db).refuse_after(Duration::from_secs(10));
    /// ```
    pub fn refuse_after(mut self, failing_for: impl Into<Option<Duration>>) -> Self {
        self.refuse_after = Some(failing_for.into());
        self
    }

    /// How many may wait at once. Whoever comes beyond is refused at once, with
    /// [`AcquireError::QueueFull`](crate::AcquireError::QueueFull): better than to wait in vain. Default `None`,
    /// as many as there are.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Pool::builder(Db).max_waiters(100);
    /// ```
    pub fn max_waiters(mut self, waiters: impl Into<Option<usize>>) -> Self {
        self.config.max_waiters = waiters.into();
        self
    }

    /// Which idle value is lent first. Default [`IdleOrder::LatestFirst`], as most pools.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Pool::builder(Db).idle_order(pool::IdleOrder::OldestFirst);
    /// ```
    pub const fn idle_order(mut self, order: IdleOrder) -> Self {
        self.config.idle_order = order;
        self
    }

    /// How long a value lives. Older ones are closed, idle or as they come back, and replaced. Default 30
    /// minutes, as in HikariCP, sqlx and bb8; `None` for ever.
    ///
    /// Each value ends up to a tenth earlier, so that values that were opened together do not end together,
    /// and a little later than that: the Runner looks a few times within the time. See
    /// [`strict_limits`](Self::strict_limits).
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Pool::builder(Db).max_lifetime(Duration::from_secs(3600));
    /// ```
    pub fn max_lifetime(mut self, after: impl Into<Option<Duration>>) -> Self {
        self.config.max_lifetime = after.into();
        self
    }

    /// Whether the clock is read before each loan, so that no value is ever lent that is older than its
    /// [lifetime](Self::max_lifetime) or was idle for [too long](Self::idle_timeout). Default no, but it is done
    /// anyway where one of the two is below a minute.
    ///
    /// Otherwise the Runner looks, a few times within the limit. If the process is frozen for longer than the
    /// limit, as a virtual machine or a serverless function may be, a value that is past it can be lent until the
    /// Runner has had a turn. sqlx looks at the clock on each acquire, for the lifetime;
    /// HikariCP, pgx and bb8 do not. It costs each acquire a reading of the clock, and each return another where idleness is limited: as much again
    /// as all the rest.
    ///
    /// It needs no Runner, and a timer: without one no time passes.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Pool::builder(Db).max_lifetime(Duration::from_secs(900)).strict_limits(true);
    /// ```
    pub const fn strict_limits(mut self, strict: bool) -> Self {
        self.config.strict_limits = strict;
        self
    }

    /// How many times a value is lent before it is closed and replaced. Default `None`, without end.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Pool::builder(Db).max_uses(10_000);
    /// ```
    pub fn max_uses(mut self, uses: impl Into<Option<u32>>) -> Self {
        self.config.max_uses = uses.into();
        self
    }

    /// Whether a value is checked once it is open; if it fails, the opening has failed. Default no.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Pool::builder(Db).check_on_open(true);
    /// ```
    pub fn check_on_open(mut self, check: bool) -> Self {
        const {
            assert!(
                R::CHECKED,
                "this resource has no check: write `check` and set `CHECKED`"
            )
        };
        self.config.check_on.open = check;
        self
    }

    /// Sets whether a value is checked before it is lent, while its user waits; if it fails, the user gets another.
    /// Default [`AfterIdle`](CheckOnAcquire::AfterIdle) half a second for a resource that has a check, as in
    /// HikariCP; pgx takes a second. What was used within that time is lent unchecked, without a reading of the
    /// clock.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// use tenure_core::pool::CheckOnAcquire;
    /// let builder = Pool::builder(Db).check_on_acquire(CheckOnAcquire::Always);
    /// ```
    pub fn check_on_acquire(mut self, check: CheckOnAcquire) -> Self {
        const {
            assert!(
                R::CHECKED,
                "this resource has no check: write `check` and set `CHECKED`"
            )
        };
        self.config.check_on.acquire = check;
        self
    }

    /// Whether a value is checked after each loan, before anybody else gets it. Default no.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Pool::builder(Db).check_on_release(true);
    /// ```
    pub fn check_on_release(mut self, check: bool) -> Self {
        const {
            assert!(
                R::CHECKED,
                "this resource has no check: write `check` and set `CHECKED`"
            )
        };
        self.config.check_on.release = check;
        self
    }

    /// Sets how long the check of a value may take whose last [operation](crate::Lease::run) was cut off; one that takes
    /// longer has failed, and the value is closed. Default 250 ms; [`check_timeout`](Self::check_timeout) is a limit
    /// as well. If it fails, all idle values are checked in the same way, at most once a second; and for a second no
    /// check [before a loan](Self::check_on_acquire) takes longer.
    ///
    /// It is short because there is little to lose: pgx, for one, closes such a connection at once. And somebody may
    /// wait for its place.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Pool::builder(Db).suspect_timeout(Duration::from_secs(1));
    /// ```
    pub fn suspect_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.config.suspect_timeout = limit.into();
        self
    }

    /// How long each of the [hooks](crate::Hooks) may take; one that takes longer has failed. Default 5 s.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Pool::builder(Db).hook_timeout(Duration::from_secs(1));
    /// ```
    pub fn hook_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.config.hook_timeout = limit.into();
        self
    }

    /// Tells of a lease that is held for longer than this, once, with where it was taken: see
    /// [`EventKind::Leaked`](crate::event::EventKind::Leaked). Default `None`. It costs each acquire a reading of the
    /// clock.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Pool::builder(Db).leak_after(Duration::from_secs(60));
    /// ```
    pub fn leak_after(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.config.leak_after = limit.into();
        self
    }

    /// Whether a task that holds every value, and asks for one more, is refused at once with
    /// [`AcquireError::SelfDeadlock`](crate::AcquireError::SelfDeadlock), where the backend can tell tasks apart.
    /// Default no, because several futures of one task that give back and take look the same and end well. It
    /// is told as an [event](crate::event::EventKind::SelfDeadlock) anyway where there is a sink.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Pool::builder(Db).refuse_self_deadlock(true);
    /// ```
    pub const fn refuse_self_deadlock(mut self, refuse: bool) -> Self {
        self.config.refuses_self_deadlock = refuse;
        self
    }

    /// Whether histograms are kept of how long acquires, openings and loans take: see
    /// [`Pool::timings`](crate::Pool::timings). Default no. It costs each acquire two readings of the clock.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Pool::builder(Db).timings(true);
    /// ```
    pub const fn timings(mut self, keep: bool) -> Self {
        self.config.timings = keep;
        self
    }

    /// When the minimum is opened. Default [`Start::InBackground`].
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Pool::builder(Db).start(Start::Lazily);
    /// ```
    pub const fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// Builds the pool and its [`Runner`], which is yours to spawn, await or drop.
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
    ) -> Result<(Pool<R, C>, Runner<R, C>), ConfigError> {
        self.build_in_family(clock, None, None)
    }

    fn opening_policy(&self) -> Retry {
        let by_default = Retry::new(Backoff::OPENING).max_retries(u32::MAX);
        let policy = self.retry.unwrap_or(by_default);
        self.pace.map_or(policy, |pace| policy.backoff(pace))
    }

    /// The same for one of several pools that share a bound, and for one that spawns its Runner by itself.
    #[expect(
        clippy::type_complexity,
        reason = "a name for the pair would say less than the pair"
    )]
    pub(super) fn build_in_family<C: Clock>(
        self,
        clock: C,
        quota: Option<Arc<Quota>>,
        spawn_runner: Option<SpawnRunner<PoolShared<R, C>>>,
    ) -> Result<(Pool<R, C>, Runner<R, C>), ConfigError> {
        self.config.validate()?;
        let policy = self.opening_policy();
        policy.validate()?;
        let by_default = { self.retry.is_none() }.then_some(REFUSE_AFTER);
        let refuse_after = self.refuse_after.unwrap_or(by_default);
        if let Some(refuse_after) = refuse_after {
            above_zero("refuse_after", refuse_after)?;
        }
        let mut config = self.config;
        if R::EXCLUSIVE {
            config.max_closing_beside = Some(0);
        }
        config.open_timeout = attempt_limit(&policy, config.open_timeout);
        let seed = clock.seed();
        let openings = PoolOpenings::new(Vec::new(), policy, refuse_after, R::EXCLUSIVE, seed);
        let warm = self.start == Start::InBackground;
        let limits = config.limits(clock.try_now());
        let bounds = Bounds {
            min_size: config.min_size,
            max_size: config.max_size,
            max_waiters: config.max_waiters,
            idle_timeout: config.idle_timeout,
            acquire_timeout: config.acquire_timeout,
            was_lowered: false,
        };
        let family = quota.clone().map(QuotaSeat::new).map(Membership::new);
        let kernel = PoolKernel::new(Vec::new(), openings, warm, bounds, limits, family);
        // A sink hears of tasks that wait for themselves.
        let keeps_loans = config.leak_after.is_some()
            || config.refuses_self_deadlock
            || config.timings
            || self.sink.is_some();
        let shared = Arc::new(PoolShared {
            spawn_runner,
            stacks: Stacks::new(config.max_size, config.idle_order, limits, config.timings),
            quota,
            state: Guarded::new(kernel),
            loans: keeps_loans.then(|| Loans::new(config.timings || config.leak_after.is_some())),
            times_of_openings: config.timings.then(Box::default),
            random: Lock::new(Random::seeded(seed)),
            handles: AtomicUsize::new(1),
            changed: Signal::new(),
            reporter: Reporter {
                name: self.name.unwrap_or_else(Name::generated::<R>),
                sink: self.sink,
            },
            resource: self.resource,
            clock,
            lends_plainly: !prepares::<R>(&config) && !config.is_strict(),
            returns_plainly: !cleans_up::<R>(&config) && !config.notes_returns(),
            is_strict: config.is_strict(),
            config,
        });
        let now = shared.now();
        let allowance = shared.config.allowance(config.max_size);
        shared.adjust(|transaction| {
            transaction.kernel().resize(config.max_size, allowance);
            shared.watch_without_runner(transaction, now);
        });
        Ok((Pool::new(shared.clone()), Runner::new(shared)))
    }

    /// Builds the pool, and spawns its Runner on the current thread.
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
    /// let pool = Pool::builder(Db).build_local(Here)?;
    /// # Ok::<(), ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// A [`ConfigError`] that names the field that is wrong.
    pub fn build_local<T>(self, runtime: T) -> Result<Pool<R, T>, ConfigError>
    where
        R: 'static,
        T: Timer<Sleep: 'static> + SpawnLocal + 'static,
    {
        let spawn_runner: SpawnRunner<PoolShared<R, T>> =
            |shared| shared.clock.spawn_local(Runner::new(shared.clone()).run());
        let (pool, runner) = self.build_in_family(runtime.clone(), None, Some(spawn_runner))?;
        runtime.spawn_local(runner.run());
        Ok(pool)
    }
}

impl<R: Resource> PoolBuilder<R> {
    /// Builds the pool, and spawns its Runner.
    ///
    /// If the Runner ends with its runtime, as for a pool in a `static` that many tests use, the next use spawns
    /// another in the runtime around it. Values that were opened before are retired then, unless they
    /// [outlive](Resource::OUTLIVES_RUNTIME) their runtime.
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
    /// let pool = Pool::builder(Db).build(Threads)?;
    /// # Ok::<(), ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// A [`ConfigError`] that names the field that is wrong.
    pub fn build<T>(self, runtime: T) -> Result<Pool<R, T>, ConfigError>
    where
        T: Timer<Sleep: Send + 'static> + Spawn + Send + Sync + 'static,
    {
        let (pool, runner) = self.build_in_family(runtime.clone(), None, Some(spawn_runner))?;
        runtime.spawn(runner.run());
        Ok(pool)
    }
}

/// Spawns a Runner of this pool.
pub(super) fn spawn_runner<R, T>(shared: &Arc<PoolShared<R, T>>)
where
    R: Resource,
    T: Timer<Sleep: Send + 'static> + Spawn + Send + Sync + 'static,
{
    shared.clock.spawn(Runner::new(shared.clone()).run());
}

impl<R: LocalResource> core::fmt::Debug for PoolBuilder<R> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("PoolBuilder")
            .field("name", &self.name)
            .field("config", &self.config)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}
