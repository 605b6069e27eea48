//! Servers that are processes, and what befalls those: they are stopped, and killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tenure_core::{CheckError, OpenError};
use tenure_grpc::{GrpcError, GrpcService};

use crate::greeter::greeter_client::GreeterClient;
use crate::rig::process::{Process, serve_if_told};
use crate::rig::*;

/// The test that is the server where it is started again.
pub(crate) const SERVES: &str = "processes::s15_a_server_does_not_outlive_who_started_it";

#[tokio::test]
async fn s15_a_server_does_not_outlive_who_started_it() {
    if serve_if_told().await {
        return;
    }
    let mut process = Process::start().await;
    let greeter = greeter(&process.address());
    assert_eq!(greet(&greeter).await, "Hello you");
    let stopped = process.stop().await;
    stopped.goes_on();
    process.let_go().await;
    ends_well(greeter.channel()).await;
}

#[tokio::test]
async fn s15_a_stopped_server_costs_each_its_own_time_and_no_connection() {
    let process = Process::start().await;
    let limit = Duration::from_millis(200);
    let channel = build(
        channel_to(endpoint(&process.address()))
            .connection(|connection| connection.check_timeout(limit)),
    );
    let greeter = GrpcService::new(&channel, GreeterClient::new);
    let begin = |mut client: Client| async move { client.say_hellos(named("all")).await };
    let stream = within(greeter.call("SayHellos", begin)).await;
    let mut stream = stream.expect("a stream").into_inner();
    let first = within(stream.message()).await.expect("it goes on");
    assert_eq!(first.expect("a greeting").message, "Hello all");

    let stopped = process.stop().await;
    let begun = Instant::now();
    let request = greeter.request("SayHello").timeout(limit).idempotent();
    let error = within(request.unary(named("you"), say_hello)).await;
    let error = error.expect_err("nobody answers");
    assert!(matches!(error, GrpcError::DeadlineExceeded(_)), "{error:?}");
    assert!(error.to_string().contains("deadline exceeded"), "{error}");
    assert!(begun.elapsed() >= limit);

    let error = within(channel.check()).await.expect_err("nobody answers");
    let CheckError::Failed { cause, .. } = &error else {
        panic!("{error}");
    };
    assert!(cause.to_string().contains("200ms"), "{cause}");
    assert!(!channel.is_healthy() && channel.connection().is_usable());

    // The system connects for it, so that only the proof finds out.
    let once_more = soon_again().max_retries(1);
    let late = channel_to(endpoint(&process.address()))
        .retry(once_more)
        .open_retry(once_more);
    let late = build(late.open_timeout(limit));
    let error = within(late.open()).await.expect_err("nobody answers");
    let OpenError::Failed { failure, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(failure.attempts, 2, "{error}");
    assert!(failure.cause.to_string().contains("200ms"), "{failure}");
    assert_eq!(late.stats().connects.timed_out, 2);
    ends_well(&late).await;

    stopped.goes_on();
    assert_eq!(greet(&greeter).await, "Hello you");
    within(channel.check()).await.expect("it answers");
    assert!(channel.is_healthy());
    assert_eq!(channel.stats().connects.begun, 1, "it was never lost");
    drop(stream);
    ends_well(&channel).await;
}

#[tokio::test]
async fn s15_a_stopped_server_is_found_by_the_keepalive_and_reconnected_to_once_it_goes_on() {
    let process = Process::start().await;
    let endpoint = endpoint(&process.address())
        .configure(|endpoint| {
            Ok::<_, std::convert::Infallible>(
                endpoint
                    .http2_keep_alive_interval(Duration::from_millis(100))
                    .keep_alive_timeout(Duration::from_secs(1))
                    .keep_alive_while_idle(true),
            )
        })
        .expect("they are valid");
    let channel = build(channel_to(endpoint).open_timeout(Duration::from_millis(300)));
    let greeter = GrpcService::new(&channel, GreeterClient::new);
    let begin = |mut client: Client| async move { client.say_hellos(named("all")).await };
    let stream = within(greeter.call("SayHellos", begin)).await;
    let mut stream = stream.expect("a stream").into_inner();
    within(stream.message()).await.expect("it goes on");
    assert!(channel.is_healthy());

    let stopped = process.stop().await;
    within(stream.message()).await.expect_err("it is given up");
    until("the loss is seen", || !channel.is_healthy()).await;
    let stats = || channel.stats();
    until("an attempt is given up", || stats().connects.timed_out > 0).await;
    let failure = stats().last_failure.expect("there is one").to_string();
    assert!(failure.contains("300ms"), "{failure}");
    let request = greeter.request("SayHello");
    let request = request.timeout(Duration::from_millis(50));
    let error = within(request.unary(named("you"), say_hello)).await;
    let error = error.expect_err("nobody answers");
    assert!(matches!(error, GrpcError::DeadlineExceeded(_)), "{error:?}");

    stopped.goes_on();
    assert_eq!(greet(&greeter).await, "Hello you");
    assert!(channel.is_healthy());
    assert_eq!(stats().connects.reconnects, 1, "{}", stats());
    ends_well(&channel).await;
}

#[tokio::test]
async fn s15_a_server_killed_under_a_hundred_callers_costs_no_idempotent_call_and_one_reconnect() {
    let mut process = Process::start().await;
    let greeter = greeter(&process.address());
    let is_over = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let (greeter, is_over) = (greeter.clone(), is_over.clone());
            tokio::spawn(async move {
                while !is_over.load(Ordering::Relaxed) {
                    let request = greeter.request("SayHello").idempotent();
                    let request = request.timeout(Duration::from_secs(30));
                    let reply = request.unary(named("you"), say_hello).await;
                    assert_eq!(reply.expect("within its time").message, "Hello you");
                }
            })
        })
        .collect();
    let stats = || greeter.channel().stats();
    until("all call", || stats().calls.succeeded > 500).await;
    process.kill();
    until("nobody is there", || stats().connects.refused > 0).await;
    let before = stats().calls.succeeded;
    process.restart().await;
    let after = || stats().calls.succeeded;
    until("all go on", || after() > before + 500).await;
    is_over.store(true, Ordering::Relaxed);
    for caller in callers {
        within(caller).await.expect("none has failed");
    }
    let stats = stats();
    assert_eq!(stats.calls.failed, 0, "{stats}");
    assert_eq!(stats.connects.reconnects, 1, "{stats}");
    println!("{stats}");
    ends_well(greeter.channel()).await;
}
