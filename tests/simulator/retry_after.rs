//! A server that says when to come back is not asked earlier.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tenure_core::{
    AcquireError, Backoff, Connection, ErrorClass, Failure, Jitter, LocalResource, Managed,
    OpenError, Pool, Retry, SpawnLocal, StopReason, retry,
};
use tenure_sim::{Sim, run};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

/// A server that refuses its first opening and names the time after which to ask again.
#[derive(Clone)]
struct Throttled {
    sim: Sim,
    after: Duration,
    openings: Rc<RefCell<Vec<Duration>>>,
}

impl Throttled {
    fn new(sim: &Sim, after: Duration) -> Self {
        Self {
            sim: sim.clone(),
            after,
            openings: Rc::default(),
        }
    }

    /// Asserts that the second opening began no earlier than the server said.
    fn assert_patient(&self) {
        let openings = self.openings.borrow();
        assert!(openings.len() >= 2, "{openings:?}");
        let pause = openings[1] - openings[0];
        assert!(pause >= self.after, "asked again after {pause:?}");
    }
}

impl LocalResource for Throttled {
    type Value = ();
    type Error = &'static str;

    async fn open(&self) -> Result<(), &'static str> {
        self.openings.borrow_mut().push(self.sim.time_passed());
        match self.openings.borrow().len() {
            1 => Err("slow down"),
            _ => Ok(()),
        }
    }

    fn classify(&self, _: Failure<'_, &'static str>) -> ErrorClass {
        ErrorClass::RetryAfter(self.after)
    }
}

/// The policies whose last attempt is the first one, and those that have more.
fn policies() -> [Retry; 3] {
    [Retry::DEFAULT, Retry::NEVER, Retry::BACKGROUND]
}

#[test]
fn a_retry_ends_rather_than_come_back_before_the_server_said() {
    run(0, |sim| async move {
        for after in [SECOND * 31, HOUR, Duration::MAX] {
            let begun = RefCell::new(Vec::new());
            let asked = retry(&sim, Retry::DEFAULT, || {
                begun.borrow_mut().push(sim.time_passed());
                async { Err::<(), _>("slow down") }
            });
            let classify = |_: Failure<'_, &str>| ErrorClass::RetryAfter(after);
            let error = asked.classify(classify).await.unwrap_err();
            assert_eq!(begun.take().len(), 1);
            assert_eq!(error.reason(), StopReason::RetryAfter(after));
        }
    });
}

#[test]
fn a_retry_within_the_cap_waits_at_least_as_long_as_the_server_said() {
    for seed in 0..50 {
        run(seed, |sim| async move {
            for jitter in [Jitter::Full, Jitter::Equal, Jitter::Decorrelated] {
                for after in [Duration::ZERO, SECOND / 2, SECOND * 5, SECOND * 30] {
                    let begun = RefCell::new(Vec::new());
                    let policy = Retry::new(Backoff::DEFAULT.jitter(jitter));
                    let asked = retry(&sim, policy, || {
                        begun.borrow_mut().push(sim.time_passed());
                        async { Err::<(), _>("slow down") }
                    });
                    let classify = |_: Failure<'_, &str>| ErrorClass::RetryAfter(after);
                    let error = asked.classify(classify).await.unwrap_err();
                    let begun = begun.take();
                    assert!(
                        begun.windows(2).all(|two| two[1] - two[0] >= after),
                        "{after:?}: {begun:?}"
                    );
                    assert_eq!((begun.len(), error.reason()), (4, StopReason::Attempts));
                }
            }
        });
    }
}

#[test]
fn a_pool_asks_again_when_the_server_said_and_tells_its_callers_at_once() {
    for (seed, policy) in policies().into_iter().enumerate() {
        run(seed as u64, |sim| async move {
            let server = Throttled::new(&sim, HOUR);
            let (pool, runner) = Pool::builder(server.clone())
                .min_size(1)
                .retry(policy)
                .build_with_runner(sim.clone())
                .expect("the settings make sense");
            sim.spawn_local(runner.run());
            let Err(AcquireError::BackendDown { failure, .. }) = pool.acquire().await else {
                panic!("the server refuses");
            };
            assert!(failure.stopped.is_some(), "{failure}");
            assert!(sim.time_passed() < SECOND);
            while server.openings.borrow().len() < 2 && sim.time_passed() < HOUR * 2 {
                let _ = pool.acquire_timeout(SECOND * 10).await;
            }
            server.assert_patient();
            assert!(sim.time_passed() < HOUR + SECOND * 30);
        });
    }
}

#[test]
fn a_managed_value_recovers_when_the_server_said() {
    for (seed, policy) in policies().into_iter().enumerate() {
        run(seed as u64, |sim| async move {
            let server = Throttled::new(&sim, HOUR);
            let (managed, runner) = Managed::builder(server.clone())
                .retry(policy)
                .build_with_runner(sim.clone())
                .expect("the settings make sense");
            sim.spawn_local(runner.run());
            let Err(OpenError::Failed { failure, .. }) = managed.open().await else {
                panic!("the server refuses");
            };
            assert!(failure.stopped.is_some(), "{failure}");
            sim.sleep(HOUR + SECOND * 60).await;
            server.assert_patient();
            assert!(managed.open().await.is_ok());
        });
    }
}

#[test]
fn a_connection_connects_again_when_the_server_said_whoever_calls_meanwhile() {
    for (seed, policy) in policies().into_iter().enumerate() {
        run(seed as u64, |sim| async move {
            let server = Throttled::new(&sim, HOUR);
            let (connection, runner) = Connection::builder("server:1", server.clone())
                .retry(policy)
                .build_with_runner(sim.clone())
                .expect("the settings make sense");
            sim.spawn_local(runner.run());
            let end = HOUR + SECOND * 60;
            while sim.time_passed() < end {
                let _ = connection.call("ask", |()| async { Ok(()) }).await;
                sim.sleep(SECOND * 10).await;
            }
            server.assert_patient();
            assert!(connection.call("ask", |()| async { Ok(()) }).await.is_ok());
        });
    }
}
