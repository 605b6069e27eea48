//! Tenure holds async resources for a program: connections, channels, files, sessions, devices. It
//! opens them, watches them, retries them, pools them, and always closes them, on tokio, async-std,
//! smol, any other executor, or none.
//!
//! Choose the feature of your runtime, and say how one value is opened:
//!
#![cfg_attr(feature = "tokio", doc = "```")]
#![cfg_attr(not(feature = "tokio"), doc = "```ignore")]
//! use tenure::Resource;
//!
//! struct Db { url: String }
//! # struct Connection;
//! # impl Connection {
//! #     async fn open(_: &str) -> std::io::Result<Self> { Ok(Self) }
//! #     async fn count_users(&mut self) -> std::io::Result<u64> { Ok(3) }
//! # }
//!
//! impl Resource for Db {
//!     type Value = Connection;
//!     type Error = std::io::Error;
//!
//!     async fn open(&self) -> Result<Connection, Self::Error> {
//!         Connection::open(&self.url).await
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let pool = tenure::tokio::pool(Db { url: "postgres://localhost/app".into() });
//! let users = pool.acquire().await?.count_users().await?;
//! let report = pool.shutdown(std::time::Duration::from_secs(5)).await;
//! assert!(users == 3 && report.is_clean());
//! # Ok(())
//! # }
//! ```
//!
//! - [`Pool`] lends many interchangeable values, each to one task at a time.
//! - [`Managed`] shares one value among all tasks, and calls it under a retry policy.
//! - [`Connection`] is a managed value with an address, which reconnects and keeps statistics. With a real client,
//!   that of the `redis` crate, the repository's example `redis_connection` shows it while its server is killed.
//! - [`Shared`] opens one value for its first user, closes it after its last, and swaps it for a new one meanwhile.
//! - [`Group`](struct@Group) starts and stops different resources as one, in the order of their needs.
//! - [`scope()`] and [`with_resource()`] close what was opened within them, on every way out.
//! - [`retry()`] and [`with_timeout`] work on their own, without a resource.
//!
//! # Features
//! One for each backend, all additive: `tokio`, `smol`, `futures` (any executor), and `async-std`, which is
//! legacy (async-std is discontinued, RUSTSEC-2025-0052). `std`, on by default, contains panics of user
//! code. Without any of them this crate is `no_std` and holds the core alone; see `tenure-core` for use
//! without an allocator.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub use tenure_core::*;

