//! Calls that no server has seen, and those that one may have.

use std::time::{Duration, Instant};

use tenure_core::{Backoff, Retry, StopReason};
use tenure_grpc::GrpcService;
use tonic::Code;

use crate::greeter::greeter_client::GreeterClient;
use crate::rig::frames::{Deed, ENHANCE_YOUR_CALM, Frames, NO_ERROR};
use crate::rig::*;

/// A service that has a connection, and whose backoff is longer than any of these tests.
async fn connected(server: &Frames) -> Greeter {
    let hour = Duration::from_secs(3600);
    let patient = Retry::new(Backoff::constant(hour).cap(hour)).max_retries(0);
    let channel = build(channel_to(endpoint(server.address())).retry(patient));
    let greeter = GrpcService::new(&channel, GreeterClient::new);
    assert_eq!(greet(&greeter).await, "Hello you");
    greeter
}

#[tokio::test]
async fn a_call_that_no_server_has_seen_is_made_again_at_once_and_uncounted() {
    for (deed, connections) in [
        (Deed::Refuse, 1),
        (Deed::GoAway(NO_ERROR), 2),
        (Deed::GoAway(ENHANCE_YOUR_CALM), 2),
    ] {
        let server = Frames::start(None).await;
        let greeter = connected(&server).await;
        server.does([deed]);
        // Not idempotent, without a retry, and with less time than a backoff takes.
        let request = greeter.request("SayHello").timeout(Duration::from_secs(50));
        let reply = within(request.unary(named("you"), say_hello)).await;
        assert_eq!(reply.expect("a greeting").message, "Hello you", "{deed:?}");
        assert_eq!(server.connections(), connections, "{deed:?}");
        assert_eq!(server.requests(), 3, "{deed:?}");
    }
}

#[tokio::test]
async fn a_call_that_is_refused_twice_is_retried_as_the_policy_says() {
    let server = Frames::start(None).await;
    let greeter = connected(&server).await;
    server.does([Deed::Refuse; 2]);
    let reply = greeter.call_unary("SayHello", named("you"), say_hello);
    let error = within(reply).await.expect_err("it is refused");
    assert_eq!(error.code(), Code::Unavailable);
    assert_eq!(error.call_error().attempts(), 2);
    assert_eq!(error.call_error().reason(), StopReason::Attempts);
}

#[tokio::test]
async fn calls_that_wait_for_a_stream_survive_a_server_that_goes_away() {
    let server = Frames::start(1).await;
    let greeter = connected(&server).await;
    server.does([Deed::Hold]);
    let greet = |greeter: &Greeter| {
        let greeter = greeter.clone();
        tokio::spawn(async move { greet(&greeter).await })
    };
    let first = greet(&greeter);
    until("it is held", || server.requests() == 2).await;
    let waiting: Vec<_> = (0..3).map(|_| greet(&greeter)).collect();
    // They have to come by the connection's queue, which nothing tells from outside.
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(server.requests(), 2, "the others wait");
    server.retires();
    for call in std::iter::once(first).chain(waiting) {
        assert_eq!(within(call).await.expect("it ends"), "Hello you");
    }
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_connection_that_breaks_under_a_call_is_unavailable_and_not_made_again_unless_idempotent()
{
    for deed in [Deed::HangUp, Deed::HangUpInAnswer] {
        let server = Frames::start(None).await;
        let greeter = connected(&server).await;
        server.does([deed]);
        let reply = greeter.call_unary("SayHello", named("you"), say_hello);
        let error = within(reply).await.expect_err("the connection broke");
        assert_eq!(error.code(), Code::Unavailable, "{deed:?}: {error}");
        let status = error.status().expect("a status");
        assert_eq!(status.code(), Code::Unavailable, "{deed:?}: {status:?}");
        assert_eq!(error.call_error().attempts(), 1, "{deed:?}");
        assert_eq!(server.requests(), 2, "{deed:?}");
    }
}

#[tokio::test]
async fn a_stream_that_breaks_tells_its_reader_unavailable() {
    let server = Frames::start(None).await;
    let greeter = connected(&server).await;
    server.does([Deed::HangUpInAnswer]);
    let begin = |mut client: Client| async move { client.say_hellos(named("you")).await };
    let mut stream = within(greeter.call("SayHellos", begin))
        .await
        .expect("a stream")
        .into_inner();
    let first = within(stream.message()).await.expect("it came whole");
    assert_eq!(first.expect("a greeting").message, "Hello you");
    let error = within(stream.message()).await.expect_err("it breaks");
    assert_eq!(error.code(), Code::Unavailable, "{error:?}");
}

#[test]
fn a_request_under_way_on_a_runtime_that_ends_may_have_run() {
    let server_runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = server_runtime.block_on(Frames::start(None));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let transport = runtime.block_on(async {
        let greeter = connected(&server).await;
        let transport = greeter
            .channel()
            .connection()
            .get()
            .await
            .expect("it is open");
        (greeter, transport)
    });
    server.does([Deed::Hold]);
    let calling = server_runtime.spawn({
        let mut client: Client = GreeterClient::new(transport.1.clone());
        async move { client.say_hello(named("you")).await }
    });
    server_runtime.block_on(until("it is held", || server.requests() == 2));
    runtime.shutdown_timeout(Duration::from_secs(10));
    let status = server_runtime.block_on(within(calling)).expect("it ends");
    let status = status.expect_err("its connection is gone");
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("runtime"), "{status:?}");
}

#[tokio::test]
async fn pings_that_are_too_many_for_a_server_become_half_as_many() {
    const INTERVAL: Duration = Duration::from_millis(200);
    let server = Frames::start(None).await;
    let endpoint = endpoint(server.address()).keep_alive(INTERVAL);
    let channel = build(channel_to(endpoint));
    let greeter: Greeter = GrpcService::new(&channel, GreeterClient::new);
    for (deed, connections) in [
        (Deed::GoAway(ENHANCE_YOUR_CALM), 2),
        (Deed::GoAway(NO_ERROR), 3),
    ] {
        server.does([deed, Deed::Hold]);
        let began = Instant::now();
        let held = tokio::spawn({
            let greeter = greeter.clone();
            async move { greet(&greeter).await }
        });
        let before = server.pings();
        until("there is a ping", || server.pings() > before).await;
        assert!(began.elapsed() >= 2 * INTERVAL, "{deed:?}");
        assert_eq!(server.connections(), connections, "{deed:?}");
        held.abort();
    }
}
