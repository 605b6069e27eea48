//! What is made again, and what is not.

use std::time::{Duration, Instant};

use tenure_core::{Backoff, Retry, StopReason};
use tenure_grpc::GrpcService;
use tonic::Code;

use crate::greeter::greeter_client::GreeterClient;

use crate::rig::*;

const UNAVAILABLE: Answer = Answer::Refuse(Code::Unavailable, None);
const EXHAUSTED: Answer = Answer::Refuse(Code::ResourceExhausted, None);

#[tokio::test]
async fn unavailable_is_retried_on_the_same_connection_if_idempotent() {
    let server = Server::start().await;
    let greeter = greeter(&server.address());
    server.answers([UNAVAILABLE; 2]);
    let reply = greeter
        .request("SayHello")
        .idempotent()
        .unary(named("you"), say_hello);
    assert_eq!(
        within(reply).await.expect("a greeting").message,
        "Hello you"
    );
    assert_eq!(greeter.channel().stats().connects.reconnects, 0);
    ends_well(greeter.channel()).await;
}

#[tokio::test]
async fn what_may_have_run_is_not_made_again_unless_it_is_idempotent() {
    let server = Server::start().await;
    let greeter = greeter(&server.address());
    greeter.channel().open().await.expect("it opens");
    server.answers([UNAVAILABLE, EXHAUSTED]);
    for code in [Code::Unavailable, Code::ResourceExhausted] {
        let reply = greeter.call_unary("SayHello", named("you"), say_hello);
        let error = within(reply).await.expect_err("it is refused");
        assert_eq!((error.code(), error.call_error().attempts()), (code, 1));
        assert_eq!(error.call_error().reason(), StopReason::GivenUp);
    }
    assert_eq!(server.seen().len(), 2);
    assert_eq!(greet(&greeter).await, "Hello you");
    assert_eq!(greeter.channel().stats().connects.reconnects, 0);
    ends_well(greeter.channel()).await;
}

#[tokio::test]
async fn s15_previous_attempts_are_sent() {
    let server = Server::start().await;
    let greeter = greeter(&server.address());
    server.answers([EXHAUSTED; 2]);
    let reply = greeter
        .request("SayHello")
        .idempotent()
        .unary(named("you"), say_hello);
    assert_eq!(
        within(reply).await.expect("a greeting").message,
        "Hello you"
    );
    let sent = |seen: &Seen| seen.header("grpc-previous-rpc-attempts");
    let sent: Vec<_> = server.seen().iter().map(sent).collect();
    assert_eq!(sent, [None, Some("1".into()), Some("2".into())]);
    assert_eq!(greeter.channel().stats().connects.begun, 1, "it is no loss");
    ends_well(greeter.channel()).await;
}

#[tokio::test]
async fn s15_a_pushback_is_waited_for() {
    let server = Server::start().await;
    let greeter = greeter(&server.address());
    greeter.channel().open().await.expect("it opens");
    for code in [Code::ResourceExhausted, Code::Unavailable] {
        server.answers([Answer::Refuse(code, Some("120"))]);
        let begun = Instant::now();
        assert_eq!(
            greet(&greeter).await,
            "Hello you",
            "the server asked for it"
        );
        assert!(begun.elapsed() >= Duration::from_millis(120));
    }
    assert_eq!(greeter.channel().stats().connects.begun, 1);
    ends_well(greeter.channel()).await;
}

#[tokio::test]
async fn a_pushback_is_shorter_than_the_backoff_if_the_server_says_so() {
    let server = Server::start().await;
    let hour = Duration::from_secs(3600);
    let patient = Retry::new(Backoff::constant(hour).cap(hour));
    let channel = build(channel_to(endpoint(&server.address())).retry(patient));
    let greeter: Greeter = GrpcService::new(&channel, GreeterClient::new);
    for code in [Code::ResourceExhausted, Code::Unavailable] {
        server.answers([Answer::Refuse(code, Some("20"))]);
        assert_eq!(greet(&greeter).await, "Hello you");
    }
    ends_well(&channel).await;
}

#[tokio::test]
async fn s15_a_negative_pushback_is_no_retry() {
    let server = Server::start().await;
    let greeter = greeter(&server.address());
    for code in [Code::ResourceExhausted, Code::Unavailable] {
        server.answers([Answer::Refuse(code, Some("-1"))]);
        let reply = greeter
            .request("SayHello")
            .idempotent()
            .unary(named("you"), say_hello);
        let error = within(reply).await.expect_err("it is refused");
        assert_eq!((error.code(), error.call_error().attempts()), (code, 1));
    }
    ends_well(greeter.channel()).await;
}

#[tokio::test]
async fn s15_a_call_survives_a_restart_of_the_server() {
    let mut server = Server::start().await;
    let greeter = greeter(&server.address());
    assert_eq!(greet(&greeter).await, "Hello you");
    server.restart().await;
    // Sent before the loss is noticed, it may have run for all that anybody knows.
    let idempotent = || {
        let request = greeter.request("SayHello").idempotent();
        within(request.unary(named("you"), say_hello))
    };
    assert_eq!(idempotent().await.expect("a greeting").message, "Hello you");
    assert_eq!(greeter.channel().stats().connects.reconnects, 1);
    server.kill().await;
    until("the loss is seen", || !greeter.channel().is_healthy()).await;
    let calling = tokio::spawn({
        let greeter = greeter.clone();
        async move { greet(&greeter).await }
    });
    let stats = || greeter.channel().stats();
    until("an attempt fails", || stats().connects.refused > 0).await;
    server.restart().await;
    assert_eq!(within(calling).await.expect("it ends"), "Hello you");
    ends_well(greeter.channel()).await;
}

#[tokio::test]
async fn s15_a_loss_is_seen_without_a_call() {
    let mut server = Server::start().await;
    let channel = build(channel_to(endpoint(&server.address())));
    channel.open().await.expect("it opens");
    server.kill().await;
    until("it is not healthy", || !channel.is_healthy()).await;
    server.restart().await;
    within(channel.open()).await.expect("it opens again");
    assert!(channel.is_healthy());
    ends_well(&channel).await;
}
