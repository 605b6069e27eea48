//! No code of a user's runs under a lock: hooks, drops of values and of errors, sinks, wakers, keys, delays.
//!
//! Each of them has another thread ask the holder how it stands, and then asks by itself, from within. Were a lock
//! held, that thread would wait for it, and the look would be over before.

mod connection;
mod group;
mod keyed;
mod lookout;
mod managed;
mod nosy;
mod pool;
mod retry;
mod scope;
mod shared;

use std::time::Duration;

const MOMENT: Duration = Duration::from_millis(10);
