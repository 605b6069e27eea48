//! SQLite on a file. Its calls block, so each runs on a thread for blocking work, and the connection
//! travels there and back.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

use blocking::unblock;
use rusqlite::{Error, ErrorCode, ffi, params_from_iter};
use tenure::{ErrorClass, Failure, Resource, Why};

use crate::database::Database;

pub(crate) struct Sqlite {
    file: PathBuf,
}

/// A connection; none while a statement runs on another thread. If the caller goes away meanwhile,
/// that thread closes it, and here none remains.
pub(crate) struct Connection(Option<rusqlite::Connection>);

impl Resource for Sqlite {
    type Value = Connection;
    type Error = Error;
    const CHECKED: bool = true;

    async fn open(&self) -> Result<Connection, Error> {
        let file = self.file.clone();
        unblock(move || {
            let connection = rusqlite::Connection::open(file)?;
            connection.busy_timeout(Duration::from_secs(20))?;
            // Readers do not wait for the writer.
            connection.pragma_update(None, "journal_mode", "wal")?;
            connection.pragma_update(None, "synchronous", "normal")?;
            Ok(Connection(Some(connection)))
        })
        .await
    }

    async fn close(&self, connection: Connection, _: Why) -> Result<(), Error> {
        let Some(connection) = connection.0 else {
            return Ok(());
        };
        unblock(move || connection.close().map_err(|(_, error)| error)).await
    }

    async fn check(&self, connection: &mut Connection) -> Result<(), Error> {
        let answer = self.execute(connection, "SELECT '1'", &[]).await;
        answer.map(drop)
    }

    /// Whoever left a transaction open would have the next user write into it.
    fn is_broken(&self, connection: &mut Connection) -> bool {
        let connection = connection.0.as_ref();
        connection.is_none_or(|connection| !connection.is_autocommit())
    }

    /// A file that is busy, or not there yet, may do later; one that is no database never will.
    fn classify(&self, failure: Failure<'_, Error>) -> ErrorClass {
        match failure.error().and_then(Error::sqlite_error_code) {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => ErrorClass::GiveUp,
            _ => ErrorClass::Retry,
        }
    }
}

impl Sqlite {
    pub(crate) fn in_temporary_folder() -> Self {
        let folder = format!("tenure-quickstart-{}", process::id());
        Self {
            file: env::temp_dir().join(folder).join("notes.sqlite"),
        }
    }

    fn folder(&self) -> PathBuf {
        self.file.parent().map(Path::to_owned).unwrap_or_default()
    }
}

impl Database for Sqlite {
    const NAME: &'static str = "SQLite";

    fn place(&self) -> String {
        format!("the folder {}", self.folder().display())
    }

    async fn make_place(&self) -> Result<(), Error> {
        let folder = self.folder();
        unblock(move || fs::create_dir(folder))
            .await
            .map_err(failed)
    }

    async fn remove_place(&self) -> Result<(), Error> {
        let folder = self.folder();
        unblock(move || fs::remove_dir_all(folder))
            .await
            .map_err(failed)
    }

    async fn execute(
        &self,
        connection: &mut Connection,
        sql: &str,
        values: &[&str],
    ) -> Result<Vec<String>, Error> {
        let inner = connection
            .0
            .take()
            .ok_or_else(|| failed("an earlier statement was cut off"))?;
        let sql = sql.to_owned();
        let values: Vec<String> = values.iter().map(|&value| value.to_owned()).collect();
        let (inner, rows) = unblock(move || {
            let rows = rows_of(&inner, &sql, &values);
            (inner, rows)
        })
        .await;
        connection.0 = Some(inner);
        rows
    }

    async fn sabotage(&self, connection: &mut Connection) -> Result<String, Error> {
        let insert = "INSERT INTO notes (line) VALUES ('never committed')";
        self.execute(connection, "BEGIN", &[]).await?;
        self.execute(connection, insert, &[]).await?;
        Ok("a transaction was begun, and never ended".into())
    }
}

fn rows_of(
    connection: &rusqlite::Connection,
    sql: &str,
    values: &[String],
) -> Result<Vec<String>, Error> {
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map(params_from_iter(values), |row| row.get(0))?;
    rows.collect()
}

/// What went wrong outside of SQLite, as an error of its own.
fn failed(what: impl ToString) -> Error {
    Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_IOERR), Some(what.to_string()))
}
