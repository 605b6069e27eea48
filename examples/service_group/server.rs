//! The server: HTTP on loopback, on a free port.

use std::fmt::Display;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tenure::group::Lifecycle;
use tenure::tokio::Managed;
use tenure::{BoxError, State};
use tokio::io::BufReader;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::background::Background;
use crate::db::{Db, Notes};
use crate::http::Message;
use crate::journal::Journal;
use crate::redis::Redis;
use crate::service::Probe;

pub(crate) struct Server {
    db: Managed<Db>,
    redis: Managed<Redis>,
    probe: Probe,
    /// It is found at the first start, and kept: clients know it.
    address: OnceLock<SocketAddr>,
    accepting: Background,
    journal: Arc<Journal>,
}

impl Lifecycle for Server {
    /// Until the task is there, a start that is dropped leaves nothing behind. After it nothing is awaited.
    async fn start(&self) -> Result<(), BoxError> {
        let answers = Answers {
            notes: self.db.get().await?,
            redis: self.redis.clone(),
            probe: self.probe.clone(),
        };
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = TcpListener::bind(self.address().unwrap_or(any)).await?;
        let address = listener.local_addr()?;
        self.address.get_or_init(|| address);
        let work = |stop| accept(listener, answers, stop);
        self.accepting.begin(work).await;
        Ok(())
    }

    /// Nobody new is let in, and each request that has come is answered.
    async fn stop(&self, within: Option<Duration>) -> Result<(), BoxError> {
        self.accepting.end(within).await?;
        self.journal.stopped("server");
        Ok(())
    }

    fn state(&self) -> State {
        self.accepting.state()
    }
}

impl Server {
    pub(crate) fn new(
        db: Managed<Db>,
        redis: Managed<Redis>,
        probe: Probe,
        journal: Arc<Journal>,
    ) -> Self {
        Self {
            db,
            redis,
            probe,
            address: OnceLock::new(),
            accepting: Background::new(),
            journal,
        }
    }

    pub(crate) async fn has_restarted(&self) {
        self.accepting.has_restarted().await;
    }

    /// Once it has started.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.address.get().copied()
    }
}

async fn accept(listener: TcpListener, answers: Answers, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(converse(stream, answers.clone(), stop.clone()));
            }
            // Too many files are open, perhaps: that passes.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// One connection, until the other side hangs up, or until the word comes while it says nothing.
async fn converse(stream: TcpStream, answers: Answers, stop: CancellationToken) {
    let mut stream = BufReader::new(stream);
    while let Some(read) = stop.run_until_cancelled(Message::read(&mut stream)).await {
        let Ok(Some(request)) = read else { return };
        let response = answers.to(&request).await;
        if response.write(&mut stream).await.is_err() {
            return;
        }
    }
}

#[derive(Clone)]
struct Answers {
    notes: Notes,
    redis: Managed<Redis>,
    probe: Probe,
}

impl Answers {
    async fn to(&self, request: &Message) -> Message {
        let mut words = request.first_line.split(' ');
        match (words.next(), words.next()) {
            (Some("GET"), Some("/alive")) => Message::response(200, "alive"),
            (Some("GET"), Some("/healthz")) => match self.probe.is_ready().await {
                (true, health) => Message::response(200, health),
                (false, health) => Message::response(503, health),
            },
            (Some("GET"), Some("/notes")) => match self.notes.list().await {
                Ok(lines) => Message::response(200, lines.join("\n")),
                Err(error) => unavailable(error),
            },
            (Some("POST"), Some("/notes")) => match self.notes.add(request.body.clone()).await {
                Ok(()) => Message::response(201, ""),
                Err(error) => unavailable(error),
            },
            (Some("POST"), Some("/visits")) => self.count_a_visit().await,
            _ => Message::response(404, ""),
        }
    }

    /// Nobody waits for what may be missing: it is there now, or not.
    async fn count_a_visit(&self) -> Message {
        let Some(redis) = self.redis.try_get() else {
            return unavailable("there is no Redis to count with");
        };
        match redis.increment("tenure:visits").await {
            Ok(visits) => Message::response(200, visits),
            Err(error) => unavailable(error),
        }
    }
}

fn unavailable(why: impl Display) -> Message {
    Message::response(503, why.to_string())
}
