//! A resource that knows what became of its values, and pools of them.

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use tenure_core::pool::Runner;
use tenure_core::{NoTimer, Pool, Resource, Why};

use crate::explore::{block_on, cancel_after};

pub(crate) type Values = Pool<Source, NoTimer>;

/// Clones are handles on the same counts.
#[derive(Clone, Default)]
pub(crate) struct Source {
    /// Under a mutex that the checker does not know: nothing of the core's runs while it is held.
    counts: Arc<Mutex<Counts>>,
    is_slow: bool,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) opened: u64,
    pub(crate) closed: u64,
    pub(crate) abandoned: u64,
    /// Values that are gone, closed or abandoned or neither.
    pub(crate) dropped: u64,
    pub(crate) most_at_once: u64,
}

/// It cannot be cloned, so no two can have it.
pub(crate) struct Value(Source);

impl Source {
    /// One whose hooks are pending once, so that they can be cut off.
    pub(crate) fn slow() -> Self {
        Self {
            is_slow: true,
            ..Self::default()
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        *self.counts.lock().unwrap()
    }

    pub(crate) fn count(&self, change: impl FnOnce(&mut Counts)) {
        let mut counts = self.counts.lock().unwrap();
        change(&mut counts);
        let live = counts.opened - counts.dropped;
        counts.most_at_once = counts.most_at_once.max(live);
    }

    async fn pause(&self) {
        let mut is_over = !self.is_slow;
        poll_fn(|cx| {
            if is_over {
                return Poll::Ready(());
            }
            is_over = true;
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        self.0.count(|counts| counts.dropped += 1);
    }
}

impl Resource for Source {
    type Value = Value;
    type Error = Infallible;

    async fn open(&self) -> Result<Value, Infallible> {
        self.pause().await;
        self.count(|counts| counts.opened += 1);
        Ok(Value(self.clone()))
    }

    async fn close(&self, _value: Value, _: Why) -> Result<(), Infallible> {
        self.pause().await;
        self.count(|counts| counts.closed += 1);
        Ok(())
    }

    fn abandon(&self, _value: Value, _why: Why) {
        self.count(|counts| counts.abandoned += 1);
    }
}

/// A pool without a Runner.
pub(crate) fn pool_of(max_size: usize, source: Source) -> Arc<Values> {
    Arc::new(pool_with_runner(max_size, source).0)
}

pub(crate) fn pool_with_runner(
    max_size: usize,
    source: Source,
) -> (Values, Runner<Source, NoTimer>) {
    pool_closing_beside(0, max_size, source)
}

/// A pool that closes so many broken values beside their successors.
pub(crate) fn pool_closing_beside(
    allowance: usize,
    max_size: usize,
    source: Source,
) -> (Values, Runner<Source, NoTimer>) {
    Pool::builder(source)
        .max_size(max_size)
        .max_closing_beside(allowance)
        .build_with_runner(NoTimer)
        .unwrap()
}

/// Waits for a value, and gives it back.
pub(crate) fn borrow(pool: &Values) {
    drop(block_on(pool.acquire()).unwrap());
}

/// The same on a pool that may be closed meanwhile.
pub(crate) fn borrow_unless_closed(pool: &Values) {
    drop(block_on(pool.acquire()));
}

/// Begins to wait for a value, and is cancelled.
pub(crate) fn give_up(pool: &Values) {
    cancel_after(1, pool.acquire());
}

/// What holds of an open pool once every lease has ended: nothing was lost, and all its slots serve.
pub(crate) fn assert_serves(pool: &Values) {
    assert_serves_beside(pool, 0);
}

/// The same where so many broken values may be closed beside their successors.
pub(crate) fn assert_serves_beside(pool: &Values, allowance: usize) {
    assert_accounts(pool, allowance);
    assert_eq!(pool.audit().in_use, 0);
    let size = pool.status().max_size;
    let leases: Vec<_> = (0..size)
        .map(|_| block_on(pool.acquire()).unwrap())
        .collect();
    drop(leases);
    assert_accounts(pool, allowance);
    assert_eq!(pool.status().idle, size);
}

/// What holds of a pool once it is closed: every value has ended.
pub(crate) fn assert_ended(pool: &Values) {
    assert_accounts(pool, 0);
    assert_eq!((pool.audit().live(), pool.status().size), (0, 0));
    assert!(block_on(pool.acquire()).is_err());
}

fn assert_accounts(pool: &Values, allowance: usize) {
    let (audit, status, counts) = (pool.audit(), pool.status(), pool.resource().counts());
    assert!(audit.is_balanced(), "{audit:?}");
    assert_eq!((audit.opened, audit.closed), (counts.opened, counts.closed));
    assert_eq!(audit.ended(), counts.dropped, "{audit:?} {counts:?}");
    let most = (status.max_size + allowance) as u64;
    assert!(counts.most_at_once <= most, "{counts:?}");
    assert_eq!(status.waiting, 0);
}
