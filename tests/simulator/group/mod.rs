//! Groups of managed resources on backends on which things go wrong.

mod cancel;
mod change;
mod held_back;
mod random;
mod supervise;
mod tasks;
mod watched;
