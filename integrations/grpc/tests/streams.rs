//! Streams, which outlive the call that began them.

use std::time::Duration;

use crate::greeter::HelloRequest;
use crate::rig::*;

#[tokio::test]
async fn s15_streams_come_typed() {
    let server = Server::start().await;
    let greeter = greeter(&server.address());
    let three = HelloRequest {
        name: "all".into(),
        times: 3,
    };
    let begin = |mut client: Client| {
        let three = three.clone();
        async move { client.say_hellos(three).await }
    };
    let mut stream = greeter
        .call("SayHellos", begin)
        .await
        .expect("a stream")
        .into_inner();
    for _ in 0..3 {
        let reply = within(stream.message())
            .await
            .expect("it goes on")
            .expect("another");
        assert_eq!(reply.message, "Hello all");
    }
    drop(stream);
    let both = |mut client: Client| async move {
        client
            .introduce(tokio_stream::iter(["a", "b"].map(named)))
            .await
    };
    let mut stream = greeter
        .call("Introduce", both)
        .await
        .expect("a stream")
        .into_inner();
    let mut told = Vec::new();
    while let Some(reply) = within(stream.message()).await.expect("it goes on") {
        told.push(reply.message);
    }
    assert_eq!(told, ["Hello a", "Hello b"]);
    drop(stream);
    ends_well(greeter.channel()).await;
}

#[tokio::test]
async fn s15_a_stream_that_breaks_tells_its_reader_and_the_channel_reconnects() {
    let mut server = Server::start().await;
    let greeter = greeter(&server.address());
    let begin = |mut client: Client| async move { client.say_hellos(named("all")).await };
    let mut stream = greeter
        .call("SayHellos", begin)
        .await
        .expect("a stream")
        .into_inner();
    assert!(
        within(stream.message())
            .await
            .expect("it goes on")
            .is_some()
    );
    server.restart().await;
    assert!(within(stream.message()).await.is_err(), "it broke");
    until("the loss is seen", || !greeter.channel().is_healthy()).await;
    assert_eq!(greet(&greeter).await, "Hello you");
    assert_eq!(greeter.channel().stats().connects.reconnects, 1);
    ends_well(greeter.channel()).await;
}

#[tokio::test]
async fn s15_a_reconnect_lets_streams_on_the_old_connection_finish() {
    let server = Server::start().await;
    let greeter = greeter(&server.address());
    let (sender, receiver) = tokio::sync::mpsc::channel::<HelloRequest>(1);
    let receiver = std::sync::Mutex::new(Some(receiver));
    let begin = |mut client: Client| {
        let requests = receiver
            .lock()
            .expect("a lock")
            .take()
            .expect("one attempt");
        let requests = tokio_stream::wrappers::ReceiverStream::new(requests);
        async move { client.introduce(requests).await }
    };
    let mut stream = greeter
        .call("Introduce", begin)
        .await
        .expect("a stream")
        .into_inner();
    greeter
        .channel()
        .connection()
        .reconnect()
        .await
        .expect("another");
    sender.send(named("old")).await.expect("it is taken");
    let reply = within(stream.message())
        .await
        .expect("it goes on")
        .expect("an answer");
    assert_eq!(reply.message, "Hello old");
    drop(sender);
    assert!(within(stream.message()).await.expect("it ends").is_none());
    ends_well(greeter.channel()).await;
}

#[tokio::test]
async fn s15_a_stream_nobody_ends_is_cut_by_the_close() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.port()).await;
    let builder = channel_to(endpoint(&proxy.address()));
    let channel =
        build(builder.connection(|connection| connection.close_timeout(Duration::from_millis(50))));
    let greeter =
        tenure_grpc::GrpcService::new(&channel, crate::greeter::greeter_client::GreeterClient::new);
    let begin = |mut client: Client| async move { client.say_hellos(named("all")).await };
    let mut stream = greeter
        .call("SayHellos", begin)
        .await
        .expect("a stream")
        .into_inner();
    assert!(
        within(stream.message())
            .await
            .expect("it goes on")
            .is_some()
    );
    let report = within(channel.shutdown(Duration::from_secs(30))).await;
    assert_eq!(report.close_timed_out, 1, "{report}");
    assert!(within(stream.message()).await.is_err(), "it is cut");
    until("nothing is open", || proxy.open() == 0).await;
}
