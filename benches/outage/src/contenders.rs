//! The pools, each with a connection as its users write it, and default settings but for the maximum size.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tenure::tokio::Tokio;
use tenure::{ErrorClass, Failure, Pool, Resource, Why};
use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};

/// A pool that runs one query on one of its connections.
#[derive(Clone)]
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    query: Query,
}

type Query =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

impl Contender {
    /// Every contender, with Tenure first.
    pub(crate) async fn all(url: &str, size: usize) -> Vec<Self> {
        let config: Config = url.parse().expect("a URL of PostgreSQL");
        vec![
            tenure(&config, size),
            sqlx(url, size).await,
            bb8(&config, size).await,
            deadpool(&config, size),
        ]
    }

    /// Takes a connection, runs `SELECT 1` on it, and gives it back.
    pub(crate) async fn query(&self) -> Result<(), String> {
        (self.query)().await
    }

    fn new<F>(name: &'static str, query: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self {
            name,
            query: Arc::new(move || Box::pin(query())),
        }
    }
}

/// A PostgreSQL that Tenure connects to.
struct Postgres(Config);

struct Session {
    client: Client,
    driver: JoinHandle<Result<(), tokio_postgres::Error>>,
}

impl Resource for Postgres {
    type Value = Session;
    type Error = tokio_postgres::Error;
    const CHECKED: bool = true;

    async fn open(&self) -> Result<Session, Self::Error> {
        let (client, connection) = self.0.connect(NoTls).await?;
        Ok(Session {
            client,
            driver: tokio::spawn(connection),
        })
    }

    async fn close(&self, session: Session, _: Why) -> Result<(), Self::Error> {
        drop(session.client);
        // A driver that was aborted or has panicked has nothing to say.
        session.driver.await.unwrap_or(Ok(()))
    }

    async fn check(&self, session: &mut Session) -> Result<(), Self::Error> {
        session.client.batch_execute("SELECT 1").await
    }

    fn is_broken(&self, session: &mut Session) -> bool {
        session.client.is_closed()
    }

    fn classify(&self, failure: Failure<'_, Self::Error>) -> ErrorClass {
        match failure.error().and_then(tokio_postgres::Error::code) {
            Some(&SqlState::INVALID_PASSWORD) => ErrorClass::GiveUp,
            _ => ErrorClass::Retry,
        }
    }
}

fn tenure(config: &Config, size: usize) -> Contender {
    let builder = Pool::builder(Postgres(config.clone())).max_size(size);
    let pool = builder.build(Tokio::current()).expect("valid settings");
    Contender::new("tenure", move || {
        let pool = pool.clone();
        async move {
            let lease = pool.acquire().await.map_err(|error| error.to_string())?;
            lease
                .client
                .batch_execute("SELECT 1")
                .await
                .map_err(|error| error.to_string())
        }
    })
}

async fn sqlx(url: &str, size: usize) -> Contender {
    let options = sqlx::postgres::PgPoolOptions::new().max_connections(size as u32);
    let pool = options.connect(url).await.expect("the server is up");
    Contender::new("sqlx", move || {
        let pool = pool.clone();
        async move {
            let answer = sqlx::query("SELECT 1").execute(&pool).await;
            answer.map(drop).map_err(|error| error.to_string())
        }
    })
}

async fn bb8(config: &Config, size: usize) -> Contender {
    let manager = bb8_postgres::PostgresConnectionManager::new(config.clone(), NoTls);
    let builder = bb8_postgres::bb8::Pool::builder().max_size(size as u32);
    let pool = builder.build(manager).await.expect("the server is up");
    Contender::new("bb8", move || {
        let pool = pool.clone();
        async move {
            let connection = pool.get().await.map_err(|error| error.to_string())?;
            connection
                .batch_execute("SELECT 1")
                .await
                .map_err(|error| error.to_string())
        }
    })
}

fn deadpool(config: &Config, size: usize) -> Contender {
    let manager = deadpool_postgres::Manager::new(config.clone(), NoTls);
    let pool = deadpool_postgres::Pool::builder(manager)
        .max_size(size)
        .build()
        .expect("valid settings");
    Contender::new("deadpool", move || {
        let pool = pool.clone();
        async move {
            let connection = pool.get().await.map_err(|error| error.to_string())?;
            connection
                .batch_execute("SELECT 1")
                .await
                .map_err(|error| error.to_string())
        }
    })
}
