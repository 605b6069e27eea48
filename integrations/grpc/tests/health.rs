//! Health by `grpc.health.v1`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tenure_core::connection::WhenDown;
use tenure_core::{CheckError, Event, EventKind};
use tenure_grpc::{ChannelError, GrpcError, GrpcService, Health, Serving};
use tonic::Code;
use tonic_health::ServingStatus;

use crate::greeter::greeter_client::GreeterClient;
use crate::rig::*;

#[tokio::test]
async fn s16_a_server_without_the_health_service_is_healthy() {
    let server = Server::start().await;
    for how in [Health::Off, Health::Check, Health::Watch] {
        let told = Arc::new(AtomicUsize::new(0));
        let telling = told.clone();
        let sink = move |event: &Event<'_>| {
            if let EventKind::Swallowed { error, .. } = &event.kind {
                assert!(error.to_string().contains("grpc.health.v1"), "{error}");
                telling.fetch_add(1, Ordering::SeqCst);
            }
        };
        let builder = channel_to(endpoint(&server.address()).health(how));
        let channel = build(builder.events(Arc::new(sink)));
        channel.open().await.expect("it opens");
        channel.check().await.expect("it is healthy");
        assert!(channel.is_healthy());
        assert_eq!(
            channel.serving(),
            Serving::Unimplemented,
            "and it can be told"
        );
        ends_well(&channel).await;
    }
}

#[tokio::test]
async fn s16_a_check_asks_the_server_and_recovers() {
    let server = Server::builder().health().start().await;
    let channel = build(channel_to(endpoint(&server.address())));
    channel.open().await.expect("it opens");
    assert_eq!(channel.serving(), Serving::Serving);
    server
        .reporter
        .set_service_status("", ServingStatus::NotServing)
        .await;
    let error = channel.check().await.expect_err("it says so");
    let CheckError::Failed { cause, .. } = &error else {
        panic!("{error}");
    };
    let cause = cause.downcast_ref::<ChannelError>().expect("ours");
    assert!(matches!(
        cause,
        ChannelError::Unhealthy(Serving::NotServing)
    ));
    assert!(!channel.is_healthy() && channel.connection().is_usable());
    server
        .reporter
        .set_service_status("", ServingStatus::Serving)
        .await;
    channel.check().await.expect("it is back");
    assert!(channel.is_healthy());
    ends_well(&channel).await;
}

#[tokio::test]
async fn s16_what_is_pushed_degrades_and_recovers_without_a_check() {
    let server = Server::builder().health().start().await;
    let watched = endpoint(&server.address()).health(Health::Watch);
    let channel = build(channel_to(watched).check_every(Duration::from_secs(3600)));
    channel.open().await.expect("it opens");
    for _ in 0..3 {
        server
            .reporter
            .set_service_status("", ServingStatus::NotServing)
            .await;
        until("it is degraded", || !channel.is_healthy()).await;
        assert!(channel.connection().is_usable(), "calls may still work");
        server
            .reporter
            .set_service_status("", ServingStatus::Serving)
            .await;
        until("it is healthy", || channel.is_healthy()).await;
    }
    assert_eq!(channel.stats().connects.begun, 1);
    ends_well(&channel).await;
}

#[tokio::test]
async fn s16_a_watch_goes_on_after_a_reconnect() {
    let mut server = Server::builder().health().start().await;
    let watched = endpoint(&server.address()).health(Health::Watch);
    let channel = build(channel_to(watched).check_every(Duration::from_secs(3600)));
    channel.open().await.expect("it opens");
    server.restart().await;
    until("the loss is seen", || {
        channel.stats().last_failure.is_some()
    })
    .await;
    within(channel.open()).await.expect("it opens again");
    server
        .reporter
        .set_service_status("", ServingStatus::NotServing)
        .await;
    until("it is degraded", || !channel.is_healthy()).await;
    server
        .reporter
        .set_service_status("", ServingStatus::Serving)
        .await;
    until("it is healthy", || channel.is_healthy()).await;
    ends_well(&channel).await;
}

#[tokio::test]
async fn s16_the_health_of_one_service_is_asked_for_by_its_name() {
    let server = Server::builder().health().start().await;
    let one = || endpoint(&server.address()).health_service("tenure.greeter.Greeter");
    let once = soon_again().max_retries(0);
    let channel = build(channel_to(one()).retry(once).open_retry(once));
    channel
        .open()
        .await
        .expect_err("it does not know the service");
    assert_eq!(channel.serving(), Serving::ServiceUnknown);
    ends_well(&channel).await;
    let reporter = &server.reporter;
    reporter
        .set_service_status("tenure.greeter.Greeter", ServingStatus::Serving)
        .await;
    let channel = build(channel_to(one()).retry(once).open_retry(once));
    channel.open().await.expect("it serves now");
    ends_well(&channel).await;
}

