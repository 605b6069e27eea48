//! What is left on the heap after work that ends, and how often memory is asked for meanwhile.
//!
//! Work is counted, not timed: what costs the same each time asks for memory equally often.
#![cfg(test)]

#[path = "../../benches/pool/allocations.rs"]
mod allocations;
mod group;
