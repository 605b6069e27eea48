//! What a pool promises, on every backend. The harness is that of the crate above.
#![cfg(test)]
#![forbid(unsafe_code)]

#[macro_use]
#[path = "../worlds.rs"]
#[allow(dead_code, reason = "some of it serves the crate above alone")]
mod worlds;

#[path = "mod.rs"]
mod pool;

// What is said of some backends by name, and not of a world.
mod bounds;
mod moving_tasks;
mod runtimes;
