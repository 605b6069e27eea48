//! Which worlds to run: all, or the one that the environment names.

use std::ops::Range;

use super::moment::When;
use crate::executor::Executor;
use crate::replay::{moment_line, moment_to_run, replayable, seeds_to_run, this_test};
use crate::schedule::Schedule;
use crate::sim::Sim;
use crate::world::World;

pub(super) struct Plan {
    pub(super) seeds: Range<u64>,
    /// The one moment to run.
    pub(super) only: Option<When>,
    traced: bool,
    test: String,
}

impl Plan {
    pub(super) fn new(seeds: Range<u64>) -> Self {
        let (seeds, traced) = seeds_to_run(seeds);
        Self {
            seeds,
            only: moment_to_run(),
            traced,
            test: this_test(),
        }
    }

    /// Runs a fresh world. A panic in it says how to replay it.
    pub(super) fn run<T>(
        &self,
        seed: u64,
        when: When,
        run: impl FnOnce(&mut Executor, Sim) -> T,
    ) -> T {
        let sim = Sim::new(World::new(Schedule::seeded(seed), self.traced));
        let line = || {
            let line = moment_line(seed, when, &self.test);
            format!("the operation was to be dropped: {when}\n{line}")
        };
        replayable(sim.world(), line, || {
            let mut executor = Executor::enter(sim.world());
            run(&mut executor, sim.clone())
        })
    }
}
