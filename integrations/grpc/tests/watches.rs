//! Health services that push as they like, or not at all.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tenure_grpc::{GrpcChannel, Health, Serving};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{self, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::rig::*;

type Push = Result<HealthCheckResponse, Status>;

fn says(serves: bool) -> HealthCheckResponse {
    let status = if serves {
        ServingStatus::Serving
    } else {
        ServingStatus::NotServing
    };
    HealthCheckResponse {
        status: status.into(),
    }
}

/// Answers that it serves or not, and pushes what the test does, to the first who watches.
#[derive(Clone, Default)]
struct Fickle {
    serves: Arc<AtomicBool>,
    pushes: Arc<Mutex<Option<mpsc::Receiver<Push>>>>,
}

#[tonic::async_trait]
impl health_server::Health for Fickle {
    async fn check(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        Ok(Response::new(says(self.serves.load(Ordering::SeqCst))))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Push> + Send>>;

    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let pushes = self.pushes.lock().expect("a lock").take();
        let pushes = pushes.ok_or_else(|| Status::unimplemented("no more"))?;
        Ok(Response::new(Box::pin(ReceiverStream::new(pushes))))
    }
}

impl Fickle {
    /// A channel to it, which it was well for when it was opened.
    async fn watched(&self) -> GrpcChannel {
        self.serves.store(true, Ordering::SeqCst);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let health = HealthServer::new(self.clone());
        let router = tonic::transport::Server::builder().add_service(health);
        let incoming = TcpListenerStream::new(listener);
        tokio::spawn(router.serve_with_incoming(incoming));
        let endpoint = endpoint(&address).health(Health::Watch);
        let builder = channel_to(endpoint).check_every(Duration::from_secs(3600));
        let channel = build(builder.connection(|connection| connection.reopen_after(None)));
        within(channel.open()).await.expect("it opens");
        channel
    }
}

#[tokio::test]
async fn s16_what_was_pushed_counts_no_more_once_nobody_pushes() {
    let fickle = Fickle::default();
    let (pushes, pushed) = mpsc::channel(1);
    *fickle.pushes.lock().expect("a lock") = Some(pushed);
    let channel = fickle.watched().await;
    pushes.send(Ok(says(false))).await.expect("it is watched");
    until("it is degraded", || !channel.is_healthy()).await;
    // The answer is older than the push, for all that anybody knows.
    within(channel.check()).await.expect_err("it was pushed");
    assert_eq!(channel.serving(), Serving::NotServing);
    drop(pushes);
    let well = async {
        while channel.check().await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    within(well).await;
    assert!(channel.is_healthy());
    assert_eq!(channel.serving(), Serving::Serving);
    ends_well(&channel).await;
}

#[tokio::test]
async fn s16_a_server_without_a_watch_is_asked_each_time() {
    let fickle = Fickle::default();
    let channel = fickle.watched().await;
    for _ in 0..3 {
        fickle.serves.store(false, Ordering::SeqCst);
        within(channel.check()).await.expect_err("it says so");
        assert!(!channel.is_healthy());
        assert_eq!(channel.serving(), Serving::NotServing);
        fickle.serves.store(true, Ordering::SeqCst);
        within(channel.check()).await.expect("it is back");
        assert!(channel.is_healthy());
    }
    assert_eq!(channel.stats().connects.begun, 1);
    ends_well(&channel).await;
}
