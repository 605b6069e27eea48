//! Bugs of sqlx around the end of connections, of pools and of runtimes.

use std::cell::Cell;
use std::time::Duration;

use tenure_core::pool::Runner;
use tenure_core::{Pool, Start};
use tenure_sim::{
    Backend, Ended, Fault, Faults, FaultyResource, Hook, Sim, Task, cancel_everywhere, explore, run,
};

use super::{AT_ONCE, MS, ends_whole, holds_for, queue_up};
use crate::drawn::heal;
use crate::faults::{SECOND, SEEDS, elapsed, pool_drawn, pool_ends_well};
use crate::tell::tell;

/// A connection went back in a spawned task that made its guard when it was first polled. On a runtime that
/// ended before, it never was, and the connection was lost together with its permit.
#[test]
fn sqlx_1396_a_runner_that_is_dropped_takes_no_value_with_it() {
    let cancelled = cancel_everywhere(
        0..3,
        async |sim| {
            let backend = Backend::new(&sim);
            let (pool, runner) = Pool::builder(FaultyResource::hooked(&backend))
                .max_closing_beside(0)
                .max_size(2)
                .start(Start::Lazily)
                .check_on_release(true)
                .build_with_runner(sim.clone())
                .expect("it makes sense");
            for hook in Hook::ALL {
                backend.set_time(hook, MS * 3);
            }
            let users = [1, 2, 3].map(|_| sim.task("user", holds_for(&sim, &pool, MS * 2)));
            let closer = sim.task("closer", {
                let (sleep, pool) = (sim.sleep(SECOND), pool.clone());
                async move {
                    sleep.await;
                    pool.close().await;
                }
            });
            Ending {
                runner: Cell::new(Some(runner)),
                sim,
                backend,
                pool,
                users,
                closer,
            }
        },
        async |world: &Ending| {
            if let Some(runner) = world.runner.take() {
                runner.run().await;
            }
        },
        async |world: Ending| {
            let Ending {
                sim,
                backend,
                pool,
                users,
                closer,
                ..
            } = world;
            for user in users {
                user.await;
            }
            closer.cancel();
            heal(&backend);
            assert!(pool.audit().is_balanced(), "{}", pool.audit());
            if pool.is_closed() {
                pool_ends_well(&pool, &backend).await;
            } else {
                // What was under way when it was healed comes to its end first.
                sim.sleep(SECOND).await;
                let both = pool.acquire_many_timeout(2, SECOND).await;
                drop(both.expect("both slots are there"));
                sim.sleep(SECOND).await;
                drop(pool.acquire().await);
                ends_whole(&sim, &pool, &backend).await;
            }
        },
    );
    tell(format_args!("museum: a Runner {cancelled}"));
}

/// The same of a Runner that was to run and never did.
#[test]
fn sqlx_1396_a_runner_that_is_never_polled_takes_no_value_with_it() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        let (pool, runner) = Pool::builder(FaultyResource::hooked(&backend))
            .max_closing_beside(0)
            .max_size(1)
            .build_with_runner(sim.clone())
            .expect("it makes sense");
        let lease = pool.acquire_owned().await.expect("the backend is well");
        let never_polled = runner.run();
        drop(lease);
        let waiter = queue_up(&sim, &pool, "waiter", holds_for(&sim, &pool, MS)).await;
        drop(never_polled);
        assert_eq!(waiter.await, (AT_ONCE, 1));
        ends_whole(&sim, &pool, &backend).await;
    });
}

struct Ending {
    sim: Sim,
    backend: Backend,
    pool: Pool<FaultyResource<true>, Sim>,
    runner: Cell<Option<Runner<FaultyResource<true>, Sim>>>,
    users: [Task<(Duration, u64)>; 3],
    closer: Task<()>,
}

/// A close waited for permits that its own draining had given back once too often, and a connection on its
/// way back was laid into a queue that nobody would empty again: connections were open after the close.
#[test]
fn sqlx_3217_a_close_returns_when_every_value_has_ended() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::hooked(&backend))
            .max_closing_beside(0)
            .max_size(5);
        let (pool, _) = pool_drawn(&sim, builder);
        let mut leases = Vec::new();
        for _ in 0..5 {
            leases.push(pool.acquire_owned().await.expect("the backend is well"));
        }
        backend.set_time(Hook::Close, MS * 20);
        let held = leases.pop();
        let on_its_way_back = leases.pop();
        drop(leases);
        // Those three lie idle, as soon as somebody has cleaned them up.
        let all_three = pool.acquire_many(3).await;
        drop(all_three);
        backend.set_time(Hook::AfterRelease, MS * 10);
        drop(on_its_way_back);
        sim.sleep(MS * sim.below(15) as u32).await;
        let began_at = elapsed(&sim);
        let user = sim.task("user", {
            let sleep = sim.sleep(MS * 50);
            async move {
                sleep.await;
                drop(held);
            }
        });
        let report = pool.shutdown(SECOND).await;
        assert_eq!((backend.live(), pool.status().size), (vec![], 0));
        assert_eq!(elapsed(&sim) - began_at, MS * 70, "{report}");
        assert!(report.is_clean() && report.closed == 5, "{report}");
        user.await;

        let closes = backend.calls(Hook::Close);
        sim.sleep(SECOND * 10).await;
        assert_eq!(backend.calls(Hook::Close), closes, "nothing goes on");
        pool_ends_well(&pool, &backend).await;
    });
}

