//! The runtime-agnostic core of `tenure`: it opens async resources, watches, retries, pools and always
//! closes them, and knows no runtime.
//!
//! Use the `tenure` crate, which adds a backend for your runtime. Depend on this one to write a
//! backend, or where there is no runtime at all: it needs a [`Timer`] and, for convenience alone,
//! something that [spawns](Spawn).
//!
//! - [`Pool`] lends many interchangeable values, each to one task at a time.
//! - [`Managed`] shares one value among all tasks.
//! - [`Group`] starts and stops different resources as one, in the order of their needs.
//! - [`scope()`] and [`with_resource`] close what was opened within them, on every way out.
//! - [`retry()`] runs an operation again until it succeeds; [`with_timeout`] limits it.
//! - [`Resource`] is what you write: how one value is opened, closed and checked.
//!
//! # Features
//! - `std` (default): panics of user code are contained, retries know of others around them, and locks
//!   are the operating system's.
//! - `alloc`: everything that holds values. Without it there are time, backoff, retry and state.
//! - `defmt`: errors, states and events can be written to the log of that name, as they are displayed.
//!
//! Without `std`, locks are critical sections, for which the program has to bring an implementation of
//! the `critical-section` crate.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod alarm;
mod enclosing;
mod ending;
#[cfg(feature = "defmt")]
mod formats;
#[cfg(all(feature = "defmt", feature = "alloc"))]
mod formats_holding;
mod hooks;
// A pool on the heap asks it for more.
#[cfg_attr(not(feature = "alloc"), allow(dead_code, unused_imports))]
mod kernel;
mod local_resource;
mod random;
mod sync;
mod timeout;

pub mod backoff;
pub mod config;
pub mod fixed;
pub mod retry;
pub mod runtime;
pub mod state;
pub mod time;

pub use backoff::{Backoff, Jitter};
pub use config::ConfigError;
pub use ending::{Ending, Why};
pub use hooks::Hooks;
pub use local_resource::LocalResource;
pub use retry::{Budget, Decision, ErrorClass, Failure, Retry, RetryError, StopReason, retry};
pub use runtime::{Clock, NoTimer, Spawn, SpawnLocal, Timer};
pub use state::State;
pub use sync::Text;
pub use time::Instant;
pub use timeout::{TimedOut, WithTimeout, with_timeout};

#[cfg(feature = "alloc")]
mod holding {
    //! What needs an allocator.
    pub use crate::cause::{Cause, Panicked};
    pub use crate::cleanup::{Audit, CloseFailure, Report};
    pub use crate::connection::Connection;
    pub use crate::event::{Event, EventKind, EventSink};
    pub use crate::failure::OpenFailure;
    pub use crate::group::Group;
    pub use crate::managed::{CallError, CallOptions, CheckError, Managed, OpenError, Unreachable};
    pub use crate::name::{Name, redact};
    pub use crate::pool::{AcquireError, Lease, OwnedLease, Pool};
    pub use crate::resource::{BoxError, Resource};
    pub use crate::scope::{
        Exit, LocalOpened, LocalScope, Opened, Scope, ScopeError, scope, scope_inline, scope_local,
        with_resource, with_resource_inline, with_resource_local,
    };
    pub use crate::shared::Shared;
    pub use crate::sink::{SharedBudget, Sink};
    pub use crate::start::Start;
}
#[cfg(feature = "alloc")]
pub use holding::*;

#[cfg(feature = "alloc")]
mod cause;
#[cfg(feature = "alloc")]
mod cleanup;
#[cfg(feature = "alloc")]
pub mod connection;
#[cfg(feature = "alloc")]
mod contain;
#[cfg(feature = "alloc")]
mod drive;
#[cfg(feature = "alloc")]
mod event;
#[cfg(feature = "alloc")]
mod failure;
#[cfg(feature = "alloc")]
pub mod group;
#[cfg(feature = "alloc")]
mod held;
#[cfg(feature = "alloc")]
mod lifecycle;
#[cfg(feature = "alloc")]
pub mod managed;
#[cfg(feature = "alloc")]

/// What must not compile.
#[cfg(doctest)]
mod misuse;
#[cfg(feature = "alloc")]
mod name;
#[cfg(not(feature = "alloc"))]
#[path = "name/literal.rs"]
mod name;
#[cfg(feature = "alloc")]
mod opening;
#[cfg(feature = "alloc")]
pub mod pool;
#[cfg(feature = "alloc")]
mod redaction;
#[cfg(feature = "alloc")]
mod reporter;
#[cfg(feature = "alloc")]
mod resource;
#[cfg(feature = "alloc")]
pub mod scope;
#[cfg(feature = "alloc")]
pub mod shared;
#[cfg(feature = "alloc")]
mod signal;
#[cfg(feature = "alloc")]
mod sink;
#[cfg(feature = "alloc")]
mod start;
