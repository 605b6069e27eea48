//! PostgreSQL as a resource: how one connection is opened, checked and closed.

use tenure::{ErrorClass, Failure, Resource, Why};
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

    async fn close(&self, session: Session, _: Why) -> Result<(), Error> {
        session.connection.close().await;
        Ok(())
    }

    async fn check(&self, session: &mut Session) -> Result<(), Error> {
        let answer = session.connection.client.batch_execute("SELECT 1").await;
        session.noted(answer)
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

impl Session {
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