/// Where a close hung, or a lease stayed out, the repaired close hung as well.
#[test]
fn sqlx_3217_a_close_that_hangs_ends_with_the_shutdown() {
    explore(SEEDS, |sim| async move {
        let backend = Backend::new(&sim);
        let builder = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .close_timeout(None);
        let (pool, _) = pool_drawn(&sim, builder.max_size(3));
        let mut leases = pool.acquire_many(3).await.expect("the backend is well");
        backend.set_faults(Faults::none().nth(Hook::Close, 1, Fault::Hang));
        let held = leases.pop();
        drop(leases);
        let report = pool.shutdown(SECOND).await;
        assert_eq!(elapsed(&sim), SECOND);
        assert_eq!((report.closed, report.close_timed_out), (1, 1), "{report}");
        assert_eq!((report.failures.len(), report.still_in_use), (1, 1));
        drop(held);
        pool_ends_well(&pool, &backend).await;
    });
}

/// What a connection goes through on its way back had no limit: behind a peer that had vanished without a word
/// it never ended, and the permit was gone until the process restarted.
#[test]
fn sqlx_4349_a_value_whose_peer_is_silent_gives_its_slot_back() {
    for hangs in subsets(&[
        Hook::Check,
        Hook::AfterRelease,
        Hook::BeforeClose,
        Hook::Close,
    ]) {
        let is_silent = |hook| hangs.contains(&hook);
        let is_kept = !is_silent(Hook::Check) && !is_silent(Hook::AfterRelease);
        let to_close = [Hook::BeforeClose, Hook::Close].map(is_silent);
        // A failed check leaves the hook out.
        let seconds = match is_kept {
            true => 0,
            false => 1 + to_close.iter().filter(|hangs| **hangs).count() as u32,
        };
        let expected = Expected {
            served_at: SECOND * seconds,
            first_value: if is_kept { 1..=2 } else { 3..=4 },
            timed_out: if !is_kept && to_close[1] { 2 } else { 0 },
        };
        silent_peer(&hangs, expected, drop);
    }
}

/// One limit was to be put around the whole of a return. Each step of ours has its own, so that the sum is
/// limited; this is what is left where the value is known to be broken.
#[test]
fn sqlx_4350_a_silent_value_that_is_discarded_gives_its_slot_back() {
    for hangs in subsets(&[Hook::BeforeClose, Hook::Close]) {
        let expected = Expected {
            served_at: SECOND * hangs.len() as u32,
            first_value: 3..=4,
            timed_out: if hangs.contains(&Hook::Close) { 2 } else { 0 },
        };
        silent_peer(&hangs, expected, tenure_core::OwnedLease::discard);
    }
}

#[derive(Clone, Debug)]
struct Expected {
    served_at: Duration,
    first_value: std::ops::RangeInclusive<u64>,
    timed_out: u64,
}

/// Two values are given back to a backend that never answers to some hooks, and somebody waits.
fn silent_peer(
    hangs: &[Hook],
    expected: Expected,
    end: fn(tenure_core::OwnedLease<FaultyResource<true>, Sim>),
) {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let pool = Pool::builder(FaultyResource::hooked(&backend))
            .max_closing_beside(0)
            .max_size(2)
            .check_on_release(true)
            .check_timeout(SECOND)
            .hook_timeout(SECOND)
            .close_timeout(SECOND)
            .build(sim.clone())
            .expect("it makes sense");
        let one = pool.acquire_owned().await.expect("the backend is well");
        let two = pool.acquire_owned().await.expect("the backend is well");
        let silent = hangs.iter().fold(Faults::none(), |faults, hook| {
            faults.one_in(1, *hook, Fault::Hang)
        });
        backend.set_faults(silent);
        let waiter = queue_up(&sim, &pool, "waiter", holds_for(&sim, &pool, MS)).await;
        end(one);
        end(two);
        let (served_at, value) = waiter.await;
        assert_eq!(served_at, expected.served_at, "{hangs:?}");
        assert!(expected.first_value.contains(&value), "{hangs:?}: {value}");
        // The waiter's own value may be about to hang.
        heal(&backend);
        sim.sleep(SECOND * 10).await;
        let timed_out = backend.ended(Ended::CloseCutOff);
        assert!(timed_out >= expected.timed_out, "{hangs:?}");
        assert_eq!(pool.audit().close_timed_out, timed_out, "{hangs:?}");
        ends_whole(&sim, &pool, &backend).await;
    });
}

fn subsets(hooks: &[Hook]) -> Vec<Vec<Hook>> {
    (0..1_usize << hooks.len())
        .map(|bits| {
            let chosen = hooks.iter().enumerate();
            chosen
                .filter(|(place, _)| bits & (1 << place) != 0)
                .map(|(_, hook)| *hook)
                .collect()
        })
        .collect()
}
