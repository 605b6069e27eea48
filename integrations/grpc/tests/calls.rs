//! What a call sends, and what it gives.

use tenure_grpc::{GrpcError, GrpcService, client};
use tonic::Code;
use tonic::metadata::MetadataMap;

use crate::greeter::greeter_client::GreeterClient;
use crate::rig::*;

#[tokio::test]
async fn s15_metadata_and_the_user_agent_are_sent() {
    let server = Server::start().await;
    let endpoint = endpoint(&server.address())
        .configure(|endpoint| endpoint.user_agent("tests/1.0"))
        .expect("a user agent");
    let greeter = GrpcService::new(&build(channel_to(endpoint)), GreeterClient::new);
    let mut metadata = MetadataMap::new();
    metadata.insert("x-request-id", "7".parse().expect("a value"));
    let request = greeter.request("SayHello").metadata(metadata);
    let reply = request.unary(named("you"), say_hello).await;
    assert_eq!(reply.expect("a greeting").message, "Hello you");
    let seen = server.seen();
    assert_eq!(seen[0].header("x-request-id").as_deref(), Some("7"));
    let agent = seen[0].header("user-agent").expect("one");
    assert!(agent.starts_with("tests/1.0"), "{agent}");
    assert_eq!(seen[0].header("grpc-timeout"), None, "there is no deadline");
    assert_eq!(seen[0].header("grpc-previous-rpc-attempts"), None);
    ends_well(greeter.channel()).await;
}

#[tokio::test]
async fn s15_the_status_can_be_got_back_as_the_server_sent_it() {
    let server = Server::start().await;
    let greeter = greeter(&server.address());
    for code in [Code::NotFound, Code::Internal, Code::PermissionDenied] {
        server.answers([Answer::Refuse(code, None)]);
        let reply = greeter
            .request("SayHello")
            .idempotent()
            .unary(named("you"), say_hello);
        let error = reply.await.expect_err("it is refused");
        assert!(matches!(error, GrpcError::Failed(_)), "{error}");
        assert_eq!((error.code(), error.call_error().attempts()), (code, 1));
        let status = error.status().expect("the server's");
        assert_eq!(
            (status.message(), status.details()),
            ("as told", &b"details"[..])
        );
    }
    assert_eq!(greeter.channel().stats().connects.reconnects, 0);
    ends_well(greeter.channel()).await;
}

#[tokio::test]
async fn s15_the_limits_for_messages_reach_the_client() {
    let server = Server::start().await;
    let endpoint = endpoint(&server.address()).max_decoding_message_size(8);
    let channel = build(channel_to(endpoint));
    let limited: Greeter = GrpcService::new(&channel, client!(GreeterClient));
    let error = limited
        .call_unary("SayHello", named("somebody"), say_hello)
        .await;
    let error = error.expect_err("the answer is too large");
    assert_eq!(error.code(), Code::OutOfRange, "{error}");
    assert_eq!(error.call_error().attempts(), 1);
    let plain: Greeter = GrpcService::new(&channel, GreeterClient::new);
    assert_eq!(greet(&plain).await, "Hello you");
    ends_well(&channel).await;
}

#[cfg(feature = "gzip")]
#[tokio::test]
async fn s15_messages_are_compressed_if_the_endpoint_says_so() {
    use tonic::codec::CompressionEncoding::Gzip;
    let server = Server::builder().gzip().start().await;
    let endpoint = endpoint(&server.address())
        .accept_compressed(Gzip)
        .send_compressed(Gzip);
    let greeter = GrpcService::new(&build(channel_to(endpoint)), client!(GreeterClient));
    assert_eq!(greet(&greeter).await, "Hello you");
    let seen = server.seen();
    assert_eq!(seen[0].header("grpc-encoding").as_deref(), Some("gzip"));
    let accepted = seen[0].header("grpc-accept-encoding").expect("one");
    assert!(accepted.contains("gzip"), "{accepted}");
    ends_well(greeter.channel()).await;
}

#[tokio::test]
async fn s15_many_tasks_share_one_connection() {
    let server = Server::start().await;
    let greeter = greeter(&server.address());
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let greeter = greeter.clone();
            tokio::spawn(async move { greet(&greeter).await })
        })
        .collect();
    for call in calls {
        assert_eq!(within(call).await.expect("it ends"), "Hello you");
    }
    let stats = greeter.channel().stats();
    assert_eq!(
        (stats.connects.begun, stats.calls.succeeded),
        (1, 50),
        "{stats}"
    );
    ends_well(greeter.channel()).await;
}

#[tokio::test]
async fn s15_a_call_that_is_dropped_leaves_the_connection() {
    let server = Server::start().await;
    let greeter = greeter(&server.address());
    server.answers([Answer::Hang]);
    let mut call = Box::pin(greeter.call_unary("SayHello", named("you"), say_hello));
    tokio::select! {
        _ = &mut call => panic!("it hangs"),
        () = until("it is there", || server.seen().len() == 1) => {}
    }
    drop(call);
    assert_eq!(greet(&greeter).await, "Hello you");
    let stats = greeter.channel().stats();
    assert_eq!(
        (stats.connects.begun, stats.calls.cancelled),
        (1, 1),
        "{stats}"
    );
    ends_well(greeter.channel()).await;
}
