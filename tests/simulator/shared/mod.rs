//! Shared values in the simulator.

mod cancel;
mod random;
mod swap;
