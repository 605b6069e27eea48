use std::convert::Infallible;
use std::future::Future;
use std::hint::black_box;
use std::time::Duration;

use tenure::{AcquireError, Event, Lease, OwnedLease, Pool, Resource, Sink};
use tenure_tokio::Tokio;

use super::{Contender, IDLE_TIMEOUT, MAX_LIFETIME, Numbers, Role, Settings};

pub(crate) struct Tenure(Pool<Numbers, Tokio>);

/// As long as the longest of an application's transactions.
const LEAK_AFTER: Duration = Duration::from_secs(60);

impl Contender for Tenure {
    const NAME: &'static str = "tenure";
    const ROLE: Role = Role::Ours;

    type Taken = Result<Lease<'static, Numbers, Tokio>, AcquireError>;
    type TakenOwned = Result<OwnedLease<Numbers, Tokio>, AcquireError>;

    async fn build(settings: Settings) -> Self {
        let mut pool = Pool::builder(Numbers);
        if settings.is_watched {
            let sink = Sink::new(|event: &Event<'_>| {
                black_box(event);
            });
            pool = pool.events(sink).timings(true).leak_after(LEAK_AFTER);
        }
        let pool = pool
            .min_size(if settings.is_full { settings.size } else { 0 })
            .max_size(settings.size)
            .idle_timeout(IDLE_TIMEOUT)
            .max_lifetime(MAX_LIFETIME)
            .acquire_timeout(settings.acquire_timeout)
            .build(Tokio::current())
            .expect("the settings are valid");
        if settings.is_full {
            pool.start().await.expect("opening cannot fail");
        }
        Self(pool)
    }

    fn acquire(&'static self) -> impl Future<Output = Self::Taken> + Send {
        self.0.acquire()
    }

    fn acquire_owned(&'static self) -> impl Future<Output = Self::TakenOwned> + Send {
        self.0.acquire_owned()
    }
}

impl Resource for Numbers {
    type Value = u64;
    type Error = Infallible;

    async fn open(&self) -> Result<u64, Infallible> {
        Ok(0)
    }
}
