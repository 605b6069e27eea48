//! gRPC channels and clients of [tonic](https://docs.rs/tonic), held by
//! [tenure](https://docs.rs/tenure).
//!
//! - [`GrpcEndpoint`] says where a server is and how to connect to it. It is a resource, for scopes and pools.
//! - [`GrpcChannel`] is one connection that all tasks share: proven when it is opened, checked, opened anew when it is
//!   lost, closed in the end.
//! - [`GrpcService`] makes calls over a channel by any generated client, under the policy, and retries only what can be
//!   retried without harm.
//! - [`GrpcClients`] makes a [`GrpcPool`]: several connections, each lent to one task at a time.
//!
//! # Features
//! - `gzip` (default): compressed messages.
//! - `tls` (default): `https`, by rustls with ring.
//! - `tls-native-roots`, `tls-webpki-roots`: where certificates of authorities come from.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod channel;
mod deadline;
mod dial;
mod endpoint;
mod error;
mod health;
mod messages;
mod pool;
mod service;
mod signals;
mod ties;
mod transport;
mod verdict;
mod wire;

pub use channel::{GrpcChannel, GrpcChannelBuilder};
pub use endpoint::{AddressError, GrpcEndpoint};
pub use error::{ChannelError, GrpcError};
pub use health::{Health, Serving};
pub use messages::Messages;
pub use pool::{GrpcClient, GrpcClients, GrpcPool};
pub use service::{GrpcRequest, GrpcService};
pub use transport::{GrpcBody, GrpcResponse, GrpcTransport};

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
