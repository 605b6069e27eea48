//! Several connections to one address, each lent to one task at a time.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use tenure_core::pool::PoolBuilder;
use tenure_core::{ErrorClass, Failure, Pool, Resource, Why};
use tenure_tokio::Tokio;

use crate::endpoint::{GrpcEndpoint, disconnect};
use crate::error::ChannelError;
use crate::transport::GrpcTransport;

/// A pool of generated clients `S`, each with a connection of its own. Begin with [`GrpcClients::pool`].
///
/// One connection carries many requests side by side, so most programs want a [`GrpcChannel`](crate::GrpcChannel). A
/// pool is for more streams than a server allows on one connection, or for an address that leads to several servers.
pub type GrpcPool<S> = Pool<GrpcClients<S>, Tokio>;

/// How a generated client with a connection of its own is opened: the [`Resource`] of a [`GrpcPool`], which a scope
/// takes as well.
///
/// ```
#[doc = include_str!("doc_setting.txt")]
/// use tenure_grpc::{GrpcClients, GrpcEndpoint, GrpcPool, GrpcTransport};
/// use tenure_tokio::Tokio;
/// use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let address = serve().await;
/// let clients = GrpcClients::new(GrpcEndpoint::new(address)?, HealthClient::new);
/// let pool: GrpcPool<HealthClient<GrpcTransport>> = clients.pool().max_size(4).build(Tokio::current())?;
/// let mut client = pool.acquire().await?;
/// let answer = client.check(HealthCheckRequest::default()).await?;
/// # Ok(())
/// # }
/// ```
pub struct GrpcClients<S> {
    endpoint: GrpcEndpoint,
    client: Arc<dyn Fn(GrpcTransport) -> S + Send + Sync>,
}

impl<S: Send + 'static> GrpcClients<S> {
    /// Clients of `endpoint`, made by `client`: a generated client's `new`, or [`client!`](crate::client).
    ///
    /// ```
    /// use tenure_grpc::{GrpcClients, GrpcEndpoint};
    /// use tonic_health::pb::health_client::HealthClient;
    /// let clients = GrpcClients::new(GrpcEndpoint::new("http://localhost:50051")?, HealthClient::new);
    /// # Ok::<(), tenure_grpc::AddressError>(())
    /// ```
    pub fn new(
        endpoint: GrpcEndpoint,
        client: impl Fn(GrpcTransport) -> S + Send + Sync + 'static,
    ) -> Self {
        Self {
            endpoint,
            client: Arc::new(client),
        }
    }

    /// Begins to configure a pool of them.
    ///
    /// ```
    /// use tenure_grpc::{GrpcClients, GrpcEndpoint};
    /// use tonic_health::pb::health_client::HealthClient;
    /// let clients = GrpcClients::new(GrpcEndpoint::new("http://localhost:50051")?, HealthClient::new);
    /// let builder = clients.pool().min_size(1).max_size(4);
    /// # Ok::<(), tenure_grpc::AddressError>(())
    /// ```
    pub fn pool(self) -> PoolBuilder<Self> {
        Pool::builder(self)
    }
}

impl<S: Send + 'static> Resource for GrpcClients<S> {
    type Value = GrpcClient<S>;
    type Error = ChannelError;
    const CHECKED: bool = true;

    async fn open(&self) -> Result<GrpcClient<S>, ChannelError> {
        let transport = self.endpoint.connect().await?;
        let client = (self.client)(transport.clone());
        Ok(GrpcClient { client, transport })
    }

    async fn close(&self, client: GrpcClient<S>, _: Why) -> Result<(), ChannelError> {
        let GrpcClient { client, transport } = client;
        drop(client);
        disconnect(transport).await;
        Ok(())
    }

    fn check(
        &self,
        client: &mut GrpcClient<S>,
    ) -> impl Future<Output = Result<(), ChannelError>> + Send {
        // A clone, so that nothing is asked of `S`, which need not be `Sync`.
        let transport = client.transport.clone();
        async move { self.endpoint.board().check(&transport).await }
    }

    fn is_broken(&self, client: &mut GrpcClient<S>) -> bool {
        client.transport.is_lost()
    }

    fn classify(&self, failure: Failure<'_, ChannelError>) -> ErrorClass {
        failure
            .error()
            .map_or(ErrorClass::Retry, |error| error.class(false))
    }

    fn abandon(&self, client: GrpcClient<S>, _why: Why) {
        client.transport.wire().cut();
    }
}

impl<S> fmt::Debug for GrpcClients<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcClients")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// A generated client with a connection of its own: it dereferences to the client.
///
/// ```
#[doc = include_str!("doc_setting.txt")]
/// use tenure_grpc::{GrpcPool, GrpcTransport};
/// use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let clients = GrpcClients::new(GrpcEndpoint::new(serve().await)?, HealthClient::new);
/// # let pool: GrpcPool<_> = clients.pool().build(tenure_tokio::Tokio::current())?;
/// let mut client = pool.acquire().await?;
/// let answer = client.check(HealthCheckRequest::default()).await?;
/// # Ok(())
/// # }
/// ```
pub struct GrpcClient<S> {
    client: S,
    transport: GrpcTransport,
}

impl<S> Deref for GrpcClient<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.client
    }
}

impl<S> DerefMut for GrpcClient<S> {
    fn deref_mut(&mut self) -> &mut S {
        &mut self.client
    }
}

impl<S> fmt::Debug for GrpcClient<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcClient")
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}
