//! The server of a peer, as a member of its group: those that it calls stop before it, so that it serves to the last.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tenure_core::BoxError;
use tenure_core::group::Lifecycle;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::{Router, TcpIncoming};

use crate::PATIENCE;

/// A part of the ports that systems do not give to outgoing connections. While a peer is away, one of those could take
/// its port otherwise, and even find itself there.
const PORTS: std::ops::Range<u16> = 10_000..20_000;

/// How much a sender may be ahead: 4 MiB. By default HTTP/2 has it wait after 64 KiB.
pub(crate) const WINDOW: u32 = 4 << 20;

pub(crate) struct Server {
    /// Until it starts, which it does once.
    waiting: Mutex<Option<(Router, TcpListener)>>,
    serving: Mutex<Option<JoinHandle<Result<(), tonic::transport::Error>>>>,
    stop: CancellationToken,
}

impl Server {
    pub(crate) fn new(router: Router, listener: TcpListener) -> Self {
        Self {
            waiting: Mutex::new(Some((router, listener))),
            serving: Mutex::default(),
            stop: CancellationToken::new(),
        }
    }
}

impl Lifecycle for Server {
    async fn start(&self) -> Result<(), BoxError> {
        let mut serving = self.serving.lock().await;
        let waiting = self.waiting.lock().await.take();
        let (router, listener) = waiting.ok_or("it serves once")?;
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let stop = self.stop.clone().cancelled_owned();
        let serve = router.serve_with_incoming_shutdown(incoming, stop);
        *serving = Some(tokio::spawn(serve));
        Ok(())
    }

    /// Nobody new is let in, and each request that has come is answered. What takes too long is cut off.
    async fn stop(&self, within: Option<Duration>) -> Result<(), BoxError> {
        self.stop.cancel();
        let mut serving = self.serving.lock().await;
        let Some(task) = serving.as_mut() else {
            return Ok(());
        };
        let ended = timeout(within.unwrap_or(PATIENCE), &mut *task).await;
        task.abort();
        *serving = None;
        ended.map_err(|_| "requests were still under way, and were cut off")???;
        Ok(())
    }
}

/// Listens on loopback: on this port as soon as it is free, or on any.
pub(crate) async fn listen(port: Option<u16>) -> io::Result<TcpListener> {
    let deadline = Instant::now() + PATIENCE;
    // Where others begin to look that run beside this one.
    let mut next = u16::try_from(std::process::id() % u32::from(PORTS.end - PORTS.start))
        .map_or(0, |offset| offset);
    loop {
        let candidate = port.unwrap_or(PORTS.start + next);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, candidate));
        match TcpListener::bind(address).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline => {
                next = (next + 1) % (PORTS.end - PORTS.start);
                sleep(Duration::from_millis(1)).await;
            }
            bound => return bound,
        }
    }
}
