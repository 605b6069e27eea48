//! The pool in the simulator.

mod cancel;
mod doubt;
mod exhaustive;
mod fairness;
mod keyed;
mod lending;
mod limits;
mod operation;
mod operations;
mod random;
mod scene;