/// Makes the fields of a struct the members of a [`Group`](struct@Group), whose needs the compiler checks.
///
/// Each field is a [`Managed`], a [`Pool`], another group, or whatever has a
/// [`Lifecycle`](crate::group::Lifecycle). [`Group::of`](crate::Group::of) makes the group, and
/// [`members`](crate::Group::members) gives the fields back with their own types. A member that needs the value of
/// another is given a clone of its handle, and comes after it.
///
#[cfg_attr(feature = "tokio", doc = "```")]
#[cfg_attr(not(feature = "tokio"), doc = "```ignore")]
/// use std::time::Duration;
/// use tenure::tokio::{Managed, Pool, Tokio};
/// use tenure::{BoxError, Group, Resource};
///
/// #[derive(Group)]
/// struct Service {
///     db: Pool<Db>,
///     #[group(optional, start_timeout = Duration::from_secs(2))]
///     cache: Managed<Cache>,
///     #[group(after(db), wants(cache))]
///     api: Managed<Api>,
/// }
///
/// struct Api {
///     db: Pool<Db>,
/// }
///
/// impl Resource for Api {
///     type Value = &'static str;
///     type Error = BoxError;
///     async fn open(&self) -> Result<&'static str, BoxError> {
///         let mut connection = self.db.acquire().await?; // the database has started by now
///         connection.push_str("greeted");
///         Ok("listening")
///     }
/// }
/// # struct Db;
/// # impl Resource for Db {
/// #     type Value = String;
/// #     type Error = BoxError;
/// #     async fn open(&self) -> Result<String, BoxError> { Ok(String::new()) }
/// # }
/// # struct Cache;
/// # impl Resource for Cache {
/// #     type Value = ();
/// #     type Error = BoxError;
/// #     async fn open(&self) -> Result<(), BoxError> { Ok(()) }
/// # }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), BoxError> {
/// let db = tenure::tokio::pool(Db);
/// let service = tenure::tokio::group(Service {
///     cache: tenure::tokio::managed(Cache),
///     api: tenure::tokio::managed(Api { db: db.clone() }),
///     db,
/// });
/// service.start().await?;
/// assert_eq!(service.graph().to_string(), "1. db, cache (optional)\n2. api (after db; wants cache)\n");
/// assert_eq!(service.members().api.get().await?, "listening");
/// assert!(service.shutdown(Duration::from_secs(10)).await.is_clean());
/// # Ok(())
/// # }
/// ```
///
/// Above a field:
///
/// | option | what it says |
/// |---|---|
/// | `after(db, queue)` | it starts once these are up, and stops before them; it is not started without them |
/// | `wants(cache)` | it starts once this has been started, well or not, and stops before it |
/// | `optional` | the group can do without it |
/// | `name = "user-db"` | what it is called, if not as its field |
/// | `start_timeout = ..`, `stop_timeout = ..` | its limits, a [`Duration`](core::time::Duration) each |
/// | `skip` | it is no member |
///
/// Above the struct: `name = ".."`, if the group is not called as the struct is; `most_at_once = ..`, how many
/// start at once; `crate = ..`, the path of this crate, if that is not `::tenure`.
///
/// A need that is no field, a circle, and whatever else makes no graph is refused by the compiler:
///
/// ```compile_fail
/// # use tenure::Group;
/// #[derive(Group)]
/// struct Service {
///     #[group(after(dbb))] // `api` comes after `dbb`, and there is no field of that name: write `db`
///     api: tenure::tokio::Group,
///     db: tenure::tokio::Group,
/// }
/// ```
///
/// Where the members are known only at run time, take [`Group::builder`](crate::Group::builder).
#[cfg(feature = "macros")]
pub use tenure_macros::Group;