#[tokio::test]
async fn s16_a_server_that_does_not_serve_yet_is_waited_for() {
    let server = Server::builder().health().start().await;
    server
        .reporter
        .set_service_status("", ServingStatus::NotServing)
        .await;
    let greeter = greeter(&server.address());
    let greeting = tokio::spawn({
        let greeter = greeter.clone();
        async move { greet(&greeter).await }
    });
    let stats = || greeter.channel().stats();
    until("it is refused", || stats().connects.refused > 0).await;
    server
        .reporter
        .set_service_status("", ServingStatus::Serving)
        .await;
    assert_eq!(within(greeting).await.expect("it ends"), "Hello you");
    ends_well(greeter.channel()).await;
}

#[tokio::test]
async fn calls_wait_or_fail_while_the_server_says_that_it_does_not_serve() {
    let server = Server::builder().health().start().await;
    let watched = endpoint(&server.address()).health(Health::Watch);
    // So that what it hears of first is the push.
    let channel = build(channel_to(watched).check_every(Duration::from_secs(3_600)));
    let greeter: Greeter = GrpcService::new(&channel, GreeterClient::new);
    channel.open().await.expect("it opens");
    let begin = |mut client: Client| async move { client.say_hellos(named("all")).await };
    let mut stream = within(greeter.call("SayHellos", begin))
        .await
        .expect("a stream")
        .into_inner();
    within(stream.message()).await.expect("it goes on");
    server
        .reporter
        .set_service_status("", ServingStatus::NotServing)
        .await;
    until("it is degraded", || !channel.is_healthy()).await;

    let request = || greeter.request("SayHello");
    let at_once = request().when_down(WhenDown::FailAtOnce);
    let error = within(at_once.unary(named("you"), say_hello)).await;
    let error = error.expect_err("it does not serve");
    assert_eq!(error.code(), Code::Unavailable);
    let cause = error.call_error().downcast_ref::<ChannelError>();
    let expected = matches!(cause, Some(ChannelError::Unhealthy(Serving::NotServing)));
    assert!(expected, "{error:?}");
    let late = request().timeout(Duration::from_millis(50));
    let error = within(late.unary(named("you"), say_hello)).await;
    let error = error.expect_err("it does not serve in time");
    assert!(matches!(error, GrpcError::DeadlineExceeded(_)), "{error:?}");
    let waiting = tokio::spawn({
        let greeter = greeter.clone();
        async move {
            let request = greeter.request("SayHello").when_down(WhenDown::Wait);
            let reply = request.unary(named("you"), say_hello).await;
            reply.expect("a greeting").message
        }
    });
    // So many checks would have a dead connection replaced.
    for _ in 0..5 {
        let checked = within(channel.connection().check()).await;
        checked.expect_err("it does not serve");
    }
    assert_eq!(server.seen().len(), 1, "only the stream was sent");
    assert!(!channel.is_healthy());
    assert_eq!(channel.serving(), Serving::NotServing);
    server
        .reporter
        .set_service_status("", ServingStatus::Serving)
        .await;
    assert_eq!(within(waiting).await.expect("it ends"), "Hello you");
    until("it is healthy", || channel.is_healthy()).await;
    assert_eq!(channel.stats().connects.begun, 1, "it kept its connection");
    drop(stream);
    ends_well(&channel).await;
}

#[tokio::test]
async fn a_check_that_gets_no_stream_does_not_give_the_connection_up() {
    let server = Server::builder().health().max_streams(2).start().await;
    let channel = channel_to(endpoint(&server.address()));
    let channel = channel.check_every(Duration::from_millis(20));
    let short = Duration::from_millis(500);
    let channel = build(channel.connection(|it| it.check_timeout(short).reopen_after(1)));
    let greeter: Greeter = GrpcService::new(&channel, GreeterClient::new);
    server.answers([Answer::Hang; 2]);
    let hanging: Vec<_> = (0..2)
        .map(|_| {
            let greeter = greeter.clone();
            tokio::spawn(async move { greet(&greeter).await })
        })
        .collect();
    until("both hang", || server.under_way() == 2).await;
    for _ in 0..5 {
        within(channel.check()).await.expect("it says nothing");
    }
    assert!(channel.is_healthy());
    assert_eq!(channel.stats().connects.begun, 1);
    for call in hanging {
        call.abort();
    }
    assert_eq!(greet(&greeter).await, "Hello you");
    ends_well(&channel).await;
}
