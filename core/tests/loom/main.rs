//! What holds in whichever order threads come by. `.ci/steps/loom` has the checker try the orders.
#![cfg(tenure_loom)]

mod closing;
mod explore;
mod hand_off;
mod managed;
mod openings;
mod scopes;
mod shutdown;
mod source;
mod stacks;
