//! The table of notes: one thing that the whole program shares, with a health of its own.

use std::sync::Arc;
use std::time::Duration;

use tenure::{Backoff, BoxError, ConfigError, EventSink, Managed, Resource, Retry};

use crate::database::Database;
use crate::database_pool::DatabasePool;
use crate::runtime::Runtime;

pub(crate) struct Notes<D: Database, T: Runtime> {
    db: DatabasePool<D, T>,
}

impl<D: Database, T: Runtime> Resource for Notes<D, T> {
    type Value = DatabasePool<D, T>;
    type Error = BoxError;
    const CHECKED: bool = true;

    async fn open(&self) -> Result<DatabasePool<D, T>, BoxError> {
        let mut db = self.db.clone();
        self.check(&mut db).await?;
        Ok(db)
    }

    /// Every connection may be well, and the table still not be there.
    async fn check(&self, db: &mut DatabasePool<D, T>) -> Result<(), BoxError> {
        let answer = db.execute("SELECT line FROM notes LIMIT 1", &[]).await;
        answer.map(drop)
    }
}

impl<D: Database, T: Runtime> Notes<D, T> {
    pub(crate) fn managed(
        db: DatabasePool<D, T>,
        runtime: T,
        events: Arc<dyn EventSink>,
    ) -> Result<Managed<Self, T>, ConfigError> {
        Managed::builder(Self { db })
            .name("notes")
            .check_every(Duration::from_millis(200))
            // A table that is missing does not come back by asking for another handle on it.
            .reopen_after(None)
            .retry(Retry::new(Backoff::constant(Duration::from_millis(250))).max_retries(40))
            .events(events)
            .build(runtime)
    }
}
