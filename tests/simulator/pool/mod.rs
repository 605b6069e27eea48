//! The pool in the simulator.

mod cancel;
mod deadlines;
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
