//! What `tests` and `tests/pool` say of every backend, on Embassy: the same files, in one more world.
#![cfg(test)]
#![forbid(unsafe_code)]

#[macro_use]
mod worlds;

#[path = "../connection/mod.rs"]
mod connection;
#[path = "../contract.rs"]
mod contract;
#[path = "../fixed/mod.rs"]
mod fixed;
#[path = "../group/mod.rs"]
mod group;
#[path = "../managed/mod.rs"]
#[allow(dead_code, unused_imports, reason = "values are `Send` in this world")]
mod managed;
#[path = "../pool/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "values are `Send` in this world, and some tests are about threads"
)]
mod pool;
#[path = "../scope/mod.rs"]
mod scope;
#[path = "../shared/mod.rs"]
mod shared;
#[path = "../spawning.rs"]
#[allow(dead_code, reason = "this world spawns nothing")]
mod spawning;
