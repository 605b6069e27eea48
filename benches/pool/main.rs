//! Tenure beside its peers: time, fairness and memory of pools, the time of a retry, and instructions.
//!
//! `cargo bench -p tenure-benches --bench pool -- --json /tmp/pool.json` runs every workload. A workload
//! runs round by round, every contender once in each, so that whatever disturbs the machine disturbs
//! them all. The median of the rounds counts, and the ratios, each within a round, more than the times.
//! Times are the process's processor time, on all of its threads. Instructions are not counted here, but read
//! from the record: `RECORD=1 .ci/run instructions` makes it anew.
//!
//! Every pool is as a user would configure it for production, as far as it can be: idle timeout and
//! maximum lifetime on, no test on acquire. Values are `u64`. Each acquire that is timed is awaited in a
//! function of the application's, which turns the pool's error into its own.

mod allocations;
mod application;
mod by_hand;
mod contended;
mod contenders;
mod cpu;
mod footprint;
mod instructions;
mod options;
mod report;
mod retry;
mod runtimes;
mod suite;
mod uncontended;
mod verdict;
mod waiting;
mod workload;

use std::process::ExitCode;

use contended::Contended;
use footprint::{Allocations, FutureSize, Memory};
use options::Options;
use retry::FirstAttempt;
use suite::Suite;
use uncontended::Uncontended;
use waiting::{HalfDropped, QueueLength};

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    let mut suite = Suite::new(&options);
    suite.run(Uncontended::ONE_TASK);
    suite.run(Uncontended::WATCHED);
    suite.run(Uncontended::WITH_TIMEOUT);
    suite.run(Uncontended::TWO_WORKERS);
    suite.run(Uncontended::TWO_WORKERS_WATCHED);
    suite.run(Contended::TASKS_64);
    suite.run(Contended::TASKS_64_ONE_THREAD);
    suite.run(Contended::TASKS_64_WITH_TIMEOUT);
    suite.run(Contended::TASKS_64_WATCHED);
    suite.run(Contended::TASKS_1024);
    suite.run(Contended::TASKS_1024_WITH_TIMEOUT);
    suite.run(Contended::TASKS_1024_WATCHED);
    suite.run(Contended::TASKS_1024_ONE_THREAD);
    suite.run(QueueLength);
    suite.run(HalfDropped);
    suite.run(Uncontended::OWNED);
    suite.run(Uncontended::OWNED_TWO_WORKERS);
    suite.run(Allocations);
    suite.run(Memory);
    suite.run(FutureSize);
    suite.run_retries(FirstAttempt);
    suite.add(instructions::findings());
    let findings = suite.into_findings();
    report::print_summary(&findings);
    match &options.json {
        Some(path) => write(path, &report::to_json(&findings, &options)),
        None => ExitCode::SUCCESS,
    }
}

fn write(path: &std::path::Path, json: &serde_json::Value) -> ExitCode {
    match std::fs::write(path, format!("{json:#}\n")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}
