#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod backend;
mod cancel;
mod executor;
mod explore;
mod faults;
mod replay;
mod resource;
mod run;
mod schedule;
mod sim;
mod world;

pub use backend::{Backend, Ended};
pub use cancel::{Cancelled, cancel_everywhere, cancel_pairs};
pub use explore::{Explored, exhaust, explore};
pub use faults::{Fault, Faults, Hook};
pub use resource::{FaultyError, FaultyResource, FaultyValue, SharedFaultyResource};
pub use run::{Traced, run, run_traced};
pub use sim::{Sim, Sleep, Task};
