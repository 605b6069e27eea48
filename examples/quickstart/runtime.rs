//! What this program needs of a runtime: what Tenure asks for, and sockets.

use std::future::Future;
use std::io;
use std::time::Duration;

use tenure::async_std::AsyncStd;
use tenure::smol::Smol;
use tenure::tokio::Tokio;
use tenure::{Spawn, Timer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt};

/// A runtime with a timer, tasks and sockets. The library itself asks for the first, and can do with
/// no more; the sockets are for the PostgreSQL client, which speaks over any stream.
pub(crate) trait Runtime:
    Timer<Sleep: Send + 'static> + Spawn + Send + Sync + 'static
{
    const NAME: &'static str;

    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    fn connect(
        &self,
        host: &str,
        port: u16,
    ) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    fn sleep(&self, time: Duration) -> Self::Sleep {
        self.sleep_until(self.now() + time)
    }
}

impl Runtime for Tokio {
    const NAME: &'static str = "tokio";

    type Stream = tokio::net::TcpStream;

    async fn connect(&self, host: &str, port: u16) -> io::Result<Self::Stream> {
        tokio::net::TcpStream::connect((host, port)).await
    }
}

impl Runtime for Smol {
    const NAME: &'static str = "smol";

    type Stream = Compat<smol::net::TcpStream>;

    async fn connect(&self, host: &str, port: u16) -> io::Result<Self::Stream> {
        let stream = smol::net::TcpStream::connect((host, port)).await?;
        Ok(stream.compat())
    }
}

impl Runtime for AsyncStd {
    const NAME: &'static str = "async-std";

    type Stream = Compat<async_std::net::TcpStream>;

    async fn connect(&self, host: &str, port: u16) -> io::Result<Self::Stream> {
        let stream = async_std::net::TcpStream::connect((host, port)).await?;
        Ok(stream.compat())
    }
}
