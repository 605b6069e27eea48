//! A peer as the others see it: what it can be asked, and what of that may be asked twice.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tenure_core::connection::{ConnectionStats, WhenDown};
use tenure_core::{Backoff, BoxError, EventSink, Retry, State};
use tenure_grpc::{GrpcChannel, GrpcEndpoint, GrpcError, GrpcService, GrpcTransport, Health};
use tenure_tokio::Tokio;
use tokio_stream::iter;
use tonic::{Response, Streaming};

use crate::PATIENCE;
use crate::proto;
use crate::proto::peer_client::PeerClient;
use crate::proto::tensor_part::Part;
use crate::proto::{
    HealthRequest, Link, Prompt, PromptReply, ResultReply, TensorHead, TensorPart, TokenResult,
    Topology, TopologyRequest,
};
use crate::tensor::Tensor;

/// Of calls and of attempts to connect. Whoever asks says how long all of it may take, so there is no other end to
/// it. The times are short because the story is.
pub(crate) const POLICY: Retry =
    Retry::new(Backoff::exponential(Duration::from_millis(50)).cap(Duration::from_millis(250)))
        .max_retries(1_000);

/// What is said of a channel that was connected, and is not.
pub(crate) const RECONNECTING: &str = "reconnecting";

pub(crate) struct Handle {
    pub(crate) id: String,
    /// How one gets there.
    pub(crate) description: &'static str,
    pub(crate) channel: GrpcChannel,
    peer: GrpcService<PeerClient<GrpcTransport>>,
}

impl Handle {
    /// Nothing is connected yet.
    pub(crate) fn new(
        id: &str,
        address: SocketAddr,
        description: &'static str,
        events: Arc<dyn EventSink>,
    ) -> Result<Self, BoxError> {
        // A peer that says that it does not serve is degraded at once, not at the next check.
        let endpoint = GrpcEndpoint::new(format!("http://{address}"))?.health(Health::Watch);
        let channel = GrpcChannel::builder(endpoint)
            .name(id)
            .retry(POLICY)
            .events(events)
            .build(Tokio::current())?;
        Ok(Self {
            id: id.to_owned(),
            description,
            peer: GrpcService::new(&channel, PeerClient::new),
            channel,
        })
    }

    /// Idempotent: a token is known by its request and its position, and what is known is not computed again. So if
    /// the connection breaks, the same prompt goes to whoever answers there next.
    pub(crate) async fn send_prompt(&self, prompt: Prompt) -> Result<PromptReply, GrpcError> {
        let request = self.peer.request("SendPrompt").timeout(PATIENCE);
        request
            .idempotent()
            .unary(prompt, |mut peer, prompt| async move {
                peer.send_prompt(prompt).await
            })
            .await
    }

    /// Not idempotent: whoever has got a tensor has set all layers after it to work, and again for each time that it
    /// comes. What no peer has seen is sent again all the same. If more went wrong, that is for the origin to know,
    /// which asks once for the whole.
    pub(crate) async fn send_tensor(
        &self,
        head: TensorHead,
        tensor: Tensor,
    ) -> Result<(), BoxError> {
        let checksum = tensor.checksum();
        let request = self.peer.request("SendTensor").timeout(PATIENCE);
        // A stream is used up by the attempt that sends it, so each has its own.
        let reply = request
            .run(|mut peer| {
                let parts = iter(parts(head.clone(), tensor.clone()));
                async move { peer.send_tensor(parts).await }
            })
            .await?;
        if reply.into_inner().checksum != checksum {
            return Err(format!("{} has received another tensor", self.id).into());
        }
        Ok(())
    }

    /// Idempotent, for the same reason as a prompt.
    pub(crate) async fn send_result(&self, result: TokenResult) -> Result<ResultReply, GrpcError> {
        let request = self.peer.request("SendResult").timeout(PATIENCE);
        request
            .idempotent()
            .unary(result, |mut peer, result| async move {
                peer.send_result(result).await
            })
            .await
    }

    /// Idempotent, for it only reads. It is about now: a peer that is away is not waited for.
    pub(crate) async fn collect_topology(
        &self,
        request: TopologyRequest,
    ) -> Result<Topology, GrpcError> {
        let call = self.peer.request("CollectTopology").timeout(PATIENCE);
        call.idempotent()
            .when_down(WhenDown::FailAtOnce)
            .unary(request, |mut peer, request| async move {
                peer.collect_topology(request).await
            })
            .await
    }

    /// As the topology.
    pub(crate) async fn health_check(&self) -> Result<proto::Health, GrpcError> {
        let request = self.peer.request("HealthCheck").timeout(PATIENCE);
        request
            .idempotent()
            .when_down(WhenDown::FailAtOnce)
            .unary(HealthRequest {}, |mut peer, request| async move {
                peer.health_check(request).await
            })
            .await
    }

    /// How the peer is, as soon as it is there, and whenever that changes. It breaks with the connection.
    pub(crate) async fn watch(&self) -> Result<Streaming<proto::Health>, GrpcError> {
        let request = self.peer.request("Watch").when_down(WhenDown::Wait);
        request
            .idempotent()
            .run(|mut peer| async move { peer.watch(HealthRequest {}).await })
            .await
            .map(Response::into_inner)
    }

    pub(crate) fn link(&self) -> Link {
        let ConnectionStats { connects, .. } = &self.stats();
        let state = match self.channel.connection().state() {
            State::Initializing | State::Error if connects.succeeded > 0 => RECONNECTING.into(),
            State::Uninitialized | State::Initializing | State::Error => "connecting".into(),
            state => state.to_string(),
        };
        Link {
            peer: self.id.clone(),
            state,
            refused: connects.refused,
            reconnects: connects.reconnects,
            is_balanced: self.stats().is_balanced(),
        }
    }

    pub(crate) fn stats(&self) -> ConnectionStats {
        self.channel.stats()
    }
}

fn parts(head: TensorHead, tensor: Tensor) -> impl Iterator<Item = TensorPart> + Send + 'static {
    let chunks = tensor.into_chunks().map(Part::Chunk);
    let parts = std::iter::once(Part::Head(head)).chain(chunks);
    parts.map(|part| TensorPart { part: Some(part) })
}
