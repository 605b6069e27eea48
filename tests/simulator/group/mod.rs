//! Groups of managed resources on backends on which things go wrong.

mod cancel;
mod random;
mod supervise;
mod tasks;
