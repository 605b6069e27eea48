//! A channel, and its connection, as members of a group; and that the one is as good as the other.

use std::time::Duration;

use tenure_core::Group;
use tenure_core::group::Member;
use tenure_tokio::Tokio;
use tonic::Streaming;

use crate::greeter::HelloReply;
use crate::rig::*;

/// A stream that nobody ends, on a connection that was replaced since.
async fn replaced_under_a_stream(greeter: &Greeter) -> Streaming<HelloReply> {
    let begin = |mut client: Client| async move { client.say_hellos(named("all")).await };
    let stream = within(greeter.call("SayHellos", begin)).await;
    let mut stream = stream.expect("a stream").into_inner();
    let first = within(stream.message()).await.expect("it goes on");
    assert_eq!(first.expect("a greeting").message, "Hello all");
    let connection = greeter.channel().connection();
    within(connection.reconnect()).await.expect("another");
    stream
}

#[tokio::test]
async fn s15_a_group_that_stops_cuts_what_lingers_on_replaced_connections() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.port()).await;
    for is_channel in [true, false] {
        for is_down in [true, false] {
            let greeter = greeter(&proxy.address());
            let mut stream = replaced_under_a_stream(&greeter).await;
            let channel = greeter.channel().clone();
            let member: Member = if is_channel {
                channel.clone().into()
            } else {
                channel.connection().clone().into()
            };
            let group = Group::builder("service").add("greeter", member);
            let group = group.build(Tokio::current()).expect("a graph");
            within(group.start()).await.expect("it is up already");
            assert_eq!(proxy.open(), 2, "both are there");
            if is_down {
                // Then there is no connection to close.
                proxy.does(Fault::Reset);
                within(greet_once(&greeter)).await;
                until("it is lost", || !channel.connection().is_usable()).await;
            }
            let report = within(group.shutdown(Duration::from_secs(30))).await;
            assert!(report.is_clean(), "{report}");
            within(stream.message()).await.expect_err("it is cut");
            until("nothing is open", || proxy.open() == 0).await;
            proxy.does(Fault::None);
        }
    }
}

async fn greet_once(greeter: &Greeter) {
    let request = greeter.request("SayHello");
    let request = request.timeout(Duration::from_millis(50));
    let _ = request.unary(named("you"), say_hello).await;
}

#[tokio::test]
async fn s15_a_connection_that_outlives_its_channel_is_looked_after() {
    let mut server = Server::start().await;
    let greeter = greeter(&server.address());
    let mut stream = replaced_under_a_stream(&greeter).await;
    let connection = greeter.channel().connection().clone();
    drop(greeter);
    // What lingers is not cut while somebody holds on to it.
    within(connection.reconnect()).await.expect("another");
    let reads = tokio::time::timeout(Duration::from_millis(30), stream.message());
    assert!(reads.await.is_err(), "there is no more, and no end");
    server.kill().await;
    until("the loss is seen without a call", || {
        !connection.is_usable()
    })
    .await;
    server.restart().await;
    within(connection.open()).await.expect("it opens again");
    let report = within(connection.shutdown(Duration::from_secs(30))).await;
    assert!(report.is_clean(), "{report}");
    assert!(connection.audit().is_balanced());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s15_a_connection_that_is_lost_as_it_opens_is_seen_without_a_call() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.port()).await;
    for _ in 0..50 {
        proxy.does(Fault::HangUpAfterAnswer);
        let channel = build(channel_to(endpoint(&proxy.address())).check_every(None));
        let _ = within(channel.open()).await;
        until("the loss is seen", || channel.stats().connects.begun > 1).await;
        proxy.does(Fault::None);
        ends_well(&channel).await;
    }
}
