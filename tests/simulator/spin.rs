//! Settings of no time at all: background work keeps a least period, time passes, and others get their turn.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use tenure_core::{
    Backoff, CallOptions, Connection, Group, Jitter, Managed, NoTimer, Pool, Resource, Retry,
    Shared, SpawnLocal,
};
use tenure_sim::run;

const SECOND: Duration = Duration::from_secs(1);
const TINY: Duration = Duration::from_nanos(1);

/// More calls than this make a hook hang, so that a loop without a pause ends and can be told.
const FAR_TOO_MANY: u64 = 50_000;

/// A resource that takes no time for anything, and counts.
#[derive(Clone, Default)]
struct Quick {
    is_down: bool,
    is_ill: bool,
    openings: Arc<AtomicU64>,
    checks: Arc<AtomicU64>,
}

impl Quick {
    async fn count(counter: &AtomicU64) {
        if counter.fetch_add(1, SeqCst) >= FAR_TOO_MANY {
            pending().await
        }
    }
}

impl Resource for Quick {
    type Value = ();
    type Error = &'static str;

    const CHECKED: bool = true;

    async fn open(&self) -> Result<(), &'static str> {
        Self::count(&self.openings).await;
        match self.is_down {
            true => Err("refused"),
            false => Ok(()),
        }
    }

    async fn check(&self, (): &mut ()) -> Result<(), &'static str> {
        Self::count(&self.checks).await;
        match self.is_ill {
            true => Err("ill"),
            false => Ok(()),
        }
    }
}

/// At most a check for each millisecond that passes, and one for each value that is opened.
fn assert_paced(quick: &Quick, passed: Duration) {
    let most = u64::try_from(passed.as_millis()).expect("it is a short time") * 2 + 10;
    assert!(
        quick.checks.load(SeqCst) <= most,
        "{} checks",
        quick.checks.load(SeqCst)
    );
    assert!(
        quick.openings.load(SeqCst) <= most,
        "{} openings",
        quick.openings.load(SeqCst)
    );
}

#[test]
fn a_managed_value_that_is_checked_without_a_pause_lets_time_pass() {
    for is_ill in [false, true] {
        run(0, |sim| async move {
            let quick = Quick {
                is_ill,
                ..Quick::default()
            };
            let (managed, runner) = Managed::builder(quick.clone())
                .check_every(TINY)
                .open_pace(Backoff::constant(Duration::from_millis(1)))
                .initial_delay(Duration::ZERO)
                .build_with_runner(sim.clone())
                .expect("the settings make sense");
            sim.spawn_local(runner.run());
            managed.open().await.expect("it opens");
            sim.sleep(SECOND).await;
            assert!(quick.checks.load(SeqCst) > 10);
            assert_paced(&quick, SECOND);
            managed.close().await;
        });
    }
}

#[test]
fn a_connection_that_is_checked_without_a_pause_lets_time_pass() {
    for is_ill in [false, true] {
        run(0, |sim| async move {
            let quick = Quick {
                is_ill,
                ..Quick::default()
            };
            let (connection, runner) = Connection::builder("server:1", quick.clone())
                .check_every(TINY)
                .proven_after(TINY)
                .build_with_runner(sim.clone())
                .expect("the settings make sense");
            sim.spawn_local(runner.run());
            let _ = connection.call("ask", |()| async { Ok(()) }).await;
            sim.sleep(SECOND).await;
            assert!(quick.checks.load(SeqCst) > 10);
            assert_paced(&quick, SECOND);
            connection.close().await;
        });
    }
}

#[test]
fn a_supervisor_that_looks_without_a_pause_lets_time_pass() {
    for interval in [Duration::ZERO, TINY] {
        run(0, |sim| async move {
            let quick = Quick::default();
            let (managed, runner) = Managed::builder(quick.clone())
                .build_with_runner(sim.clone())
                .expect("the settings make sense");
            sim.spawn_local(runner.run());
            let group = Group::builder("service").add("db", managed);
            let group = group.build(sim.clone()).expect("it is a graph");
            group.start().await.expect("it starts");
            let supervisor = group.supervisor().check_every(interval);
            let (watching, clock) = (sim.clone(), sim.clone());
            let watch = watching.task("supervisor", async move { drop(supervisor.run().await) });
            clock.sleep(SECOND).await;
            assert!(quick.checks.load(SeqCst) > 10);
            assert_paced(&quick, SECOND);
            group.close().await;
            watch.await;
        });
    }
}

