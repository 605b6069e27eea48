//! One HTTP/2 connection, as generated clients take it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use hyper::body::{Frame, SizeHint};
use tenure_core::{Instant, Timer};
use tenure_tokio::Tokio;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::header::{HeaderName, HeaderValue};
use tonic::codegen::http::{HeaderMap, Request, Response};
use tonic::codegen::{Body as HttpBody, Bytes, Service};
use tonic::transport::Channel;
use tonic::transport::channel::ResponseFuture;

use crate::deadline::Deadlines;
use crate::error::{Lost, RuntimeEnded, chain};
use crate::health::Pushes;
use crate::messages::Messages;
use crate::verdict::{is_dispatch_gone, is_of_pings, status_of_body, status_of_error};
use crate::wire::{UnderWay, Wire};

const PREVIOUS_ATTEMPTS: HeaderName = HeaderName::from_static("grpc-previous-rpc-attempts");

/// One HTTP/2 connection to a server: what a generated client is made from.
///
/// It is a tonic `Channel` that never connects again by itself: once the connection is lost, requests fail at once,
/// and whoever holds it ([`GrpcChannel`](crate::GrpcChannel), a pool, a scope) opens another. Cloning it is cheap, and
/// clones have requests under way side by side.
///
/// Do not keep one for long: make calls by [`GrpcService`](crate::GrpcService), which takes the connection of the
/// moment.
///
/// ```
#[doc = include_str!("doc_setting.txt")]
/// use tenure_grpc::{GrpcChannel, GrpcEndpoint};
/// use tenure_tokio::Tokio;
/// use tonic_health::pb::health_client::HealthClient;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let address = serve().await;
/// let channel = GrpcChannel::builder(GrpcEndpoint::new(address)?).build(Tokio::current())?;
/// let client = HealthClient::new(channel.connection().get().await?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct GrpcTransport {
    channel: Channel,
    hold: Arc<Hold>,
    sends: Sends,
    /// The next request can't be sent.
    is_lost: bool,
}

/// What the requests of one attempt say beside what the user wrote.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sends {
    pub(crate) ends_at: Option<Instant>,
    pub(crate) previous_attempts: u32,
    pub(crate) metadata: Option<Arc<HeaderMap>>,
    /// Set once the request has a stream of the connection's.
    pub(crate) has_stream: Option<Arc<AtomicBool>>,
}

/// What all clones share. When the last goes, so does what watches the connection.
#[derive(Debug)]
struct Hold {
    wire: Arc<Wire>,
    messages: Messages,
    /// What the server pushed last of its health, while it does.
    pushed: Arc<Pushes>,
    deadlines: Deadlines,
    clock: Tokio,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.wire.begin_closing();
    }
}

impl GrpcTransport {
    pub(crate) fn new(channel: Channel, wire: Arc<Wire>, messages: Messages) -> Self {
        let hold = Hold {
            wire,
            messages,
            pushed: Arc::default(),
            deadlines: Deadlines::default(),
            clock: Tokio::current(),
        };
        Self {
            channel,
            hold: Arc::new(hold),
            sends: Sends::default(),
            is_lost: false,
        }
    }

    /// Whether the connection is gone, so that no request can be made on it.
    ///
    /// ```
    #[doc = include_str!("doc_setting.txt")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let channel = connect().await;
    /// let transport = channel.connection().get().await?;
    /// assert!(!transport.is_lost());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.hold.wire.is_gone()
    }

    /// What the endpoint says of messages: [`client!`](crate::client) passes it on.
    ///
    /// ```
    #[doc = include_str!("doc_setting.txt")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let channel = connect().await;
    /// let transport = channel.connection().get().await?;
    /// println!("{:?}", transport.messages().max_decoding_message_size);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn messages(&self) -> Messages {
        self.hold.messages
    }

    pub(crate) fn sending(mut self, sends: Sends) -> Self {
        self.sends = sends;
        self
    }

    pub(crate) fn wire(&self) -> &Arc<Wire> {
        &self.hold.wire
    }

    /// The channel, for what must not keep the connection open.
    pub(crate) const fn channel(&self) -> &Channel {
        &self.channel
    }

    /// What the server pushed last of its health, while it does.
    pub(crate) fn pushes(&self) -> &Arc<Pushes> {
        &self.hold.pushed
    }
}

