//! Structured use of resources: what is opened within a scope is closed when the scope ends, on every way
//! out of it.

mod book;
mod builder;
mod drive;
mod error;
mod exit;
mod finalizer;
mod handle;
mod open;
mod opened;
mod result_type;
mod run;
mod runner;
mod shared;

use core::future::Future;

pub use builder::ScopeBuilder;
pub use error::ScopeError;
pub use exit::Exit;
pub use handle::{LocalScope, Scope};
pub use opened::{LocalOpened, Opened};
pub use result_type::ResultType;

use crate::resource::{BoxError, LocalResource, Resource};
use crate::runtime::{Clock, Spawn, SpawnLocal, Timer};

/// Runs `body` in a scope. What the body [opens](Scope::open) there is closed when the scope ends, and what
/// it [defers](Scope::defer) is run then: the latest first, one after the other, all of them, whatever
/// fails. That is so when the body succeeds, when it fails, when it panics (with `std`; the panic goes on
/// afterwards) and when the future is dropped half-way.
///
/// The body is given the scope, and gives a `Result` as usual. It may borrow from its surroundings, if it is
/// written as an `async` closure:
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// # let rt = Runtime;
/// let words = vec!["to", "whom"];
/// let length = scope(&rt, async |s| Ok::<_, BoxError>(s.open(Db).await?.len() + words.len()));
/// assert_eq!(block_on(length).unwrap(), 9);
/// ```
///
/// If the future is dropped, a background task, spawned when the first value was opened, closes what is
/// open; nothing waits for that. Where nothing spawns, take [`scope_inline`]; for resources that are not
/// `Send`, [`scope_local`]; for a single value, [`with_resource`]; for other settings,
/// [`Scope::builder`].
///
/// A scope is for what is used once and then closed. A value that all tasks share belongs in a
/// [`Managed`](crate::Managed), and many that are used again and again in a [`Pool`](crate::Pool).
///
/// ```
/// use tenure_core::{BoxError, Resource, Why, scope};
/// # use core::{future::Future, time::Duration};
/// # use tenure_core::{Instant, Spawn, Timer};
/// # #[derive(Clone)]
/// # struct Threads;
/// # impl Timer for Threads {
/// #     type Sleep = core::future::Pending<()>;
/// #     fn now(&self) -> Instant { Instant::EPOCH }
/// #     fn sleep_until(&self, _: Instant) -> Self::Sleep { core::future::pending() }
/// # }
/// # impl Spawn for Threads {
/// #     fn spawn<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
/// #         std::thread::spawn(|| futures::executor::block_on(future));
/// #     }
/// # }
///
/// struct Db;
/// # struct Connection;
/// # impl Connection {
/// #     async fn count_users(&mut self) -> Result<u64, BoxError> { Ok(3) }
/// #     async fn goodbye(self) -> Result<(), BoxError> { Ok(()) }
/// # }
///
/// impl Resource for Db {
///     type Value = Connection;
///     type Error = BoxError;
///     async fn open(&self) -> Result<Connection, BoxError> { Ok(Connection) }
///     async fn close(&self, connection: Connection, _: Why) -> Result<(), BoxError> {
///         connection.goodbye().await
///     }
/// }
///
/// # futures::executor::block_on(async {
/// # let rt = Threads;
/// let users = scope(&rt, |s| async move {
///     let mut db = s.open(Db).await?; // closed when the scope ends
///     s.defer(|exit| async move {
///         println!("the count has {exit}");
///         Ok(())
///     });
///     db.count_users().await
/// })
/// .await?;
/// assert_eq!(users, 3);
/// # Ok::<(), BoxError>(())
/// # }).unwrap();
/// ```
///
/// # Errors
/// [`ScopeError::Body`] with the body's own error, and what its finalizers said beside it;
/// [`ScopeError::Cleanup`] with the body's value if the body succeeded and a finalizer did not, or if a
/// guard was taken out of the scope.
///
/// # Panics
/// If the body does, after all finalizers were run. What they said is then told to the event sink alone.
///
/// # Cancel safety
/// Dropping the future drops the body, and never waits, spawns, blocks or panics: a background task runs the
/// finalizers, which are told [`Exit::Cancelled`]. One that is under way goes on there. If that task is gone
/// too, because its runtime is, values are given to [`abandon`](Resource::abandon), and deferred finalizers
/// are dropped; each is counted and told to the event sink.
pub fn scope<T, B, F, U, E>(
    runtime: &T,
    body: B,
) -> impl Future<Output = Result<U, ScopeError<E, U>>> + use<T, B, F, U, E>
where
    T: Timer<Sleep: Send + 'static> + Spawn + Send + Sync + 'static,
    B: FnOnce(Scope<T>) -> F,
    F: Future<Output = Result<U, E>>,
{
    Scope::builder().run(runtime, body)
}

