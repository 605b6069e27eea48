//! A pool without a heap.

mod cancel;
mod hostile;
mod lending;
mod parts;
mod random;
mod scene;
