//! What else can be set of a pool, beside its size and its times: how long values live, when they are checked,
//! who may wait, and what is looked out for.

use core::time::Duration;

use super::builder::PoolBuilder;
use super::lend::CheckOnAcquire;
use super::stack::IdleOrder;
use crate::resource::LocalResource;

impl<R: LocalResource> PoolBuilder<R> {
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
}
