//! Where a server is, and how to connect to it.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use tenure_core::{ErrorClass, Failure, Resource, Why};
use tonic::codec::CompressionEncoding;
use tonic::transport::Endpoint;

use crate::dial::Dial;
use crate::error::ChannelError;
use crate::health::{Health, HealthBoard};
use crate::messages::Messages;
use crate::signals::Signals;
use crate::ties::Ties;
use crate::transport::GrpcTransport;
use crate::wire::{CutOnDrop, Wire};

/// Where a server is, and how to connect to it: the [`Resource`] whose value is a [`GrpcTransport`].
///
/// Give it to [`GrpcChannel::builder`](crate::GrpcChannel::builder) for a connection that all share and that
/// reconnects; to a [scope](tenure_core::scope()) for one that is closed when the scope ends, or to a
/// [`Pool`](tenure_core::Pool) for several.
///
/// Opening one connects, and then has a request answered: a peer that accepts and never answers is a failed opening.
/// Closing one waits for the requests and streams under way on it, and cuts the connection if there is no time for
/// that. A stream counts until it is dropped.
///
/// ```
#[doc = include_str!("doc_setting.txt")]
/// use tenure_grpc::GrpcEndpoint;
/// use tenure_core::{scope, BoxError};
/// use tenure_tokio::Tokio;
/// use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let address = serve().await;
/// let endpoint = GrpcEndpoint::new(address)?;
/// let answer = scope(&Tokio::current(), async move |scope| {
///     let transport = scope.open(endpoint).await?;
///     let mut client = HealthClient::new((*transport).clone());
///     let answer = client.check(HealthCheckRequest::default()).await?;
///     Ok::<_, BoxError>(answer.into_inner())
/// })
/// .await; // the channel is closed here, on every way out
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct GrpcEndpoint {
    endpoint: Endpoint,
    messages: Messages,
    health: HealthBoard,
}

impl GrpcEndpoint {
    /// A server at `http://host:port`, or at `https://host:port` by TLS.
    ///
    /// ```
    /// use tenure_grpc::GrpcEndpoint;
    /// assert!(GrpcEndpoint::new("http://localhost:50051").is_ok());
    /// assert!(GrpcEndpoint::new("localhost:50051").is_err());
    /// ```
    ///
    /// # Errors
    /// If it is no such address.
    pub fn new(address: impl AsRef<str>) -> Result<Self, AddressError> {
        let address = address.as_ref();
        let refuse = |source| AddressError {
            address: tenure_core::redact(address).into_owned(),
            source,
        };
        if !["http://", "https://"]
            .iter()
            .any(|scheme| address.starts_with(scheme))
        {
            return Err(refuse(None));
        }
        let endpoint =
            Endpoint::from_shared(address.to_owned()).map_err(|error| refuse(Some(error)))?;
        Ok(Self {
            endpoint,
            messages: Messages::default(),
            health: HealthBoard::default(),
        })
    }

    /// Sets what tonic's [`Endpoint`] can be set to, under its own names: `connect_timeout`, `tls_config`,
    /// `user_agent`, `http2_keep_alive_interval`, `keep_alive_timeout`, `keep_alive_while_idle`, `tcp_keepalive` and
    /// more. Its `timeout` limits each request; a deadline that covers all attempts is the
    /// [request's](crate::GrpcRequest::timeout).
    ///
    /// ```
    /// use std::time::Duration;
    /// use tenure_grpc::GrpcEndpoint;
    ///
    /// let endpoint = GrpcEndpoint::new("http://localhost:50051")?
    ///     .configure(|endpoint| {
    ///         endpoint
    ///             .connect_timeout(Duration::from_secs(5))
    ///             .http2_keep_alive_interval(Duration::from_secs(20))
    ///             .keep_alive_while_idle(true)
    ///             .user_agent("orders/1.0")
    ///     })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// TLS with an own authority, a certificate of the client's, and another name than the address's:
    ///
    /// ```no_run
    /// # #[cfg(feature = "tls")]
    /// # fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use tenure_grpc::GrpcEndpoint;
    /// use tonic::transport::{Certificate, ClientTlsConfig, Identity};
    ///
    /// let tls = ClientTlsConfig::new()
    ///     .ca_certificate(Certificate::from_pem(std::fs::read("ca.pem")?))
    ///     .identity(Identity::from_pem(std::fs::read("client.pem")?, std::fs::read("client.key")?))
    ///     .domain_name("orders.internal");
    /// let endpoint = GrpcEndpoint::new("https://10.0.0.7:443")?.configure(|endpoint| endpoint.tls_config(tls))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What `set` says.
    pub fn configure<E>(
        mut self,
        set: impl FnOnce(Endpoint) -> Result<Endpoint, E>,
    ) -> Result<Self, E> {
        self.endpoint = set(self.endpoint)?;
        Ok(self)
    }

