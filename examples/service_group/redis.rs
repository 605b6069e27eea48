//! Redis, which counts visits if it is there: a connection that speaks as much of its protocol as that takes.

use std::io;

use tenure::{BoxError, ErrorClass, Failure, Resource, Why};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};

use crate::connection::Connection;

/// Where nobody listens: the port is reserved for a service that is long forgotten.
const NOWHERE: &str = "redis://127.0.0.1:1";

/// No answer that is asked for here is any longer.
const LONGEST_LINE: u64 = 1024;

pub(crate) struct Redis {
    address: String,
}

#[derive(Clone)]
pub(crate) struct Session(Connection);

impl Resource for Redis {
    type Value = Session;
    type Error = io::Error;
    const CHECKED: bool = true;

    /// That something listens does not make it a Redis.
    async fn open(&self) -> io::Result<Session> {
        let session = Session(Connection::open(&self.address).await?);
        session.ping().await?;
        Ok(session)
    }

    async fn close(&self, session: Session, _: Why) -> io::Result<()> {
        session.0.close().await;
        Ok(())
    }

    async fn check(&self, session: &mut Session) -> io::Result<()> {
        session.ping().await
    }

    fn classify(&self, _: Failure<'_, io::Error>) -> ErrorClass {
        ErrorClass::Reconnect
    }
}

impl Redis {
    /// Without a URL there is none.
    pub(crate) fn new(url: Option<&str>) -> Result<Self, BoxError> {
        let url = url.filter(|url| !url.is_empty()).unwrap_or(NOWHERE);
        let address = url
            .strip_prefix("redis://")
            .filter(|rest| !rest.contains('@'));
        let address = address.ok_or("REDIS_URL is to be of the form redis://host:port")?;
        let address = address.trim_end_matches('/');
        let port = if address.contains(':') { "" } else { ":6379" };
        Ok(Self {
            address: format!("{address}{port}"),
        })
    }
}

impl Session {
    async fn ping(&self) -> io::Result<()> {
        self.command(&["PING"]).await.map(drop)
    }

    /// One more, and how many there are now.
    pub(crate) async fn increment(&self, key: &str) -> io::Result<String> {
        self.command(&["INCR", key]).await
    }

    /// A command is a list of words, each with its length. Simple answers are one line, whose first letter
    /// says what it is.
    async fn command(&self, words: &[&str]) -> io::Result<String> {
        let mut exchange = self.0.begin().await?;
        let mut command = format!("*{}\r\n", words.len());
        for word in words {
            command += &format!("${}\r\n{word}\r\n", word.len());
        }
        exchange.stream.write_all(command.as_bytes()).await?;
        let mut line = String::new();
        let stream = &mut exchange.stream;
        stream.take(LONGEST_LINE).read_line(&mut line).await?;
        if line.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let answer = match line
            .strip_suffix("\r\n")
            .unwrap_or_default()
            .split_at_checked(1)
        {
            Some(("+" | ":", answer)) => answer.to_owned(),
            Some(("-", error)) => return Err(io::Error::other(format!("Redis says: {error}"))),
            _ => return Err(io::Error::other("this is no answer of Redis")),
        };
        exchange.done();
        Ok(answer)
    }
}
