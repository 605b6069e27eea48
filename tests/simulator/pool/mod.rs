//! The pool in the simulator.

mod cancel;
mod exhaustive;
mod keyed;
mod lending;
mod operations;
mod random;
mod scene;
