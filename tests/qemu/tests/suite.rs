//! What `tests` says of every backend but for the pool, on a microcontroller.
#![no_std]
#![no_main]
#![feature(custom_test_frameworks, prelude_import)]
#![allow(
    internal_features,
    reason = "the prelude of the tests is what that of `std` is elsewhere"
)]
#![allow(
    dead_code,
    unused_imports,
    reason = "what other worlds use is built as well"
)]
#![test_runner(run)]
#![reexport_test_harness_main = "collected"]

#[macro_use]
extern crate std;

#[prelude_import]
#[allow(
    unused_imports,
    reason = "the compiler does not count what a prelude gives"
)]
use std::prelude::rust_2024::*;

use tenure_qemu::{LeftOut, Test, run_tests};

#[macro_use]
#[path = "../worlds/mod.rs"]
#[allow(
    dead_code,
    unused_macros,
    reason = "it offers what the other worlds' harness does"
)]
mod worlds;

#[path = "../../connection/mod.rs"]
mod connection;
// On others a waker is made of another `Arc`.
#[cfg(target_has_atomic = "ptr")]
#[path = "../../contract.rs"]
mod contract;
#[path = "../../fixed/mod.rs"]
mod fixed;
#[path = "../../group/mod.rs"]
mod group;
#[path = "../../managed/mod.rs"]
mod managed;
#[path = "../../scope/mod.rs"]
mod scope;
#[path = "../../shared/mod.rs"]
mod shared;

static LEFT_OUT: &[LeftOut] = &[
    LeftOut {
        why: "a panic ends the program",
        tests: &[
            "connection::stats::s08_every_attempt_is_counted_by_how_it_ended",
            "group::down::s12_the_way_down_goes_on_after_errors_and_panics",
            "group::time::b10_what_a_stop_leaves_that_was_cut_off_is_abandoned",
            "group::up::s12_a_panic_in_a_start_is_a_failure",
            "managed::attempts::s04_a_panic_is_an_attempt_that_failed",
            "managed::call_errors::s05_a_panic_goes_to_the_caller",
            "managed::endings::promise3_a_close_that_fails_or_panics_is_counted",
            "managed::events::promise5_a_sink_that_panics_disturbs_nobody",
            "managed::events::promise7_every_attempt_that_began_is_seen_to_end",
            "managed::events::on_threads::promise3_the_audit_balances_at_every_event",
            "managed::health::s06_erroring_or_panicking_check_does_not_end_checking",
            "managed::hostile::promise5_a_panic_in_abandon_is_told",
            "managed::hostile::promise5_a_panic_in_classify_is_told",
            "managed::hostile::promise5_a_panic_in_clone_does_not_end_checking",
            "scope::errors::b11_first_error_is_kept_with_cleanup_errors_attached",
            "scope::finalizers::b11_finalizers_are_told_how_the_scope_ended",
            "scope::finalizers::s13_all_finalizers_are_run_whatever_fails",
            "scope::openings::s13_opening_says_what_happened",
            "scope::openings::s13_opening_that_fails_leaves_nothing_and_closes_the_rest",
            "scope::orphans::n10_panic_that_reaches_nobody_is_told",
            "scope::ways_out::s13_a_body_that_panics_before_its_first_await_is_a_body_that_panics",
            "scope::ways_out::s13_closed_in_reverse_on_panic_which_then_goes_on",
        ],
    },
    LeftOut {
        why: "retries within each other are counted together by variables of threads, which need std",
        tests: &[
            "managed::nested::n12_a_call_that_finds_no_value_counts_the_attempts_to_open_one",
            "managed::nested::n12_a_call_within_a_retry_shares_its_attempts",
            "managed::nested::n12_a_retry_around_an_opening_counts_its_attempts",
            "managed::nested::n12_a_retry_within_a_call_shares_its_attempts",
            "managed::nested::n12_a_retry_within_a_retry_makes_at_most_the_larger_number_and_one_attempts",
            "managed::nested::n12_a_retry_within_an_opening_shares_its_attempts",
            "managed::nested::n12_an_opening_makes_all_its_attempts_whoever_drives_it",
        ],
    },
    LeftOut {
        why: "the machine has one thread",
        tests: &["group::form::b10_a_group_of_members_that_may_move_may_move"],
    },
];

#[tenure_qemu::entry]
fn main() -> ! {
    collected();
    unreachable!("the report ends the program")
}

fn run(tests: &[&dyn Test]) {
    run_tests(tests, LEFT_OUT);
}
