//! What the user writes: how one value is opened, closed and checked.

use alloc::boxed::Box;
use core::future::Future;

use crate::ending::Why;
use crate::hooks::Hooks;
pub(crate) use crate::local_resource::LocalResource;
use crate::retry::{ErrorClass, Failure};

/// The error type that every resource's own error can become.
///
/// All of `std::error::Error` types, `anyhow::Error`, `String` and `&'static str` can.
///
/// ```
#[doc = include_str!("doc_setting.txt")]
/// struct Anything;
/// impl Resource for Anything {
///     type Value = u16;
///     type Error = BoxError;
///     async fn open(&self) -> Result<u16, BoxError> {
///         Ok("80".parse()?)
///     }
/// }
/// ```
pub type BoxError = Box<dyn core::error::Error + Send + Sync>;

/// How to open, close and check one kind of value: a connection, a file, a session, a device.
///
/// The resource itself is the recipe (an address, some options); its [`Value`](Resource::Value) is
/// what gets opened. [`Pool`](crate::Pool) holds many values of one resource, each lent to one task
/// at a time; [`Managed`](crate::Managed) holds one that all share.
///
/// This is the `Send` form, for runtimes that move tasks between threads. A resource whose values or
/// futures stay on one thread implements [`LocalResource`] instead. Implement one of the two, never
/// both: every `Resource` is a `LocalResource` already. Import the one you implement; with both in
/// scope a direct call of `open` is ambiguous.
///
/// Only [`open`](Resource::open) must be written.
///
/// ```
/// use tenure_core::{Resource, Why};
///
/// struct Db { url: String }
/// # struct Connection; impl Connection {
/// #     async fn open(_: &str) -> std::io::Result<Self> { Ok(Self) }
/// #     async fn goodbye(self) -> std::io::Result<()> { Ok(()) }
/// #     async fn ping(&mut self) -> std::io::Result<()> { Ok(()) }
/// # }
///
/// impl Resource for Db {
///     type Value = Connection;
///     type Error = std::io::Error;
///     const CHECKED: bool = true;
///
///     async fn open(&self) -> Result<Connection, Self::Error> {
///         Connection::open(&self.url).await
///     }
///     async fn close(&self, connection: Connection, _: Why) -> Result<(), Self::Error> {
///         connection.goodbye().await
///     }
///     async fn check(&self, connection: &mut Connection) -> Result<(), Self::Error> {
///         connection.ping().await
///     }
/// }
/// ```
///
/// A hook by another name does not compile, so none can be forgotten silently:
///
/// ```compile_fail
/// # use tenure_core::Resource;
/// # struct Db;
/// impl Resource for Db {
///     type Value = ();
///     type Error = std::io::Error;
///     async fn open(&self) -> Result<(), Self::Error> { Ok(()) }
///     async fn check_health(&self, _: &mut ()) -> Result<(), Self::Error> { Ok(()) }
/// }
/// ```
pub trait Resource: Send + Sync + 'static {
    /// What is opened: a connection, a client, a file.
    type Value: Send + 'static;

    /// What can go wrong. `Box<dyn Error + Send + Sync>` and `anyhow::Error` serve too.
    type Error: Into<BoxError> + Send + 'static;

    /// Whether [`check`](Resource::check) is written. Set it together with that method: with it,
    /// checks can be asked for and a pool checks its idle values by default; without it, asking does
    /// not compile.
    const CHECKED: bool = false;

    /// `true` if two values may not be open at the same time: a device, a listening socket, a lock file. A value
    /// that was found broken is then closed before its successor is opened; of other resources it is closed
    /// beside its successor, which need not wait for a dead peer's answer. Nor is another value opened beside an opening
    /// that does not answer.
    const EXCLUSIVE: bool = false;

    /// Which of the [hooks](Hooks) are written. Set it together with those methods: a
    /// hook that is named here and not written does not compile, one that is written and not named here
    /// is not called.
    const HOOKS: Hooks = Hooks::NONE;

    /// `true` if a value stays usable after the runtime under which it was opened has ended. Default `false`.
    ///
    /// A socket or a timer belongs to its runtime, and is dead without it. So when a holder that was built
    /// with `build`, and is kept in a `static`, loses its background work with a runtime, its values are
    /// [retired](crate::Why::RuntimeEnded), and others opened in the runtime that uses it next. Set it
    /// for values that know of no runtime, such as files and things in memory.
    ///
    /// ```
    /// use tenure_core::Resource;
    ///
    /// struct Buffers;
    ///
    /// impl Resource for Buffers {
    ///     type Value = Vec<u8>;
    ///     type Error = std::io::Error;
    ///     const OUTLIVES_RUNTIME: bool = true;
    ///     async fn open(&self) -> Result<Vec<u8>, Self::Error> {
    ///         Ok(Vec::with_capacity(1 << 20))
    ///     }
    /// }
    /// ```
    const OUTLIVES_RUNTIME: bool = false;

    /// Opens one value.
    ///
    /// The future is dropped when the opening times out or is called off, so whatever it holds must
    /// clean up after itself in `drop`. A pool polls all its openings in one task: what computes for long, such
    /// as the hashing of a password, belongs on a thread of the runtime's, or it holds the others up.
    ///
    /// # Errors
    /// Whatever keeps the value from being opened; [`classify`](Resource::classify) says what follows.
    fn open(&self) -> impl Future<Output = Result<Self::Value, Self::Error>> + Send;

    /// Closes one value. By default it is dropped.
    ///
    /// `why` is the reason: a connection that was found [broken](Why::Broken) need not be sent a farewell, which
    /// its server would never answer.
    ///
    /// # Errors
    /// An error is counted and sent to the event sink. The value counts as ended all the same.
    fn close(
        &self,
        value: Self::Value,
        why: Why,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send {
        let _ = why;
        drop(value);
        core::future::ready(Ok(()))
    }

    /// Asks whether a value is still good. Needs [`CHECKED`](Resource::CHECKED).
    ///
    /// # Errors
    /// An error means that it is not.
    fn check(
        &self,
        value: &mut Self::Value,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send {
        const {
            assert!(
                !Self::CHECKED,
                "`CHECKED` is true, but `check` is not written"
            )
        };
        let _ = value;
        core::future::ready(Ok(()))
    }

    /// Makes a value that was just opened ready for its first use, within the `hook_timeout` of what holds it. Every
    /// holder calls it.
    ///
    /// # Errors
    /// The opening has failed then: the value is closed, and what follows is what follows any failed
    /// opening.
    fn after_open(
        &self,
        value: &mut Self::Value,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send {
        const {
            assert!(
                !Self::HOOKS.has(Hooks::AFTER_OPEN),
                "`HOOKS` names `after_open`, but it is not written"
            )
        };
        let _ = value;
        core::future::ready(Ok(()))
    }

    /// Makes a value ready for its next user, who waits for it: within what is left of that user's time, and
    /// within the pool's [`hook_timeout`](crate::pool::PoolBuilder::hook_timeout).
    ///
    /// # Errors
    /// The value is closed then, and the user gets another.
    fn before_acquire(
        &self,
        value: &mut Self::Value,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send {
        const {
            assert!(
                !Self::HOOKS.has(Hooks::BEFORE_ACQUIRE),
                "`HOOKS` names `before_acquire`, but it is not written"
            )
        };
        let _ = value;
        core::future::ready(Ok(()))
    }

    /// Cleans a value up after its last use, while nobody waits for it, within the pool's
    /// [`hook_timeout`](crate::pool::PoolBuilder::hook_timeout).
    ///
    /// # Errors
    /// The value is closed then, and replaced.
    fn after_release(
        &self,
        value: &mut Self::Value,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send {
        const {
            assert!(
                !Self::HOOKS.has(Hooks::AFTER_RELEASE),
                "`HOOKS` names `after_release`, but it is not written"
            )
        };
        let _ = value;
        core::future::ready(Ok(()))
    }

    /// Takes leave of a value before it is closed, within the `hook_timeout` of what holds it. Every holder calls it.
    ///
    /// # Errors
    /// It is told to the event sink, and the value is closed all the same.
    fn before_close(
        &self,
        value: &mut Self::Value,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send {
        const {
            assert!(
                !Self::HOOKS.has(Hooks::BEFORE_CLOSE),
                "`HOOKS` names `before_close`, but it is not written"
            )
        };
        let _ = value;
        core::future::ready(Ok(()))
    }

    /// Returns `true` if a value is known to be broken, without waiting: a broken one is closed and replaced.
    ///
    /// A [`Pool`](crate::Pool) asks when a value comes back, before it is lent, and now and then while it lies idle. Keep
    /// it cheap. A panic counts as `true`.
    fn is_broken(&self, value: &mut Self::Value) -> bool {
        let _ = value;
        false
    }

    /// Returns what follows from a failed opening, hook or call. By default everything is retried.
    fn classify(&self, failure: Failure<'_, Self::Error>) -> ErrorClass {
        let _ = failure;
        ErrorClass::Retry
    }

    /// Returns `true` if a check that failed so counts towards the value's replacement. By default every failure does.
    ///
    /// Say `false` of a value that answered and said that it cannot serve now: a [`Managed`](crate::Managed) or
    /// [`Connection`](crate::Connection) is then degraded until a check passes, and keeps the value, since another one
    /// would say the same. A pool closes an idle value whose check failed, whatever this returns.
    ///
    /// ```
    /// # use std::io;
    /// # use tenure_core::{Failure, Resource};
    /// struct Db;
    /// impl Resource for Db {
    /// #     type Value = String;
    /// #     type Error = io::Error;
    ///     // `open` and `check` are left out.
    /// #     async fn open(&self) -> io::Result<String> { Ok("session".into()) }
    ///     fn counts_as_dead(&self, failure: Failure<'_, io::Error>) -> bool {
    ///         !matches!(failure, Failure::Error(error) if error.kind() == io::ErrorKind::ResourceBusy)
    ///     }
    /// }
    /// ```
    fn counts_as_dead(&self, failure: Failure<'_, Self::Error>) -> bool {
        let _ = failure;
        true
    }

    /// The last resort for a value that nothing can close any more, because no task and no time is
    /// left to await [`close`](Resource::close). By default it is dropped.
    fn abandon(&self, value: Self::Value, why: Why) {
        let _ = why;
        drop(value);
    }
}

impl<R: Resource> LocalResource for R {
    type Value = <R as Resource>::Value;
    type Error = <R as Resource>::Error;
    const CHECKED: bool = <R as Resource>::CHECKED;
    const EXCLUSIVE: bool = <R as Resource>::EXCLUSIVE;
    const HOOKS: Hooks = <R as Resource>::HOOKS;
    const OUTLIVES_RUNTIME: bool = <R as Resource>::OUTLIVES_RUNTIME;

    fn open(&self) -> impl Future<Output = Result<Self::Value, Self::Error>> {
        Resource::open(self)
    }

    fn close(&self, value: Self::Value, why: Why) -> impl Future<Output = Result<(), Self::Error>> {
        Resource::close(self, value, why)
    }

    fn check(&self, value: &mut Self::Value) -> impl Future<Output = Result<(), Self::Error>> {
        Resource::check(self, value)
    }

    fn after_open(&self, value: &mut Self::Value) -> impl Future<Output = Result<(), Self::Error>> {
        Resource::after_open(self, value)
    }

    fn before_acquire(
        &self,
        value: &mut Self::Value,
    ) -> impl Future<Output = Result<(), Self::Error>> {
        Resource::before_acquire(self, value)
    }

    fn after_release(
        &self,
        value: &mut Self::Value,
    ) -> impl Future<Output = Result<(), Self::Error>> {
        Resource::after_release(self, value)
    }

    fn before_close(
        &self,
        value: &mut Self::Value,
    ) -> impl Future<Output = Result<(), Self::Error>> {
        Resource::before_close(self, value)
    }

    fn is_broken(&self, value: &mut Self::Value) -> bool {
        Resource::is_broken(self, value)
    }

    fn classify(&self, failure: Failure<'_, Self::Error>) -> ErrorClass {
        Resource::classify(self, failure)
    }

    fn counts_as_dead(&self, failure: Failure<'_, Self::Error>) -> bool {
        Resource::counts_as_dead(self, failure)
    }

    fn abandon(&self, value: Self::Value, why: Why) {
        Resource::abandon(self, value, why);
    }
}
