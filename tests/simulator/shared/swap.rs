//! Many users who find one value to be broken, and what a swap leaves behind where nothing runs in the background.

use std::time::Duration;

use tenure_core::{OpenError, Retry, Shared, State};
use tenure_sim::{Backend, Ended, Fault, Faults, Hook, SharedFaultyResource, Sim, Task, run};

const SECOND: Duration = Duration::from_secs(1);

type Value = Shared<SharedFaultyResource, Sim>;

/// A value that takes a second to open, and is opened once.
async fn opened(sim: &Sim, has_runner: bool) -> (Backend, Value) {
    let backend = Backend::new(sim);
    backend.set_time(Hook::Open, SECOND);
    let builder = Shared::builder(SharedFaultyResource::new(&backend)).retry(Retry::NEVER);
    let shared = match has_runner {
        true => builder.build(sim.clone()).expect("it makes sense"),
        false => {
            let built = builder.build_with_runner(sim.clone());
            built.expect("it makes sense").0
        }
    };
    drop(shared.acquire().await.expect("the backend is well"));
    (backend, shared)
}

/// The background has its turn, or the next use does what that would do.
async fn settle(sim: &Sim, shared: &Value) {
    sim.sleep(SECOND / 1_000).await;
    drop(shared.acquire().await.expect("it is open"));
}

/// Twenty users who have a share of the value, and swap it all at once.
fn twenty(sim: &Sim, shared: &Value, checked: bool) -> Vec<Task<Result<(), OpenError>>> {
    let user = |number: u64| {
        let (sim, shared) = (sim.clone(), shared.clone());
        sim.clone().task(format!("user {number}"), async move {
            let share = shared.acquire().await.expect("it is open");
            if checked {
                // Some find it out after others have replaced it.
                sim.sleep(SECOND / 5 * u32::try_from(number).expect("few"))
                    .await;
                return share.swap_if_current().await;
            }
            sim.sleep(SECOND / 50 * u32::try_from(number).expect("few"))
                .await;
            shared.swap().await
        })
    };
    (0..20).map(user).collect()
}

#[test]
fn twenty_users_who_swap_one_broken_value_open_one() {
    for (has_runner, checked) in [(true, false), (true, true), (false, false), (false, true)] {
        run(0, |sim| async move {
            let (backend, shared) = opened(&sim, has_runner).await;
            for user in twenty(&sim, &shared, checked) {
                user.await.expect("the backend is well");
            }
            assert_eq!(backend.opened(), 2);
            settle(&sim, &shared).await;
            assert_eq!(backend.live(), [2], "the first has no user any more");
            shared.close().await;
            backend.assert_accounted();
        });
    }
}

#[test]
fn a_swap_that_others_have_joined_goes_on_without_the_first() {
    for has_runner in [true, false] {
        run(0, |sim| async move {
            let (backend, shared) = opened(&sim, has_runner).await;
            let users = twenty(&sim, &shared, false);
            sim.sleep(SECOND / 2).await;
            users[0].cancel();
            for user in users.into_iter().skip(1) {
                user.await.expect("the backend is well");
            }
            assert_eq!(shared.state(), State::Ready);
            settle(&sim, &shared).await;
            assert_eq!(backend.live().len(), 1);
            assert!(
                backend.calls(Hook::Open) <= 3,
                "one was dropped with the first"
            );
            shared.close().await;
            backend.assert_accounted();
        });
    }
}

#[test]
fn all_who_have_joined_a_swap_hear_why_it_failed() {
    run(0, |sim| async move {
        let (backend, shared) = opened(&sim, true).await;
        backend.set_faults(Faults::none().one_in(1, Hook::Open, Fault::Fail));
        for user in twenty(&sim, &shared, false) {
            let error = user.await.expect_err("the backend is down");
            assert!(matches!(error, OpenError::Failed { .. }), "{error}");
        }
        assert_eq!(backend.calls(Hook::Open), 2);
        assert_eq!(shared.state(), State::Ready, "the old one stays");
        backend.set_faults(Faults::none());
        shared.swap().await.expect("it is well again");
        assert_eq!(backend.calls(Hook::Open), 3);
        shared.close().await;
        backend.assert_accounted();
    });
}

#[test]
fn a_swap_to_another_resource_joins_none_and_is_not_undone_by_one_of_before() {
    run(0, |sim| async move {
        let (backend, shared) = opened(&sim, true).await;
        let old = sim.task("old", {
            let shared = shared.clone();
            async move { shared.swap().await }
        });
        sim.sleep(SECOND / 2).await;
        let other = Backend::new(&sim);
        let (slow, fast) = (Backend::new(&sim), &other);
        slow.set_time(Hook::Open, SECOND * 3);
        let first = sim.task("first", {
            let (shared, slow) = (shared.clone(), slow.clone());
            async move { shared.swap_to(SharedFaultyResource::new(&slow)).await }
        });
        sim.sleep(SECOND / 10).await;
        let second = shared.swap_to(SharedFaultyResource::new(fast)).await;
        second.expect("it opens");
        old.await.expect("it opens");
        first.await.expect("it opens");
        settle(&sim, &shared).await;
        let live = [backend.live(), slow.live(), other.live()].map(|live| live.len());
        assert_eq!(live, [0, 0, 1], "the last word holds");
        shared.swap().await.expect("it opens");
        assert_eq!(other.opened(), 2);
        shared.close().await;
    });
}

/// Whoever uses it next does what the background would have done.
#[test]
fn without_a_runner_a_replaced_value_is_closed_by_the_next_use() {
    run(0, |sim| async move {
        let (backend, shared) = opened(&sim, false).await;
        shared.swap().await.expect("it opens");
        assert_eq!(backend.live(), [2], "nobody used the first");
        let held = shared.acquire().await.expect("it is open");
        shared.swap().await.expect("it opens");
        assert_eq!(backend.live(), [2, 3], "somebody uses the second");
        drop(held);
        backend.set_time(Hook::Close, SECOND);
        // Dropped half-way it is abandoned, and its record is closed by the next.
        let dropped = sim.task("dropped", {
            let shared = shared.clone();
            async move { drop(shared.acquire().await) }
        });
        sim.sleep(SECOND / 2).await;
        dropped.cancel();
        sim.yield_now().await;
        drop(shared.acquire().await.expect("it is open"));
        assert_eq!(backend.live(), [3]);
        let audit = shared.audit();
        assert_eq!(
            (audit.closed, audit.abandoned, audit.idle),
            (1, 1, 1),
            "{audit}"
        );
        let held = shared.acquire().await.expect("it is open");
        shared.swap().await.expect("it opens");
        drop(held);
        drop(shared);
        backend.assert_accounted();
        assert_eq!(backend.ended(Ended::Abandoned), 2);
    });
}
