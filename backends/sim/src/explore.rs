//! Running a world over many seeds, or in every order there is.

use std::future::Future;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::executor::run_world;
use crate::replay::{order_line, order_to_run, replayable, seed_line, seeds_to_run, this_test};
use crate::schedule::{Choice, Schedule};
use crate::sim::Sim;
use crate::world::World;

/// What an exploration did.
///
/// ```
/// let explored = tenure_sim::explore(0..10, |sim| async move { sim.yield_now().await });
/// println!("{} runs, {} steps", explored.runs, explored.steps);
/// # assert_eq!(explored.runs, 10);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explored {
    /// How many worlds were run.
    pub runs: u64,
    /// How many steps they took in all.
    pub steps: u64,
}

/// Runs a world once for each seed, on all cores. The environment variable `TENURE_SIM_SEEDS`, a number
/// or a range such as `0..1000000`, takes the place of `seeds`; with a single number the trace is
/// printed if the run fails.
///
/// For a world whose orders can be counted, take [`exhaust`].
///
/// # Panics
/// With the message of the first world that failed, and the line that replays it.
///
/// ```
/// let explored = tenure_sim::explore(0..100, |sim| async move {
///     let one = sim.task("one", async { 1 });
///     assert_eq!(one.await, 1);
/// });
/// assert_eq!(explored.runs, 100);
/// ```
pub fn explore<F: Future>(seeds: Range<u64>, world: impl Fn(Sim) -> F + Sync) -> Explored {
    let (seeds, traced) = seeds_to_run(seeds);
    let test = this_test();
    let next = AtomicU64::new(seeds.start);
    let steps = AtomicU64::new(0);
    let failed = AtomicBool::new(false);
    let explore_some = || {
        while !failed.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let sim = Sim::new(World::new(Schedule::seeded(seed), traced));
            let run = || {
                let line = || seed_line(seed, &test);
                replayable(sim.world(), line, || {
                    run_world(sim.world(), world(sim.clone()))
                })
            };
            if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
                failed.store(true, Ordering::Relaxed);
                resume_unwind(panic);
            }
            steps.fetch_add(sim.steps(), Ordering::Relaxed);
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..cores).map(|_| scope.spawn(explore_some)).collect();
        explore_some();
        for helper in helpers {
            if let Err(panic) = helper.join() {
                resume_unwind(panic);
            }
        }
    });
    Explored {
        runs: seeds.end.saturating_sub(seeds.start),
        steps: steps.into_inner(),
    }
}

/// Runs a small world in every order in which its tasks can take their turns: use it for up to three
/// tasks that make a few steps each. [`Sim::limit_preemptions`] keeps the number of orders down, and
/// [`Sim::random`] gives the same numbers each time.
///
/// The environment variable `TENURE_SIM_ORDER`, set to an order as a failure prints it, runs that one
/// alone, and prints its trace if it fails.
///
/// # Panics
/// As [`run`](crate::run), with the line that replays the order; or if there are more than `most`
/// orders, which says that the world is not small.
///
/// ```
/// let explored = tenure_sim::exhaust(1_000, |sim| async move {
///     let (a, b) = (sim.task("a", async {}), sim.task("b", async {}));
///     a.await;
///     b.await;
/// });
/// assert!(explored.runs > 1);
/// ```
pub fn exhaust<F: Future>(most: u64, world: impl Fn(Sim) -> F) -> Explored {
    let test = this_test();
    let replayed = order_to_run();
    let mut script = Vec::new();
    if let Some(order) = &replayed {
        script.extend(order.iter().map(|taken| Choice {
            taken: *taken,
            of: taken + 1,
        }));
    }
    let mut explored = Explored { runs: 0, steps: 0 };
    loop {
        assert!(
            explored.runs < most,
            "there are more than {most} orders: make the world smaller"
        );
        let sim = Sim::new(World::new(Schedule::scripted(script), replayed.is_some()));
        let line = || {
            let made = sim.world().with(|state| state.schedule.take_script());
            let taken: Vec<_> = made.iter().map(|choice| choice.taken).collect();
            order_line(&taken, &test)
        };
        replayable(sim.world(), line, || {
            run_world(sim.world(), world(sim.clone()))
        });
        explored.runs += 1;
        explored.steps += sim.steps();
        script = sim.world().with(|state| state.schedule.take_script());
        if replayed.is_some() || !next_script(&mut script) {
            return explored;
        }
    }
}

/// Moves the last choice that has another possibility on to it.
fn next_script(script: &mut Vec<Choice>) -> bool {
    while let Some(last) = script.last_mut() {
        if last.taken + 1 < last.of {
            last.taken += 1;
            return true;
        }
        script.pop();
    }
    false
}
