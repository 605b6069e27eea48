//! What goes wrong with a channel, and with a call.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use tenure_core::{CallError, ErrorClass, redact};
use tonic::{Code, Status};

use crate::health::Serving;
use crate::verdict::{self, Origin, below};

/// What went wrong with a channel, by the phase it went wrong in.
///
/// It is the error of the resources of this crate; what a call through [`GrpcService`](crate::GrpcService) ends with is
/// a [`GrpcError`].
///
/// ```
/// use tenure_grpc::ChannelError;
///
/// fn hint(error: &ChannelError) -> &'static str {
///     match error {
///         ChannelError::Connect(_) => "is it running, and there?",
///         ChannelError::Handshake(_) => "look at the certificates",
///         ChannelError::Unhealthy(_) => "it says itself that it does not serve",
///         _ => "see the log",
///     }
/// }
/// ```
#[non_exhaustive]
pub enum ChannelError {
    /// No connection to the address: the name is not known, nobody listens, or it took too long.
    Connect(tonic::transport::Error),
    /// The two could not agree on TLS: a certificate that is not trusted, expired or for another name, or no TLS there
    /// at all. It is not tried again by itself.
    Handshake(tonic::transport::Error),
    /// There was a connection, but no HTTP/2 on it, or whoever is there has no server to pass requests on to.
    NotReady(Status),
    /// The server ended the TLS session right after it was set up: it wants a certificate of the client's, or another one.
    /// The text has its alert, such as `CertificateRequired`. It is not tried again by itself.
    Rejected(Status),
    /// The server says that it does not serve.
    Unhealthy(Serving),
    /// The connection is gone.
    Lost,
    /// A request ended with a status.
    Call(Status),
    /// An attempt was cut off by its timeout, and may have run: the call is not [idempotent](crate::GrpcRequest::idempotent), so it is not
    /// made again.
    NotRepeated,
}

impl ChannelError {
    pub(crate) fn from_connecting(error: tonic::transport::Error) -> Self {
        if is_of_tls(&error) {
            Self::Handshake(error)
        } else {
            Self::Connect(error)
        }
    }

    /// The status of the first request on a new connection, which was not answered.
    pub(crate) fn from_proof(status: Status) -> Self {
        if is_of_tls(&status) {
            Self::Rejected(status)
        } else {
            Self::NotReady(status)
        }
    }

    /// The status of a request on a connection that is there, or what it says of the connection.
    pub(crate) fn from_check(status: Status) -> Self {
        match Origin::of(&status) {
            Origin::NoConnection | Origin::Broken | Origin::Refused { goes_away: true } => {
                Self::Lost
            }
            _ => Self::Call(status),
        }
    }

    /// The status that a request ended with, if it was that.
    ///
    /// ```
    /// # use tenure_grpc::ChannelError;
    /// let error = ChannelError::Call(tonic::Status::not_found("no such book"));
    /// assert_eq!(error.status().map(tonic::Status::message), Some("no such book"));
    /// assert!(ChannelError::Lost.status().is_none());
    /// ```
    #[must_use]
    pub const fn status(&self) -> Option<&Status> {
        match self {
            Self::NotReady(status) | Self::Rejected(status) | Self::Call(status) => Some(status),
            _ => None,
        }
    }

    pub(crate) fn class(&self, is_idempotent: bool) -> ErrorClass {
        match self {
            Self::Handshake(_) | Self::Rejected(_) | Self::NotRepeated => ErrorClass::GiveUp,
            Self::Connect(_) | Self::NotReady(_) | Self::Unhealthy(_) => ErrorClass::Retry,
            Self::Lost => ErrorClass::Reconnect,
            Self::Call(status) => verdict::class(status, is_idempotent, false),
        }
    }
}

// By hand, because what others say is shown redacted, as it is in `Display`.
impl fmt::Debug for ChannelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, field): (_, Option<&dyn fmt::Debug>) = match self {
            Self::Connect(error) => ("Connect", Some(error)),
            Self::Handshake(error) => ("Handshake", Some(error)),
            Self::Rejected(status) => ("Rejected", Some(status)),
            Self::NotReady(status) => ("NotReady", Some(status)),
            Self::Unhealthy(serving) => ("Unhealthy", Some(serving)),
            Self::Lost => ("Lost", None),
            Self::Call(status) => ("Call", Some(status)),
            Self::NotRepeated => ("NotRepeated", None),
        };
        match field {
            Some(field) => write!(f, "{name}({})", redact(&format!("{field:?}"))),
            None => f.write_str(name),
        }
    }
}

impl fmt::Display for ChannelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => {
                write!(f, "no connection: {}", redact(&root(error).to_string()))
            }
            Self::Handshake(error) => {
                write!(
                    f,
                    "no agreement on TLS: {}",
                    redact(&root(error).to_string())
                )
            }
            Self::NotReady(status) => {
                write!(f, "connected, but not to a gRPC server: {}", Told(status))
            }
            Self::Rejected(status) => {
                let root = redact(&root(status).to_string()).into_owned();
                write!(f, "the server ended the TLS session: {root}")
            }
            Self::Unhealthy(serving) => write!(f, "the server is {serving}"),
            Self::Lost => Lost.fmt(f),
            Self::Call(status) => Told(status).fmt(f),
            Self::NotRepeated => f.write_str("cut off, and not made again: it may have run"),
        }
    }
}

impl Error for ChannelError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Connect(error) | Self::Handshake(error) => Some(error),
            Self::NotReady(status) | Self::Rejected(status) | Self::Call(status) => status.source(),
            Self::Unhealthy(_) | Self::Lost | Self::NotRepeated => None,
        }
    }
}

