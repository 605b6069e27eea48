#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod executor;
mod explore;
mod replay;
mod run;
mod schedule;
mod sim;
mod world;

pub use explore::{Explored, exhaust, explore};
pub use run::{Traced, run, run_traced};
pub use sim::{Sim, Sleep, Task};
