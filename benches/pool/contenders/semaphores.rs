//! Semaphores, which hold no values: what the waiting alone costs.

use std::future::Future;
use std::sync::Arc;

use super::{Contender, Role, Settings};

pub(crate) struct TokioSemaphore(Arc<tokio::sync::Semaphore>);

impl Contender for TokioSemaphore {
    const NAME: &'static str = "tokio semaphore";
    const ROLE: Role = Role::Plain;
    const HAS_TIMEOUT: bool = false;
    const HOLDS_VALUES: bool = false;

    type Taken = Result<tokio::sync::SemaphorePermit<'static>, tokio::sync::AcquireError>;
    type TakenOwned = Result<tokio::sync::OwnedSemaphorePermit, tokio::sync::AcquireError>;

    async fn build(settings: Settings) -> Self {
        Self(Arc::new(tokio::sync::Semaphore::new(settings.size)))
    }

    fn acquire(&'static self) -> impl Future<Output = Self::Taken> + Send {
        self.0.acquire()
    }

    fn acquire_owned(&'static self) -> impl Future<Output = Self::TakenOwned> + Send {
        self.0.clone().acquire_owned()
    }
}

pub(crate) struct AsyncLockSemaphore(Arc<async_lock::Semaphore>);

impl Contender for AsyncLockSemaphore {
    const NAME: &'static str = "async-lock semaphore";
    const ROLE: Role = Role::Plain;
    const HAS_TIMEOUT: bool = false;
    const HOLDS_VALUES: bool = false;

    type Taken = async_lock::SemaphoreGuard<'static>;
    type TakenOwned = async_lock::SemaphoreGuardArc;

    async fn build(settings: Settings) -> Self {
        Self(Arc::new(async_lock::Semaphore::new(settings.size)))
    }

    fn acquire(&'static self) -> impl Future<Output = Self::Taken> + Send {
        self.0.acquire()
    }

    fn acquire_owned(&'static self) -> impl Future<Output = Self::TakenOwned> + Send {
        self.0.acquire_arc()
    }
}
