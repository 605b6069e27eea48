//! What the server says of itself, by `grpc.health.v1`.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::error::ChannelError;
use crate::signals::Signals;
use crate::ties::Ties;
use crate::transport::{GrpcTransport, Sends};
use crate::wire::Wire;

/// How long a check waits for a stream of a connection that others use, before it is taken to have none. A stream that is
/// free is had at once.
const STREAM_PATIENCE: Duration = Duration::from_millis(50);

/// Pause before a watch that ended is begun again. It doubles while watches end without a push.
const WATCH_PAUSE: Duration = Duration::from_secs(1);

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
    /// no opened connection; one that says so later degrades the channel, which keeps the connection, since another one
    /// would hear the same. One without the service is healthy, which the event sink is told once.
    ///
    /// A check that gets no stream, because calls use all that the server allows, says nothing and counts for nothing.
    #[default]
    Check,
    /// By `Check`, and by `Watch` too: what the server pushes counts at once. While it says that it does not serve, the
    /// channel is degraded and keeps its connection, on which it hears first that the server serves again; calls of a
    /// [`GrpcService`](crate::GrpcService) wait for that, or fail, as [`WhenDown`](tenure_core::connection::WhenDown)
    /// has it. Where the server has no `Watch`, as `Check`.
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

/// What the server of one connection pushed last, while it pushes.
#[derive(Debug, Default)]
pub(crate) struct Pushes {
    latest: AtomicU8,
    changed: Notify,
}

impl Pushes {
    pub(crate) fn latest(&self) -> Serving {
        Serving::from_number(self.latest.load(Ordering::Relaxed))
    }

    fn set(&self, serving: Serving) {
        self.latest.store(serving.number(), Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    /// Returns the error of calls, if the server said that it does not serve.
    pub(crate) fn refusal(&self) -> Option<ChannelError> {
        self.latest().into_result().err()
    }

    /// Waits until the server says that it serves, or nothing any more.
    ///
    /// # Errors
    /// If the connection is given up before that.
    pub(crate) async fn until_serving(&self, wire: &Wire) -> Result<(), ChannelError> {
        let mut ended = pin!(wire.ended());
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.refusal().is_none() {
                return Ok(());
            }
            tokio::select! {
                () = changed => {}
                () = &mut ended => return Err(ChannelError::Lost),
            }
        }
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
            Err(status) => Err(ChannelError::from_proof(status)),
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
            transport.pushes().latest().into_result()?;
        }
        let has_stream = Arc::new(AtomicBool::new(false));
        let asking = transport.clone().sending(Sends {
            has_stream: Some(has_stream.clone()),
            ..Sends::default()
        });
        let mut answer = pin!(self.ask(&asking));
        let early = tokio::select! {
            biased;
            answer = &mut answer => Some(answer),
            () = tokio::time::sleep(STREAM_PATIENCE) => None,
        };
        let answer = match early {
            Some(answer) => answer,
            None if is_busy(transport) && !has_stream.load(Ordering::Relaxed) => return Ok(()),
            None => answer.await,
        };
        answer.map_err(ChannelError::from_check)?.into_result()
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
        if transport.pushes().latest() == Serving::Unknown {
            self.note(serving);
        }
        Ok(serving)
    }

    /// Follows what the server pushes, for as long as the connection is there.
    pub(crate) async fn watch(self, channel: Channel, wire: Arc<Wire>, pushed: Arc<Pushes>) {
        let mut client = HealthClient::new(channel);
        let mut pause = WATCH_PAUSE;
        loop {
            let mut was_pushed = false;
            let ended = tokio::select! {
                () = wire.ended() => return,
                ended = self.follow(&mut client, &pushed, &mut was_pushed) => ended,
            };
            // Until there is another push, answers count: nobody takes the last one back any more.
            let was_refused = pushed.refusal().is_some();
            pushed.set(Serving::Unknown);
            if let (true, Some(signals)) = (was_refused, &self.signals) {
                signals.look();
            }
            if was_pushed {
                pause = WATCH_PAUSE;
            }
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

    async fn follow(
        &self,
        client: &mut HealthClient<Channel>,
        pushed: &Pushes,
        was_pushed: &mut bool,
    ) -> Status {
        let mut pushes = match client.watch(self.question()).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => return status,
        };
        loop {
            match pushes.message().await {
                Ok(Some(push)) => {
                    let serving = Serving::from_server(push.status());
                    let before = self.latest();
                    *was_pushed = true;
                    pushed.set(serving);
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

/// Returns `true` if others have requests under way, the check's own not counted.
fn is_busy(transport: &GrpcTransport) -> bool {
    transport.wire().requests_under_way() > 1
}

fn is_answer(status: &Status) -> bool {
    crate::verdict::Origin::of(status) == crate::verdict::Origin::Server
}