#[test]
fn a_call_that_waits_for_a_connection_without_backoff_ends_with_its_deadline() {
    run(0, |sim| async move {
        let quick = Quick {
            is_down: true,
            ..Quick::default()
        };
        let (connection, runner) = Connection::builder("server:1", quick.clone())
            .retry(Retry::new(Backoff::constant(Duration::ZERO)))
            .build_with_runner(sim.clone())
            .expect("the settings make sense");
        sim.spawn_local(runner.run());
        let options = CallOptions::named("ask")
            .deadline(SECOND * 10)
            .max_retries(0);
        let call = connection
            .request(options)
            .when_down(tenure_core::connection::WhenDown::WaitToDeadline);
        let error = call.run(|()| async { Ok(()) }).await.unwrap_err();
        assert_eq!(error.elapsed(), SECOND * 10, "{error}");
        assert!(
            quick.openings.load(SeqCst) <= 1_000,
            "{} openings",
            quick.openings.load(SeqCst)
        );
        connection.close().await;
    });
}

#[test]
fn openings_that_are_retried_for_ever_without_a_delay_are_refused() {
    let endless = Retry::new(Backoff::constant(Duration::ZERO)).max_retries(u32::MAX);
    let quick = Quick::default;
    let errors = [
        Pool::builder(quick())
            .retry(endless)
            .build_with_runner(NoTimer)
            .err(),
        Managed::builder(quick())
            .retry(endless)
            .build_with_runner(NoTimer)
            .err(),
        Connection::builder("server:1", quick())
            .retry(endless)
            .build_with_runner(NoTimer)
            .err(),
        Shared::builder(quick())
            .retry(endless)
            .build_with_runner(NoTimer)
            .err(),
    ];
    for error in errors {
        let error = error.expect("it is refused");
        assert_eq!(
            error.to_string(),
            "`backoff.delay` (0ns) must be above zero"
        );
    }
    let ended = Pool::builder(quick()).retry(endless.max_retries(3));
    assert!(ended.build_with_runner(NoTimer).is_ok());
}

#[test]
fn a_pool_whose_limits_are_tiny_lets_time_pass() {
    for is_down in [false, true] {
        run(0, |sim| async move {
            let quick = Quick {
                is_down,
                ..Quick::default()
            };
            let backoff = Backoff::exponential(TINY).cap(TINY).jitter(Jitter::None);
            let (pool, runner) = Pool::builder(quick.clone())
                .min_size(1)
                .max_size(2)
                .idle_timeout(TINY)
                .max_lifetime(TINY)
                .check_every(TINY)
                .retry(Retry::new(backoff))
                .build_with_runner(sim.clone())
                .expect("the settings make sense");
            sim.spawn_local(runner.run());
            let _ = pool.acquire().await;
            sim.sleep(SECOND).await;
            assert_paced(&quick, SECOND);
            pool.close().await;
        });
    }
}

#[test]
fn a_keyed_pool_that_forgets_at_once_lets_time_pass() {
    run(0, |sim| async move {
        let quick = Quick::default();
        let of_key = quick.clone();
        let pools = Pool::keyed(move |_: &u8| Pool::builder(of_key.clone()))
            .forget_after(TINY)
            .build(sim.clone())
            .expect("the settings make sense");
        for key in 0..3 {
            drop(pools.acquire(&key).await.expect("it opens"));
            sim.sleep(SECOND / 10).await;
        }
        assert_paced(&quick, SECOND);
        pools.close().await;
    });
}

#[test]
fn a_shared_value_that_is_idle_for_no_time_lets_time_pass() {
    for idle in [Duration::ZERO, TINY] {
        run(0, |sim| async move {
            let quick = Quick::default();
            let (shared, runner) = Shared::builder(quick.clone())
                .idle_timeout(idle)
                .build_with_runner(sim.clone())
                .expect("the settings make sense");
            sim.spawn_local(runner.run());
            for _ in 0..10 {
                drop(shared.acquire().await.expect("it opens"));
                sim.sleep(SECOND / 10).await;
            }
            assert!(quick.openings.load(SeqCst) <= 10);
            shared.close().await;
        });
    }
}
