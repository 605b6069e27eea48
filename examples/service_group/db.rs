//! The database: one SQLite connection that all share. Its calls block, so each runs on a thread for
//! blocking work.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use blocking::unblock;
use rusqlite::Connection;
use tenure::{BoxError, Resource, Why};

pub(crate) struct Db {
    file: PathBuf,
}

/// The notes, through the one connection. Once that is closed, whoever still has a clone is told so.
#[derive(Clone)]
pub(crate) struct Notes(Arc<Mutex<Option<Connection>>>);

impl Resource for Db {
    type Value = Notes;
    type Error = BoxError;
    const CHECKED: bool = true;

    async fn open(&self) -> Result<Notes, BoxError> {
        let file = self.file.clone();
        unblock(move || {
            let connection = Connection::open(file)?;
            connection.execute_batch("CREATE TABLE IF NOT EXISTS notes (line TEXT NOT NULL)")?;
            Ok(Notes(Arc::new(Mutex::new(Some(connection)))))
        })
        .await
    }

    async fn close(&self, notes: Notes, _: Why) -> Result<(), BoxError> {
        unblock(move || match notes.connection().take() {
            Some(connection) => connection.close().map_err(|(_, error)| error.into()),
            None => Ok(()),
        })
        .await
    }

    /// SQLite goes on writing into a file that was removed, and all of it is lost. So it is not asked alone.
    async fn check(&self, notes: &mut Notes) -> Result<(), BoxError> {
        let file = self.file.clone();
        if !unblock(move || file.try_exists()).await? {
            return Err("the file is gone".into());
        }
        notes.count().await.map(drop)
    }
}

impl Db {
    pub(crate) fn new(file: PathBuf) -> Self {
        Self { file }
    }

    /// The misfortune of the story. Windows does not let it happen to a file that is open.
    pub(crate) async fn lose(&self) -> Result<(), BoxError> {
        tokio::fs::remove_file(&self.file).await.map_err(Into::into)
    }
}

impl Notes {
    pub(crate) async fn add(&self, line: String) -> Result<(), BoxError> {
        let insert = "INSERT INTO notes (line) VALUES (?)";
        self.with(move |connection| connection.execute(insert, [line]).map(drop))
            .await
    }

    pub(crate) async fn list(&self) -> Result<Vec<String>, BoxError> {
        self.with(|connection| {
            let mut statement = connection.prepare("SELECT line FROM notes ORDER BY rowid")?;
            let lines = statement.query_map([], |row| row.get(0))?;
            lines.collect()
        })
        .await
    }

    pub(crate) async fn count(&self) -> Result<usize, BoxError> {
        let select = "SELECT count(*) FROM notes";
        self.with(move |connection| connection.query_row(select, [], |row| row.get(0)))
            .await
    }

    /// Dropped half-way, the thread ends what it does, and its answer is lost.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, BoxError> {
        let notes = self.clone();
        unblock(move || match &*notes.connection() {
            Some(connection) => work(connection).map_err(Into::into),
            None => Err("this connection to the database is closed".into()),
        })
        .await
    }

    fn connection(&self) -> impl std::ops::DerefMut<Target = Option<Connection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
