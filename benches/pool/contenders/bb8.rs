use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use bb8::{ManageConnection, Pool, PooledConnection, RunError};

use super::{Contender, IDLE_TIMEOUT, MAX_LIFETIME, Numbers, Role, Settings};

pub(crate) struct Bb8(Pool<Numbers>);

/// It cannot do without a timeout: this one never comes.
const NO_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

impl Contender for Bb8 {
    const NAME: &'static str = "bb8";
    const ROLE: Role = Role::Peer;

    type Taken = Result<PooledConnection<'static, Numbers>, RunError<Infallible>>;
    type TakenOwned = Self::Taken;

    async fn build(settings: Settings) -> Self {
        let size = u32::try_from(settings.size).expect("no pool is that large");
        let pool = Pool::builder()
            .max_size(size)
            .min_idle(settings.is_full.then_some(size))
            .idle_timeout(IDLE_TIMEOUT)
            .max_lifetime(MAX_LIFETIME)
            .connection_timeout(settings.acquire_timeout.unwrap_or(NO_TIMEOUT))
            .test_on_check_out(false)
            .build(Numbers)
            .await
            .expect("connecting cannot fail");
        Self(pool)
    }

    fn acquire(&'static self) -> impl Future<Output = Self::Taken> + Send {
        self.0.get()
    }

    fn acquire_owned(&'static self) -> impl Future<Output = Self::TakenOwned> + Send {
        self.0.get_owned()
    }
}

impl ManageConnection for Numbers {
    type Connection = u64;
    type Error = Infallible;

    async fn connect(&self) -> Result<u64, Infallible> {
        Ok(0)
    }

    async fn is_valid(&self, _: &mut u64) -> Result<(), Infallible> {
        Ok(())
    }

    fn has_broken(&self, _: &mut u64) -> bool {
        false
    }
}
