//! What is asked of the server beside the load, over connections that no pool holds.

use std::time::{Duration, Instant};

use tokio::time::sleep;
use tokio_postgres::{Client, Config};

use crate::connection::{Connection, Error};

#[derive(Clone)]
pub(crate) struct Admin {
    config: Config,
    /// Of the schema, and of the connections that are looked at.
    name: String,
}

impl Admin {
    pub(crate) fn new(url: &str, name: &str) -> Result<Self, Error> {
        let mut config: Config = url.parse()?;
        config.application_name(format!("{name}_admin"));
        let name = name.to_owned();
        Ok(Self { config, name })
    }

    pub(crate) async fn connect(&self) -> Result<Connection, Error> {
        Connection::open(&self.config).await
    }

    /// The table has no unique key: a row that was written twice is to show.
    pub(crate) async fn make_place(&self) -> Result<(), Error> {
        let name = &self.name;
        self.execute(&format!(
            "CREATE SCHEMA {name}; CREATE TABLE {name}.rows (id BIGINT NOT NULL)"
        ))
        .await
    }

    pub(crate) async fn remove_place(&self) -> Result<(), Error> {
        self.execute(&format!("DROP SCHEMA {} CASCADE", self.name))
            .await
    }

    /// The ids of all rows, in order.
    pub(crate) async fn rows(&self) -> Result<Vec<i64>, Error> {
        let select = format!("SELECT id FROM {}.rows ORDER BY id", self.name);
        self.ask(async |client| {
            let rows = client.query(&select, &[]).await?;
            rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
        })
        .await
    }

    /// How many connections of the pool the server has.
    pub(crate) async fn connections(&self, client: &Client) -> Result<usize, Error> {
        let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1";
        let count: i64 = client.query_one(count, &[&self.name]).await?.try_get(0)?;
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }

    /// The same once there are none any more, or after `patience`: the server needs a moment to see
    /// that somebody has left.
    pub(crate) async fn connections_left(&self, patience: Duration) -> Result<usize, Error> {
        let began = Instant::now();
        self.ask(async |client| {
            loop {
                let left = self.connections(client).await?;
                if left == 0 || began.elapsed() > patience {
                    return Ok(left);
                }
                sleep(Duration::from_millis(10)).await;
            }
        })
        .await
    }

    async fn execute(&self, sql: &str) -> Result<(), Error> {
        self.ask(async |client| Ok(client.batch_execute(sql).await?))
            .await
    }

    /// Works on a connection of its own, and says goodbye.
    async fn ask<T>(
        &self,
        work: impl AsyncFnOnce(&Client) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let connection = self.connect().await?;
        let answer = work(&connection.client).await;
        connection.close().await;
        answer
    }
}
