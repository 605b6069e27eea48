//! Faults of opening and closing one value.

use std::time::Duration;

use tenure_core::{Backoff, CheckError, Managed, OpenError, Retry, State};
use tenure_sim::{Backend, Ended, Fault, Faults, Hook, SharedFaultyResource, explore};

use super::{DAY, SECOND, SEEDS, always, elapsed, managed_drawn, managed_ends_well, odd_time};
use crate::drawn::coin;

/// A port stays INITIALIZING for ever: a cancel is no exception that it catches, and whoever opens next
/// waits for a future that nobody resolves.
#[test]
fn fault_04_cancelled_open_is_not_initializing_for_ever() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        backend.set_time(Hook::Open, SECOND * 10);
        let (managed, runner) = Managed::builder(SharedFaultyResource::new(&backend))
            .open_timeout(SECOND * 60)
            .build_with_runner(sim.clone())
            .expect("it makes sense");
        let runner = coin(&sim).then(|| sim.task("runner", runner.run()));
        let opener = sim.task("opener", {
            let managed = managed.clone();
            async move { managed.open().await }
        });
        // Past the pause after the start of an attempt.
        sim.sleep(SECOND + odd_time(&sim, 8)).await;
        opener.cancel();
        if let (true, Some(runner)) = (coin(&sim), &runner) {
            runner.cancel();
        }
        sim.yield_now().await;

        // A Runner goes on without the caller; without one the opening is called off.
        let goes_on = runner.is_some_and(|runner| !runner.is_over());
        let (state, opens_at) = if goes_on {
            (State::Initializing, SECOND * 10)
        } else {
            (State::Uninitialized, elapsed(&sim) + SECOND * 10)
        };
        assert_eq!(managed.state(), state);
        managed.open().await.expect("the backend is well");
        assert_eq!(managed.state(), State::Ready);
        // What begins anew keeps the pause after the start of the attempt that was called off.
        let pause = if goes_on {
            Duration::ZERO
        } else {
            Duration::from_millis(700)
        };
        let late = elapsed(&sim) - opens_at;
        assert!(late <= pause, "{late:?}");
        managed_ends_well(&managed, &backend).await;
    });
}

/// A port stays CLOSING for ever, and every later cleanup returns at once with the value still open.
#[test]
fn fault_04_cancelled_close_is_not_closing_for_ever() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        backend.set_time(Hook::Close, SECOND * 10);
        let builder = Managed::builder(SharedFaultyResource::new(&backend));
        let (managed, has_runner) = managed_drawn(&sim, builder.close_timeout(SECOND * 60));
        managed.open().await.expect("the backend is well");
        let closer = sim.task("closer", {
            let managed = managed.clone();
            async move { managed.close().await }
        });
        let cancelled_at = odd_time(&sim, 10);
        sim.sleep(cancelled_at).await;
        closer.cancel();

        let closed = managed.wait_for(State::Closed).await;
        closed.expect("nobody has to ask again");
        let (how, at) = if has_runner {
            (Ended::Closed, SECOND * 10)
        } else {
            (Ended::CloseCutOff, cancelled_at)
        };
        assert_eq!((backend.ended(how), elapsed(&sim)), (1, at));
        let report = managed.close().await;
        assert_eq!(report.is_clean(), has_runner, "{report}");
        managed_ends_well(&managed, &backend).await;
    });
}

/// In a port the second caller waits, outside its own timeout, for a lock that the first holds while it
/// opens.
#[test]
fn fault_05_shorter_timeout_of_a_second_caller_counts() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        backend.set_time(Hook::Open, SECOND * 20);
        let builder =
            Managed::builder(SharedFaultyResource::new(&backend)).open_timeout(SECOND * 60);
        let (managed, _) = managed_drawn(&sim, builder);
        let patient = sim.task("patient", {
            let managed = managed.clone();
            async move { managed.open_timeout(SECOND * 30).await }
        });
        let impatient = [1, 2, 3].map(|number| {
            let (world, managed) = (sim.clone(), managed.clone());
            let (comes_at, limit) = (odd_time(&sim, 10), odd_time(&sim, 10));
            sim.task(format!("impatient {number}"), async move {
                world.sleep(comes_at).await;
                let answer = managed.open_timeout(limit).await;
                let Err(OpenError::Pending { waited, .. }) = answer else {
                    panic!("{answer:?}");
                };
                assert_eq!((waited, elapsed(&world)), (limit, comes_at + limit));
            })
        });
        for task in impatient {
            task.await;
        }
        patient.await.expect("it is open within its own timeout");
        assert_eq!(elapsed(&sim), SECOND * 20);
        assert_eq!(backend.opened(), 1);
        managed_ends_well(&managed, &backend).await;
    });
}

