//! The server's side of a peer.

use std::sync::Arc;

use tenure_core::BoxError;
use tokio_stream::wrappers::WatchStream;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

use crate::proto::peer_server::Peer;
use crate::proto::tensor_part::Part;
use crate::proto::{
    Health, HealthRequest, Prompt, PromptReply, ResultReply, TensorPart, TensorReply, TokenResult,
    Topology, TopologyRequest,
};
use crate::rounds::{Rounds, root};
use crate::tensor::{Computing, DTYPE};
use crate::topology;

/// If whoever asked goes away, tonic drops the answer that is being worked on, and with it what that asks of others.
#[derive(Clone)]
pub(crate) struct Node(pub(crate) Arc<Rounds>);

#[tonic::async_trait]
impl Peer for Node {
    async fn send_prompt(&self, request: Request<Prompt>) -> Result<Response<PromptReply>, Status> {
        let prompt = request.into_inner();
        let is_from_outside = prompt.origin.is_empty();
        let tokens = if is_from_outside {
            self.0.answer(prompt).await
        } else {
            self.0.bring(prompt).await.map(|()| Vec::new())
        };
        let tokens = tokens.map_err(|error| self.failed(&error))?;
        Ok(Response::new(PromptReply { tokens }))
    }

    async fn send_tensor(
        &self,
        request: Request<Streaming<TensorPart>>,
    ) -> Result<Response<TensorReply>, Status> {
        let _under_way = self.0.neighbours.pulse.clone().tensor_begins();
        let mut parts = request.into_inner();
        let Some(Part::Head(head)) = part(&mut parts).await? else {
            return Err(Status::invalid_argument("a tensor begins with its head"));
        };
        if head.dtype != DTYPE || head.shard.as_ref() != Some(&self.0.shard) {
            return Err(Status::invalid_argument("this is for another peer"));
        }
        let mut computing = Computing::new(self.0.shard.layers(), head.shape.clone());
        while let Some(part) = part(&mut parts).await? {
            let Part::Chunk(chunk) = part else {
                return Err(Status::invalid_argument("a tensor has one head"));
            };
            computing.take(&chunk).map_err(Status::invalid_argument)?;
        }
        let (tensor, checksum) = computing.finish().map_err(Status::invalid_argument)?;
        let passed_on = self.0.pass_on(head, tensor).await;
        passed_on.map_err(|error| self.failed(&error))?;
        Ok(Response::new(TensorReply { checksum }))
    }

    async fn send_result(
        &self,
        request: Request<TokenResult>,
    ) -> Result<Response<ResultReply>, Status> {
        let delivered = self.0.deliver(request.into_inner()).await;
        let is_new = delivered.map_err(|error| self.failed(&error))?;
        Ok(Response::new(ResultReply { is_new }))
    }

    async fn collect_topology(
        &self,
        request: Request<TopologyRequest>,
    ) -> Result<Response<Topology>, Status> {
        let Rounds { id, neighbours, .. } = &*self.0;
        let topology = topology::collect(id, neighbours.handles(), request.into_inner());
        Ok(Response::new(topology.await))
    }

    async fn health_check(&self, _: Request<HealthRequest>) -> Result<Response<Health>, Status> {
        // By `grpc.health.v1`, each in its own time.
        let health = self.0.neighbours.group.health().await;
        Ok(Response::new(Health {
            is_healthy: health.is_healthy(),
            ..self.0.neighbours.health()
        }))
    }

    type WatchStream = Box<dyn Stream<Item = Result<Health, Status>> + Send + Unpin>;

    async fn watch(
        &self,
        _: Request<HealthRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let neighbours = self.0.neighbours.clone();
        let beats = WatchStream::new(neighbours.pulse.beats());
        let stream = beats.map(move |_| Ok(neighbours.health()));
        Ok(Response::new(Box::new(stream)))
    }
}

impl Node {
    /// ABORTED, and not UNAVAILABLE: that would say that this peer is not there, and have whoever asked connect anew.
    fn failed(&self, error: &BoxError) -> Status {
        Status::aborted(format!("{}: {}", self.0.id, root(error)))
    }
}

async fn part(parts: &mut Streaming<TensorPart>) -> Result<Option<Part>, Status> {
    Ok(parts.message().await?.and_then(|part| part.part))
}
