//! Who is there: each peer tells of itself, and asks those that nobody has asked yet.

use std::sync::Arc;

use crate::handle::Handle;
use crate::proto::{
    Connections, DeviceCapabilities, DeviceFlops, PeerConnection, Topology, TopologyRequest,
};
use crate::ring::PEERS;

pub(crate) async fn collect(
    id: &str,
    neighbours: &[Arc<Handle>],
    request: TopologyRequest,
) -> Topology {
    let mut topology = of_one(id, neighbours);
    let TopologyRequest {
        mut visited,
        max_depth,
    } = request;
    let Some(max_depth) = max_depth.checked_sub(1) else {
        return topology;
    };
    visited.push(id.to_owned());
    let is_new = |neighbour: &&Arc<Handle>| !visited.contains(&neighbour.id);
    let asked: Vec<_> = neighbours.iter().filter(is_new).collect();
    visited.extend(asked.iter().map(|neighbour| neighbour.id.clone()));
    for neighbour in asked {
        let visited = visited.clone();
        let request = TopologyRequest { visited, max_depth };
        // Whoever is away is not in it.
        if let Ok(theirs) = neighbour.collect_topology(request).await {
            topology.nodes.extend(theirs.nodes);
            topology.peer_graph.extend(theirs.peer_graph);
        }
    }
    topology
}

fn of_one(id: &str, neighbours: &[Arc<Handle>]) -> Topology {
    let to = neighbours.iter().map(|neighbour| PeerConnection {
        peer: neighbour.id.clone(),
        description: neighbour.description.to_owned(),
    });
    let connections = Connections { to: to.collect() };
    Topology {
        nodes: [(id.to_owned(), capabilities())].into(),
        peer_graph: [(id.to_owned(), connections)].into(),
    }
}

/// Of a device that there is not. A real one would be asked.
fn capabilities() -> DeviceCapabilities {
    DeviceCapabilities {
        model: "a process on loopback".to_owned(),
        chip: std::env::consts::ARCH.to_owned(),
        memory_mebibytes: 4096,
        flops: Some(DeviceFlops {
            fp32: 1.0,
            fp16: 2.0,
            int8: 4.0,
        }),
    }
}

impl TopologyRequest {
    /// Nobody is asked yet, and nobody is too far.
    pub(crate) const fn of_all() -> Self {
        Self {
            visited: Vec::new(),
            max_depth: PEERS,
        }
    }
}

impl Topology {
    /// Whether every peer is in it, with its two neighbours.
    pub(crate) fn is_complete(&self) -> bool {
        let all = PEERS as usize;
        self.nodes.len() == all
            && self.peer_graph.len() == all
            && self.peer_graph.values().all(|of| of.to.len() == 2)
    }

    /// A line for each peer.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        let mut nodes: Vec<_> = self.nodes.iter().collect();
        nodes.sort_by_key(|(id, _)| *id);
        nodes.into_iter().map(|(id, of)| {
            let flops = of.flops.unwrap_or_default();
            let to = self.peer_graph.get(id).map_or(&[][..], |of| &of.to);
            let to = to
                .iter()
                .map(|to| format!("{} is {}", to.peer, to.description));
            let to: Vec<_> = to.collect();
            format!(
                "{id}: {}, {}, {} MiB, {} TFLOPS at fp16; {}",
                of.model,
                of.chip,
                of.memory_mebibytes,
                flops.fp16,
                to.join(", "),
            )
        })
    }
}
