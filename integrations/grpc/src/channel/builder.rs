//! How a channel is configured and built.

use std::fmt;
use std::time::Duration;

use tenure_core::config::ConfigError;
use tenure_core::connection::{Connection, ConnectionBuilder, WhenDown};
use tenure_core::{Backoff, Retry, Sink, Spawn};
use tenure_tokio::Tokio;

use super::GrpcChannel;
use super::watch::look_after;
use crate::endpoint::GrpcEndpoint;
use crate::signals::Signals;

/// Default limit of one attempt to connect.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);

/// Configures a [`GrpcChannel`]. Made by [`GrpcChannel::builder`].
///
/// By default an attempt to connect has 5 s, 3 retries follow it with a backoff from 1 s to 30 s, calls are retried in
/// the same way, the connection is checked every 60 s, and is opened anew when it is lost. Calls that end with a status
/// do not degrade it.
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// use std::time::Duration;
/// use tenure_core::Retry;
/// use tenure_grpc::{GrpcChannel, GrpcEndpoint};
/// use tenure_tokio::Tokio;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let address = serve().await;
/// let channel = GrpcChannel::builder(GrpcEndpoint::new(address)?)
///     .name("orders")
///     .open_timeout(Duration::from_secs(10))
///     .retry(Retry::CRITICAL)
///     .build(Tokio::current())?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a builder does nothing until it is built"]
pub struct GrpcChannelBuilder {
    connection: ConnectionBuilder<GrpcEndpoint>,
    signals: Signals,
}

impl GrpcChannelBuilder {
    pub(super) fn new(endpoint: GrpcEndpoint) -> Self {
        let signals = Signals::default();
        let address = endpoint.address();
        let connection = Connection::builder(address, endpoint.of_channel(signals.clone()))
            .name("grpc")
            .open_timeout(OPEN_TIMEOUT)
            // NOT_FOUND and its like are answers. Health is asked for.
            .doubt_after(None);
        Self {
            connection,
            signals,
        }
    }

    /// The name in errors and events, to which the address is added. By default "grpc".
    ///
    /// ```
    /// # use tenure_grpc::{GrpcChannel, GrpcEndpoint};
    /// let builder = GrpcChannel::builder(GrpcEndpoint::new("http://localhost:50051")?).name("orders");
    /// # Ok::<(), tenure_grpc::AddressError>(())
    /// ```
    pub fn name(self, name: impl AsRef<str>) -> Self {
        self.connection(|connection| connection.name(name))
    }

    /// Where events go. By default nowhere.
    ///
    /// ```
    /// # use tenure_grpc::{GrpcChannel, GrpcEndpoint};
    /// use std::sync::Arc;
    /// use tenure_core::Event;
    /// let sink = Arc::new(|event: &Event<'_>| println!("{event}"));
    /// let builder = GrpcChannel::builder(GrpcEndpoint::new("http://localhost:50051")?).events(sink);
    /// # Ok::<(), tenure_grpc::AddressError>(())
    /// ```
    pub fn events(self, sink: impl Into<Sink>) -> Self {
        self.connection(|connection| connection.events(sink))
    }

    /// Sets how calls are retried. By default 3 retries, from 1 s to 30 s. Attempts to connect have a
    /// [pace](GrpcChannelBuilder::open_pace) instead.
    ///
    /// ```
    /// # use tenure_grpc::{GrpcChannel, GrpcEndpoint};
    /// use tenure_core::Retry;
    /// let builder = GrpcChannel::builder(GrpcEndpoint::new("http://localhost:50051")?).retry(Retry::USER_FACING);
    /// # Ok::<(), tenure_grpc::AddressError>(())
    /// ```
    pub fn retry(self, policy: Retry) -> Self {
        self.connection(|connection| connection.retry(policy))
    }

    /// Sets how far apart attempts to connect begin, from the start of one to the start of the next. See
    /// [`ConnectionBuilder::open_pace`](tenure_core::connection::ConnectionBuilder::open_pace).
    ///
    /// ```
    /// # use tenure_grpc::{GrpcChannel, GrpcEndpoint};
    /// use std::time::Duration;
    /// use tenure_core::{Backoff, Jitter};
    /// let slower = Backoff::constant(Duration::from_secs(5)).jitter(Jitter::Equal);
    /// let builder = GrpcChannel::builder(GrpcEndpoint::new("http://localhost:50051")?).open_pace(slower);
    /// # Ok::<(), tenure_grpc::AddressError>(())
    /// ```
    pub fn open_pace(self, pace: Backoff) -> Self {
        self.connection(|connection| connection.open_pace(pace))
    }

