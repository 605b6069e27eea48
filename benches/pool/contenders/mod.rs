//! The pools and semaphores that are measured, behind one trait.

mod bb8;
mod deadpool;
mod mobc;
mod plain;
mod semaphores;
mod taken;
mod tenure;

use std::future::Future;
use std::time::Duration;

pub(crate) use self::bb8::Bb8;
pub(crate) use self::deadpool::Deadpool;
pub(crate) use self::mobc::Mobc;
pub(crate) use self::plain::{SimplePool, Tub, UnmanagedDeadpool};
pub(crate) use self::semaphores::{AsyncLockSemaphore, TokioSemaphore};
pub(crate) use self::taken::Taken;
pub(crate) use self::tenure::Tenure;

/// A pool of `u64`, or what stands for one.
///
/// Each method hands out the pool's own future, unwrapped, so that its size is the pool's too. Contenders
/// are never given up: tasks then borrow them as they would an owned handle, without its cost.
pub(crate) trait Contender: Sized + Send + Sync + 'static {
    const NAME: &'static str;
    const ROLE: Role;
    /// Whether it can be told how long an acquire may wait.
    const HAS_TIMEOUT: bool = true;
    const HOLDS_VALUES: bool = true;

    type Taken: Taken;
    type TakenOwned: Taken;

    /// To be called within the runtime that is to serve the pool.
    fn build(settings: Settings) -> impl Future<Output = Self> + Send;

    fn acquire(&'static self) -> impl Future<Output = Self::Taken> + Send;

    fn acquire_owned(&'static self) -> impl Future<Output = Self::TakenOwned> + Send;

    async fn leaked(settings: Settings) -> &'static Self {
        Box::leak(Box::new(Self::build(settings).await))
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) size: usize,
    /// Whether all values are to be open from the start, or none.
    pub(crate) is_full: bool,
    pub(crate) acquire_timeout: Option<Duration>,
    /// Whether all is switched on that an operator would: an event sink, timings, leak detection. What a contender has
    /// nothing of costs it nothing.
    pub(crate) is_watched: bool,
}

impl Settings {
    pub(crate) const fn full(size: usize) -> Self {
        Self {
            size,
            is_full: true,
            acquire_timeout: None,
            is_watched: false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Ours,
    /// Tenure again, configured otherwise.
    Variant,
    /// A pool that does as much: opens, checks and replaces values.
    Peer,
    /// A pool that does less, or a semaphore: for scale.
    Plain,
}

impl Role {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Variant => "variant",
            Self::Peer => "peer",
            Self::Plain => "plain",
        }
    }
}

/// As long as a production pool would let values live.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);
const MAX_LIFETIME: Duration = Duration::from_secs(1800);

/// Opens a `u64`, for whichever pool asks.
pub(crate) struct Numbers;
