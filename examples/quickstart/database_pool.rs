//! A pool of connections with one method to run a statement: what a program writes for itself.

use std::sync::Arc;
use std::time::Duration;

use tenure::{Backoff, BoxError, ConfigError, EventSink, Pool, Retry, Start};

use crate::database::Database;
use crate::runtime::Runtime;

pub(crate) const KEPT_WARM: usize = 2;

pub(crate) struct DatabasePool<D: Database, T: Runtime> {
    pub(crate) pool: Pool<D, T>,
}

impl<D: Database, T: Runtime> DatabasePool<D, T> {
    /// Opens nothing before it is started or used. The times are short, because the story is; the
    /// defaults suit a server.
    pub(crate) fn new(
        database: D,
        runtime: T,
        events: Arc<dyn EventSink>,
    ) -> Result<Self, ConfigError> {
        let pool = Pool::builder(database)
            .name("connections")
            .start(Start::Lazily)
            .min_size(KEPT_WARM)
            .max_size(4)
            .idle_timeout(Duration::from_millis(400))
            .check_every(Duration::from_millis(200))
            .retry(Retry::new(Backoff::constant(Duration::from_millis(300))).max_retries(20))
            .events(events)
            .build(runtime)?;
        Ok(Self { pool })
    }

    pub(crate) async fn execute(
        &self,
        sql: &str,
        values: &[&str],
    ) -> Result<Vec<String>, BoxError> {
        let mut connection = self.pool.acquire().await?;
        let database = self.pool.resource();
        let rows = database.execute(&mut connection, sql, values).await;
        rows.map_err(Into::into)
    }
}

impl<D: Database, T: Runtime> Clone for DatabasePool<D, T> {
    fn clone(&self) -> Self {
        let pool = self.pool.clone();
        Self { pool }
    }
}
