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
//! - [`Group`] starts and stops different resources as one, in the order of their needs.
//! - [`scope()`] and [`with_resource`] close what was opened within them, on every way out.
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

/// What each backend's module offers: its types, and pools and managed resources on it in one line.
#[cfg(any(feature = "tokio", feature = "async-std", feature = "smol"))]
macro_rules! backend {
    ($runtime:ident, $current:expr, $module:literal) => {
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
    backend!(Tokio, Tokio::current(), "tokio");
}

/// The async-std backend. Legacy: async-std is discontinued (RUSTSEC-2025-0052); use smol instead.
#[cfg(feature = "async-std")]
pub mod async_std {
    pub use tenure_async_std::*;
    backend!(AsyncStd, AsyncStd, "async_std");
}

/// The smol backend.
#[cfg(feature = "smol")]
pub mod smol {
    pub use tenure_smol::*;
    backend!(Smol, Smol, "smol");
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
