//! Running an operation again until it succeeds, within limits.
//!
//! [`retry`] does it on its own, with a timer and nothing else:
//!
//! ```
//! # use futures::executor::block_on;
#![doc = include_str!("doc_timer.txt")]
//! use tenure_core::{Retry, retry};
//!
//! # let timer = Virtual::default();
//! let mut failures = 2_u32;
//! let answer = block_on(retry(&timer, Retry::DEFAULT, || {
//!     let result = if failures == 0 { Ok("hello") } else { Err("refused") };
//!     failures = failures.saturating_sub(1);
//!     async move { result }
//! }));
//! assert_eq!(answer.unwrap(), "hello");
//! ```
//!
//! [`Retry`] is the policy, a plain value; [`ErrorClass`] says what a [`Failure`] deserves; a [`Budget`]
//! keeps the retries of many callers together to a share of their calls; [`RetryError`] tells what
//! happened. [`Retry::decide`] is the only place where it is decided whether to go on.
//!
//! Retries [within each other](retry#within-each-other) do not multiply: they share the attempts of the one
//! that has most.
//!
//! All of it works without `alloc`. Only with it are operation names built at run time
//! ([`Text`](crate::Text)) and is the history of the attempts kept ([`RetryError::history`]). Only with
//! `std` do retries know of others around them.

mod accept;
mod attempt;
mod budget;
mod class;
pub(crate) mod course;
mod error;
pub(crate) mod nested;
mod policy;
mod run;
#[cfg(test)]
mod tests;

pub use accept::{Accept, AnyValue, Until};
pub use attempt::{Attempt, AttemptRecord, Ended, Outcome};
pub use budget::Budget;
pub use class::{ErrorClass, Failure};
pub use error::RetryError;
pub(crate) use policy::LEAST_PAUSE;
pub use policy::{Decision, Retry, StopReason};
pub use run::{Retrying, retry};
