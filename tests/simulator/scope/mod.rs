//! Scopes in the simulator.

mod cancel;
mod operations;
mod random;
mod runtime;
mod scene;