    /// Sets for how long attempts to connect fail, during a call's own wait, before it is told so. Default 3 s. See
    /// [`ConnectionBuilder::refuse_after`](tenure_core::connection::ConnectionBuilder::refuse_after).
    ///
    /// ```
    /// # use tenure_grpc::{GrpcChannel, GrpcEndpoint};
    /// use std::time::Duration;
    /// let builder = GrpcChannel::builder(GrpcEndpoint::new("http://localhost:50051")?)
    ///     .refuse_after(Duration::from_secs(10));
    /// # Ok::<(), tenure_grpc::AddressError>(())
    /// ```
    pub fn refuse_after(self, failing_for: impl Into<Option<Duration>>) -> Self {
        self.connection(|connection| connection.refuse_after(failing_for))
    }

    /// Sets by one policy how often connecting is tried and when calls are told, in the place of
    /// [`open_pace`](GrpcChannelBuilder::open_pace) and [`refuse_after`](GrpcChannelBuilder::refuse_after).
    ///
    /// ```
    /// # use tenure_grpc::{GrpcChannel, GrpcEndpoint};
    /// use tenure_core::Retry;
    /// let builder = GrpcChannel::builder(GrpcEndpoint::new("http://localhost:50051")?).open_retry(Retry::CRITICAL);
    /// # Ok::<(), tenure_grpc::AddressError>(())
    /// ```
    pub fn open_retry(self, policy: Retry) -> Self {
        self.connection(|connection| connection.open_retry(policy))
    }

    /// How long each attempt to connect may take, from the look-up of the name to the first answer. Default 5 s.
    ///
    /// One connection is all there is, so this bounds how long a server that is back goes unnoticed after an attempt met it
    /// hanging. gRPC's own clients give an attempt 20 s, for networks of telephones.
    ///
    /// ```
    /// # use tenure_grpc::{GrpcChannel, GrpcEndpoint};
    /// use std::time::Duration;
    /// let builder = GrpcChannel::builder(GrpcEndpoint::new("http://localhost:50051")?)
    ///     .open_timeout(Duration::from_secs(10));
    /// # Ok::<(), tenure_grpc::AddressError>(())
    /// ```
    pub fn open_timeout(self, limit: impl Into<Option<Duration>>) -> Self {
        self.connection(|connection| connection.open_timeout(limit))
    }

    /// How often the connection is checked. Default 60 s; `None` for never.
    ///
    /// ```
    /// # use tenure_grpc::{GrpcChannel, GrpcEndpoint};
    /// let builder = GrpcChannel::builder(GrpcEndpoint::new("http://localhost:50051")?).check_every(None);
    /// # Ok::<(), tenure_grpc::AddressError>(())
    /// ```
    pub fn check_every(self, interval: impl Into<Option<Duration>>) -> Self {
        self.connection(|connection| connection.check_every(interval))
    }

    /// What calls do while there is no connection. gRPC's `wait_for_ready` is
    /// [`WaitToDeadline`](WhenDown::WaitToDeadline), the default; the opposite is [`FailAtOnce`](WhenDown::FailAtOnce).
    ///
    /// ```
    /// # use tenure_grpc::{GrpcChannel, GrpcEndpoint};
    /// use tenure_core::connection::WhenDown;
    /// let builder = GrpcChannel::builder(GrpcEndpoint::new("http://localhost:50051")?)
    ///     .when_down(WhenDown::FailAtOnce);
    /// # Ok::<(), tenure_grpc::AddressError>(())
    /// ```
    pub fn when_down(self, when_down: WhenDown) -> Self {
        self.connection(|connection| connection.when_down(when_down))
    }

    /// Sets what else the core's [`ConnectionBuilder`] can be set to.
    ///
    /// ```
    /// # use tenure_grpc::{GrpcChannel, GrpcEndpoint};
    /// let builder = GrpcChannel::builder(GrpcEndpoint::new("http://localhost:50051")?)
    ///     .connection(|connection| connection.reopen_after(1).doubt_after(3));
    /// # Ok::<(), tenure_grpc::AddressError>(())
    /// ```
    pub fn connection(
        mut self,
        set: impl FnOnce(ConnectionBuilder<GrpcEndpoint>) -> ConnectionBuilder<GrpcEndpoint>,
    ) -> Self {
        self.connection = set(self.connection);
        self
    }

    /// Builds it, with its background work spawned on `runtime`. Nothing is connected yet.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let address = serve().await;
    /// use tenure_tokio::Tokio;
    /// let endpoint = GrpcEndpoint::new(address)?;
    /// let channel = GrpcChannel::builder(endpoint).build(Tokio::current())?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ConfigError`] names the setting that makes no sense.
    ///
    /// # Panics
    /// Outside of a tokio runtime, if `runtime` has none either.
    pub fn build(self, runtime: Tokio) -> Result<GrpcChannel, ConfigError> {
        let connection = self.connection.build(runtime.clone())?;
        if let Some(ties) = connection.resource().ties() {
            ties.to(connection.downgrade());
            let looks = look_after(&connection, runtime.clone(), ties.clone(), self.signals);
            runtime.spawn(looks);
        }
        Ok(GrpcChannel { connection })
    }
}

impl fmt::Debug for GrpcChannelBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcChannelBuilder")
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}
