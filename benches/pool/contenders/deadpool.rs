use std::convert::Infallible;
use std::future::Future;

use deadpool::Runtime;
use deadpool::managed::{Manager, Metrics, Object, Pool, PoolError, RecycleResult};

use super::{Contender, Numbers, Role, Settings};

/// It has neither an idle timeout nor a maximum lifetime: its user writes a loop of `retain`.
pub(crate) struct Deadpool(Pool<Numbers>);

impl Contender for Deadpool {
    const NAME: &'static str = "deadpool";
    const ROLE: Role = Role::Peer;

    type Taken = Result<Object<Numbers>, PoolError<Infallible>>;
    type TakenOwned = Self::Taken;

    async fn build(settings: Settings) -> Self {
        let pool = Pool::builder(Numbers)
            .max_size(settings.size)
            .runtime(Runtime::Tokio1)
            .wait_timeout(settings.acquire_timeout)
            .build()
            .expect("the settings are valid");
        if settings.is_full {
            let mut opened = Vec::new();
            for _ in 0..settings.size {
                opened.push(pool.get().await.expect("creating cannot fail"));
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

impl Manager for Numbers {
    type Type = u64;
    type Error = Infallible;

    async fn create(&self) -> Result<u64, Infallible> {
        Ok(0)
    }

    async fn recycle(&self, _: &mut u64, _: &Metrics) -> RecycleResult<Infallible> {
        Ok(())
    }
}
