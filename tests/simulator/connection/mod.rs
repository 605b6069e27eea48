//! Connections in the simulator, and in one order of threads.

mod cancel;
mod recovery;
mod server;
mod storm;
mod threads;
mod verdicts;
