//! A TCP connection on which one question is asked at a time, and answered.

use std::io;
use std::sync::Arc;

use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio::sync::{Mutex, MutexGuard};

/// All clones are the same connection. It is none any more once an exchange was broken off: whatever came
/// next would take the late answer for its own.
#[derive(Clone)]
pub(crate) struct Connection(Arc<Mutex<Option<BufReader<TcpStream>>>>);

/// One question and its answer. Dropped before it is [done](Exchange::done), it ends the connection.
pub(crate) struct Exchange<'a> {
    pub(crate) stream: BufReader<TcpStream>,
    home: MutexGuard<'a, Option<BufReader<TcpStream>>>,
}

impl Connection {
    pub(crate) async fn open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self(Arc::new(Mutex::new(Some(BufReader::new(stream))))))
    }

    /// Once it is this caller's turn.
    pub(crate) async fn begin(&self) -> io::Result<Exchange<'_>> {
        Exchange::on(self.0.lock().await)
    }

    /// Whether somebody is being answered just now.
    pub(crate) fn is_in_use(&self) -> bool {
        self.0.try_lock().is_err()
    }

    /// Whoever has a clone finds the connection lost.
    pub(crate) async fn close(&self) {
        self.0.lock().await.take();
    }
}

impl<'a> Exchange<'a> {
    fn on(mut home: MutexGuard<'a, Option<BufReader<TcpStream>>>) -> io::Result<Self> {
        let stream = home.take().ok_or(io::ErrorKind::NotConnected)?;
        Ok(Self { stream, home })
    }

    pub(crate) fn done(mut self) {
        *self.home = Some(self.stream);
    }
}
