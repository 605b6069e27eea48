//! A channel is proven when it is opened.

use std::time::{Duration, Instant};

use tenure_core::OpenError;
use tenure_grpc::{ChannelError, GrpcEndpoint};
use tokio::net::TcpListener;

use crate::rig::*;

#[tokio::test]
async fn s15_a_channel_opens_once_and_carries_typed_calls() {
    let server = Server::start().await;
    let greeter = greeter(&server.address());
    greeter.channel().open().await.expect("it opens");
    assert_eq!(greet(&greeter).await, "Hello you");
    let stats = greeter.channel().stats();
    assert_eq!(stats.connects.begun, 1, "{stats}");
    ends_well(greeter.channel()).await;
}

#[tokio::test]
async fn s15_a_server_that_accepts_and_never_answers_is_a_failed_opening() {
    let silent = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = format!("http://{}", silent.local_addr().expect("an address"));
    let limit = Duration::from_millis(100);
    let channel = build(
        channel_to(endpoint(&address))
            .retry(soon_again().max_retries(1))
            .open_retry(soon_again().max_retries(1))
            .open_timeout(limit),
    );
    let begun = Instant::now();
    let error = within(channel.open()).await.expect_err("nobody answers");
    assert!(begun.elapsed() >= 2 * limit, "each attempt has its time");
    let OpenError::Failed { failure, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(failure.attempts, 2);
    assert!(failure.cause.to_string().contains("100ms"), "{failure}");
    assert_eq!(channel.stats().connects.timed_out, 2);
    ends_well(&channel).await;
}

#[tokio::test]
async fn s15_a_port_where_nobody_listens_is_told_as_that() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let channel = build(
        channel_to(endpoint(&address))
            .retry(soon_again().max_retries(0))
            .open_retry(soon_again().max_retries(0)),
    );
    let OpenError::Failed { failure, .. } = channel.open().await.expect_err("nobody is there")
    else {
        panic!("it failed");
    };
    let error = failure.cause.downcast_ref::<ChannelError>().expect("ours");
    assert!(matches!(error, ChannelError::Connect(_)), "{error:?}");
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn s15_a_peer_that_speaks_another_protocol_is_no_server() {
    use tokio::io::AsyncWriteExt;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let speaking = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.expect("a client");
        let answer = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
        socket.write_all(answer).await.expect("it is read");
        socket
    });
    let channel = build(
        channel_to(endpoint(&address))
            .retry(soon_again().max_retries(0))
            .open_retry(soon_again().max_retries(0)),
    );
    let OpenError::Failed { failure, .. } = within(channel.open()).await.expect_err("no gRPC")
    else {
        panic!("it failed");
    };
    let error = failure.cause.downcast_ref::<ChannelError>().expect("ours");
    assert!(matches!(error, ChannelError::NotReady(_)), "{error:?}");
    drop(speaking);
}

#[test]
fn s15_an_address_that_is_none_is_refused_where_it_is_written() {
    for address in [
        "localhost:50051",
        "",
        "unix:/run/it",
        "http://",
        "http://a b",
    ] {
        let error = GrpcEndpoint::new(address).expect_err("no address");
        assert!(error.to_string().contains(address), "{error}");
    }
}