/// Runs `body` in a scope as [`scope`](scope()) does, for resources that are not `Send`, on a runtime that
/// spawns on this thread.
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// # let rt = Runtime;
/// let length = scope_local(&rt, |s| async move { Ok::<_, BoxError>(s.open(Db).await?.len()) });
/// assert_eq!(block_on(length).unwrap(), 7);
/// ```
///
/// # Errors
/// As [`scope`](scope()).
///
/// # Panics
/// As [`scope`](scope()).
///
/// # Cancel safety
/// As [`scope`](scope()).
pub fn scope_local<T, B, F, U, E>(
    runtime: &T,
    body: B,
) -> impl Future<Output = Result<U, ScopeError<E, U>>> + use<T, B, F, U, E>
where
    T: Timer<Sleep: 'static> + SpawnLocal + 'static,
    B: FnOnce(LocalScope<T>) -> F,
    F: Future<Output = Result<U, E>>,
{
    Scope::builder().run_local(runtime, body)
}

/// Runs `body` in a scope as [`scope`](scope()) does, where nothing spawns: all its work is done in the task
/// that polls it.
///
/// It needs a clock alone, or none: with [`NoTimer`](crate::NoTimer), openings and closes have no limit.
/// Where there is a spawner, prefer [`scope`](scope()) or [`scope_local`], which close what a dropped scope
/// leaves behind.
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// let length = scope_inline(&NoTimer, |s| async move { Ok::<_, BoxError>(s.open(Db).await?.len()) });
/// assert_eq!(block_on(length).unwrap(), 7);
/// ```
///
/// # Errors
/// As [`scope`](scope()).
///
/// # Panics
/// As [`scope`](scope()).
///
/// # Cancel safety
/// Dropping the future drops the body, and never waits, blocks or panics. Values are given to
/// [`abandon`](LocalResource::abandon), deferred finalizers are dropped, a close under way is cut off; each
/// is counted as abandoned and told to the event sink. To be closed well, a scope has to be awaited to its
/// end: cancel the body from within.
pub fn scope_inline<C, B, F, U, E>(
    clock: &C,
    body: B,
) -> impl Future<Output = Result<U, ScopeError<E, U>>> + use<C, B, F, U, E>
where
    C: Clock<Sleep: 'static> + 'static,
    B: FnOnce(LocalScope<C>) -> F,
    F: Future<Output = Result<U, E>>,
{
    Scope::builder().run_inline(clock, body)
}

/// Opens one value of `resource`, runs `body` with it, and closes it, on every way out: a
/// [`scope`](scope()) for one resource.
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// # let rt = Runtime;
/// let length = with_resource(&rt, Db, |db| async move { Ok::<_, BoxError>(db.len()) });
/// assert_eq!(block_on(length).unwrap(), 7);
/// ```
///
/// # Errors
/// As [`scope`](scope()), and [`ScopeError::Unopened`] if the resource did not open.
///
/// # Panics
/// As [`scope`](scope()).
///
/// # Cancel safety
/// As [`scope`](scope()).
pub fn with_resource<T, R, B, F, U, E>(
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
    Scope::builder().with_resource(runtime, resource, body)
}

/// Runs `body` with one value as [`with_resource`] does, for resources that are not `Send`: a
/// [`scope_local`] for one resource.
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// # let rt = Runtime;
/// let length = with_resource_local(&rt, Db, |db| async move { Ok::<_, BoxError>(db.len()) });
/// assert_eq!(block_on(length).unwrap(), 7);
/// ```
///
/// # Errors
/// As [`with_resource`].
///
/// # Panics
/// As [`scope`](scope()).
///
/// # Cancel safety
/// As [`scope`](scope()).
pub fn with_resource_local<T, R, B, F, U, E>(
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
    Scope::builder().with_resource_local(runtime, resource, body)
}

/// Runs `body` with one value as [`with_resource`] does, where nothing spawns: a [`scope_inline`] for one
/// resource.
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// let length = with_resource_inline(&NoTimer, Db, |db| async move { Ok::<_, BoxError>(db.len()) });
/// assert_eq!(block_on(length).unwrap(), 7);
/// ```
///
/// # Errors
/// As [`with_resource`].
///
/// # Panics
/// As [`scope`](scope()).
///
/// # Cancel safety
/// As [`scope_inline`].
pub fn with_resource_inline<C, R, B, F, U, E>(
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
    Scope::builder().with_resource_inline(clock, resource, body)
}
