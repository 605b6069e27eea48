//! A managed resource, a connection and a shared value whose Runner ended with its runtime.

use tenure_core::{Connection, Managed, Shared, State};
use tenure_sim::{Backend, Ended, Hook, SharedFaultyResource, run};

use super::{Numbers, RunnersSeen, SECOND, end_runtime};

#[test]
fn a_managed_value_of_an_ended_runtime_is_closed_and_opened_anew() {
    run(0, |sim| async move {
        let (backend, runners) = (Backend::new(&sim), RunnersSeen::default());
        let managed = Managed::builder(SharedFaultyResource::new(&backend))
            .events(runners.sink())
            .build(sim.clone())
            .expect("a valid configuration");
        assert_eq!(managed.get().await.expect("a value").id(), 1);
        end_runtime(&sim).await;
        assert_eq!(managed.state(), State::Error);
        assert_eq!(managed.get().await.expect("a value").id(), 2);
        sim.sleep(SECOND).await;
        assert_eq!(backend.live(), [2]);
        assert_eq!(runners.all(), ["ended", "restarted"]);
        assert!(managed.close().await.is_clean());
        backend.assert_accounted();
    });
}

#[test]
fn a_managed_value_that_outlives_its_runtime_is_kept() {
    run(0, |sim| async move {
        let runners = RunnersSeen::default();
        let managed = Managed::builder(Numbers::default())
            .events(runners.sink())
            .build(sim.clone())
            .expect("a valid configuration");
        assert_eq!(managed.get().await.expect("a value"), 1);
        end_runtime(&sim).await;
        assert_eq!(managed.get().await.expect("a value"), 1);
        sim.sleep(SECOND).await;
        assert_eq!(runners.all(), ["ended", "restarted"]);
    });
}

#[test]
fn a_caller_in_a_live_runtime_gets_a_managed_value_though_the_runner_ends_meanwhile() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        backend.set_time(Hook::Open, SECOND);
        let managed = Managed::builder(SharedFaultyResource::new(&backend))
            .build(sim.clone())
            .expect("a valid configuration");
        let waiting = sim.task("waits", {
            let managed = managed.clone();
            async move { managed.get().await.map(|value| value.id()) }
        });
        sim.sleep(SECOND / 2).await;
        end_runtime(&sim).await;
        waiting.await.expect("a value");
        sim.sleep(SECOND).await;
        assert_eq!(backend.live().len(), 1);
    });
}

#[test]
fn a_connection_is_checked_again_in_the_next_runtime() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let connection = Connection::builder("db:5432", SharedFaultyResource::new(&backend))
            .check_every(SECOND)
            .build(sim.clone())
            .expect("a valid configuration");
        let ask = async || {
            connection
                .call("ask", |value| async move { value.ask() })
                .await
        };
        ask().await.expect("an answer");
        end_runtime(&sim).await;
        ask().await.expect("an answer of the next");
        assert_eq!(backend.opened(), 2);
        let before = backend.calls(Hook::Check);
        sim.sleep(SECOND * 5).await;
        assert!(backend.calls(Hook::Check) >= before + 3);
        assert_eq!(backend.live(), [2]);
    });
}

#[test]
fn a_shared_value_of_an_ended_runtime_is_closed_and_opened_anew() {
    run(0, |sim| async move {
        let (backend, runners) = (Backend::new(&sim), RunnersSeen::default());
        let shared = Shared::builder(SharedFaultyResource::new(&backend))
            .idle_timeout(SECOND)
            .events(runners.sink())
            .build(sim.clone())
            .expect("a valid configuration");
        let kept = shared.acquire().await.expect("a value");
        end_runtime(&sim).await;
        let next = shared.acquire().await.expect("a value");
        assert_eq!((kept.id(), next.id()), (1, 2));
        drop(kept);
        sim.sleep(SECOND).await;
        assert_eq!(backend.live(), [2]);
        drop(next);
        sim.sleep(SECOND * 2).await;
        assert_eq!(
            backend.ended(Ended::Closed),
            2,
            "it is closed when idle, as ever"
        );
        assert_eq!(runners.all(), ["ended", "restarted"]);
        backend.assert_accounted();
    });
}

#[test]
fn a_shared_value_that_nobody_uses_is_closed_before_the_next_opens() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        backend.set_time(Hook::Close, SECOND);
        let shared = Shared::builder(SharedFaultyResource::new(&backend))
            .build(sim.clone())
            .expect("a valid configuration");
        drop(shared.acquire().await.expect("a value"));
        end_runtime(&sim).await;
        assert_eq!(shared.acquire().await.expect("a value").id(), 2);
        assert_eq!(backend.most_live(), 1);
    });
}

#[test]
fn a_shared_value_that_outlives_its_runtime_is_kept_and_closed_when_idle() {
    run(0, |sim| async move {
        let shared = Shared::builder(Numbers::default())
            .idle_timeout(SECOND)
            .build(sim.clone())
            .expect("a valid configuration");
        drop(shared.acquire().await.expect("a value"));
        end_runtime(&sim).await;
        assert_eq!(*shared.acquire().await.expect("a value"), 1);
        sim.sleep(SECOND * 3).await;
        assert_eq!(shared.audit().closed, 1);
    });
}
