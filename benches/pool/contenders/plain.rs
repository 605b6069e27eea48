//! Pools that lend what they were given, and neither open nor replace anything.

use std::future::Future;

use deadpool::Runtime;
use deadpool::unmanaged::{self, Object, PoolConfig, PoolError};
use simple_pool::{ResourcePool, ResourcePoolGuard};

use super::{Contender, Role, Settings};

pub(crate) struct UnmanagedDeadpool(unmanaged::Pool<u64>);

impl Contender for UnmanagedDeadpool {
    const NAME: &'static str = "deadpool unmanaged";
    const ROLE: Role = Role::Plain;

    type Taken = Result<Object<u64>, PoolError>;
    type TakenOwned = Self::Taken;

    async fn build(settings: Settings) -> Self {
        let pool = unmanaged::Pool::from_config(&PoolConfig {
            max_size: settings.size,
            timeout: settings.acquire_timeout,
            runtime: Some(Runtime::Tokio1),
        });
        if settings.is_full {
            for _ in 0..settings.size {
                assert!(pool.try_add(0).is_ok(), "there is room for all values");
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

pub(crate) struct SimplePool(ResourcePool<u64>);

impl Contender for SimplePool {
    const NAME: &'static str = "simple-pool";
    const ROLE: Role = Role::Plain;
    const HAS_TIMEOUT: bool = false;

    type Taken = ResourcePoolGuard<u64>;
    type TakenOwned = Self::Taken;

    async fn build(settings: Settings) -> Self {
        let pool = ResourcePool::with_capacity(settings.size);
        if settings.is_full {
            for _ in 0..settings.size {
                pool.append(0);
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

pub(crate) struct Tub(tub::Pool<u64>);

impl Contender for Tub {
    const NAME: &'static str = "tub";
    const ROLE: Role = Role::Plain;
    const HAS_TIMEOUT: bool = false;

    type Taken = tub::Guard<u64>;
    type TakenOwned = Self::Taken;

    /// It is full from the start, whatever the settings say.
    async fn build(settings: Settings) -> Self {
        Self(tub::Pool::from_vec(vec![0; settings.size]))
    }

    fn acquire(&'static self) -> impl Future<Output = Self::Taken> + Send {
        self.0.acquire()
    }

    fn acquire_owned(&'static self) -> impl Future<Output = Self::TakenOwned> + Send {
        self.0.acquire()
    }
}