    /// How the server's health is asked for. By default by `Check`.
    ///
    /// ```
    /// use tenure_grpc::{GrpcEndpoint, Health};
    /// let endpoint = GrpcEndpoint::new("http://localhost:50051")?.health(Health::Off);
    /// # Ok::<(), tenure_grpc::AddressError>(())
    /// ```
    #[must_use]
    pub const fn health(mut self, how: Health) -> Self {
        self.health.how = how;
        self
    }

    /// Which service's health is asked for, such as `orders.v1.Orders`. By default that of the server as a whole.
    ///
    /// ```
    /// use tenure_grpc::GrpcEndpoint;
    /// let endpoint = GrpcEndpoint::new("http://localhost:50051")?.health_service("orders.v1.Orders");
    /// # Ok::<(), tenure_grpc::AddressError>(())
    /// ```
    #[must_use]
    pub fn health_service(mut self, service: impl Into<String>) -> Self {
        self.health.service = service.into();
        self
    }

    /// What answers may be compressed with, in clients made by [`client!`](crate::client).
    ///
    /// ```
    /// # #[cfg(feature = "gzip")] {
    /// use tenure_grpc::GrpcEndpoint;
    /// use tonic::codec::CompressionEncoding;
    /// let endpoint = GrpcEndpoint::new("http://localhost:50051")?.accept_compressed(CompressionEncoding::Gzip);
    /// # }
    /// # Ok::<(), tenure_grpc::AddressError>(())
    /// ```
    #[must_use]
    pub const fn accept_compressed(mut self, encoding: CompressionEncoding) -> Self {
        self.messages.accept_compressed = Some(encoding);
        self
    }

    /// What requests are compressed with, in clients made by [`client!`](crate::client).
    ///
    /// ```
    /// # #[cfg(feature = "gzip")] {
    /// use tenure_grpc::GrpcEndpoint;
    /// use tonic::codec::CompressionEncoding;
    /// let endpoint = GrpcEndpoint::new("http://localhost:50051")?.send_compressed(CompressionEncoding::Gzip);
    /// # }
    /// # Ok::<(), tenure_grpc::AddressError>(())
    /// ```
    #[must_use]
    pub const fn send_compressed(mut self, encoding: CompressionEncoding) -> Self {
        self.messages.send_compressed = Some(encoding);
        self
    }

    /// How large an answer may be, in bytes, in clients made by [`client!`](crate::client).
    ///
    /// ```
    /// use tenure_grpc::GrpcEndpoint;
    /// let endpoint = GrpcEndpoint::new("http://localhost:50051")?.max_decoding_message_size(64 << 20);
    /// # Ok::<(), tenure_grpc::AddressError>(())
    /// ```
    #[must_use]
    pub const fn max_decoding_message_size(mut self, limit: usize) -> Self {
        self.messages.max_decoding_message_size = Some(limit);
        self
    }

