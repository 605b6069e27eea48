//! A pool without a heap: one exclusive value, or a few.

mod device;
mod ending;
mod lending;
mod opening;
