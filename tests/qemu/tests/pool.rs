//! What `tests/pool` says of every backend, on a microcontroller.
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

#[path = "../../pool/mod.rs"]
mod pool;

static LEFT_OUT: &[LeftOut] = &[
    LeftOut {
        why: "a panic ends the program",
        tests: &[
            "pool::check_on::b07_a_check_that_fails_on_acquire_leads_to_the_next_idle_value",
            "pool::drain::s11_one_failing_close_does_not_keep_others_from_closing",
            "pool::hooks::b07_a_hook_that_panics_has_failed",
            "pool::leaks::b08_counters_balance_at_every_step",
            "pool::leases::s10_lease_dropped_by_a_panic_is_closed",
            "pool::panics::p05_panic_in_abandon_and_classify_is_contained",
            "pool::panics::p05_panic_in_check_is_a_failed_check",
            "pool::panics::p05_panic_in_close_is_a_failed_close",
            "pool::panics::p05_panic_in_is_broken_closes_the_value",
            "pool::panics::p05_panic_in_open_counts_as_a_failed_attempt",
            "pool::panics::p05_panic_in_open_is_the_cause_of_the_error",
            "pool::panics::p05_panic_in_the_event_sink_is_contained",
            "pool::panics::p07_panic_in_is_broken_reaches_the_event_sink",
            "pool::retain::b07_a_panic_in_the_predicate_loses_nothing",
            "pool::wakeups::s10_waiters_are_woken_on_every_path_of_a_check",
            "pool::wakeups::s10_waiters_are_woken_on_every_path_of_a_close",
            "pool::wakeups::s10_waiters_are_woken_on_every_path_of_an_opening",
            "pool::without_runner::n07_without_runner_all_but_background_work_goes_on",
        ],
    },
    LeftOut {
        why: "retries within each other are counted together by variables of threads, which need std",
        tests: &[
            "pool::nested::n12_a_retry_around_a_start_counts_the_attempts_to_open",
            "pool::nested::n12_a_retry_around_an_acquire_counts_the_attempts_to_open",
        ],
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
