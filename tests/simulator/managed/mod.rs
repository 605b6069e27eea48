//! Managed resources in the simulator.

mod random;
