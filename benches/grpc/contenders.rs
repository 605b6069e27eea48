//! Who makes the calls.

use std::future::Future;
use std::time::Duration;

use tenure_grpc::{GrpcChannel, GrpcEndpoint, GrpcService, GrpcTransport};
use tenure_tokio::Tokio;
use tonic::Request;
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

const TIMEOUT: Duration = Duration::from_secs(10);
const HEADER: &str = "x-request-id";

pub(crate) trait Caller: Send + Sync + 'static {
    /// A call with a timeout and metadata.
    fn call(&self) -> impl Future<Output = ()> + Send;
}

/// tonic's client as it is.
pub(crate) struct Bare {
    client: HealthClient<Channel>,
}

impl Bare {
    pub(crate) async fn connect(address: &str) -> Self {
        let endpoint = Endpoint::from_shared(address.to_owned()).expect("an address");
        let channel = endpoint.connect().await.expect("a server");
        Self {
            client: HealthClient::new(channel),
        }
    }
}

impl Caller for Bare {
    async fn call(&self) {
        let mut request = Request::new(HealthCheckRequest::default());
        request.set_timeout(TIMEOUT);
        request
            .metadata_mut()
            .insert(HEADER, AsciiMetadataValue::from_static("7"));
        let answer = self.client.clone().check(request).await;
        answer.expect("it answers").into_inner();
    }
}

/// The same client, held by Tenure.
pub(crate) struct Held {
    service: GrpcService<HealthClient<GrpcTransport>>,
}

impl Held {
    pub(crate) async fn connect(address: &str) -> Self {
        let endpoint = GrpcEndpoint::new(address).expect("an address");
        let channel = GrpcChannel::builder(endpoint)
            .build(Tokio::current())
            .expect("the defaults are valid");
        channel.open().await.expect("a server");
        Self {
            service: GrpcService::new(&channel, HealthClient::new),
        }
    }

    pub(crate) async fn close(&self) {
        let report = self.service.channel().shutdown(TIMEOUT).await;
        assert!(report.is_clean(), "{report}");
    }
}

impl Caller for Held {
    async fn call(&self) {
        let mut metadata = MetadataMap::new();
        metadata.insert(HEADER, AsciiMetadataValue::from_static("7"));
        let request = self.service.request("check").timeout(TIMEOUT);
        let answer = request
            .metadata(metadata)
            .unary(
                HealthCheckRequest::default(),
                |mut client, request| async move { client.check(request).await },
            )
            .await;
        answer.expect("it answers");
    }
}