impl Service<Request<Body>> for GrpcTransport {
    type Response = Response<GrpcBody>;
    type Error = Status;
    type Future = GrpcResponse;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        // An error from here would reach the user as UNKNOWN, without its source: the call tells it.
        self.is_lost = self.is_lost();
        if self.is_lost {
            return Poll::Ready(Ok(()));
        }
        self.channel.poll_ready(cx).map(|ready| {
            self.is_lost = ready.is_err();
            Ok(())
        })
    }

    fn call(&mut self, mut request: Request<Body>) -> GrpcResponse {
        if self.is_lost {
            return GrpcResponse {
                under_way: None,
                sent: None,
            };
        }
        let headers = request.headers_mut();
        if let Some(metadata) = &self.sends.metadata {
            for (name, value) in &**metadata {
                headers.append(name, value.clone());
            }
        }
        if let Some(ends_at) = self.sends.ends_at {
            let left = ends_at.saturating_duration_since(self.hold.clock.now());
            self.hold.deadlines.send(headers, left);
        }
        if self.sends.previous_attempts > 0 {
            let previous = HeaderValue::from(self.sends.previous_attempts);
            headers.insert(PREVIOUS_ATTEMPTS, previous);
        }
        if let Some(has_stream) = self.sends.has_stream.clone() {
            request = request.map(|body| Body::new(Marking { body, has_stream }));
        }
        GrpcResponse {
            under_way: Some(UnderWay::begin(&self.hold.wire)),
            sent: Some(self.channel.call(request)),
        }
    }
}

impl fmt::Debug for GrpcTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcTransport")
            .field("is_lost", &self.is_lost())
            .finish_non_exhaustive()
    }
}

/// The response to a request on a [`GrpcTransport`], which generated clients await.
///
/// # Cancel safety
/// Dropping it resets the request's stream. The connection stays.
#[must_use = "a future does nothing unless it is awaited"]
pub struct GrpcResponse {
    under_way: Option<UnderWay>,
    /// Nothing, if there was no connection to send on.
    sent: Option<ResponseFuture>,
}

impl Future for GrpcResponse {
    type Output = Result<Response<GrpcBody>, Status>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(sent) = &mut self.sent else {
            return Poll::Ready(Err(Lost.into_status()));
        };
        let result = ready!(Pin::new(sent).poll(cx));
        let under_way = self.under_way.take();
        Poll::Ready(match result {
            Ok(response) => Ok(response.map(|body| GrpcBody {
                body,
                _under_way: under_way,
            })),
            Err(error) => Err(told(error, under_way.as_ref())),
        })
    }
}

fn told(error: tonic::transport::Error, under_way: Option<&UnderWay>) -> Status {
    if let (Some(under_way), true) = (under_way, is_of_pings(&error)) {
        under_way.wire().is_too_eager();
    }
    let is_dropped = chain(&error).any(|error| error.downcast_ref().is_some_and(is_dispatch_gone));
    // A runtime that ends drops requests that were sent in the same way as those that wait to be.
    match under_way {
        Some(under_way) if is_dropped && under_way.wire().has_lost_its_runtime() => {
            RuntimeEnded.into_status()
        }
        _ => status_of_error(error),
    }
}

impl fmt::Debug for GrpcResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcResponse").finish_non_exhaustive()
    }
}

/// The body of a response on a [`GrpcTransport`], which generated clients read. A connection that breaks under it is
/// UNAVAILABLE.
pub struct GrpcBody {
    body: Body,
    /// The stream lasts as long as its body.
    _under_way: Option<UnderWay>,
}

impl HttpBody for GrpcBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        polled.map(|frame| frame.map(|frame| frame.map_err(status_of_body)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl fmt::Debug for GrpcBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcBody").finish_non_exhaustive()
    }
}

/// The body of a request that tells when it is first asked for: hyper does that once the request has a stream.
struct Marking {
    body: Body,
    has_stream: Arc<AtomicBool>,
}

impl HttpBody for Marking {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.has_stream.store(true, Ordering::Relaxed);
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
