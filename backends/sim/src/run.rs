//! Running a world once.

use std::future::Future;

use crate::executor::run_world;
use crate::replay::replayable;
use crate::schedule::Schedule;
use crate::sim::Sim;
use crate::world::World;

/// Runs one world to its end, as the seed decides. What the main task leaves running is dropped then.
///
/// For one run that is to be looked at closely; to look for failures, [`explore`](crate::explore).
///
/// # Panics
/// If a task panics, if all wait for ever, or if one spins. The message ends with the seed.
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
    run_with_seed_in_panics(seed, &sim, main)
}

/// A run with its trace.
///
/// ```
/// let traced = tenure_sim::run_traced(3, |sim| async move { sim.random() % 1 });
/// assert_eq!((traced.output, traced.steps), (0, 1));
/// ```
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
/// As [`run`], after the trace was printed.
///
/// ```
/// let world = |sim: tenure_sim::Sim| async move { sim.note(|| "hello".into()) };
/// let (one, two) = (tenure_sim::run_traced(3, world), tenure_sim::run_traced(3, world));
/// assert_eq!(one.trace, two.trace);
/// assert!(one.trace.contains("hello"));
/// ```
pub fn run_traced<F: Future>(seed: u64, main: impl FnOnce(Sim) -> F) -> Traced<F::Output> {
    let sim = Sim::new(World::new(Schedule::seeded(seed), true));
    let output = run_with_seed_in_panics(seed, &sim, main);
    let (trace, steps) = sim
        .world()
        .with(|state| (state.take_trace(), state.steps()));
    Traced {
        output,
        trace,
        steps,
    }
}

fn run_with_seed_in_panics<F: Future>(
    seed: u64,
    sim: &Sim,
    main: impl FnOnce(Sim) -> F,
) -> F::Output {
    let line = || format!("this was seed {seed}");
    replayable(sim.world(), line, || {
        run_world(sim.world(), main(sim.clone()))
    })
}
