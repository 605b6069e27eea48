//! PostgreSQL as a resource: how one connection is opened, checked and closed.

use std::net::{SocketAddr, ToSocketAddrs};

use tenure::{BoxError, ErrorClass, Failure, Resource, Why};
use tokio_postgres::config::Host;
use tokio_postgres::error::{Severity, SqlState};
use tokio_postgres::{Config, Statement};

use crate::connection::{Connection, Error};

pub(crate) struct Postgres {
    config: Config,
    insert: String,
}

/// A connection with what is worth keeping on it: a statement that the server has parsed.
pub(crate) struct Session {
    connection: Connection,
    insert: Statement,
    is_lost: bool,
}

impl Resource for Postgres {
    type Value = Session;
    type Error = Error;
    const CHECKED: bool = true;

    /// Dropped half-way it leaves nothing behind, for a connection ends when it is dropped.
    async fn open(&self) -> Result<Session, Error> {
        let connection = Connection::open(&self.config).await?;
        let insert = connection.client.prepare(&self.insert).await?;
        Ok(Session {
            connection,
            insert,
            is_lost: false,
        })
    }

    async fn close(&self, session: Session, why: Why) -> Result<(), Error> {
        match why {
            // There is nobody to say goodbye to. Dropped, it ends at once.
            Why::Broken | Why::CheckFailed | Why::CheckCutOff => drop(session),
            _ => session.connection.close().await,
        }
        Ok(())
    }

    async fn check(&self, session: &mut Session) -> Result<(), Error> {
        session.ask().await
    }

    fn is_broken(&self, session: &mut Session) -> bool {
        session.is_lost()
    }

    /// A server that is down may come back. What it refuses for who we are, or for what we ask, it
    /// refuses again.
    fn classify(&self, failure: Failure<'_, Error>) -> ErrorClass {
        let refused = [
            SqlState::INVALID_PASSWORD,
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
            SqlState::INSUFFICIENT_PRIVILEGE,
            SqlState::INVALID_CATALOG_NAME,
        ];
        match failure.error().and_then(Error::code) {
            Some(code) if refused.contains(code) => ErrorClass::GiveUp,
            _ => ErrorClass::Retry,
        }
    }
}

impl Postgres {
    /// By `name` the server knows these connections, and the rows are in the schema of that name.
    pub(crate) fn new(url: &str, name: &str) -> Result<Self, Error> {
        let mut config: Config = url.parse()?;
        config.application_name(name);
        Ok(Self {
            config,
            insert: format!("INSERT INTO {name}.rows (id) VALUES ($1)"),
        })
    }
}

impl Postgres {
    /// Where the server is.
    pub(crate) fn address(&self) -> Result<SocketAddr, BoxError> {
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(host)) => host.as_str(),
            _ => return Err("the address names no host to reach by TCP".into()),
        };
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        let mut found = (host, port).to_socket_addrs()?;
        Ok(found.next().ok_or("the host has no address")?)
    }

    /// The same server, reached by way of another address.
    pub(crate) fn reached_at(&self, address: SocketAddr) -> Self {
        let mut config = Config::new();
        config
            .host(address.ip().to_string())
            .port(address.port())
            .user(self.config.get_user().unwrap_or_default())
            .password(self.config.get_password().unwrap_or_default())
            .dbname(self.config.get_dbname().unwrap_or_default())
            .application_name(self.config.get_application_name().unwrap_or_default());
        Self {
            config,
            insert: self.insert.clone(),
        }
    }
}

impl Session {
    /// Asks the server something that it answers at once.
    pub(crate) async fn ask(&mut self) -> Result<(), Error> {
        let answer = self.connection.client.batch_execute("SELECT 1").await;
        self.noted(answer)
    }

    /// Inserts one row. By itself it is a transaction, which is committed when this is `Ok`. What else
    /// it answers, or if it is dropped, nobody knows.
    pub(crate) async fn insert(&mut self, id: i64) -> Result<(), Error> {
        let answer = self.connection.client.execute(&self.insert, &[&id]).await;
        self.noted(answer.map(drop))
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost || self.connection.client.is_closed()
    }

    /// An error of the statement leaves the session whole. Any other ends it, even where the client
    /// has yet to notice.
    fn noted(&mut self, answer: Result<(), tokio_postgres::Error>) -> Result<(), Error> {
        if let Err(error) = &answer {
            self.is_lost |= !is_of_the_statement(error);
        }
        answer.map_err(Into::into)
    }
}

fn is_of_the_statement(error: &tokio_postgres::Error) -> bool {
    let answer = error.as_db_error();
    answer.and_then(|answer| answer.parsed_severity()) == Some(Severity::Error)
}
