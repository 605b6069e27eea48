//! What a status of the server's own says of its connection: nothing, but a check may be due.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tenure_grpc::{GrpcChannel, GrpcEndpoint, GrpcService, GrpcTransport, Health};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{self, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::rig::*;

/// Answers UNAVAILABLE for one service, since what lies behind it is down, and to checks as it is told.
#[derive(Clone, Default)]
struct Upstream {
    fails_checks: Arc<AtomicBool>,
    checks: Arc<AtomicUsize>,
}

#[tonic::async_trait]
impl health_server::Health for Upstream {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        match request.get_ref().service.as_str() {
            "down" => return Err(Status::unavailable("upstream is down")),
            "" => {
                self.checks.fetch_add(1, Ordering::SeqCst);
                if self.fails_checks.load(Ordering::SeqCst) {
                    return Err(Status::internal("out of order"));
                }
            }
            _ => {}
        }
        let status = ServingStatus::Serving.into();
        Ok(Response::new(HealthCheckResponse { status }))
    }

    type WatchStream =
        Pin<Box<dyn tokio_stream::Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("there is none"))
    }
}

type Asking = GrpcService<HealthClient<GrpcTransport>>;

async fn endpoint_of(upstream: &Upstream) -> GrpcEndpoint {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let router =
        tonic::transport::Server::builder().add_service(HealthServer::new(upstream.clone()));
    tokio::spawn(router.serve_with_incoming(TcpListenerStream::new(listener)));
    endpoint(&address)
}

fn asking(endpoint: GrpcEndpoint) -> (GrpcChannel, Asking) {
    let channel = build(channel_to(endpoint).check_every(Duration::from_secs(3600)));
    let asking = GrpcService::new(&channel, HealthClient::new);
    (channel, asking)
}

async fn ask(
    asking: &Asking,
    service: &str,
) -> Result<HealthCheckResponse, tenure_grpc::GrpcError> {
    let request = HealthCheckRequest {
        service: service.into(),
    };
    let call = asking.request("Check").max_retries(0);
    let method = |mut client: HealthClient<_>, request| async move { client.check(request).await };
    within(call.unary(request, method)).await
}

#[tokio::test]
async fn a_status_of_the_servers_own_disturbs_no_other_method() {
    for how in [Health::Off, Health::Check] {
        let (channel, asking) = asking(endpoint_of(&Upstream::default()).await.health(how));
        for _ in 0..50 {
            ask(&asking, "down").await.expect_err("it is down");
            ask(&asking, "up").await.expect("it is up");
            assert!(channel.is_healthy());
        }
        let stats = channel.stats();
        assert_eq!((stats.connects.begun, stats.connects.reconnects), (1, 0));
        ends_well(&channel).await;
    }
}

#[tokio::test]
async fn such_a_status_brings_a_check_forward_at_most_once_a_second() {
    let upstream = Upstream::default();
    let (channel, asking) = asking(endpoint_of(&upstream).await);
    channel.open().await.expect("it opens");
    let (begun, proof) = (Instant::now(), 1);
    let checks = || upstream.checks.load(Ordering::SeqCst) - proof;
    ask(&asking, "down").await.expect_err("it is down");
    until("it is checked", || checks() == 1).await;
    while checks() < 2 {
        ask(&asking, "down").await.expect_err("it is down");
    }
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!(channel.stats().connects.begun, 1);
    ends_well(&channel).await;
}

#[tokio::test]
async fn the_channel_reconnects_if_the_checks_fail_that_were_brought_forward() {
    let upstream = Upstream::default();
    let channel = channel_to(endpoint_of(&upstream).await);
    let channel = channel.check_every(Duration::from_secs(3600));
    let channel = build(channel.connection(|connection| connection.reopen_after(1)));
    let asking: Asking = GrpcService::new(&channel, HealthClient::new);
    channel.open().await.expect("it opens");
    upstream.fails_checks.store(true, Ordering::SeqCst);
    ask(&asking, "down").await.expect_err("it is down");
    until("it is given up", || channel.stats().connects.begun > 1).await;
    ends_well(&channel).await;
}

#[tokio::test]
async fn a_hook_takes_a_status_for_one_of_the_connection() {
    let endpoint = endpoint_of(&Upstream::default()).await;
    let hook = |status: &Status| status.message().contains("upstream");
    let (channel, asking) = asking(endpoint.reconnect_on(hook));
    ask(&asking, "down").await.expect_err("it is down");
    ask(&asking, "up").await.expect("it is up");
    assert_eq!(channel.stats().connects.reconnects, 1);
    ends_well(&channel).await;
}
