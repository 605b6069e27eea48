use std::convert::Infallible;
use std::future::Future;

use mobc::{Connection, Error, Manager, Pool};

use super::{Contender, IDLE_TIMEOUT, MAX_LIFETIME, Numbers, Role, Settings};

pub(crate) struct Mobc(Pool<Numbers>);

impl Contender for Mobc {
    const NAME: &'static str = "mobc";
    const ROLE: Role = Role::Peer;

    type Taken = Result<Connection<Numbers>, Error<Infallible>>;
    type TakenOwned = Self::Taken;

    async fn build(settings: Settings) -> Self {
        let size = settings.size as u64;
        let pool = Pool::builder()
            .max_open(size)
            .max_idle(size)
            .max_idle_lifetime(Some(IDLE_TIMEOUT))
            .max_lifetime(Some(MAX_LIFETIME))
            .get_timeout(settings.acquire_timeout)
            .test_on_check_out(false)
            .build(Numbers);
        if settings.is_full {
            let mut opened = Vec::new();
            for _ in 0..size {
                opened.push(pool.get().await.expect("connecting cannot fail"));
            }
            drop(opened);
            // Each value goes back in a task of its own.
            while pool.state().await.idle < size {
                tokio::task::yield_now().await;
            }
        }
        Self(pool)
    }

    fn acquire(&'static self) -> impl Future<Output = Self::Taken> + Send {
        self.0.get()
    }

    fn acquire_owned(&'static self) -> impl Future<Output = Self::TakenOwned> + Send {
        self.0.get()
    }
}

#[mobc::async_trait]
impl Manager for Numbers {
    type Connection = u64;
    type Error = Infallible;

    async fn connect(&self) -> Result<u64, Infallible> {
        Ok(0)
    }

    async fn check(&self, connection: u64) -> Result<u64, Infallible> {
        Ok(connection)
    }
}
