//! Connections in the simulator, and in one order of threads.

mod cancel;
mod storm;
mod threads;
