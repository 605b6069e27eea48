#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod executor;
mod explore;
mod schedule;
mod sim;
mod world;

pub use explore::{Explored, Traced, exhaust, explore, run, run_traced};
pub use sim::{Sim, Sleep, Task};
