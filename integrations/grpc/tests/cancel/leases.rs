//! Pools, and scopes.

use std::time::Duration;

use tenure_core::{BoxError, Opened, with_resource};
use tenure_grpc::{GrpcClients, GrpcPool, GrpcTransport};
use tenure_tokio::Tokio;

use super::*;

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn s15_every_use_of_a_pool_or_a_scope_dropped_everywhere_leaves_nothing_behind() {
    type Clients = GrpcPool<Client>;
    let scene = Scene::new(Health::Check).await;
    let pool = async || -> Clients {
        let clients = GrpcClients::new(scene.endpoint(), GreeterClient::new);
        let pool = clients.pool().max_size(1).build(Tokio::current());
        pool.expect("it makes sense")
    };
    let warm = async || -> Clients {
        let pool = pool().await;
        drop(pool.acquire().await.expect("a client"));
        pool
    };
    let acquire = async |pool: &Clients| {
        let mut client = pool.acquire().await.expect("a client");
        let reply = client.say_hello(named("you")).await;
        assert_eq!(reply.expect("a greeting").into_inner().message, "Hello you");
    };
    let end = async |pool: &Clients| drop(pool.shutdown(PATIENCE).await);
    let serves = async |pool: Clients, _| {
        acquire(&pool).await;
        let report = pool.shutdown(PATIENCE).await;
        assert!(report.is_clean(), "{report}");
        assert!(pool.audit().is_balanced() && pool.audit().live() == 0);
    };
    let ends = async |pool: Clients, _| {
        let report = pool.shutdown(PATIENCE).await;
        assert!(report.is_clean(), "{report}");
        assert!(pool.audit().is_balanced() && pool.audit().live() == 0);
    };
    let mut drops = 0;
    drops += scene
        .drops_everywhere("a first lease", pool, acquire, serves)
        .await;
    drops += scene
        .drops_everywhere("a lease", warm, acquire, serves)
        .await;
    drops += scene
        .drops_everywhere("a pool's shutdown", warm, end, ends)
        .await;
    let scoped = async |(): &()| {
        let body = async move |transport: Opened<GrpcEndpoint, Tokio>| {
            let mut client = GreeterClient::new(GrpcTransport::clone(&transport));
            Ok::<_, BoxError>(client.say_hello(named("you")).await?)
        };
        let greeted = with_resource(&Tokio::current(), scene.endpoint(), body).await;
        greeted.expect("a greeting");
    };
    drops += scene
        .drops_everywhere("a scope", async || (), scoped, async |(), _| ())
        .await;
    println!("{drops} drops of pools and scopes");
    assert!(drops >= 48, "{drops} drops");
}
