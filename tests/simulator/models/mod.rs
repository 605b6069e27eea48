//! The library beside small models of what it should do, over random sequences of commands.

mod pool;
mod state;

use proptest::test_runner::{Config, RngSeed};

/// So many cases, the same in every run unless `PROPTEST_RNG_SEED` asks for others.
fn cases(cases: u32) -> Config {
    let mut config = Config::with_cases(cases);
    config.failure_persistence = None;
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(0);
    }
    config
}
