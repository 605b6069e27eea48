//! Faults of opening a value anew because a call failed on it.

use tenure_core::{Backoff, Managed, OpenError, Retry, State};
use tenure_sim::{Backend, Ended, Faults, FaultyError, Hook, SharedFaultyResource, explore};

use super::{DAY, SECOND, SEEDS, elapsed, managed_drawn, managed_ends_well, odd_time};

/// A port reconnects after whatever an operation raises, under the calls in flight.
#[test]
fn fault_11_application_error_does_not_reopen() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        let policy = Retry::new(Backoff::constant(SECOND)).max_retries(2);
        let builder = Managed::builder(SharedFaultyResource::new(&backend))
            .retry(policy)
            .open_retry(policy);
        let (managed, _) = managed_drawn(&sim, builder);
        let in_flight = sim.task("in flight", {
            let (sim, managed) = (sim.clone(), managed.clone());
            async move {
                let call = managed.call("long", |value| {
                    let sleep = sim.sleep(SECOND * 10);
                    async move {
                        sleep.await;
                        value.ask().map(|()| value.id())
                    }
                });
                call.await
            }
        });
        sim.sleep(odd_time(&sim, 8)).await;
        let call = managed.call("fails", |_| async { Err::<(), _>(application_error()) });
        let error = call.await.expect_err("it fails");
        assert_eq!(
            (error.attempts(), error.downcast_ref()),
            (3, Some(&application_error()))
        );
        assert_eq!(in_flight.await.expect("nobody closed its value"), 1);
        assert_eq!(managed.state(), State::Ready);
        assert_eq!(
            (backend.calls(Hook::Open), backend.calls(Hook::Close)),
            (1, 0)
        );
        managed_ends_well(&managed, &backend).await;
    });
}

/// In a port the first step of every reconnect is to close the value, whoever uses it, and each call
/// that fails on it reconnects once more.
#[test]
fn fault_11_call_in_flight_keeps_its_value_until_it_ends() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        backend.set_time(Hook::Open, SECOND / 2);
        let policy = Retry::new(Backoff::constant(SECOND));
        let builder = Managed::builder(SharedFaultyResource::new(&backend))
            .retry(policy)
            .open_retry(policy)
            // The others' check finds the old value dead: it is left to its call all the same.
            .call_grace(None);
        let (managed, has_runner) = managed_drawn(&sim, builder);
        managed.open().await.expect("the backend is well");
        let in_flight = sim.task("in flight", {
            let (sim, managed, backend) = (sim.clone(), managed.clone(), backend.clone());
            async move {
                let call = managed.call("long", |value| {
                    let (sleep, backend) = (sim.sleep(SECOND * 20), backend.clone());
                    async move {
                        sleep.await;
                        assert_eq!(backend.live(), [1, 2], "its value and the new one");
                        Ok(value.id())
                    }
                });
                call.await
            }
        });
        sim.sleep(odd_time(&sim, 10)).await;
        backend.break_value(1);
        let began_at = elapsed(&sim);
        // All have the value when the first finds it broken, and the last finds it so when there is
        // a new one.
        let failing = [1, 1, 6].map(|takes| {
            let (world, managed) = (sim.clone(), managed.clone());
            sim.task(format!("asks for {takes} s"), async move {
                let call = managed.call("ask", |value| {
                    let sleep = world.sleep(SECOND * takes);
                    async move {
                        sleep.await;
                        value.ask().map(|()| value.id())
                    }
                });
                assert_eq!(call.await.expect("the new value serves"), 2);
                elapsed(&world) - began_at
            })
        });
        // A Runner opens the new value while the calls wait for their next attempt.
        let opening = if has_runner {
            std::time::Duration::ZERO
        } else {
            SECOND / 2
        };
        let first = SECOND * 3 + opening;
        for (call, took) in failing.into_iter().zip([first, first, SECOND * 13]) {
            assert_eq!(call.await, took);
        }
        assert_eq!(in_flight.await.expect("it ends as it would have"), 1);
        assert_eq!(backend.calls(Hook::Open), 2);
        managed.close().await;
        assert_eq!(backend.ended(Ended::Closed), 2);
        managed_ends_well(&managed, &backend).await;
    });
}

/// In a port the error of a reconnect that fails takes the place of the one that led to it.
#[test]
fn fault_11_failing_reopening_does_not_hide_the_first_error() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        backend.set_faults(Faults::none().outage(SECOND..DAY));
        let policy = Retry::new(Backoff::constant(SECOND)).max_retries(2);
        let builder = Managed::builder(SharedFaultyResource::new(&backend))
            .retry(policy)
            .open_retry(policy);
        let (managed, _) = managed_drawn(&sim, builder);
        managed.open().await.expect("the backend is well");
        sim.sleep(SECOND + odd_time(&sim, 10)).await;
        backend.break_value(1);
        let began_at = elapsed(&sim);
        let error = managed
            .call("ask", |value| async move { value.ask() })
            .await
            .expect_err("no new value can be had");
        assert_eq!(
            error.downcast_ref(),
            Some(&FaultyError::Broken { value: 1 })
        );
        let Some(OpenError::Failed { failure, .. }) = error.open_error() else {
            panic!("{error}");
        };
        assert_eq!(failure.attempts, 3);
        // Three attempts a second apart, which all began while this call waited for them: from its retry on.
        let took = elapsed(&sim) - began_at;
        assert!((SECOND * 3..=SECOND * 4).contains(&took), "{took:?}");
        managed_ends_well(&managed, &backend).await;
    });
}

/// Says that the question was wrong, and nothing of the connection.
const fn application_error() -> FaultyError {
    FaultyError::Injected {
        hook: Hook::Check,
        call: 7,
    }
}