    /// How large a request may be, in bytes, in clients made by [`client!`](crate::client).
    ///
    /// ```
    /// use tenure_grpc::GrpcEndpoint;
    /// let endpoint = GrpcEndpoint::new("http://localhost:50051")?.max_encoding_message_size(1 << 20);
    /// # Ok::<(), tenure_grpc::AddressError>(())
    /// ```
    #[must_use]
    pub const fn max_encoding_message_size(mut self, limit: usize) -> Self {
        self.messages.max_encoding_message_size = Some(limit);
        self
    }

    /// For a channel, which wants to be told when a connection is worth a look.
    pub(crate) fn of_channel(mut self, signals: Signals) -> Self {
        self.health.signals = Some(signals);
        self.health.ties = Some(Arc::default());
        self
    }

    pub(crate) const fn ties(&self) -> Option<&Arc<Ties>> {
        self.health.ties.as_ref()
    }

    pub(crate) const fn board(&self) -> &HealthBoard {
        &self.health
    }

    pub(crate) fn address(&self) -> String {
        self.endpoint.uri().to_string()
    }

    pub(crate) async fn connect(&self) -> Result<GrpcTransport, ChannelError> {
        let wire = Arc::new(Wire::default());
        let cut = CutOnDrop::new(wire.clone());
        let dial = Dial::new(&self.endpoint, wire.clone(), self.health.signals.clone());
        let channel = self
            .endpoint
            .connect_with_connector(dial)
            .await
            .map_err(ChannelError::from_connecting)?;
        let transport = GrpcTransport::new(channel, wire, self.messages);
        self.health.prove(&transport).await?;
        cut.disarm();
        if self.health.how == Health::Watch {
            let (channel, wire) = (transport.channel().clone(), transport.wire().clone());
            let pushed = transport.pushes().clone();
            tokio::spawn(self.health.clone().watch(channel, wire, pushed));
        }
        Ok(transport)
    }
}

/// Waits for what is under way on a transport, and for its socket to be closed. Dropped before, it cuts it.
pub(crate) async fn disconnect(transport: GrpcTransport) {
    let wire = transport.wire().clone();
    let cut = CutOnDrop::new(wire.clone());
    wire.begin_closing();
    drop(transport);
    wire.gone().await;
    cut.disarm();
}

impl Resource for GrpcEndpoint {
    type Value = GrpcTransport;
    type Error = ChannelError;
    const CHECKED: bool = true;

    async fn open(&self) -> Result<GrpcTransport, ChannelError> {
        self.connect().await
    }

    async fn close(&self, transport: GrpcTransport, _: Why) -> Result<(), ChannelError> {
        if let Some(ties) = self.ties().filter(|ties| ties.goes_on()) {
            // The next connection is not opened before this returns.
            ties.let_linger(transport.wire().clone());
            return Ok(());
        }
        disconnect(transport).await;
        Ok(())
    }

    async fn check(&self, transport: &mut GrpcTransport) -> Result<(), ChannelError> {
        self.health.check(transport).await
    }

    fn is_broken(&self, transport: &mut GrpcTransport) -> bool {
        transport.is_lost()
    }

    fn classify(&self, failure: Failure<'_, ChannelError>) -> ErrorClass {
        failure
            .error()
            .map_or(ErrorClass::Retry, |error| error.class(false))
    }

    fn abandon(&self, transport: GrpcTransport, _why: Why) {
        transport.wire().cut();
    }
}

/// What was given is no address of a gRPC server.
///
/// ```
/// let error = tenure_grpc::GrpcEndpoint::new("localhost").unwrap_err();
/// assert_eq!(error.to_string(), "`localhost` is no address: it begins with http:// or https://");
/// ```
#[derive(Debug)]
pub struct AddressError {
    address: String,
    source: Option<tonic::transport::Error>,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no address", self.address)?;
        if self.source.is_none() {
            f.write_str(": it begins with http:// or https://")?;
        }
        Ok(())
    }
}

impl Error for AddressError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_ref()
            .map(|error| error as &(dyn Error + 'static))
    }
}
