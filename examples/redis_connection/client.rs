//! Redis as a resource: how one connection is opened, checked and closed, and which errors mean that it is lost.

use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, AsyncConnectionConfig, Client, ErrorKind, RedisError, RetryMethod};
use tenure::{ErrorClass, Failure, Resource, Why};

pub(crate) struct Redis {
    client: Client,
    /// By which the server knows these connections.
    name: String,
}

impl Resource for Redis {
    /// All its clones are one connection, over which many requests may be under way: each is told its own answer,
    /// and one that is dropped is not mistaken for the next.
    type Value = MultiplexedConnection;
    type Error = RedisError;
    const CHECKED: bool = true;

    /// A server that was just restarted accepts before it has read its data, and says so to a PING. Dropped half-way
    /// it leaves nothing behind.
    async fn open(&self) -> Result<MultiplexedConnection, RedisError> {
        // Openings, checks and calls have their limits from Tenure: one place to set them, and one to be told.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None);
        let connecting = self
            .client
            .get_multiplexed_async_connection_with_config(&config);
        let mut client = connecting.await?;
        client.ping::<()>().await?;
        client.client_setname::<_, ()>(&self.name).await?;
        Ok(client)
    }

    async fn check(&self, client: &mut MultiplexedConnection) -> Result<(), RedisError> {
        client.ping().await
    }

    /// It hangs up with its last clone. There is no goodbye, and so none that could fail on a connection that is lost.
    async fn close(&self, client: MultiplexedConnection, _: Why) -> Result<(), RedisError> {
        drop(client);
        Ok(())
    }

    fn classify(&self, failure: Failure<'_, RedisError>) -> ErrorClass {
        let Some(error) = failure.error() else {
            return ErrorClass::Retry;
        };
        // The client would connect anew for a wrong password, which makes it no better.
        if error.kind() == ErrorKind::AuthenticationFailed {
            return ErrorClass::GiveUp;
        }
        // It is refused, or broken off, or what came over it is no answer.
        if error.is_io_error() || error.is_unrecoverable_error() {
            return ErrorClass::Reconnect;
        }
        // What is left, the server has said, so the connection is well. The client knows what passes, such as
        // LOADING, and what does not, such as READONLY or the wrong type of a key.
        match error.retry_method() {
            RetryMethod::WaitAndRetry | RetryMethod::RetryImmediately => ErrorClass::Retry,
            _ => ErrorClass::GiveUp,
        }
    }
}

impl Redis {
    pub(crate) fn new(url: &str, name: &str) -> Result<Self, RedisError> {
        let client = Client::open(url)?;
        let name = name.to_owned();
        Ok(Self { client, name })
    }

    /// How many connections of this name the server has, that of `client` included.
    pub(crate) async fn connected(
        &self,
        client: &mut MultiplexedConnection,
    ) -> Result<usize, RedisError> {
        let list: String = redis::cmd("CLIENT").arg("LIST").query_async(client).await?;
        let name = format!("name={}", self.name);
        let is_named = |line: &&str| line.split(' ').any(|field| field == name);
        Ok(list.lines().filter(is_named).count())
    }
}
