//! The harness of `tests/worlds.rs`, with one world: Embassy's executor, on a time driver whose clock is virtual.

#[macro_use]
mod lists;

#[macro_use]
#[path = "../worlds/running.rs"]
mod running;

#[path = "../worlds/world.rs"]
mod world;

mod driver;
mod executor;

pub(crate) use executor::*;
pub(crate) use running::*;
pub(crate) use world::*;
