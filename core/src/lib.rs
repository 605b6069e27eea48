//! The runtime-agnostic core of `tenure`.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod random;
mod sync;

pub mod backoff;
pub mod config;
pub mod retry;
pub mod runtime;
pub mod time;

pub use backoff::{Backoff, Jitter};
pub use config::ConfigError;
pub use retry::{Budget, Decision, ErrorClass, Retry, RetryError, StopReason, retry};
pub use runtime::{Clock, NoTimer, Spawn, SpawnLocal, Timer};
pub use sync::Text;
pub use time::Instant;
