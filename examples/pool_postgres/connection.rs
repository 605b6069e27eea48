//! One connection of `tokio-postgres`, with the task that moves its bytes.

use std::fmt;
use std::io;

use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_postgres::config::Host;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};

/// A client and its courier. Dropped, it ends without a goodbye.
pub(crate) struct Connection {
    pub(crate) client: Client,
    courier: Courier,
}

/// The task that moves the bytes. It does not outlive its handle, even where the network is stuck.
struct Courier(JoinHandle<()>);

impl Drop for Courier {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Connection {
    pub(crate) async fn open(config: &Config) -> Result<Self, Error> {
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let Some(Host::Tcp(host)) = config.get_hosts().first() else {
            return Err(io::Error::other("the address names no host to reach by TCP").into());
        };
        let stream = TcpStream::connect((host.as_str(), port)).await?;
        stream.set_nodelay(true)?;
        let (client, connection) = config.connect_raw(stream, NoTls).await?;
        let courier = tokio::spawn(async move {
            // What ends it with an error fails the statement under way, or the next one.
            let _ = connection.await;
        });
        let courier = Courier(courier);
        Ok(Self { client, courier })
    }

    pub(crate) async fn close(self) {
        let Self {
            client,
            mut courier,
        } = self;
        // With its client gone, the courier says goodbye to the server and ends. It has no answer.
        drop(client);
        let _ = (&mut courier.0).await;
    }
}

#[derive(Debug)]
pub(crate) enum Error {
    Unreachable(io::Error),
    Postgres(tokio_postgres::Error),
}

impl Error {
    pub(crate) fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Unreachable(_) => None,
            Self::Postgres(error) => error.code(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(error) => write!(f, "the server cannot be reached: {error}"),
            Self::Postgres(error) => match error.as_db_error() {
                Some(answer) => write!(f, "{}", answer.message()),
                None => write!(f, "{error}"),
            },
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Unreachable(error)
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Postgres(error)
    }
}
