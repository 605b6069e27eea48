//! Scopes and pools, and that nothing stays open.

use std::time::Duration;

use tenure_core::{BoxError, scope, with_resource};
use tenure_grpc::{GrpcClients, GrpcPool, GrpcTransport};
use tenure_tokio::Tokio;

use crate::greeter::greeter_client::GreeterClient;
use crate::rig::*;

async fn greet_by(transport: &GrpcTransport) -> Result<String, BoxError> {
    let mut client = GreeterClient::new(transport.clone());
    Ok(client.say_hello(named("you")).await?.into_inner().message)
}

#[tokio::test]
async fn s15_a_scope_closes_its_channel_on_every_way_out() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.port()).await;
    let open = |fails: bool| {
        let endpoint = endpoint(&proxy.address());
        with_resource(&Tokio::current(), endpoint, async move |transport| {
            let greeting = greet_by(&transport).await?;
            if fails {
                return Err(BoxError::from("no"));
            }
            Ok(greeting)
        })
    };
    let greeting = within(open(false)).await.expect("a greeting");
    assert_eq!(greeting, "Hello you");
    until("it is closed after a success", || proxy.open() == 0).await;
    within(open(true)).await.expect_err("it fails");
    until("it is closed after an error", || proxy.open() == 0).await;

    let endpoint = endpoint(&proxy.address());
    let panics = tokio::spawn(scope(&Tokio::current(), async move |scope| {
        let transport = scope.open(endpoint).await?;
        greet_by(&transport).await?;
        if true {
            panic!("a bug");
        }
        Ok::<_, BoxError>(())
    }));
    assert!(within(panics).await.expect_err("it panics").is_panic());
    until("it is closed after a panic", || proxy.open() == 0).await;
    assert_eq!(proxy.accepted(), 3);
}

#[tokio::test]
async fn s15_a_scope_that_is_dropped_closes_its_channel() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.port()).await;
    let endpoint = endpoint(&proxy.address());
    let held = scope(&Tokio::current(), async move |scope| {
        let transport = scope.open(endpoint).await?;
        greet_by(&transport).await?;
        std::future::pending::<()>().await;
        Ok::<_, BoxError>(())
    });
    let held = tokio::spawn(held);
    until("it greets", || server.seen().len() == 1).await;
    held.abort();
    until("it is closed", || proxy.open() == 0).await;
}

#[tokio::test]
async fn s15_a_channel_closes_with_its_last_handle() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.port()).await;
    let greeter = greeter(&proxy.address());
    assert_eq!(greet(&greeter).await, "Hello you");
    assert_eq!(proxy.open(), 1);
    drop(greeter);
    until("it is closed", || proxy.open() == 0).await;
}

#[tokio::test]
async fn s15_a_pool_lends_clients_and_closes_them() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.port()).await;
    let clients = GrpcClients::new(endpoint(&proxy.address()), GreeterClient::new);
    let pool: GrpcPool<Client> = clients
        .pool()
        .max_size(2)
        .build(Tokio::current())
        .expect("valid");
    let mut both = vec![
        within(pool.acquire()).await.expect("one"),
        within(pool.acquire()).await.expect("another"),
    ];
    for client in &mut both {
        let reply = client.say_hello(named("you")).await.expect("a greeting");
        assert_eq!(reply.into_inner().message, "Hello you");
    }
    assert_eq!(proxy.open(), 2);
    drop(both);
    let report = within(pool.shutdown(Duration::from_secs(30))).await;
    assert!(report.is_clean(), "{report}");
    assert!(pool.audit().is_balanced());
    until("all are closed", || proxy.open() == 0).await;
}

#[tokio::test]
async fn s15_a_pool_replaces_a_client_whose_connection_is_lost() {
    let mut server = Server::start().await;
    let clients = GrpcClients::new(endpoint(&server.address()), GreeterClient::new);
    let pool = clients
        .pool()
        .max_size(1)
        .build(Tokio::current())
        .expect("valid");
    let mut client = within(pool.acquire()).await.expect("one");
    client.say_hello(named("you")).await.expect("a greeting");
    server.restart().await;
    client
        .say_hello(named("you"))
        .await
        .expect_err("it is lost, and does not reconnect by itself");
    drop(client);
    let mut client = within(pool.acquire()).await.expect("another");
    client.say_hello(named("you")).await.expect("a greeting");
    drop(client);
    within(pool.shutdown(Duration::from_secs(30))).await;
}
