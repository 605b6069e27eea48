//! A black hole: connections that die without a word, so that only those who wait in vain can tell.
//!
//! A firewall that forgets them does that, and a server whose machine is gone. Here it is a proxy on loopback
//! that stops forwarding. It has a pool of its own, with default settings: callers give up after two seconds,
//! and their `run` is what tells the pool.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tenure::tokio::{Pool, Tokio};
use tenure::{BoxError, with_timeout};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::narrator::Narrator;
use crate::postgres::Postgres;
use crate::{PATIENCE, outage};

const CALLERS: usize = 20;

/// How long a caller waits in all, for a connection and for the answer.
const GIVES_UP_AFTER: Duration = Duration::from_secs(2);

/// How long the callers are served before it.
const CALM: Duration = Duration::from_secs(1);

/// What came of it.
pub(crate) struct Recovery {
    /// From when the connections fell silent until a caller was served.
    pub(crate) served_after: Option<Duration>,
    /// Until every connection that fell silent was closed.
    pub(crate) clean_after: Option<Duration>,
}

impl Recovery {
    /// Callers give up after two seconds; half a second more is for the check, and for a new connection.
    pub(crate) fn is_prompt(&self) -> bool {
        let limit = GIVES_UP_AFTER + Duration::from_millis(500);
        self.served_after.is_some_and(|after| after <= limit)
    }
}

/// Has all connections of a pool fall silent while callers use it.
pub(crate) async fn stage(database: &Postgres, narrator: &Narrator) -> Result<Recovery, BoxError> {
    let proxy = Proxy::start(database.address()?).await?;
    let pool: Pool<Postgres> =
        tenure::Pool::builder(database.reached_at(proxy.address)).build(Tokio::current())?;
    let callers = Callers::start(&pool);
    sleep(CALM).await;
    let opened_before = pool.audit().opened;
    proxy.fall_silent();
    narrator.say(format_args!(
        "all connections fall silent: {}",
        pool.status()
    ));
    let fell_silent = Instant::now();
    callers.served_again();
    let served = outage::moment(|| callers.are_served()).await;
    let clean = outage::moment(|| pool.audit().ended() >= opened_before).await;
    narrator.say(format_args!("callers are served again: {}", pool.status()));
    callers.end().await;
    pool.shutdown(PATIENCE).await;
    Ok(Recovery {
        served_after: served.map(|at| at - fell_silent),
        clean_after: clean.map(|at| at - fell_silent),
    })
}

/// Tasks that ask the server something, again and again.
struct Callers {
    tasks: JoinSet<()>,
    are_served: Arc<AtomicBool>,
}

impl Callers {
    fn start(pool: &Pool<Postgres>) -> Self {
        let are_served = Arc::new(AtomicBool::new(false));
        let call = || call(pool.clone(), are_served.clone());
        Self {
            tasks: (0..CALLERS).map(|_| call()).collect(),
            are_served,
        }
    }

    /// Forgets that any was served before.
    fn served_again(&self) {
        self.are_served.store(false, Ordering::SeqCst);
    }

    fn are_served(&self) -> bool {
        self.are_served.load(Ordering::SeqCst)
    }

    async fn end(mut self) {
        self.tasks.shutdown().await;
    }
}

async fn call(pool: Pool<Postgres>, served: Arc<AtomicBool>) {
    loop {
        let ask = async {
            let mut session = pool.acquire().await?;
            // Cut off by the timeout, it leaves the connection suspect: it is checked before anybody else gets it.
            let mut asking = session.begin();
            let answer = asking.ask().await;
            asking.complete();
            answer.map_err(BoxError::from)
        };
        let answer = with_timeout(&Tokio::current(), GIVES_UP_AFTER, "asking", ask).await;
        if let Ok(Ok(())) = answer {
            served.store(true, Ordering::SeqCst);
        }
        sleep(Duration::from_millis(5)).await;
    }
}

/// Stands between the pool and the server.
struct Proxy {
    address: SocketAddr,
    /// How many times connections fell silent: those from before each stay so.
    silences: watch::Sender<u32>,
    _accepts: JoinSet<()>,
}

impl Proxy {
    async fn start(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let silences = watch::Sender::new(0);
        let mut accepts = JoinSet::new();
        accepts.spawn(accept(listener, server, silences.subscribe()));
        Ok(Self {
            address,
            silences,
            _accepts: accepts,
        })
    }

    fn fall_silent(&self) {
        self.silences.send_modify(|silences| *silences += 1);
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, silences: watch::Receiver<u32>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        connections.spawn(forward(client, server, silences.clone()));
    }
}

/// Moves bytes both ways, until the connection falls silent: then both ends stay open, and nothing moves.
async fn forward(mut client: TcpStream, server: SocketAddr, mut silences: watch::Receiver<u32>) {
    silences.mark_unchanged();
    let Ok(mut server) = TcpStream::connect(server).await else {
        return;
    };
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => {}
        _ = silences.changed() => std::future::pending().await,
    }
}
