//! Managed resources in the simulator.

mod cancel;
mod exhaustive;
mod operations;
mod random;
mod scene;
