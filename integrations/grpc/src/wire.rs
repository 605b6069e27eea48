//! The socket below one channel, so that its end can be seen, and brought about.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::signals::Signals;

/// What is known of the socket by those who do not own it: the connection task of HTTP/2 does.
#[derive(Debug)]
pub(crate) struct Wire {
    is_cut: AtomicBool,
    /// Requests and streams on it.
    under_way: AtomicUsize,
    /// The runtime that the connection's tasks run on.
    runtime: Handle,
    /// Pings were too many for the server, which has been noted.
    was_too_eager: AtomicBool,
    /// How many connections to the address were ended for that.
    too_many_pings: Arc<AtomicU32>,
    /// Whoever waits to read, to be woken when it is cut.
    reader: Mutex<Option<Waker>>,
    closing: CancellationToken,
    gone: CancellationToken,
}

impl Wire {
    /// A socket that is not there yet, to be looked after by tasks on the current runtime.
    pub(crate) fn new(too_many_pings: Arc<AtomicU32>) -> Self {
        Self {
            was_too_eager: AtomicBool::new(false),
            too_many_pings,
            is_cut: AtomicBool::new(false),
            under_way: AtomicUsize::new(0),
            runtime: Handle::current(),
            reader: Mutex::default(),
            closing: CancellationToken::new(),
            gone: CancellationToken::new(),
        }
    }

    /// Returns `true` if the runtime of the connection has begun to end: its tasks were dropped, or are about to be.
    pub(crate) fn has_lost_its_runtime(&self) -> bool {
        // A runtime takes no more tasks before it drops those that it has, and ends at once what is spawned then.
        let probe = self.runtime.spawn(std::future::pending::<()>());
        let has_ended = probe.is_finished();
        probe.abort();
        has_ended
    }

    /// The server goes away since it gets too many pings, and has said so to one of perhaps many calls.
    pub(crate) fn is_too_eager(&self) {
        if !self.was_too_eager.swap(true, Ordering::Relaxed) {
            self.too_many_pings.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn requests_under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

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

/// A request or a stream on a connection.
#[derive(Debug)]
pub(crate) struct UnderWay(Arc<Wire>);

impl UnderWay {
    pub(crate) fn begin(wire: &Arc<Wire>) -> Self {
        wire.under_way.fetch_add(1, Ordering::Relaxed);
        Self(wire.clone())
    }

    pub(crate) const fn wire(&self) -> &Arc<Wire> {
        &self.0
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
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
