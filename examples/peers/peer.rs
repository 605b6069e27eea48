//! The life of a peer: a process that the observer has started, and that ends when its standard input does. So it ends
//! with the observer, however that ends.

use std::fmt::Display;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use tenure_core::{BoxError, Group};
use tenure_tokio::Tokio;
use tokio::sync::mpsc;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::STOP_WITHIN;
use crate::answers::Answers;
use crate::command::Command;
use crate::handle::Handle;
use crate::neighbours::Neighbours;
use crate::node::Node;
use crate::proto::Shard;
use crate::proto::peer_server::PeerServer;
use crate::ring;
use crate::ring::id_of;
use crate::rounds::Rounds;
use crate::server::{self, Server, WINDOW};

pub(crate) async fn live(number: u32, port: Option<u16>) -> Result<(), BoxError> {
    let commands = commands();
    let (peer, address) = Peer::begin(number, port).await?;
    say(address);
    let obeyed = peer.obey(commands).await;
    let stopped = peer.stop().await;
    obeyed?;
    stopped
}

pub(crate) struct Peer {
    number: u32,
    health: HealthReporter,
    rounds: Arc<Rounds>,
}

impl Peer {
    /// One that serves at this port, or at any, and knows nobody yet.
    pub(crate) async fn begin(
        number: u32,
        port: Option<u16>,
    ) -> Result<(Self, SocketAddr), BoxError> {
        let id = id_of(number);
        let group = Group::builder(&id).build(Tokio::current())?;
        let peer = Self {
            number,
            health: HealthReporter::new(),
            rounds: Arc::new(Rounds {
                shard: Shard::of_peer(number),
                neighbours: Arc::new(Neighbours::of(group.clone())),
                answers: Answers::default(),
                begun: AtomicU64::new(0),
                id,
            }),
        };
        // Whoever connects before it knows its neighbours is told to try again.
        peer.says(ServingStatus::NotServing).await;
        let listener = server::listen(port).await?;
        let address = listener.local_addr()?;
        group.start().await?;
        let server = Server::new(peer.router(), listener);
        group.add("server", Arc::new(server)).start().await?;
        Ok((peer, address))
    }

    fn router(&self) -> tonic::transport::server::Router {
        let health = tonic_health::server::HealthService::from_health_reporter(self.health.clone());
        tonic::transport::Server::builder()
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .add_service(tonic_health::pb::health_server::HealthServer::new(health))
            .add_service(PeerServer::new(Node(self.rounds.clone())))
    }

    async fn says(&self, status: ServingStatus) {
        self.health.set_service_status("", status).await;
    }

    /// Until there is nobody left to command.
    async fn obey(&self, mut commands: mpsc::UnboundedReceiver<String>) -> Result<(), BoxError> {
        while let Some(command) = commands.recv().await {
            match command.parse()? {
                Command::Meet { next, previous } => self.meet(next, previous).await?,
                Command::Rest => self.says(ServingStatus::NotServing).await,
                Command::Serve => self.says(ServingStatus::Serving).await,
            }
        }
        Ok(())
    }

    pub(crate) async fn meet(
        &self,
        next: SocketAddr,
        previous: SocketAddr,
    ) -> Result<(), BoxError> {
        let neighbours = self.rounds.neighbours.clone();
        let events = neighbours.pulse.clone();
        let handles = [
            (ring::after(self.number), next, "the next"),
            (ring::before(self.number), previous, "the one before"),
        ]
        .map(|(number, address, description)| {
            Handle::new(&id_of(number), address, description, events.clone()).map(Arc::new)
        });
        neighbours.meet(handles.into_iter().collect::<Result<_, _>>()?);
        self.says(ServingStatus::Serving).await;
        // Whether they are there is seen in the group, and nothing to wait for.
        tokio::spawn(async move { neighbours.connect(&["server"]).await });
        Ok(())
    }

    /// Says how all ended. What is not as it should be is an error.
    pub(crate) async fn stop(&self) -> Result<(), BoxError> {
        let Rounds {
            neighbours,
            answers,
            begun,
            ..
        } = &*self.rounds;
        // Whoever watches its health would keep the server from ending.
        self.health.clone().clear_service_status("").await;
        let report = neighbours.group.shutdown(STOP_WITHIN).await;
        let mut is_balanced = true;
        for handle in neighbours.handles() {
            let (stats, audit) = (handle.stats(), handle.channel.connection().audit());
            is_balanced &= stats.is_balanced() && audit.is_balanced() && audit.live() == 0;
            for line in stats.to_string().lines() {
                say(format_args!("channel to {}: {line}", handle.id));
            }
        }
        let (tokens, again) = answers.counts();
        say(format_args!(
            "{tokens} tokens have come for its prompts, in {} rounds, and {again} of them again",
            begun.load(Ordering::Relaxed)
        ));
        if !report.is_clean() {
            return Err(format!("it has not stopped well: {report}").into());
        }
        if !is_balanced {
            return Err("its statistics do not balance".into());
        }
        Ok(())
    }
}

/// To the observer. If that is gone, to nobody. A test keeps it to itself.
pub(crate) fn say(what: impl Display) {
    if cfg!(test) {
        println!("{what}");
        return;
    }
    let _ = writeln!(io::stdout(), "{what}");
}

/// The lines of the standard input, read by a thread of its own: nothing else can stop waiting for the next.
fn commands() -> mpsc::UnboundedReceiver<String> {
    let (sender, commands) = mpsc::unbounded_channel();
    thread::spawn(move || {
        for line in io::stdin().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    commands
}
