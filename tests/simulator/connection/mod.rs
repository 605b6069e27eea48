//! Connections in the simulator.

mod cancel;
mod storm;
