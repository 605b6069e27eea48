//! A week in the life of a large pool.

use std::time::Duration;

use tenure_core::{Pool, Timer};
use tenure_sim::{Backend, FaultyResource, Hook, Sim, Traced, run_traced};

use crate::drawn::noted;
use crate::tell::tell;

const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A pool of a hundred, of which fifty are kept, used by ten tasks now and then.
fn a_week(seed: u64) -> Traced<u64> {
    run_traced(seed, |sim| async move {
        let backend = Backend::new(&sim);
        for hook in [Hook::Open, Hook::Check, Hook::Close] {
            backend.set_time(hook, Duration::from_millis(20));
        }
        let pool = Pool::builder(FaultyResource::new(&backend))
            .name("week")
            .events(noted(&sim))
            .max_size(100)
            .min_size(50)
            .check_every(Duration::from_secs(60))
            .idle_timeout(Duration::from_secs(300))
            .build(sim.clone())
            .expect("a configuration that makes sense");
        let users: Vec<_> = (0..10)
            .map(|number| {
                let user = use_now_and_then(sim.clone(), pool.clone());
                sim.task(format!("user {number}"), user)
            })
            .collect();
        for user in users {
            user.await;
        }
        let checks = backend.calls(Hook::Check);
        assert!(pool.status().idle >= 50, "{}", pool.status());
        assert!(backend.most_live() <= 100);
        let report = pool.close().await;
        assert!(report.is_clean(), "{report}");
        backend.assert_accounted();
        checks
    })
}

async fn use_now_and_then(sim: Sim, pool: Pool<FaultyResource, Sim>) {
    while sim.now() - tenure_core::Instant::EPOCH < WEEK {
        sim.sleep(Duration::from_secs(sim.below(1_200))).await;
        let mut leases = Vec::new();
        for _ in 0..sim.below(10) {
            leases.push(pool.acquire().await.expect("a value"));
        }
        sim.sleep(Duration::from_millis(sim.below(5_000))).await;
    }
}

#[test]
fn a_week_passes_in_seconds_and_one_seed_gives_one_run() {
    let began = std::time::Instant::now();
    // Threads have stacks of their own in a pool: the trace must not show which one ran it.
    let other = std::thread::spawn(|| a_week(1));
    let week = a_week(1);
    let took = began.elapsed();
    let other = other.join().expect("the same week passes");
    assert!(week.trace == other.trace, "one seed gave two runs");
    assert!(week.output > 7 * 24 * 60 * 40, "{} checks", week.output);
    tell(format_args!(
        "a week of a pool of 100: {} checks, {} steps, {} lines of trace, in {took:?}",
        week.output,
        week.steps,
        week.trace.lines().count(),
    ));
}