/// A status as one reads it, with what lies at the bottom of it: its own form repeats the description of its code.
struct Told<'a>(&'a Status);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.code(), redact(self.0.message()))?;
        let root = self.0.source().map(|source| root(source).to_string());
        match root.filter(|root| !self.0.message().contains(root)) {
            Some(root) => write!(f, ": {}", redact(&root)),
            None => Ok(()),
        }
    }
}

fn is_of_tls(error: &(dyn Error + 'static)) -> bool {
    // What rustls says of a peer comes wrapped so. HTTP/2 keeps the kind and the text of it.
    chain(error).any(|error| {
        let http2 = error.downcast_ref::<h2::Error>();
        let io = http2
            .and_then(h2::Error::get_io)
            .or_else(|| error.downcast_ref());
        io.is_some_and(|io| io.kind() == io::ErrorKind::InvalidData)
    })
}

pub(crate) fn chain<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| below(*error))
}

/// tonic's own errors say "transport error"; what lies at the bottom says what happened.
pub(crate) fn root<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    chain(error).last().unwrap_or(error)
}

/// The source of a status that was made here, since there was no connection.
#[derive(Debug)]
pub(crate) struct Lost;

impl Lost {
    pub(crate) fn into_status(self) -> Status {
        let mut status = Status::unavailable(self.to_string());
        status.set_source(Arc::new(self));
        status
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is lost")
    }
}

impl Error for Lost {}

/// The source of a status that was made here, since the runtime ended that the connection lived on. The request may have
/// been sent.
#[derive(Debug)]
pub(crate) struct RuntimeEnded;

impl RuntimeEnded {
    pub(crate) fn into_status(self) -> Status {
        let mut status = Status::unavailable(self.to_string());
        status.set_source(Arc::new(self));
        status
    }
}

impl fmt::Display for RuntimeEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the runtime of the connection has ended")
    }
}

impl Error for RuntimeEnded {}

/// Why a call did not succeed. In each case the core's [`CallError`] tells how often it was tried and for how long.
///
/// ```
#[doc = include_str!("doc_setting.txt")]
/// use tenure_grpc::{GrpcError, GrpcRequest};
/// use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let service = GrpcService::new(&connect().await, HealthClient::new);
/// # let request = service.request("check");
/// let message = HealthCheckRequest::default();
/// let answer = request.unary(message, |mut client, request| async move { client.check(request).await }).await;
/// match answer {
///     Ok(answer) => println!("{answer:?}"),
///     Err(GrpcError::DeadlineExceeded(error)) => println!("too late: {error}"),
///     Err(error) => println!("{error}, {:?}", error.status()),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum GrpcError {
    /// There was no connection to make the call on.
    NotConnected(CallError),
    /// The time was over: that of the call or of its last attempt, or the server says so with DEADLINE_EXCEEDED.
    DeadlineExceeded(CallError),
    /// It was answered with another status, or the connection broke under it: [`status`](GrpcError::status) tells.
    Failed(CallError),
}

impl GrpcError {
    pub(crate) fn from_call(error: CallError) -> Self {
        // One that waited for a connection until its time was over says which, and was late all the same.
        if error.open_error().is_some() && !error.is_timeout() {
            return Self::NotConnected(error);
        }
        let last = error.downcast_ref::<ChannelError>();
        let is_late = match last {
            Some(ChannelError::NotRepeated) => true,
            Some(ChannelError::Call(status)) => {
                status.code() == Code::DeadlineExceeded || Origin::of(status) == Origin::TimedOut
            }
            _ => false,
        };
        if error.is_timeout() || is_late {
            Self::DeadlineExceeded(error)
        } else {
            Self::Failed(error)
        }
    }

    /// The core's error.
    ///
    /// ```
    /// # use tenure_grpc::GrpcError;
    /// fn attempts(error: &GrpcError) -> u32 {
    ///     error.call_error().attempts()
    /// }
    /// ```
    #[must_use]
    pub const fn call_error(&self) -> &CallError {
        match self {
            Self::NotConnected(error) | Self::DeadlineExceeded(error) | Self::Failed(error) => {
                error
            }
        }
    }

    /// The status that an attempt ended with last, if any did: it has the server's details and metadata.
    ///
    /// ```
    /// # use tenure_grpc::GrpcError;
    /// fn details(error: &GrpcError) -> Option<&[u8]> {
    ///     error.status().map(tonic::Status::details)
    /// }
    /// ```
    #[must_use]
    pub fn status(&self) -> Option<&Status> {
        let last = self.call_error().downcast_ref::<ChannelError>();
        last.and_then(ChannelError::status)
    }

    /// The code that a gRPC client would show for it: UNAVAILABLE without a connection, DEADLINE_EXCEEDED when the
    /// time was over, or else the status's.
    ///
    /// ```
    /// # use tenure_grpc::GrpcError;
    /// fn is_missing(error: &GrpcError) -> bool {
    ///     error.code() == tonic::Code::NotFound
    /// }
    /// ```
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::NotConnected(_) => Code::Unavailable,
            Self::DeadlineExceeded(_) => Code::DeadlineExceeded,
            Self::Failed(error) => match error.downcast_ref::<ChannelError>() {
                Some(ChannelError::Lost | ChannelError::Unhealthy(_)) => Code::Unavailable,
                _ => self.status().map_or(Code::Unknown, Status::code),
            },
        }
    }
}

impl fmt::Display for GrpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConnected(_) => f.write_str("no connection: ")?,
            Self::DeadlineExceeded(_) => f.write_str("deadline exceeded: ")?,
            Self::Failed(_) => {}
        }
        self.call_error().fmt(f)
    }
}

impl Error for GrpcError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.call_error().source()
    }
}
