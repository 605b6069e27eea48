//! The tests that span crates: one binary, each behaviour written once and run on every backend.
//!
//! `worlds` is the harness; its head says how to write a test.
#![cfg(test)]
#![forbid(unsafe_code)]

#[macro_use]
mod worlds;

mod connection;
mod contract;
mod documents;
mod ended_runtimes;
mod group;
mod managed;
mod scope;
mod shared;
mod spawning;
