//! The harness of `tests/worlds.rs`, with one world: Embassy's executor on a microcontroller, in virtual time.

#[macro_use]
#[path = "../../embassy/worlds/lists.rs"]
mod lists;

// After those lists, some of which it takes the place of.
#[macro_use]
mod elsewhere;

#[macro_use]
mod executor;

#[path = "../../worlds/world.rs"]
mod world;

pub(crate) use executor::*;
pub(crate) use world::*;
