//! A channel that reconnects.

mod builder;
mod member;
mod watch;

use std::fmt;
use std::time::Duration;

pub use builder::GrpcChannelBuilder;
use tenure_core::connection::{Connection, ConnectionStats};
use tenure_core::{CheckError, OpenError, Report, State};
use tenure_tokio::Tokio;

use crate::endpoint::GrpcEndpoint;
use crate::health::Serving;

/// A channel to one server, that all tasks share: it connects when it is first wanted, proves that requests are
/// answered, is checked, and reconnects at the core's pace when it is lost.
///
/// Calls are made by [`GrpcService`](crate::GrpcService). Several services can share a channel.
///
/// For an address with several servers behind it, this is one connection to one of them: balance in front of it, or
/// take a [pool](crate::GrpcPool).
///
/// A handle: cloning it is cheap. When the last is dropped without a [`shutdown`](GrpcChannel::shutdown), the
/// background work closes the connection.
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// use std::time::Duration;
/// use tenure_grpc::{GrpcChannel, GrpcEndpoint};
/// use tenure_tokio::Tokio;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let address = serve().await;
/// let channel = GrpcChannel::builder(GrpcEndpoint::new(address)?)
///     .name("orders")
///     .build(Tokio::current())?;
/// channel.open().await?; // for a program that should not come up without it
/// println!("{}", channel.stats());
/// channel.shutdown(Duration::from_secs(5)).await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct GrpcChannel {
    connection: Connection<GrpcEndpoint, Tokio>,
}

impl GrpcChannel {
    /// Begins to configure a channel to `endpoint`.
    ///
    /// ```
    /// use tenure_grpc::{GrpcChannel, GrpcEndpoint};
    /// let builder = GrpcChannel::builder(GrpcEndpoint::new("http://localhost:50051")?);
    /// # Ok::<(), tenure_grpc::AddressError>(())
    /// ```
    pub fn builder(endpoint: GrpcEndpoint) -> GrpcChannelBuilder {
        GrpcChannelBuilder::new(endpoint)
    }

    /// The core's connection, for all that it can do: its state can be watched, it reconnects when told to. It is as good
    /// as the channel: it keeps it open, and closes it as a whole.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let channel = connect().await;
    /// println!("{}", channel.connection().connection_state());
    /// channel.connection().reconnect().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub const fn connection(&self) -> &Connection<GrpcEndpoint, Tokio> {
        &self.connection
    }

    /// Connects, and waits for it.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let channel = connect().await;
    /// channel.open().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`OpenError`], once the retries of an opening are exhausted, or if the channel is closed. Its cause is a
    /// [`ChannelError`](crate::ChannelError).
    ///
    /// # Cancel safety
    /// Dropping the future gives up waiting. The attempt goes on in the background, and either becomes the connection
    /// or leaves nothing open.
    pub async fn open(&self) -> Result<(), OpenError> {
        self.connection().open().await
    }

    /// Checks the connection now, as [`Health`](crate::Health) has it.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let channel = connect().await;
    /// channel.open().await?;
    /// channel.check().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`CheckError`]: it failed, or there is no connection.
    ///
    /// # Cancel safety
    /// Dropping the future drops the check, which then counts for nothing.
    pub async fn check(&self) -> Result<(), CheckError> {
        self.connection().check().await
    }

    /// Whether there is a connection that passed its last check.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let channel = connect().await;
    /// if !channel.is_healthy() { println!("{}", channel.serving()) }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.connection().state() == State::Ready
    }

    /// What the server said of its health last.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let channel = connect().await;
    /// use tenure_grpc::Serving;
    /// if channel.serving() == Serving::Unimplemented { println!("give that server a health service") }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn serving(&self) -> Serving {
        self.connection().resource().board().latest()
    }

    /// Attempts to connect and calls, and what became of each.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let channel = connect().await;
    /// println!("{}", channel.stats());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn stats(&self) -> ConnectionStats {
        self.connection().stats()
    }

    /// Closes for good: waits for calls and streams under way, cuts the connection when there is no time for that, and
    /// reports. Streams on connections that were replaced are cut then.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let channel = connect().await;
    /// use std::time::Duration;
    /// let report = channel.shutdown(Duration::from_secs(5)).await;
    /// assert!(report.is_clean(), "{report}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the future leaves the channel closing: call it again to go on.
    pub async fn shutdown(&self, within: Duration) -> Report {
        let report = self.connection().shutdown(within).await;
        self.cut_lingering();
        report
    }

    fn cut_lingering(&self) {
        if let Some(ties) = self.connection().resource().ties() {
            ties.cut();
        }
    }
}

impl fmt::Debug for GrpcChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GrpcChannel")
            .field(self.connection())
            .finish()
    }
}
