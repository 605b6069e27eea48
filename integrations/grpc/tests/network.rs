//! What a network does to a channel.

use std::time::{Duration, Instant};

use tenure_grpc::{GrpcError, GrpcService};
use tonic::Code;

use crate::greeter::greeter_client::GreeterClient;
use crate::rig::*;

/// A server that keeps the next call to itself, so that it is under way.
async fn with_a_call_under_way(
    fault: Fault,
    idempotent: bool,
) -> (Server, Greeter, Result<String, GrpcError>) {
    let server = Server::start().await;
    let proxy = Proxy::to(server.port()).await;
    let greeter = greeter(&proxy.address());
    greeter.channel().open().await.expect("it opens");
    server.answers([Answer::Hang]);
    let calling = tokio::spawn({
        let greeter = greeter.clone();
        async move {
            let mut request = greeter.request("SayHello");
            if idempotent {
                request = request.idempotent();
            }
            request.unary(named("you"), say_hello).await
        }
    });
    until("the call is there", || server.seen().len() == 1).await;
    proxy.does(fault);
    // What makes it happen: something has to be sent.
    let disturb = greeter.call_unary("SayHello", named("me"), say_hello);
    let _ = tokio::time::timeout(Duration::from_millis(50), disturb).await;
    proxy.does(Fault::None);
    let reply = within(calling).await.expect("it ends");
    drop(proxy);
    (server, greeter, reply.map(|reply| reply.message))
}

#[tokio::test]
async fn s15_a_connection_that_breaks_under_a_call_is_not_tried_again() {
    for fault in [Fault::Reset, Fault::CutInHalf] {
        let (server, greeter, reply) = with_a_call_under_way(fault, false).await;
        let error = reply.expect_err("nobody knows whether it ran");
        assert!(
            matches!(error, GrpcError::Failed(_)),
            "{fault:?}: {error:?}"
        );
        assert_eq!(error.call_error().attempts(), 1, "{fault:?}: {error}");
        assert!(error.status().is_some());
        let of_it = server.seen().len();
        assert!(of_it <= 2, "the call, and perhaps the other: {of_it}");
        drop(greeter);
    }
}

#[tokio::test]
async fn s15_a_connection_that_breaks_under_an_idempotent_call_is_bridged() {
    for fault in [Fault::Reset, Fault::CutInHalf] {
        let (_server, greeter, reply) = with_a_call_under_way(fault, true).await;
        assert_eq!(reply.expect("a greeting"), "Hello you", "{fault:?}");
        assert!(
            greeter.channel().stats().connects.reconnects >= 1,
            "{fault:?}"
        );
        ends_well(greeter.channel()).await;
    }
}

#[tokio::test]
async fn s15_a_slow_network_is_no_fault() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.port()).await;
    let delay = Duration::from_millis(20);
    proxy.does(Fault::Delay(delay));
    let greeter = greeter(&proxy.address());
    let begun = Instant::now();
    assert_eq!(greet(&greeter).await, "Hello you");
    assert!(begun.elapsed() >= 2 * delay);
    assert_eq!(greeter.channel().stats().connects.begun, 1);
    ends_well(greeter.channel()).await;
}

#[tokio::test]
async fn s15_a_network_that_loses_everything_is_found_by_the_keepalive() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.port()).await;
    let endpoint = endpoint(&proxy.address())
        .configure(|endpoint| {
            Ok::<_, std::convert::Infallible>(
                endpoint
                    .http2_keep_alive_interval(Duration::from_millis(50))
                    .keep_alive_timeout(Duration::from_millis(100))
                    .keep_alive_while_idle(true),
            )
        })
        .expect("they are valid");
    let builder = channel_to(endpoint).open_timeout(Duration::from_millis(500));
    let channel = build(builder);
    let greeter = GrpcService::new(&channel, GreeterClient::new);
    assert_eq!(greet(&greeter).await, "Hello you");
    proxy.does(Fault::Drop);
    until("the loss is seen", || !channel.is_healthy()).await;
    proxy.does(Fault::None);
    assert_eq!(greet(&greeter).await, "Hello you");
    assert!(proxy.accepted() >= 2);
    ends_well(&channel).await;
}

#[tokio::test]
async fn s15_a_network_that_loses_everything_is_a_timeout_for_the_call() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.port()).await;
    let greeter = greeter(&proxy.address());
    greeter.channel().open().await.expect("it opens");
    proxy.does(Fault::Drop);
    let request = greeter
        .request("SayHello")
        .timeout(Duration::from_millis(60));
    let error = within(request.unary(named("you"), say_hello))
        .await
        .expect_err("no answer");
    assert_eq!(error.code(), Code::DeadlineExceeded, "{error}");
}

#[tokio::test]
async fn s15_no_call_is_lost_while_a_server_is_replaced() {
    let mut server = Server::start().await;
    let greeter = greeter(&server.address());
    greeter.channel().open().await.expect("it opens");
    let calling: Vec<_> = (0..4)
        .map(|_| {
            let greeter = greeter.clone();
            let calls = async move {
                loop {
                    assert_eq!(greet(&greeter).await, "Hello you");
                }
            };
            tokio::spawn(calls)
        })
        .collect();
    for round in 1..=5 {
        let before = greeter.channel().stats().calls.succeeded;
        server.replace().await;
        let stats = || greeter.channel().stats();
        until("it reconnects", || stats().connects.reconnects >= round).await;
        until("calls go on", || stats().calls.succeeded > before + 4).await;
    }
    for calls in calling {
        calls.abort();
        assert!(calls.await.expect_err("it never ends").is_cancelled());
    }
    ends_well(greeter.channel()).await;
}
