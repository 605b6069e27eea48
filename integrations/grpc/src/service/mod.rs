//! Calls by a generated client.

mod request;

use std::fmt;
use std::future::Future;
use std::sync::Arc;

pub use request::GrpcRequest;
use tenure_core::Text;
use tonic::{Request, Response, Status};

use crate::channel::GrpcChannel;
use crate::error::GrpcError;
use crate::transport::GrpcTransport;

/// Calls of a generated client `S` over a [`GrpcChannel`]: under its policy, on the connection of the moment.
///
/// # What is retried
///
/// A call that no server has seen is made again: there was no connection, it had not been sent when the connection
/// ended, or the server refused its stream or went away before it. The first time that is done at once and counts for
/// nothing; afterwards it is a retry like others.
///
/// One that may have run, because the connection broke under it, its attempt was cut off or the server answered
/// UNAVAILABLE, RESOURCE_EXHAUSTED or CANCELLED (as it does while it stops), is made again only if the request is said to be
/// [idempotent](GrpcRequest::idempotent), or the server asks for it by `grpc-retry-pushback-ms`, which is then the delay. A
/// negative pushback ends it at once, and so does a message beyond a size limit. Every other status is the caller's to
/// see.
///
/// A connection that breaks is replaced. A status of the server's own shows that the connection works; UNAVAILABLE has
/// it checked, at most once a second, and it is replaced if checks fail.
/// [`GrpcEndpoint::reconnect_on`](crate::GrpcEndpoint::reconnect_on) can decide otherwise.
///
/// While the server pushes that it does not serve ([`Health::Watch`](crate::Health::Watch)), calls wait for it until their
/// deadline, or for 3 s if they have none. With [`WhenDown::Wait`](tenure_core::connection::WhenDown) they wait without a
/// limit of their own, and with `FailAtOnce` not at all.
///
/// For a client that needs the same connection for several calls, take [`GrpcEndpoint`](crate::GrpcEndpoint) in a scope.
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// use tenure_grpc::{GrpcChannel, GrpcEndpoint, GrpcService};
/// use tenure_tokio::Tokio;
/// use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let address = serve().await;
/// let channel = GrpcChannel::builder(GrpcEndpoint::new(address)?).build(Tokio::current())?;
/// let health = GrpcService::new(&channel, HealthClient::new);
/// let answer = health
///     .call("check", |mut client| async move { client.check(HealthCheckRequest::default()).await })
///     .await?;
/// println!("{:?}", answer.into_inner());
/// # Ok(())
/// # }
/// ```
pub struct GrpcService<S> {
    channel: GrpcChannel,
    client: Arc<dyn Fn(GrpcTransport) -> S + Send + Sync>,
}

impl<S> GrpcService<S> {
    /// Calls by the client that `client` makes, anew for each attempt. Generated clients are cheap to make:
    /// `GreeterClient::new`, or [`client!`](crate::client)`(GreeterClient)` if the endpoint has settings for messages, or
    /// a closure that adds an interceptor.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let channel = connect().await;
    /// use tenure_grpc::GrpcService;
    /// use tonic_health::pb::health_client::HealthClient;
    /// let health = GrpcService::new(&channel, HealthClient::new);
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(
        channel: &GrpcChannel,
        client: impl Fn(GrpcTransport) -> S + Send + Sync + 'static,
    ) -> Self {
        Self {
            channel: channel.clone(),
            client: Arc::new(client),
        }
    }

    /// The channel.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = GrpcService::new(&connect().await, HealthClient::new);
    /// println!("{}", service.channel().stats());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub const fn channel(&self) -> &GrpcChannel {
        &self.channel
    }

    /// Makes a call, as it is told by `operation`: one request, or a stream, which is then read outside of the policy.
    /// `name` is told in errors and events.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = GrpcService::new(&connect().await, HealthClient::new);
    /// let watch = |mut client: HealthClient<_>| async move { client.watch(HealthCheckRequest::default()).await };
    /// let mut pushes = service.call("watch", watch).await?.into_inner();
    /// if let Some(push) = pushes.message().await? {
    ///     println!("{push:?}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`GrpcError`]: no connection, no time, or the status that it ended with.
    ///
    /// # Cancel safety
    /// Dropping the future resets the request's stream, and nothing else.
    pub async fn call<O, F, U>(&self, name: impl Into<Text>, operation: O) -> Result<U, GrpcError>
    where
        O: FnMut(S) -> F,
        F: Future<Output = Result<U, Status>>,
    {
        self.request(name).run(operation).await
    }

    /// Sends one message and gives the one that answers it. Each attempt sends a clone.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = GrpcService::new(&connect().await, HealthClient::new);
    /// let message = HealthCheckRequest::default();
    /// let answer = service
    ///     .call_unary("check", message, |mut client, request| async move { client.check(request).await })
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`call`](GrpcService::call).
    ///
    /// # Cancel safety
    /// As [`call`](GrpcService::call).
    pub async fn call_unary<M, O, F, U>(
        &self,
        name: impl Into<Text>,
        message: M,
        method: O,
    ) -> Result<U, GrpcError>
    where
        M: Clone,
        O: FnMut(S, Request<M>) -> F,
        F: Future<Output = Result<Response<U>, Status>>,
    {
        self.request(name).unary(message, method).await
    }

    /// A call with a timeout, metadata or a policy of its own, or one that may be made twice.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = GrpcService::new(&connect().await, HealthClient::new);
    /// use std::time::Duration;
    /// let answer = service
    ///     .request("check")
    ///     .timeout(Duration::from_secs(2))
    ///     .idempotent()
    ///     .unary(HealthCheckRequest::default(), |mut client, request| async move { client.check(request).await })
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn request(&self, name: impl Into<Text>) -> GrpcRequest<'_, S> {
        GrpcRequest::new(self, name.into())
    }
}

impl<S> Clone for GrpcService<S> {
    fn clone(&self) -> Self {
        Self {
            channel: self.channel.clone(),
            client: self.client.clone(),
        }
    }
}

impl<S> fmt::Debug for GrpcService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcService")
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}
