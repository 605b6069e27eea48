//! Where a server is, and how to connect to it.

use std::error::Error;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tenure_core::{ErrorClass, Failure, Resource, Why};
use tonic::Status;
use tonic::codec::CompressionEncoding;
#[cfg(feature = "tls")]
use tonic::transport::ClientTlsConfig;
use tonic::transport::Endpoint;

use crate::dial::Dial;
use crate::error::ChannelError;
use crate::health::{Health, HealthBoard};
use crate::messages::Messages;
use crate::signals::Signals;
use crate::ties::Ties;
use crate::transport::GrpcTransport;
use crate::wire::{CutOnDrop, Wire};

/// Default interval of HTTP/2's keepalive. Servers of gRPC's C core, of Go and of Java take more than one ping in five
/// minutes for an attack, unless they are told otherwise.
const KEEP_ALIVE: Duration = Duration::from_secs(330);
const LONGEST_KEEP_ALIVE: Duration = Duration::from_secs(24 * 60 * 60);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// How long streams on a connection that failed its checks have to come to an end by themselves.
const GRACE: Duration = Duration::from_secs(5);

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
    local_address: Option<IpAddr>,
    /// As set by the method of this name, which leaves it to tonic otherwise.
    keep_alive: Option<Duration>,
    too_many_pings: Arc<AtomicU32>,
    reconnect_on: ReconnectOn,
}

