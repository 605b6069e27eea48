//! The tests that span crates: one binary, each behaviour written once and run on every backend.
//!
//! `worlds` is the harness; its head says how to write a test.
#![cfg(test)]
#![forbid(unsafe_code)]

#[macro_use]
mod worlds;

mod connection;
mod contract;
mod fixed;
mod group;
mod managed;
mod scope;
mod shared;
mod spawning;

// What is said of some backends by name, and not of a world.
#[path = "managed/bounds.rs"]
mod bounds;
mod documents;
mod ended_runtimes;
#[path = "scope/sending.rs"]
mod sending;
