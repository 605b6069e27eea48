//! One HTTP/2 connection, as generated clients take it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use tenure_core::{Instant, Timer};
use tenure_tokio::Tokio;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::header::{HeaderName, HeaderValue};
use tonic::codegen::http::{HeaderMap, Request, Response};
use tonic::transport::Channel;
use tonic::transport::channel::ResponseFuture;

use crate::deadline::Deadlines;
use crate::error::Lost;
use crate::health::Serving;
use crate::messages::Messages;
use crate::wire::Wire;

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
}

/// What all clones share. When the last goes, so does what watches the connection.
#[derive(Debug)]
struct Hold {
    wire: Arc<Wire>,
    messages: Messages,
    /// What the server pushed last of its health, while it does.
    pushed: Arc<AtomicU8>,
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

    pub(crate) fn pushed(&self) -> Serving {
        Serving::from_number(self.hold.pushed.load(Ordering::Relaxed))
    }

    pub(crate) fn pushes(&self) -> &Arc<AtomicU8> {
        &self.hold.pushed
    }
}

impl Service<Request<Body>> for GrpcTransport {
    type Response = Response<Body>;
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
            return GrpcResponse { sent: None };
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
        GrpcResponse {
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
    /// Nothing, if there was no connection to send on.
    sent: Option<ResponseFuture>,
}

impl Future for GrpcResponse {
    type Output = Result<Response<Body>, Status>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.sent {
            Some(response) => Pin::new(response)
                .poll(cx)
                .map_err(|error| Status::from_error(Box::new(error))),
            None => Poll::Ready(Err(Lost.into_status())),
        }
    }
}

impl fmt::Debug for GrpcResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcResponse").finish_non_exhaustive()
    }
}
