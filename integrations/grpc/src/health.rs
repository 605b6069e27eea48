//! What the server says of itself, by `grpc.health.v1`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::error::ChannelError;
use crate::signals::Signals;
use crate::ties::Ties;
use crate::transport::GrpcTransport;
use crate::wire::Wire;

/// How a server's health is asked for, by `grpc.health.v1`.
///
/// ```
/// use tenure_grpc::{GrpcEndpoint, Health};
/// let endpoint = GrpcEndpoint::new("http://localhost:50051")?.health(Health::Watch);
/// # Ok::<(), tenure_grpc::AddressError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// Not at all: a connection that is there is healthy. For a server whose health service wants credentials. Only a
    /// keepalive finds a peer that is gone without a word then.
    Off,
    /// By `Check`, when a connection is opened and whenever it is checked. A server that says that it does not serve is
    /// no opened connection; one without the service is healthy, which the event sink is told once.
    #[default]
    Check,
    /// By `Check`, and by `Watch` too: what the server pushes counts at once. Where it has no `Watch`, as `Check`.
    Watch,
}

/// What a server said of its health last. See [`GrpcChannel::serving`](crate::GrpcChannel::serving).
///
/// ```
/// assert_eq!(tenure_grpc::Serving::NotServing.to_string(), "not serving");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Serving {
    /// It was not asked yet.
    Unknown,
    /// It serves.
    Serving,
    /// It does not, though it answers.
    NotServing,
    /// It does not know the service that was asked for.
    ServiceUnknown,
    /// It has no health service: that it answers is taken for health.
    Unimplemented,
}

impl Serving {
    pub(crate) const fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Serving,
            2 => Self::NotServing,
            3 => Self::ServiceUnknown,
            4 => Self::Unimplemented,
            _ => Self::Unknown,
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::Serving => 1,
            Self::NotServing => 2,
            Self::ServiceUnknown => 3,
            Self::Unimplemented => 4,
        }
    }

    const fn from_server(status: ServingStatus) -> Self {
        match status {
            ServingStatus::Serving => Self::Serving,
            ServingStatus::ServiceUnknown => Self::ServiceUnknown,
            // It can't say, so it does not say that it serves.
            ServingStatus::NotServing | ServingStatus::Unknown => Self::NotServing,
        }
    }

    const fn into_result(self) -> Result<(), ChannelError> {
        match self {
            Self::NotServing | Self::ServiceUnknown => Err(ChannelError::Unhealthy(self)),
            Self::Unknown | Self::Serving | Self::Unimplemented => Ok(()),
        }
    }
}

impl fmt::Display for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "not known to serve",
            Self::Serving => "serving",
            Self::NotServing => "not serving",
            Self::ServiceUnknown => "not serving, it does not know the service",
            Self::Unimplemented => "without a health service",
        })
    }
}

/// Which health is asked for, and where what was said last is kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct HealthBoard {
    pub(crate) how: Health,
    /// Of which service; without a name, of the server as a whole.
    pub(crate) service: String,
    /// Of whichever connection heard it last.
    latest: Arc<AtomicU8>,
    pub(crate) signals: Option<Signals>,
    /// Of the channel, if it is for one.
    pub(crate) ties: Option<Arc<Ties>>,
}

impl HealthBoard {
    pub(crate) fn latest(&self) -> Serving {
        Serving::from_number(self.latest.load(Ordering::Relaxed))
    }

    fn note(&self, serving: Serving) {
        self.latest.store(serving.number(), Ordering::Relaxed);
    }

    fn question(&self) -> HealthCheckRequest {
        HealthCheckRequest {
            service: self.service.clone(),
        }
    }

    /// Proves that requests are answered on a new connection. Connecting does not: it ends once the client's preface is
    /// sent, which a peer that never answers takes as well.
    pub(crate) async fn prove(&self, transport: &GrpcTransport) -> Result<(), ChannelError> {
        let answer = self.ask(transport).await;
        match answer {
            Ok(serving) if self.how != Health::Off => serving.into_result(),
            Ok(_) => Ok(()),
            // Whoever answers UNAVAILABLE has no server behind it.
            Err(status) if is_answer(&status) && status.code() != Code::Unavailable => Ok(()),
            Err(status) => Err(ChannelError::NotReady(status)),
        }
    }

    pub(crate) async fn check(&self, transport: &GrpcTransport) -> Result<(), ChannelError> {
        if transport.is_lost() {
            return Err(ChannelError::Lost);
        }
        if self.how == Health::Off {
            return Ok(());
        }
        if self.how == Health::Watch {
            // What was pushed is newer than what an answer would be.
            transport.pushed().into_result()?;
        }
        let serving = self
            .ask(transport)
            .await
            .map_err(ChannelError::from_check)?;
        serving.into_result()
    }

    /// Asks by `Check`. Every answer but SERVING and its like is a status of its own.
    async fn ask(&self, transport: &GrpcTransport) -> Result<Serving, Status> {
        let answer = HealthClient::new(transport.clone())
            .check(self.question())
            .await;
        let serving = match answer {
            Ok(answer) => Serving::from_server(answer.into_inner().status()),
            Err(status) if is_answer(&status) && status.code() == Code::Unimplemented => {
                Serving::Unimplemented
            }
            Err(status) if is_answer(&status) && status.code() == Code::NotFound => {
                Serving::ServiceUnknown
            }
            Err(status) => return Err(status),
        };
        if let (Health::Check | Health::Watch, Serving::Unimplemented, Some(ties)) =
            (self.how, serving, &self.ties)
        {
            ties.tell_unimplemented();
        }
        // An answer may be older than a push.
        if transport.pushed() == Serving::Unknown {
            self.note(serving);
        }
        Ok(serving)
    }

    /// Follows what the server pushes, for as long as the connection is there.
    pub(crate) async fn watch(self, channel: Channel, wire: Arc<Wire>, pushed: Arc<AtomicU8>) {
        let mut client = HealthClient::new(channel);
        let mut pause = Duration::from_secs(1);
        loop {
            let ended = tokio::select! {
                () = wire.ended() => return,
                ended = self.follow(&mut client, &pushed) => ended,
            };
            // Until there is another push, answers count: nobody takes the last one back any more.
            pushed.store(Serving::Unknown.number(), Ordering::Relaxed);
            if ended.code() == Code::Unimplemented {
                return;
            }
            tokio::select! {
                () = wire.ended() => return,
                () = tokio::time::sleep(pause) => {}
            }
            pause = (2 * pause).min(Duration::from_secs(60));
        }
    }

    async fn follow(&self, client: &mut HealthClient<Channel>, pushed: &AtomicU8) -> Status {
        let mut pushes = match client.watch(self.question()).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => return status,
        };
        loop {
            match pushes.message().await {
                Ok(Some(push)) => {
                    let serving = Serving::from_server(push.status());
                    let before = self.latest();
                    pushed.store(serving.number(), Ordering::Relaxed);
                    self.note(serving);
                    if let (true, Some(signals)) = (before != serving, &self.signals) {
                        signals.look();
                    }
                }
                Ok(None) => return Status::unavailable("the watch has ended"),
                Err(status) => return status,
            }
        }
    }
}

fn is_answer(status: &Status) -> bool {
    crate::verdict::Origin::of(status) == crate::verdict::Origin::Server
}