/// In a port each of the five finds, once the lock is its own, that nothing is open, and tries all over
/// again: twenty attempts, and the last caller is told after the retries of all.
#[test]
fn fault_05_five_callers_of_a_failing_open_share_its_attempts() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        backend.set_time(Hook::Open, SECOND / 2);
        backend.set_faults(always(Hook::Open, Fault::Fail));
        let policy = Retry::new(Backoff::constant(SECOND * 2)).max_retries(3);
        let builder = Managed::builder(SharedFaultyResource::new(&backend)).open_retry(policy);
        let (managed, _) = managed_drawn(&sim, builder);
        // Attempts begin at 0, 2, 4 and 6 s. All five come before the first of them has failed.
        let callers = [0, 1, 2, 3, 4].map(|number| {
            let (world, managed) = (sim.clone(), managed.clone());
            let comes_at = match number {
                0 => Duration::ZERO,
                _ => odd_time(&sim, 1) / 2,
            };
            sim.task(format!("caller {number}"), async move {
                world.sleep(comes_at).await;
                let answer = managed.open().await;
                let Err(OpenError::Failed { failure, .. }) = answer else {
                    panic!("{answer:?}");
                };
                let told_at = SECOND * 6 + SECOND / 2;
                assert_eq!((failure.attempts, elapsed(&world)), (4, told_at));
                assert_eq!(failure.elapsed, Some(told_at - comes_at));
            })
        });
        for caller in callers {
            caller.await;
        }
        assert_eq!(backend.calls(Hook::Open), 4);
        managed_ends_well(&managed, &backend).await;
    });
}

/// In a port a check that raises sets ERROR whatever the state was meanwhile, so that what was closed
/// is closed no more.
#[test]
fn fault_06_late_result_of_a_check_leaves_what_is_closed_closed() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        backend.set_time(Hook::Check, SECOND * 10);
        let fault = if coin(&sim) {
            Fault::Fail
        } else {
            Fault::Panic
        };
        backend.set_faults(always(Hook::Check, fault));
        let builder = Managed::builder(SharedFaultyResource::new(&backend));
        let builder = builder.check_timeout(SECOND * 60).reopen_after(1);
        let (managed, _) = managed_drawn(&sim, builder);
        managed.open().await.expect("the backend is well");
        let check = sim.task("check", {
            let managed = managed.clone();
            async move { managed.check().await }
        });
        let closed_at = odd_time(&sim, 10);
        sim.sleep(closed_at).await;
        let report = managed.close().await;
        assert!(report.is_clean() && elapsed(&sim) == closed_at, "{report}");

        let mut watch = managed.watch();
        let verdict = check.await;
        assert!(matches!(verdict, Err(CheckError::Failed { .. })));
        assert!(elapsed(&sim) >= SECOND * 10, "the result came late");
        assert_eq!(managed.state(), State::Closed);
        assert_eq!(watch.changed().await, None);
        managed_ends_well(&managed, &backend).await;
    });
}

