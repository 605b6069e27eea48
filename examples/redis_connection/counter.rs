//! A number that Redis keeps: what may be sent twice, and what may not.

use std::fmt::{self, Display};
use std::time::Duration;

use redis::{AsyncCommands, ErrorKind, RedisError};
use tenure::connection::WhenDown;
use tenure::tokio::Connection;
use tenure::{CallError, CallOptions};

use crate::PATIENCE;
use crate::client::Redis;

/// If the example does not come to remove it, Redis does.
const EXPIRES_AFTER: Duration = Duration::from_secs(3600);

#[derive(Clone)]
pub(crate) struct Counter {
    redis: Connection<Redis>,
    key: String,
}

/// Why an increment was not answered with a number.
#[derive(Debug)]
pub(crate) enum Failure {
    /// There was no connection to send it over: it did not run.
    NotSent(CallError),
    /// The server said no: it did not run either.
    Refused(CallError),
    /// It was sent and the connection lost, or there was no more time. Nobody knows whether it ran.
    MayHaveRun(CallError),
}

impl Counter {
    pub(crate) fn new(redis: Connection<Redis>, key: &str) -> Self {
        let key = key.to_owned();
        Self { redis, key }
    }

    /// One more, and how many that makes. INCR is not idempotent: sent again after its answer was lost, it could
    /// count twice. So it is sent once, though it waits for a connection as long as others do; whoever asked is told
    /// if it may have run, and decides.
    pub(crate) async fn increment(&self) -> Result<i64, Failure> {
        let once = CallOptions::named("increment").max_retries(0);
        let increment = self
            .redis
            .request(once)
            .run(|mut client| async move { client.incr(&self.key, 1).await });
        let error = match increment.await {
            Ok(number) => return Ok(number),
            Err(error) => error,
        };
        if !error.was_begun() {
            return Err(Failure::NotSent(error));
        }
        match error.downcast_ref().map(RedisError::kind) {
            Some(ErrorKind::Server(_) | ErrorKind::Extension) => Err(Failure::Refused(error)),
            _ => Err(Failure::MayHaveRun(error)),
        }
    }

    /// Reading is idempotent: it is sent again, over the next connection too, until it is answered or the time is over.
    pub(crate) async fn read(
        &self,
        when_down: WhenDown,
        deadline: Duration,
    ) -> Result<i64, CallError> {
        let read = CallOptions::named("read").deadline(deadline);
        let number: Option<i64> = self
            .redis
            .request(read)
            .when_down(when_down)
            .run(|mut client| async move { client.get(&self.key).await })
            .await?;
        Ok(number.unwrap_or(0))
    }

    /// To zero. This too may be sent twice.
    pub(crate) async fn reset(&self) -> Result<(), CallError> {
        let reset = CallOptions::named("reset").deadline(PATIENCE);
        self.redis
            .request(reset)
            .run(|mut client| async move {
                client
                    .set_ex(&self.key, 0, EXPIRES_AFTER.as_secs())
                    .await
            })
            .await
    }

    pub(crate) async fn remove(&self) -> Result<(), CallError> {
        let remove = CallOptions::named("remove").deadline(PATIENCE);
        self.redis
            .request(remove)
            .run(|mut client| async move { client.del(&self.key).await })
            .await
    }
}

impl Failure {
    pub(crate) const fn error(&self) -> &CallError {
        match self {
            Self::NotSent(error) | Self::Refused(error) | Self::MayHaveRun(error) => error,
        }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = self.error();
        write!(f, "{error}")?;
        match error.cause() {
            Some(cause) => write!(f, ": {cause}"),
            None => Ok(()),
        }
    }
}