/// Gives an async function a resource of its own: opened when the function is called, closed on every way out of
/// it. It is [`with_resource()`] as an attribute; the attribute of a runtime, such as
/// [`tenure::tokio::with_resource`](macro@crate::tokio::with_resource), needs no `runtime`.
///
/// The function's first parameter, after `self`, is the value; those who call the function don't give it. It is
/// written `&mut Value` or `&Value`, or as the guard [`Opened`] itself. The function has to
/// return a `Result<T, E>`; for those who call it that is a `Result<T,`[`ScopeError<E, T>`]`>`.
///
#[cfg_attr(feature = "tokio", doc = "```")]
#[cfg_attr(not(feature = "tokio"), doc = "```ignore")]
/// use std::time::Duration;
/// use tenure::{BoxError, Resource};
///
/// struct Db { url: String }
/// # struct Connection;
/// # impl Connection {
/// #     async fn query(&mut self, _: &str, id: u32) -> Result<String, BoxError> { Ok(format!("user {id}")) }
/// # }
/// # impl Resource for Db {
/// #     type Value = Connection;
/// #     type Error = BoxError;
/// #     async fn open(&self) -> Result<Connection, BoxError> { Ok(Connection) }
/// # }
///
/// #[tenure::tokio::with_resource(Db { url: "postgres://localhost/app".into() }, timeout = Duration::from_secs(5))]
/// async fn user(db: &mut Connection, id: u32) -> Result<String, BoxError> {
///     db.query("SELECT name FROM users WHERE id = $1", id).await
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), BoxError> {
/// assert_eq!(user(7).await?, "user 7");
/// # Ok(())
/// # }
/// ```
///
/// The resource may be any expression, of the parameters and of `self` too. After it come settings:
///
/// | setting | what it says |
/// |---|---|
/// | `timeout = ..` | how long opening and the body may take together |
/// | `open_timeout = ..`, `close_timeout = ..`, `hook_timeout = ..` | how long each of them may take |
/// | `name = ".."` | the name in errors and events |
/// | `events = ..` | where events go |
/// | `runtime = ..` | on which runtime |
/// | `local`, `inline` | as [`with_resource_local`] and [`with_resource_inline`] |
/// | `crate = ..` | the path of this crate, if that is not `::tenure` |
///
/// For a value that is used again and again, take a [`Pool`].
///
/// # Cancel safety
/// As [`with_resource()`].
///
/// [`ScopeError<E, T>`]: crate::ScopeError
#[cfg(feature = "macros")]
pub use tenure_macros::with_resource;

/// What each backend's module offers: its types, and pools and managed resources on it in one line.
#[cfg(any(feature = "tokio", feature = "async-std", feature = "smol"))]
macro_rules! backend {
    ($runtime:ident, $current:expr, $module:literal, $attribute:ident) => {
        /// A pool on this runtime.
        ///
        /// ```
        /// # use tenure::Resource;
        #[doc = concat!("struct Service<R: Resource> { sessions: tenure::", $module, "::Pool<R> }")]
        /// ```
        pub type Pool<R> = crate::Pool<R, $runtime>;

        /// A managed resource on this runtime.
        ///
        /// ```
        /// # use tenure::Resource;
        #[doc = concat!("struct Service<R: Resource> { client: tenure::", $module, "::Managed<R> }")]
        /// ```
        pub type Managed<R> = crate::Managed<R, $runtime>;

        /// A connection on this runtime.
        ///
        /// ```
        /// # use tenure::Resource;
        #[doc = concat!("struct Service<R: Resource> { peer: tenure::", $module, "::Connection<R> }")]
        /// ```
        pub type Connection<R> = crate::Connection<R, $runtime>;

        /// A shared value on this runtime.
        ///
        /// ```
        /// # use tenure::Resource;
        #[doc = concat!("struct Service<R: Resource> { client: tenure::", $module, "::Shared<R> }")]
        /// ```
        pub type Shared<R> = crate::Shared<R, $runtime>;

        /// A group on this runtime.
        ///
        /// ```
        #[doc = concat!("struct Service { parts: tenure::", $module, "::Group }")]
        /// ```
        pub type Group<M = crate::group::ErasedMembers> = crate::Group<$runtime, M>;

        /// Runs `body` in a scope on the current runtime: what it opens is closed when it ends. For other
        /// settings, see [`Scope::builder`](crate::scope::Scope::builder).
        ///
        /// ```
        /// # use tenure::{BoxError, Resource};
        /// async fn report<R: Resource<Value = Vec<u8>>>(db: R) -> Result<usize, BoxError> {
        #[doc = concat!("    let length = tenure::", $module, "::scope(|s| async move {")]
        ///         Ok::<_, BoxError>(s.open(db).await?.len())
        ///     });
        ///     Ok(length.await?)
        /// }
        /// ```
        ///
        /// # Errors
        /// As [`scope`](crate::scope()).
        ///
        /// # Panics
        /// As [`scope`](crate::scope()).
        ///
        /// # Cancel safety
        /// As [`scope`](crate::scope()).
        pub fn scope<B, F, U, E>(
            body: B,
        ) -> impl core::future::Future<Output = Result<U, crate::scope::ScopeError<E, U>>>
        where
            B: FnOnce(crate::scope::Scope<$runtime>) -> F,
            F: core::future::Future<Output = Result<U, E>>,
        {
            crate::scope(&$current, body)
        }

        /// Opens one value of `resource` on the current runtime, runs `body` with it, and closes it, on every way
        /// out.
        ///
        /// ```
        /// # use tenure::{BoxError, Resource};
        /// async fn length<R: Resource<Value = Vec<u8>>>(db: R) -> Result<usize, BoxError> {
        #[doc = concat!("    let length = tenure::", $module, "::with_resource(db, |value| async move {")]
        ///         Ok::<_, BoxError>(value.len())
        ///     });
        ///     Ok(length.await?)
        /// }
        /// ```
        ///
        /// # Errors
        /// As [`with_resource`](crate::with_resource()).
        ///
        /// # Panics
        /// As [`scope`](crate::scope()).
        ///
        /// # Cancel safety
        /// As [`scope`](crate::scope()).
        pub fn with_resource<R, B, F, U, E>(
            resource: R,
            body: B,
        ) -> impl core::future::Future<Output = Result<U, crate::scope::ScopeError<E, U>>>
        where
            R: crate::Resource,
            B: FnOnce(crate::scope::Opened<R, $runtime>) -> F,
            F: core::future::Future<Output = Result<U, E>>,
        {
            crate::with_resource(&$current, resource, body)
        }

        /// The attribute [`with_resource`](macro@crate::with_resource) on this runtime.
        #[cfg(feature = "macros")]
        pub use tenure_macros::$attribute as with_resource;

        /// A group of the fields of `members` on the current runtime.
        ///
        /// ```
        /// # use tenure::group::DeclaredMembers;
        /// fn service<M: DeclaredMembers>(members: M) {
        #[doc = concat!("    let service = tenure::", $module, "::group(members);")]
        /// }
        /// ```
        ///
        /// # Panics
        /// As [`Group::of`](crate::Group::of).
        pub fn group<M: crate::group::DeclaredMembers>(members: M) -> Group<M> {
            crate::Group::of(members, $current)
        }

        /// A pool of `resource`'s values with default settings, its background work spawned on the
        /// current runtime. For other settings, see [`Pool::builder`](crate::Pool::builder).
        ///
        /// ```
        /// # use tenure::Resource;
        /// fn serve<R: Resource>(sessions: R) {
        #[doc = concat!("    let pool = tenure::", $module, "::pool(sessions);")]
        /// }
        /// ```
        pub fn pool<R: crate::Resource>(resource: R) -> Pool<R> {
            match crate::Pool::builder(resource).build($current) {
                Ok(pool) => pool,
                Err(error) => unreachable!("the defaults are valid: {error}"),
            }
        }

        /// A shared value of `resource` with default settings, its background work spawned on the current
        /// runtime. For other settings, see [`Shared::builder`](crate::Shared::builder).
        ///
        /// ```
        /// # use tenure::Resource;
        /// fn serve<R: Resource<Value: Clone + Sync>>(client: R) {
        #[doc = concat!("    let client = tenure::", $module, "::shared(client);")]
        /// }
        /// ```
        pub fn shared<R: crate::Resource<Value: Clone + Sync>>(resource: R) -> Shared<R> {
            match crate::Shared::builder(resource).build($current) {
                Ok(shared) => shared,
                Err(error) => unreachable!("the defaults are valid: {error}"),
            }
        }

        /// `resource` managed with default settings, its background work spawned on the current
        /// runtime. For other settings, see [`Managed::builder`](crate::Managed::builder).
        ///
        /// ```
        /// # use tenure::Resource;
        /// fn serve<R: Resource<Value: Clone + Sync>>(client: R) {
        #[doc = concat!("    let client = tenure::", $module, "::managed(client);")]
        /// }
        /// ```
        pub fn managed<R: crate::Resource<Value: Clone + Sync>>(resource: R) -> Managed<R> {
            match crate::Managed::builder(resource).build($current) {
                Ok(managed) => managed,
                Err(error) => unreachable!("the defaults are valid: {error}"),
            }
        }
    };
}

/// The tokio backend.
#[cfg(feature = "tokio")]
pub mod tokio {
    pub use tenure_tokio::*;
    backend!(Tokio, Tokio::current(), "tokio", with_resource_on_tokio);
}

/// The async-std backend. Legacy: async-std is discontinued (RUSTSEC-2025-0052); use smol instead.
#[cfg(feature = "async-std")]
pub mod async_std {
    pub use tenure_async_std::*;
    backend!(AsyncStd, AsyncStd, "async_std", with_resource_on_async_std);
}

/// The smol backend.
#[cfg(feature = "smol")]
pub mod smol {
    pub use tenure_smol::*;
    backend!(Smol, Smol, "smol", with_resource_on_smol);
}

/// The backend for any executor.
#[cfg(feature = "futures")]
pub mod futures {
    pub use tenure_futures::*;
}

/// The README's example, compiled.
#[cfg(all(doctest, feature = "tokio"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// The guide's code, compiled.
#[cfg(all(doctest, feature = "tokio"))]
#[doc = include_str!("../docs/reconnecting.md")]
struct Reconnecting;

/// The guide's code, compiled.
#[cfg(all(doctest, feature = "tokio"))]
#[doc = include_str!("../docs/recovery.md")]
struct Recovery;
