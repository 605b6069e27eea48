//! A call over a connection.

use core::fmt;
use core::future::Future;

use super::Connection;
use super::attempts::{CallAttempt, CallAttempts};
use super::link::{CallEnding, Link};
use super::when_down::WhenDown;
use crate::cause::Cause;
use crate::managed::{CallError, CallOptions, Patience, Ways};
use crate::opening::OpenError;
use crate::resource::LocalResource;
use crate::retry::{ErrorClass, Failure};
use crate::runtime::Clock;
use crate::sync::Lock;

/// A call that is about to be made. See [`Connection::request`].
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// use tenure_core::connection::WhenDown;
/// # block_on(async {
/// let (connection, _runner) = Connection::builder("db:5432", Db).build_with_runner(Virtual::default())?;
/// let length = connection
///     .request(CallOptions::named("length").deadline(Duration::from_secs(2)))
///     .when_down(WhenDown::FailAtOnce)
///     .run(|session| async move { Ok(session.len()) })
///     .await?;
/// assert_eq!(length, 7);
/// # Ok::<(), BoxError>(())
/// # }).unwrap();
/// ```
#[must_use = "nothing is called until `run`"]
pub struct Request<
    'c,
    R: LocalResource,
    C: Clock,
    K = fn(Failure<'_, <R as LocalResource>::Error>) -> ErrorClass,
> {
    connection: &'c Connection<R, C>,
    options: CallOptions,
    when_down: WhenDown,
    /// Without it, the resource's own.
    classify: Option<K>,
}

impl<'c, R: LocalResource<Value: Clone>, C: Clock> Request<'c, R, C> {
    pub(super) fn new(connection: &'c Connection<R, C>, options: CallOptions) -> Self {
        Self {
            connection,
            options,
            when_down: connection.link.when_down,
            classify: None,
        }
    }
}

impl<'c, R: LocalResource<Value: Clone>, C: Clock, K> Request<'c, R, C, K> {
    /// What this call does while there is no connection, if it differs from the others.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # use tenure_core::connection::WhenDown;
    /// # let (connection, _runner) = Connection::builder("db:5432", Db).build_with_runner(NoTimer)?;
    /// let request = connection.request(CallOptions::named("ping")).when_down(WhenDown::Wait);
    /// # Ok::<(), BoxError>(())
    /// ```
    pub const fn when_down(mut self, when_down: WhenDown) -> Self {
        self.when_down = when_down;
        self
    }

    /// Sets what the failures of this call deserve, a timeout included, if that differs from what the resource's
    /// [`classify`](crate::Resource::classify) says: [`Reconnect`](ErrorClass::Reconnect) for those of the connection.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # let (connection, _runner) = Connection::builder("db:5432", Db).build_with_runner(NoTimer)?;
    /// let request = connection
    ///     .request(CallOptions::named("ping"))
    ///     .classify(|failure| match failure {
    ///         Failure::Error(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ErrorClass::Reconnect,
    ///         _ => ErrorClass::GiveUp,
    ///     });
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn classify<K2>(self, classify: K2) -> Request<'c, R, C, K2>
    where
        K2: Fn(Failure<'_, R::Error>) -> ErrorClass,
    {
        Request {
            connection: self.connection,
            options: self.options,
            when_down: self.when_down,
            classify: Some(classify),
        }
    }

    /// Makes the call, under the policy.
    ///
    /// # Errors
    /// As [`Connection::call`].
    ///
    /// # Cancel safety
    /// As [`Connection::call`].
    pub async fn run<O, F, U>(self, mut operation: O) -> Result<U, CallError>
    where
        K: Fn(Failure<'_, R::Error>) -> ErrorClass,
        O: FnMut(R::Value) -> F,
        F: Future<Output = Result<U, R::Error>>,
    {
        self.run_attempts(|value, _| operation(value)).await
    }

    /// Like [`run`](Request::run), for an operation that wants to know which attempt it is and how long it has: to
    /// tell the peer, so that it does no work that nobody waits for.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// let (connection, _runner) = Connection::builder("db:5432", Db).build_with_runner(Virtual::default())?;
    /// let within = CallOptions::named("ask").deadline(Duration::from_secs(2));
    /// let ends_at = connection
    ///     .request(within)
    ///     .run_attempts(|_session, attempt| async move { Ok(attempt.ends_at) })
    ///     .await?;
    /// assert!(ends_at.is_some());
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`Connection::call`].
    ///
    /// # Cancel safety
    /// As [`Connection::call`].
    pub async fn run_attempts<O, F, U>(self, mut operation: O) -> Result<U, CallError>
    where
        K: Fn(Failure<'_, R::Error>) -> ErrorClass,
        O: FnMut(R::Value, CallAttempt) -> F,
        F: Future<Output = Result<U, R::Error>>,
    {
        let Self {
            connection,
            options,
            when_down,
            classify,
        } = self;
        let counted = Counted::begin(&connection.link);
        let (managed, link) = (&connection.managed, &*connection.link);
        let classify = |failure: Failure<'_, R::Error>| match &classify {
            Some(classify) => classify(failure),
            None => managed.resource().classify(failure),
        };
        let policy = options.policy(managed.policy());
        let patience = match when_down {
            WhenDown::FailAtOnce => Patience::OneAttempt,
            WhenDown::WaitToDeadline if policy.deadline.is_none() => Patience::AsBuilt,
            WhenDown::WaitToDeadline | WhenDown::Wait => Patience::Endless,
        };
        if when_down == WhenDown::Wait {
            // Whatever keeps it from that is told by the call itself.
            let _ = connection.until_connected(patience).await;
        }
        let attempts = Lock::new(CallAttempts::under(&policy, managed.clock()));
        let ways = Ways {
            classify: |failure: Failure<'_, R::Error>, runs_on: Option<u64>| {
                if matches!(failure, Failure::TimedOut) {
                    connection.note_timeout(runs_on);
                }
                // An attempt that was cut off while it waited for a connection did nothing.
                let Some(generation) = runs_on else {
                    return ErrorClass::Retry;
                };
                let class = classify(failure);
                connection.note_failure(generation, class);
                class
            },
            until_open: || {
                let now = policy
                    .attempt_timeout
                    .and_then(|_| managed.clock().try_now());
                attempts.with(|attempts| attempts.begin(now));
                connection.until_connected(patience)
            },
            succeeded: |generation, now| {
                link.operation_succeeded(generation, now);
                managed.trust(generation);
            },
        };
        let noted = |value| {
            let attempts = attempts.with(|attempts| *attempts);
            if attempts.is_retry() {
                link.call_retried();
            }
            operation(value, attempts.current())
        };
        let result = managed.call_in(ways, options, noted).await;
        if let Err(error) = &result {
            connection.note_cause(error);
        }
        counted.end(&result);
        result
    }
}

impl<R: LocalResource<Value: Clone>, C: Clock> Connection<R, C> {
    fn note_failure(&self, generation: u64, class: ErrorClass) {
        let now = self.managed.clock().try_now();
        if class.is_of_broken_value() {
            self.link.connection_failed(now);
        } else if self.link.operation_failed(generation, now) {
            self.managed.doubt(generation);
        }
    }

    /// An attempt was cut off: on the connection that this opening gave, or while it waited for one.
    fn note_timeout(&self, runs_on: Option<u64>) {
        if self.link.timed_out(runs_on) {
            if let Some(generation) = runs_on {
                self.managed.lose_generation(generation);
            }
        }
    }

    fn note_cause(&self, error: &CallError) {
        let now = self.managed.clock().try_now();
        match (error.cause(), error.revoked()) {
            // A timeout says nothing by itself, so it is told as the error of the call.
            _ if error.is_timeout() => self.link.failed_with(&Cause::new(error.clone()), now),
            (Some(cause), _) => self.link.failed_with(cause, None),
            (None, Some(revoked)) => self.link.failed_with(&Cause::new(revoked.clone()), now),
            (None, None) => {}
        }
    }

    /// Waits for the connection, for as long as this patience lasts.
    async fn until_connected(&self, patience: Patience) -> Result<(), OpenError> {
        let managed = &self.managed;
        if managed.is_usable() {
            return Ok(());
        }
        if matches!(patience, Patience::OneAttempt) {
            if let Some(failed) = managed.latest_failure() {
                return Err(failed);
            }
        }
        managed.open_with(patience).await
    }
}

/// A call that was counted as begun.
struct Counted<'a> {
    link: &'a Link,
    is_ended: bool,
}

impl<'a> Counted<'a> {
    fn begin(link: &'a Link) -> Self {
        link.call_began();
        Self {
            link,
            is_ended: false,
        }
    }

    fn end<U>(mut self, result: &Result<U, CallError>) {
        self.is_ended = true;
        self.link.call_ended(match result {
            Ok(_) => CallEnding::Succeeded,
            Err(_) => CallEnding::Failed,
        });
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        if !self.is_ended {
            self.link.call_ended(CallEnding::Cancelled);
        }
    }
}

impl<R: LocalResource, C: Clock, K> fmt::Debug for Request<'_, R, C, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("options", &self.options)
            .field("when_down", &self.when_down)
            .finish_non_exhaustive()
    }
}
