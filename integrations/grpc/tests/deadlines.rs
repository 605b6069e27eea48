//! The time that a call has.

use std::time::{Duration, Instant};

use tenure_grpc::GrpcError;
use tonic::Code;

use crate::rig::*;

fn millis(seen: &Seen) -> u64 {
    let sent = seen.header("grpc-timeout").expect("a deadline");
    let digits = sent
        .strip_suffix('m')
        .expect("of some seconds, in milliseconds");
    digits.parse().expect("a number")
}

#[tokio::test]
async fn s15_the_deadline_is_sent_and_shared_by_all_attempts() {
    let server = Server::start().await;
    let greeter = greeter(&server.address());
    greeter.channel().open().await.expect("it opens");
    server.answers([Answer::Refuse(Code::ResourceExhausted, Some("50")); 2]);
    let request = greeter.request("SayHello").timeout(Duration::from_secs(30));
    let reply = within(request.unary(named("you"), say_hello)).await;
    assert_eq!(reply.expect("a greeting").message, "Hello you");
    let left: Vec<_> = server.seen().iter().map(millis).collect();
    assert_eq!(left.len(), 3);
    assert!(left[0] <= 30_000, "{left:?}");
    assert!(left[1] + 50 <= left[0], "{left:?}");
    assert!(left[2] + 50 <= left[1], "{left:?}");
    ends_well(greeter.channel()).await;
}

#[tokio::test]
async fn s15_a_deadline_that_is_over_is_told_as_a_timeout() {
    let server = Server::start().await;
    let greeter = greeter(&server.address());
    greeter.channel().open().await.expect("it opens");
    server.answers([Answer::Hang]);
    let (begun, limit) = (Instant::now(), Duration::from_millis(80));
    let request = greeter.request("SayHello").timeout(limit);
    let error = within(request.unary(named("you"), say_hello))
        .await
        .expect_err("no answer");
    assert!(matches!(error, GrpcError::DeadlineExceeded(_)), "{error:?}");
    assert_eq!(error.code(), Code::DeadlineExceeded);
    // The server may have said it first, by its own clock.
    assert!(begun.elapsed() + Duration::from_millis(10) >= limit);
    assert!(error.to_string().contains("deadline exceeded"), "{error}");
    assert_eq!(greeter.channel().stats().connects.reconnects, 0);
    ends_well(greeter.channel()).await;
}

#[tokio::test]
async fn s15_a_server_that_says_deadline_exceeded_is_a_timeout_too() {
    let server = Server::start().await;
    let greeter = greeter(&server.address());
    server.answers([Answer::Refuse(Code::DeadlineExceeded, None)]);
    let reply = greeter
        .request("SayHello")
        .idempotent()
        .unary(named("you"), say_hello);
    let error = within(reply).await.expect_err("it is late");
    assert!(matches!(error, GrpcError::DeadlineExceeded(_)), "{error:?}");
    assert_eq!(error.call_error().attempts(), 1);
    assert_eq!(error.status().map(tonic::Status::message), Some("as told"));
    ends_well(greeter.channel()).await;
}

#[tokio::test]
async fn s15_an_attempt_that_was_cut_off_runs_again_only_if_idempotent() {
    let server = Server::start().await;
    let greeter = greeter(&server.address());
    greeter.channel().open().await.expect("it opens");
    let limit = Duration::from_millis(60);

    server.answers([Answer::Hang]);
    let careful = greeter.request("SayHello").attempt_timeout(limit);
    let error = within(careful.unary(named("you"), say_hello))
        .await
        .expect_err("cut off");
    assert!(matches!(error, GrpcError::DeadlineExceeded(_)), "{error:?}");
    assert_eq!(server.seen().len(), 1, "it may have run");

    server.answers([Answer::Hang]);
    let again = greeter
        .request("SayHello")
        .attempt_timeout(limit)
        .idempotent();
    let reply = within(again.unary(named("you"), say_hello)).await;
    assert_eq!(reply.expect("a greeting").message, "Hello you");
    assert_eq!(server.seen().len(), 3);
    ends_well(greeter.channel()).await;
}

#[tokio::test]
async fn s15_waiting_for_a_connection_takes_of_the_same_time() {
    let mut server = Server::start().await;
    let greeter = greeter(&server.address());
    server.kill().await;
    let (begun, limit) = (Instant::now(), Duration::from_millis(100));
    let request = greeter.request("SayHello").timeout(limit);
    let error = within(request.unary(named("you"), say_hello))
        .await
        .expect_err("nobody is there");
    assert!(matches!(error, GrpcError::DeadlineExceeded(_)), "{error:?}");
    assert!(begun.elapsed() >= limit);
    ends_well(greeter.channel()).await;
}

#[tokio::test]
async fn s15_an_operation_that_never_ends_is_not_begun_again_unless_idempotent() {
    let server = Server::start().await;
    let greeter = greeter(&server.address());
    greeter.channel().open().await.expect("it opens");
    for (is_idempotent, expected) in [(false, 1), (true, 3)] {
        let begun = std::cell::Cell::new(0);
        let mut request = greeter
            .request("think")
            .attempt_timeout(Duration::from_millis(20))
            .max_retries(2);
        if is_idempotent {
            request = request.idempotent();
        }
        let think = |_client| {
            begun.set(begun.get() + 1);
            std::future::pending::<Result<(), tonic::Status>>()
        };
        let error = within(request.run(think)).await.expect_err("cut off");
        assert!(matches!(error, GrpcError::DeadlineExceeded(_)), "{error:?}");
        assert_eq!(begun.get(), expected);
    }
    ends_well(greeter.channel()).await;
}
