//! PostgreSQL, over a socket of whichever runtime was chosen. The task that moves the bytes runs there
//! too.

use std::fmt;
use std::io;
use std::process;

use futures::channel::oneshot;
use tenure::{ErrorClass, Failure, Resource, Why};
use tokio_postgres::config::Host;
use tokio_postgres::error::{Severity, SqlState};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, NoTls};

use crate::database::Database;
use crate::runtime::Runtime;

pub(crate) struct Postgres<T> {
    config: Config,
    schema: String,
    runtime: T,
}

pub(crate) struct Session {
    client: Client,
    /// Answers once the task that moves the bytes is gone.
    gone: oneshot::Receiver<()>,
    is_broken: bool,
}

impl<T: Runtime> Resource for Postgres<T> {
    type Value = Session;
    type Error = Error;
    const CHECKED: bool = true;

    async fn open(&self) -> Result<Session, Error> {
        let session = self.connect().await?;
        let schema = &self.schema;
        // A path may name schemas that do not exist, so that is asked for first.
        let enter = format!("SELECT '{schema}'::regnamespace; SET search_path TO {schema}");
        session.client.batch_execute(&enter).await?;
        Ok(session)
    }

    async fn close(&self, session: Session, _: Why) -> Result<(), Error> {
        drop(session.client);
        // With its client gone, the task says goodbye to the server and ends.
        let _ = session.gone.await;
        Ok(())
    }

    async fn check(&self, session: &mut Session) -> Result<(), Error> {
        let answer = self.execute(session, "SELECT '1'", &[]).await;
        answer.map(drop)
    }

    fn is_broken(&self, session: &mut Session) -> bool {
        session.is_broken || session.client.is_closed()
    }

    /// A server that is down may come back. What it refuses for who we are, it refuses again.
    fn classify(&self, failure: Failure<'_, Error>) -> ErrorClass {
        let refused = [
            SqlState::INVALID_PASSWORD,
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
            SqlState::INSUFFICIENT_PRIVILEGE,
        ];
        match failure.error().and_then(Error::code) {
            Some(code) if refused.contains(code) => ErrorClass::GiveUp,
            _ => ErrorClass::Retry,
        }
    }
}

impl<T: Runtime> Postgres<T> {
    pub(crate) fn new(url: &str, runtime: T) -> Result<Self, Error> {
        Ok(Self {
            config: url.parse()?,
            schema: format!("tenure_quickstart_{}", process::id()),
            runtime,
        })
    }

    fn address(&self) -> Result<(&str, u16), Error> {
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        match self.config.get_hosts().first() {
            Some(Host::Tcp(host)) => Ok((host, port)),
            _ => Err(Error::Unreachable(io::Error::other(
                "no host to reach by TCP",
            ))),
        }
    }

    async fn connect(&self) -> Result<Session, Error> {
        let (host, port) = self.address()?;
        let stream = self.runtime.connect(host, port).await?;
        let (client, connection) = self.config.connect_raw(stream, NoTls).await?;
        let (going, gone) = oneshot::channel();
        self.runtime.spawn(async move {
            // What ends it with an error fails the statement under way, or the next check.
            let _ = connection.await;
            drop(going);
        });
        Ok(Session {
            client,
            gone,
            is_broken: false,
        })
    }

    /// Runs statements on a connection of their own, outside of the schema.
    async fn administer(&self, sql: &str) -> Result<(), Error> {
        let session = self.connect().await?;
        let done = session.client.batch_execute(sql).await;
        self.close(session, Why::Shutdown).await?;
        Ok(done?)
    }
}

impl<T: Runtime> Database for Postgres<T> {
    const NAME: &'static str = "PostgreSQL";

    fn place(&self) -> String {
        format!("the schema {}", self.schema)
    }

    async fn make_place(&self) -> Result<(), Error> {
        self.administer(&format!("CREATE SCHEMA {}", self.schema))
            .await
    }

    async fn remove_place(&self) -> Result<(), Error> {
        self.administer(&format!("DROP SCHEMA {} CASCADE", self.schema))
            .await
    }

    async fn execute(
        &self,
        session: &mut Session,
        sql: &str,
        values: &[&str],
    ) -> Result<Vec<String>, Error> {
        let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as _).collect();
        match session.client.query(sql, &values).await {
            Ok(rows) => rows.iter().map(|row| Ok(row.try_get(0)?)).collect(),
            Err(error) => {
                // An error of the statement leaves the session whole; any other ends it.
                let severity = error
                    .as_db_error()
                    .and_then(|error| error.parsed_severity());
                session.is_broken |= severity != Some(Severity::Error);
                Err(error.into())
            }
        }
    }

    async fn sabotage(&self, session: &mut Session) -> Result<String, Error> {
        let kill = "SELECT pg_terminate_backend(pg_backend_pid())::text";
        // The server may still answer this, but nothing after it.
        let killed = self.execute(session, kill, &[]).await;
        let next = self.execute(session, "SELECT '1'", &[]).await;
        match killed.and(next) {
            Ok(_) => Ok("the server was told to end it, but has not".into()),
            Err(error) => Ok(format!("the server was told to end it: {error}")),
        }
    }
}

#[derive(Debug)]
pub(crate) enum Error {
    Unreachable(io::Error),
    Postgres(tokio_postgres::Error),
}

impl Error {
    fn code(&self) -> Option<&SqlState> {
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
