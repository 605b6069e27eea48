//! What the tests have in common: a server that answers as it is told, a proxy, and a channel with a short patience.

pub(crate) mod dropped;
pub(crate) mod frames;
#[cfg(target_os = "linux")]
pub(crate) mod process;
mod proxy;
mod script;
mod server;

use std::time::{Duration, Instant};

use tenure_core::{Backoff, Retry};
use tenure_grpc::{GrpcChannel, GrpcChannelBuilder, GrpcEndpoint, GrpcService, GrpcTransport};
use tenure_tokio::Tokio;
use tonic::Status;

use crate::greeter::greeter_client::GreeterClient;
use crate::greeter::{HelloReply, HelloRequest};

pub(crate) use proxy::{Fault, Proxy};
pub(crate) use script::{Answer, Capacity, Seen};
pub(crate) use server::Server;

pub(crate) type Client = GreeterClient<GrpcTransport>;
pub(crate) type Greeter = GrpcService<Client>;

/// A policy for tests: many retries, soon.
pub(crate) fn soon_again() -> Retry {
    Retry::new(Backoff::constant(Duration::from_millis(10)).cap(Duration::from_secs(1)))
        .max_retries(20)
}

pub(crate) fn endpoint(address: &str) -> GrpcEndpoint {
    GrpcEndpoint::new(address).expect("an address")
}

pub(crate) fn channel_to(endpoint: GrpcEndpoint) -> GrpcChannelBuilder {
    GrpcChannel::builder(endpoint)
        .retry(soon_again())
        .open_retry(soon_again())
}

pub(crate) fn build(builder: GrpcChannelBuilder) -> GrpcChannel {
    builder
        .build(Tokio::current())
        .expect("a valid configuration")
}

/// A service on a channel of its own.
pub(crate) fn greeter(address: &str) -> Greeter {
    let channel = build(channel_to(endpoint(address)));
    GrpcService::new(&channel, GreeterClient::new)
}

pub(crate) fn named(name: &str) -> HelloRequest {
    HelloRequest {
        name: name.into(),
        times: 1,
    }
}

/// `say_hello`, as a method for `unary`.
pub(crate) async fn say_hello(
    mut client: Client,
    request: tonic::Request<HelloRequest>,
) -> Result<tonic::Response<HelloReply>, Status> {
    client.say_hello(request).await
}

pub(crate) async fn greet(greeter: &Greeter) -> String {
    let reply = greeter.call_unary("SayHello", named("you"), say_hello);
    within(reply).await.expect("a greeting").message
}

/// Fails a test that would hang.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    let limit = Duration::from_secs(60);
    tokio::time::timeout(limit, future).await.expect("it ends")
}

/// Waits for something that comes by itself.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

pub(crate) async fn ends_well(channel: &GrpcChannel) {
    let report = within(channel.shutdown(Duration::from_secs(30))).await;
    assert!(report.is_clean(), "{report}");
    assert!(channel.connection().audit().is_balanced());
    assert!(channel.stats().is_balanced());
}
