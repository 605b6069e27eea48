//! Panics of user code in places that are easily forgotten end no background work, and are told as events.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use tenure_core::{
    Backoff, BoxError, Connection, Event, EventKind, EventSink, Managed, Pool, Resource, Retry,
    Shared,
};
use tenure_sim::{Sim, run};

const SECOND: Duration = Duration::from_secs(1);

/// What panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bomb {
    /// The `drop` of an error.
    DropOfError,
    /// The conversion of an error.
    Conversion,
    /// The `clone` of a value, each second time.
    Clone,
    /// The `drop` of a value.
    DropOfValue,
}

/// Its first three openings fail, and then its first three checks.
#[derive(Clone)]
struct Bombs {
    bomb: Bomb,
    openings: Arc<AtomicU32>,
    checks: Arc<AtomicU32>,
    clones: Arc<AtomicU32>,
}

impl Bombs {
    fn with(bomb: Bomb) -> Self {
        Self {
            bomb,
            openings: Arc::default(),
            checks: Arc::default(),
            clones: Arc::default(),
        }
    }
}

fn first_three_fail(calls: &AtomicU32, bomb: Bomb) -> Result<(), BombError> {
    if calls.fetch_add(1, Ordering::SeqCst) < 3 {
        Err(BombError(bomb))
    } else {
        Ok(())
    }
}

struct BombError(Bomb);

impl From<BombError> for BoxError {
    fn from(error: BombError) -> Self {
        assert!(error.0 != Bomb::Conversion, "conversion of an error");
        match error.0 {
            Bomb::DropOfError => Box::new(Dropped),
            _ => "it fails".into(),
        }
    }
}

#[derive(Debug)]
struct Dropped;

impl std::fmt::Display for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("it fails")
    }
}

impl std::error::Error for Dropped {}

impl Drop for Dropped {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "drop of an error");
    }
}

struct BombValue {
    bomb: Bomb,
    clones: Arc<AtomicU32>,
}

impl Clone for BombValue {
    fn clone(&self) -> Self {
        let clones = self.clones.fetch_add(1, Ordering::SeqCst);
        assert!(
            self.bomb != Bomb::Clone || clones % 2 == 1,
            "clone of a value"
        );
        Self {
            bomb: self.bomb,
            clones: self.clones.clone(),
        }
    }
}

impl Drop for BombValue {
    fn drop(&mut self) {
        let panics = self.bomb == Bomb::DropOfValue && !std::thread::panicking();
        assert!(!panics, "drop of a value");
    }
}

impl Resource for Bombs {
    type Value = BombValue;
    type Error = BombError;
    const CHECKED: bool = true;

    async fn open(&self) -> Result<BombValue, BombError> {
        first_three_fail(&self.openings, self.bomb)?;
        Ok(BombValue {
            bomb: self.bomb,
            clones: self.clones.clone(),
        })
    }

    async fn check(&self, _: &mut BombValue) -> Result<(), BombError> {
        first_three_fail(&self.checks, self.bomb)
    }
}

/// The phases in which panics were swallowed.
#[derive(Clone, Default)]
struct Swallowed(Arc<Mutex<Vec<&'static str>>>);

impl Swallowed {
    fn sink(&self) -> Arc<dyn EventSink> {
        let seen = self.0.clone();
        Arc::new(move |event: &Event<'_>| {
            if let EventKind::Swallowed { phase, .. } = event.kind {
                seen.lock().expect("no panic before").push(phase);
            }
        })
    }

    fn has(&self, phase: &str) -> bool {
        let seen = self.0.lock().expect("no panic before");
        seen.contains(&phase)
    }
}

fn often() -> Retry {
    Retry::new(Backoff::constant(SECOND)).max_retries(10)
}

#[test]
fn a_panic_in_an_error_ends_no_background_work_of_a_pool() {
    for bomb in [Bomb::DropOfError, Bomb::Conversion, Bomb::DropOfValue] {
        run(0, |sim| async move {
            let swallowed = Swallowed::default();
            let pool = Pool::builder(Bombs::with(bomb))
                .min_size(2)
                .max_size(4)
                .check_every(SECOND * 10)
                .retry(often())
                .events(swallowed.sink())
                .build(sim.clone())
                .expect("a valid configuration");
            sim.sleep(SECOND * 300).await;
            assert_eq!(pool.status().idle, 2, "{bomb:?}: the minimum is kept");
            assert_eq!(swallowed.has("drop of an error"), bomb == Bomb::DropOfError);
            pool.close().await;
            assert!(pool.audit().is_balanced());
        });
    }
}