impl GrpcEndpoint {
    /// A server at `http://host:port`, or at `https://host:port` by TLS.
    ///
    /// Without a `tls_config` of its own, `https` trusts what the operating system trusts (feature `tls-native-roots`, a
    /// default) and what Mozilla trusts (feature `tls-webpki-roots`). The former is read when the endpoint is made; where
    /// there is nothing to read, no certificate is trusted.
    ///
    /// HTTP/2's keepalive sends a ping after 330 s without a frame while calls are under way, and gives the connection
    /// up if it is not answered within 20 s. gRPC's own clients send none by default; servers of Go, Java and the C core
    /// tolerate one in five minutes. It is for peers that vanish or freeze under calls that use all their streams, when
    /// no check gets through. [`keep_alive`](GrpcEndpoint::keep_alive) changes the interval.
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
        let endpoint = Endpoint::from_shared(address.to_owned())
            .map_err(|error| refuse(Some(error)))?
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
        #[cfg(feature = "tls")]
        let endpoint = if address.starts_with("https://") {
            with_default_tls(endpoint).map_err(|error| refuse(Some(error)))?
        } else {
            endpoint
        };
        Ok(Self {
            endpoint,
            messages: Messages::default(),
            health: HealthBoard::default(),
            local_address: None,
            keep_alive: None,
            too_many_pings: Arc::default(),
            reconnect_on: ReconnectOn::default(),
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
    /// Sets the address of this machine that connections are made from. By default the system chooses. tonic's own setter
    /// of this name has no effect here, as tonic does not tell what was set.
    ///
    /// ```
    /// use std::net::{IpAddr, Ipv4Addr};
    /// # use tenure_grpc::GrpcEndpoint;
    /// let from = IpAddr::V4(Ipv4Addr::LOCALHOST);
    /// let endpoint = GrpcEndpoint::new("http://localhost:50051")?.local_address(from);
    /// # Ok::<(), tenure_grpc::AddressError>(())
    /// ```
    #[must_use]
    pub fn local_address(mut self, address: impl Into<Option<IpAddr>>) -> Self {
        self.local_address = address.into();
        self
    }

    /// Sets after how long without a frame HTTP/2's keepalive sends a ping, while calls are under way. Default 330 s.
    ///
    /// A server for which that is too often ends the connection with `too_many_pings`. The interval then doubles for the
    /// connections after it (gRFC A8), if that can be seen: HTTP/2's reason reaches only calls that were refused by the
    /// same frame, and hyper tells it of no others. One that is set in [`configure`](GrpcEndpoint::configure), by tonic's
    /// `http2_keep_alive_interval`, never doubles.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tenure_grpc::GrpcEndpoint;
    /// let endpoint = GrpcEndpoint::new("http://localhost:50051")?.keep_alive(Duration::from_secs(30));
    /// # Ok::<(), tenure_grpc::AddressError>(())
    /// ```
    #[must_use]
    pub fn keep_alive(mut self, interval: Duration) -> Self {
        self.endpoint = self.endpoint.http2_keep_alive_interval(interval);
        self.keep_alive = Some(interval);
        self
    }

    /// Sets which statuses of the server's own have the channel reconnect. By default none does: a status that arrives
    /// shows that the connection works, and UNAVAILABLE only brings its next check forward.
    ///
    /// For a proxy or balancer in front that answers for a server that it has lost, where another connection may lead to
    /// another server. A call that is not idempotent is not repeated for that.
    ///
    /// ```
    /// # use tenure_grpc::GrpcEndpoint;
    /// let endpoint = GrpcEndpoint::new("http://localhost:50051")?.reconnect_on(|status| {
    ///     status.code() == tonic::Code::Unavailable && status.message().contains("upstream connect error")
    /// });
    /// # Ok::<(), tenure_grpc::AddressError>(())
    /// ```
    #[must_use]
    pub fn reconnect_on(
        mut self,
        is_of_connection: impl Fn(&Status) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.reconnect_on = ReconnectOn(Some(Arc::new(is_of_connection)));
        self
    }

    /// A call ended with a status that may come from a server in trouble.
    pub(crate) fn suspect(&self) {
        if let Some(signals) = &self.health.signals {
            signals.suspect();
        }
    }

    /// Returns `true` if the user takes this status of the server's own for one of the connection.
    pub(crate) fn reconnects_on(&self, status: &Status) -> bool {
        let hook = self.reconnect_on.0.as_ref();
        hook.is_some_and(|hook| hook(status))
    }

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
        let wire = Arc::new(Wire::new(self.too_many_pings.clone()));
        let cut = CutOnDrop::new(wire.clone());
        let signals = self.health.signals.clone();
        let dial = Dial::new(&self.endpoint, self.local_address, wire.clone(), signals);
        let doublings = self.too_many_pings.load(Ordering::Relaxed);
        let endpoint = match self.keep_alive {
            Some(interval) if doublings > 0 => {
                let factor = 2_u32.saturating_pow(doublings);
                let longer = interval.saturating_mul(factor).min(LONGEST_KEEP_ALIVE);
                self.endpoint.clone().http2_keep_alive_interval(longer)
            }
            _ => self.endpoint.clone(),
        };
        let channel = endpoint
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

    async fn close(&self, transport: GrpcTransport, why: Why) -> Result<(), ChannelError> {
        if let Some(ties) = self.ties().filter(|ties| ties.goes_on()) {
            // The next connection is not opened before this returns.
            let wire = transport.wire().clone();
            ties.let_linger(wire.clone());
            if why == Why::CheckFailed {
                // Nobody answers on it: its streams would wait for ever.
                tokio::spawn(async move {
                    let _ = tokio::time::timeout(GRACE, wire.gone()).await;
                    wire.cut();
                });
            }
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

    fn counts_as_dead(&self, failure: Failure<'_, ChannelError>) -> bool {
        // Another connection to the same address would hear the same.
        !matches!(failure, Failure::Error(ChannelError::Unhealthy(_)))
    }

    fn abandon(&self, transport: GrpcTransport, _why: Why) {
        transport.wire().cut();
    }
}

/// The user's own word on statuses.
#[derive(Clone, Default)]
struct ReconnectOn(Option<Arc<OnStatus>>);

type OnStatus = dyn Fn(&Status) -> bool + Send + Sync;

impl fmt::Debug for ReconnectOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "set" } else { "none" })
    }
}

/// The TLS of an `https` address for which none was configured.
#[cfg(feature = "tls")]
fn with_default_tls(endpoint: Endpoint) -> Result<Endpoint, tonic::transport::Error> {
    let trusting = ClientTlsConfig::new().with_enabled_roots();
    // Without a certificate to trust, it is the handshake that fails, unless the user configures others.
    let without_roots = endpoint.clone();
    endpoint
        .tls_config(trusting)
        .or_else(|_| without_roots.tls_config(ClientTlsConfig::new()))
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