/// A port opens again whatever is not open, also what was closed, and its opening under way ends in
/// READY after the close.
#[test]
fn fault_06_what_is_closed_does_not_open_again() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        backend.set_time(Hook::Open, SECOND * 10);
        let builder = Managed::builder(SharedFaultyResource::new(&backend)).check_every(SECOND);
        let (managed, _) = managed_drawn(&sim, builder.open_timeout(SECOND * 60));
        let opener = sim.task("opener", {
            let managed = managed.clone();
            async move { managed.open().await }
        });
        let closed_at = odd_time(&sim, 20);
        sim.sleep(closed_at).await;
        managed.close().await;
        assert_eq!(opener.await.is_ok(), closed_at > SECOND * 10);

        for _ in 0..3 {
            let (open, get) = (managed.open().await, managed.get().await);
            assert!(matches!(open, Err(OpenError::Closed { .. })));
            assert!(matches!(get, Err(OpenError::Closed { .. })));
            let call = managed.call("ask", |value| async move { value.ask() });
            let error = call.await.expect_err("it is closed");
            assert!(matches!(error.open_error(), Some(OpenError::Closed { .. })));
            assert_eq!(elapsed(&sim), closed_at, "nobody has to wait for a refusal");
            managed.close().await;
        }
        sim.sleep(DAY).await;
        assert_eq!(managed.state(), State::Closed);
        assert_eq!(backend.opened(), u64::from(closed_at > SECOND * 10));
        managed_ends_well(&managed, &backend).await;
    });
}

/// In a port a reconnect that the health loop asks for first cancels that loop and awaits its end, which
/// is its own, and fails.
#[test]
fn fault_13_recovery_by_the_background_does_not_wait_for_itself() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        backend.set_time(Hook::Open, SECOND / 2);
        backend.set_time(Hook::Close, SECOND * 2);
        backend.set_faults(Faults::none().nth(Hook::Check, 1, Fault::Fail));
        let builder = Managed::builder(SharedFaultyResource::new(&backend));
        let builder = builder.check_every(SECOND * 10).reopen_after(1);
        let managed = builder.build(sim.clone()).expect("it makes sense");
        managed.open().await.expect("the backend is well");

        let mut watch = managed.watch();
        let lost = watch.changed().await.expect("it is not closed");
        let again = watch.changed().await.expect("it is not closed");
        let regained = watch.changed().await.expect("it is not closed");
        let states = [lost, again, regained].map(|change| change.to);
        assert_eq!(states, [State::Error, State::Initializing, State::Ready]);
        assert_eq!(again.at, lost.at);
        // The broken value is closed beside its successor.
        let (lost_at, regained_at) = lost.at.zip(regained.at).expect("there is a clock");
        assert_eq!(regained_at - lost_at, SECOND / 2);

        sim.sleep(SECOND * 101).await;
        assert!(backend.calls(Hook::Check) > 10, "checks go on");
        assert_eq!(backend.calls(Hook::Open), 2);
        managed_ends_well(&managed, &backend).await;
    });
}

/// What a close may come upon.
const HOOKS: [Hook; 3] = [Hook::Open, Hook::Check, Hook::Close];

/// In a port a cleanup looks for the health loop before it waits for an opening under way, whose loop it
/// so never stops.
#[test]
fn fault_13_nothing_of_the_background_outlives_the_close() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        for hook in HOOKS {
            backend.set_time(hook, odd_time(&sim, 4));
        }
        backend.set_faults(Faults::none().one_in(3, Hook::Check, Fault::Fail));
        let builder = Managed::builder(SharedFaultyResource::new(&backend));
        let builder = builder.check_every(SECOND * 3).reopen_after(1);
        let (managed, runner) = builder
            .build_with_runner(sim.clone())
            .expect("it makes sense");
        let runner = sim.task("runner", runner.run());
        let opener = sim.task("opener", {
            let managed = managed.clone();
            async move { managed.open().await }
        });
        // In the middle of the opening, or of whatever comes after it.
        sim.sleep(odd_time(&sim, if coin(&sim) { 4 } else { 60 }))
            .await;
        opener.cancel();
        let began_at = elapsed(&sim);
        if coin(&sim) {
            managed.close().await;
            let closed_at = elapsed(&sim);
            drop(managed);
            runner.await;
            assert_eq!(elapsed(&sim), closed_at);
        } else {
            drop(managed);
            runner.await;
        }
        // What is opened or checked is called off: at most, a close takes its time.
        assert!(elapsed(&sim) - began_at < SECOND * 4);
        let calls = HOOKS.map(|hook| backend.calls(hook));
        sim.sleep(DAY).await;
        assert_eq!(HOOKS.map(|hook| backend.calls(hook)), calls);
        backend.assert_accounted();
    });
}