#[test]
fn a_panic_in_a_value_or_an_error_ends_no_background_work_of_one_value() {
    for bomb in [
        Bomb::DropOfError,
        Bomb::Conversion,
        Bomb::Clone,
        Bomb::DropOfValue,
    ] {
        run(0, |sim| async move {
            let (managed_resource, linked_resource) = (Bombs::with(bomb), Bombs::with(bomb));
            let swallowed = Swallowed::default();
            let managed = Managed::builder(managed_resource.clone())
                .check_every(SECOND * 10)
                .retry(often())
                .events(swallowed.sink())
                .build(sim.clone())
                .expect("a valid configuration");
            let connection = Connection::builder("db:5432", linked_resource.clone())
                .check_every(SECOND * 10)
                .retry(often())
                .build(sim.clone())
                .expect("a valid configuration");
            managed.open().await.expect("an opening");
            connection.open().await.expect("an opening");
            sim.sleep(SECOND * 300).await;
            for resource in [managed_resource, linked_resource] {
                let (checks, clones) = (&resource.checks, &resource.clones);
                let looked = checks
                    .load(Ordering::SeqCst)
                    .max(clones.load(Ordering::SeqCst));
                assert!(looked >= 20, "{bomb:?}: only {looked} checks");
            }
            if bomb == Bomb::DropOfError {
                assert!(swallowed.has("drop of an error"));
            }
            managed.close().await;
            connection.close().await;
            assert!(managed.audit().is_balanced());
        });
    }
}

#[test]
fn a_panic_in_an_error_ends_no_background_work_of_a_shared_value() {
    // A share holds a clone of the value, which whoever acquires it makes and drops.
    for bomb in [Bomb::DropOfError, Bomb::Conversion] {
        run(0, |sim| async move {
            let shared = Shared::builder(Bombs::with(bomb))
                .idle_timeout(SECOND)
                .retry(often())
                .build(sim.clone())
                .expect("a valid configuration");
            for _ in 0..3 {
                let share = shared.acquire().await.map(drop);
                assert!(share.is_ok(), "{bomb:?}");
                sim.sleep(SECOND * 3).await;
                assert_eq!(shared.audit().live(), 0, "{bomb:?}: it is closed when idle");
            }
        });
    }
}

/// Panics when it is woken.
struct PanickingWaker;

impl Wake for PanickingWaker {
    fn wake(self: Arc<Self>) {
        panic!("waker");
    }
}

fn poll_with_panicking_waker(future: std::pin::Pin<&mut impl Future>) {
    let waker = Waker::from(Arc::new(PanickingWaker));
    assert!(future.poll(&mut Context::from_waker(&waker)).is_pending());
}

#[test]
fn a_waker_that_panics_ends_neither_the_runner_nor_the_wait_of_others() {
    run(0, |sim: Sim| async move {
        let swallowed = Swallowed::default();
        let pool = Pool::builder(Bombs::with(Bomb::Clone))
            .max_size(2)
            .acquire_timeout(None)
            .retry(often())
            .events(swallowed.sink())
            .build(sim.clone())
            .expect("a valid configuration");
        let mut hostile = pin!(pool.acquire());
        poll_with_panicking_waker(hostile.as_mut());
        let managed = Managed::builder(Bombs::with(Bomb::Conversion))
            .retry(often())
            .events(swallowed.sink())
            .build(sim.clone())
            .expect("a valid configuration");
        let mut hostile_too = pin!(managed.open());
        poll_with_panicking_waker(hostile_too.as_mut());
        let lease = pool.acquire().await.expect("a value");
        managed.open().await.expect("an opening");
        assert!(swallowed.has("waker"));
        drop(lease);
        pool.acquire().await.expect("a value").discard();
        sim.sleep(SECOND).await;
        assert_eq!(pool.status().closing, 0, "its Runner lives");
    });
}
