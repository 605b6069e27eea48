//! The pool in the simulator.

mod cancel;
mod exhaustive;
mod keyed;
mod operations;
mod random;
mod scene;
