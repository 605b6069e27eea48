//! The socket below one channel, so that its end can be seen, and brought about.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::signals::Signals;

/// What is known of the socket by those who do not own it: the connection task of HTTP/2 does.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    is_cut: AtomicBool,
    /// Whoever waits to read, to be woken when it is cut.
    reader: Mutex<Option<Waker>>,
    closing: CancellationToken,
    gone: CancellationToken,
}

impl Wire {
    /// Nobody wants it any more: what is only there to watch it ends.
    pub(crate) fn begin_closing(&self) {
        self.closing.cancel();
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.is_cancelled()
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.is_cancelled()
    }

    /// Waits for the socket to be closed.
    pub(crate) async fn gone(&self) {
        self.gone.cancelled().await;
    }

    /// Waits for the first of the two.
    pub(crate) async fn ended(&self) {
        tokio::select! {
            () = self.closing.cancelled() => {}
            () = self.gone.cancelled() => {}
        }
    }

    /// Closes the socket, whatever is still under way on it.
    pub(crate) fn cut(&self) {
        self.begin_closing();
        self.is_cut.store(true, Ordering::Release);
        let reader = self.lock().take();
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Waker>> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refuse_if_cut(&self) -> io::Result<()> {
        if self.is_cut.load(Ordering::Acquire) {
            return Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "the channel is closed",
            ));
        }
        Ok(())
    }

    fn register(&self, waker: &Waker) {
        let mut reader = self.lock();
        match &mut *reader {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }
}

/// Cuts the wire when it is dropped: an opening or a close that is given up leaves no socket behind.
#[derive(Debug)]
pub(crate) struct CutOnDrop(Option<Arc<Wire>>);

impl CutOnDrop {
    pub(crate) const fn new(wire: Arc<Wire>) -> Self {
        Self(Some(wire))
    }

    /// All went well.
    pub(crate) fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for CutOnDrop {
    fn drop(&mut self) {
        if let Some(wire) = &self.0 {
            wire.cut();
        }
    }
}

/// The socket, as HTTP/2 or TLS above it uses it.
#[derive(Debug)]
pub(crate) struct WireIo {
    socket: TokioIo<TcpStream>,
    // After the socket: fields are dropped in order, and it is gone once that is closed.
    end: TellGone,
}

impl WireIo {
    pub(crate) const fn new(
        socket: TokioIo<TcpStream>,
        wire: Arc<Wire>,
        signals: Option<Signals>,
    ) -> Self {
        let end = TellGone { wire, signals };
        Self { socket, end }
    }
}

#[derive(Debug)]
struct TellGone {
    wire: Arc<Wire>,
    signals: Option<Signals>,
}

impl Drop for TellGone {
    fn drop(&mut self) {
        self.wire.gone.cancel();
        if let (false, Some(signals)) = (self.wire.is_closing(), &self.signals) {
            signals.look();
        }
    }
}

impl Read for WireIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.end.wire.refuse_if_cut()?;
        if let ready @ Poll::Ready(_) = Pin::new(&mut self.socket).poll_read(cx, buf) {
            return ready;
        }
        self.end.wire.register(cx.waker());
        // It may have been cut in between, when there was no waker to wake.
        self.end.wire.refuse_if_cut()?;
        Poll::Pending
    }
}

impl Write for WireIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.end.wire.refuse_if_cut()?;
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.end.wire.refuse_if_cut()?;
        Pin::new(&mut self.socket).poll_write_vectored(cx, bufs)
    }
}
