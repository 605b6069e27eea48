//! A pool: its hooks, sinks, wakers, backoff and the closures that it is asked with.

use std::error::Error;

use tenure_core::{AcquireError, ErrorClass, Failure, Pool, Resource, Retry, Start};
use tenure_sim::{Sim, run};

use super::MOMENT;
use super::lookout::{Lookout, TOLD_AND_WOKEN};
use super::nosy::{Nosy, Refused};

#[test]
fn no_lock_of_a_pool_is_held_over_user_code() {
    is_held_over_nothing::<false>(&[]);
}

#[test]
fn no_lock_of_a_pool_is_held_over_its_hooks() {
    is_held_over_nothing::<true>(&[
        "after_open",
        "before_acquire",
        "after_release",
        "before_close",
    ]);
}

fn is_held_over_nothing<const HOOKED: bool>(hooks: &[&'static str]) {
    run(0, |sim| async move {
        let lookout = Lookout::default();
        let builder = || {
            Pool::builder(Nosy::<HOOKED>(lookout.clone()))
                .max_size(1)
                // A timer would hold the waker too, and so be where it is dropped.
                .acquire_timeout(None)
                .idle_timeout(MOMENT * 40)
                .check_every(MOMENT * 4)
                .retry(Retry::new(lookout.backoff()))
                .start(Start::Lazily)
                .events(lookout.sink())
        };
        let pool = builder().build(sim.clone()).expect("a valid configuration");
        lookout.looks_at({
            let pool = pool.clone();
            move || drop((pool.status(), pool.audit(), pool.try_acquire()))
        });
        // One waiter leaves while it waits, one with what it was handed, one is served, one refused.
        let lease = pool.acquire().await.expect("a value");
        let waits = sim.task("waits", lookout.clone().wakes(use_it(pool.clone())));
        let leaves = sim.task("leaves", lookout.clone().wakes(use_it(pool.clone())));
        let served = sim.task("is served", lookout.clone().wakes(use_it(pool.clone())));
        sim.sleep(MOMENT).await;
        waits.cancel();
        sim.sleep(MOMENT).await;
        drop(lease);
        leaves.cancel();
        served.await;
        sim.sleep(MOMENT * 20).await;
        pool.acquire().await.expect("a value").discard();
        drop(pool.acquire().await.expect("a value").detach());
        sim.sleep(MOMENT * 100).await;
        for _ in 0..8 {
            drop(pool.acquire().await.expect("a value"));
            sim.sleep(MOMENT).await;
            pool.retain(|_, _| lookout.look("retain").is_multiple_of(2));
        }
        pool.evict_all();
        let lease = pool.acquire().await.expect("a value");
        let refused = sim.task("is refused", lookout.clone().wakes(use_it(pool.clone())));
        sim.sleep(MOMENT).await;
        let closing = pool.shutdown(MOMENT);
        drop(lookout.clone().wakes(closing).await);
        drop(lease);
        refused.await;
        let report = pool.close().await;
        drop((report.to_string(), format!("{report:?}")));
        lookout.forget();
        let (pool, runner) = builder()
            .build_with_runner(sim)
            .expect("a valid configuration");
        drop(runner);
        drop(pool.acquire().await.expect("a value"));
        drop(pool);
        lookout.saw_nothing_locked(hooks);
        lookout.saw_nothing_locked(&TOLD_AND_WOKEN);
        lookout.saw_nothing_locked(&[
            "open",
            "backoff",
            "retain",
            "close",
            "check",
            "is_broken",
            "classify",
            "abandon",
            "drop of a value",
        ]);
    });
}

async fn use_it<const HOOKED: bool>(pool: Pool<Nosy<HOOKED>, Sim>) {
    let lease = pool.acquire().await;
    drop(lease);
}

#[test]
fn no_lock_of_a_pool_is_held_over_what_a_refused_caller_is_told() {
    run(0, |sim| async move {
        let lookout = Lookout::default();
        let pool = Pool::builder(Down(lookout.clone()))
            .retry(Retry::new(lookout.backoff()).max_retries(2))
            .events(lookout.sink())
            .build(sim.clone())
            .expect("a valid configuration");
        lookout.looks_at({
            let pool = pool.clone();
            move || drop((pool.status(), pool.audit(), pool.try_acquire()))
        });
        let refusals = (0..3).map(|_| {
            let acquire = lookout.clone().wakes(refused(pool.clone()));
            sim.task("is refused", acquire)
        });
        let refusals: Vec<_> = refusals.collect();
        for refusal in refusals {
            let error = refusal.await;
            drop((error.to_string(), format!("{error:?}")));
            let mut source = error.source();
            while let Some(error) = source {
                source = error.source();
            }
        }
        drop(pool.start().await);
        pool.close().await;
        lookout.forget();
        lookout.saw_nothing_locked(&TOLD_AND_WOKEN);
        lookout.saw_nothing_locked(&["open", "backoff", "classify"]);
    });
}

async fn refused(pool: Pool<Down, Sim>) -> AcquireError {
    match pool.acquire().await {
        Ok(_) => panic!("it is down"),
        Err(error) => error,
    }
}

/// What can never be opened.
struct Down(Lookout);

impl Resource for Down {
    type Value = ();
    type Error = Refused;

    async fn open(&self) -> Result<(), Refused> {
        self.0.look("open");
        Err(Refused::new(&self.0, ErrorClass::Retry))
    }

    fn classify(&self, failure: Failure<'_, Refused>) -> ErrorClass {
        self.0.look("classify");
        failure.error().map_or(ErrorClass::Retry, Refused::class)
    }
}

/// The change that a task listens for comes while its waker is cloned: the clone is not needed, and dropped.
#[test]
fn no_lock_is_held_over_a_waker_that_comes_too_late_to_hear_of_a_change() {
    run(0, |sim| async move {
        let lookout = Lookout::default();
        let pool = Pool::builder(Nosy::<false>(lookout.clone()))
            .max_size(1)
            .acquire_timeout(None)
            .build(sim.clone())
            .expect("a valid configuration");
        let lease = pool.acquire_owned().await.expect("a value");
        lookout.looks_at({
            let pool = pool.clone();
            move || pool.evict_all()
        });
        let revoked = lookout.clone().wakes(lease.revoked());
        sim.task("hears of it", revoked).await;
        lookout.saw_nothing_locked(&["clone of a waker", "drop of a waker"]);
    });
}
