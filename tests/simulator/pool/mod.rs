//! The pool in the simulator.

mod random;
