//! Managed resources in the simulator.

mod cancel;
mod operations;
mod random;
mod scene;
