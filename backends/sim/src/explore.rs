//! Running a world once, over many seeds, or in every order there is.

use std::future::Future;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::executor::run_world;
use crate::schedule::{Choice, Schedule};
use crate::sim::Sim;
use crate::world::World;

/// The environment variable that names a seed, or a range of seeds such as `0..1000`.
const SEEDS: &str = "TENURE_SIM_SEEDS";

/// Runs one world to its end, as the seed decides.
///
/// # Panics
/// If a task panics, if all wait for ever, or if one spins. What was drawn shows in the message.
///
/// ```
/// use std::time::Duration;
/// let steps = tenure_sim::run(42, |sim| async move {
///     sim.sleep(Duration::from_secs(3600)).await;
///     sim.steps()
/// });
/// assert_eq!(steps, 2);
/// ```
pub fn run<F: Future>(seed: u64, main: impl FnOnce(Sim) -> F) -> F::Output {
    let sim = Sim::new(World::new(Schedule::seeded(seed), false));
    with_seed_in_panics(seed, || run_world(sim.world(), main(sim.clone())))
}

/// A run with its trace.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traced<T> {
    /// What the main task gave.
    pub output: T,
    /// What ran when, a line a step, and what was [noted](Sim::note). Equal for equal seeds.
    pub trace: String,
    /// How many times a task was polled.
    pub steps: u64,
}

/// Runs one world to its end, as the seed decides, and keeps what ran when.
///
/// # Panics
/// As [`run`].
///
/// ```
/// let world = |sim: tenure_sim::Sim| async move { sim.note(|| "hello".into()) };
/// let (one, two) = (tenure_sim::run_traced(3, world), tenure_sim::run_traced(3, world));
/// assert_eq!(one.trace, two.trace);
/// assert!(one.trace.contains("hello"));
/// ```
pub fn run_traced<F: Future>(seed: u64, main: impl FnOnce(Sim) -> F) -> Traced<F::Output> {
    let sim = Sim::new(World::new(Schedule::seeded(seed), true));
    let output = with_seed_in_panics(seed, || run_world(sim.world(), main(sim.clone())));
    let (trace, steps) = sim
        .world()
        .with(|state| (state.take_trace(), state.steps()));
    Traced {
        output,
        trace,
        steps,
    }
}

/// What an exploration did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explored {
    /// How many worlds were run.
    pub runs: u64,
    /// How many steps they took in all.
    pub steps: u64,
}

/// Runs a world once for each seed, on all cores. The environment variable `TENURE_SIM_SEEDS`, a number
/// or a range such as `0..1000000`, takes the place of `seeds`.
///
/// # Panics
/// With the message of the first world that failed, after the line that replays it.
///
/// ```
/// let explored = tenure_sim::explore(0..100, |sim| async move {
///     let one = sim.task("one", async { 1 });
///     assert_eq!(one.await, 1);
/// });
/// assert_eq!(explored.runs, 100);
/// ```
pub fn explore<F: Future>(seeds: Range<u64>, world: impl Fn(Sim) -> F + Sync) -> Explored {
    let seeds = seeds_from_environment().unwrap_or(seeds);
    let next = AtomicU64::new(seeds.start);
    let steps = AtomicU64::new(0);
    let failed = AtomicBool::new(false);
    let explore_some = || {
        while !failed.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let sim = Sim::new(World::new(Schedule::seeded(seed), false));
            let run = || run_world(sim.world(), world(sim.clone()));
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| with_seed_in_panics(seed, run))) {
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
/// tasks that make a few steps each. [`Sim::random`] gives the same numbers each time.
///
/// # Panics
/// As [`run`]; or if there are more than `most` orders, which says that the world is not small.
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
    let mut script = Vec::new();
    let mut explored = Explored { runs: 0, steps: 0 };
    loop {
        assert!(
            explored.runs < most,
            "there are more than {most} orders: make the world smaller"
        );
        let sim = Sim::new(World::new(Schedule::scripted(script), false));
        let run = || run_world(sim.world(), world(sim.clone()));
        if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
            let made = sim.world().with(|state| state.schedule.take_script());
            let taken: Vec<_> = made.iter().map(|choice| choice.taken).collect();
            eprintln!("the order that failed, run {}: {taken:?}", explored.runs);
            resume_unwind(panic);
        }
        explored.runs += 1;
        explored.steps += sim.steps();
        script = sim.world().with(|state| state.schedule.take_script());
        if !next_script(&mut script) {
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

fn with_seed_in_panics<T>(seed: u64, run: impl FnOnce() -> T) -> T {
    struct Telltale(u64);
    impl Drop for Telltale {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("replay this run with {SEEDS}={}", self.0);
            }
        }
    }
    let _telltale = Telltale(seed);
    run()
}

fn seeds_from_environment() -> Option<Range<u64>> {
    let text = std::env::var(SEEDS).ok()?;
    let parse = |number: &str| match number.trim().parse() {
        Ok(seed) => seed,
        Err(_) => panic!("{SEEDS} is `{text}`: it must be a seed, or a range such as 0..1000"),
    };
    Some(match text.split_once("..") {
        Some((start, end)) => parse(start)..parse(end),
        None => parse(&text)..parse(&text).saturating_add(1),
    })
}
