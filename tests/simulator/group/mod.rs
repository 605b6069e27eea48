//! Groups of managed resources on backends on which things go wrong.

mod cancel;
mod change;
mod random;
mod supervise;
mod tasks;
mod watched;
