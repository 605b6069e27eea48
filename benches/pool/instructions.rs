//! Instructions of Tenure's own paths, as `RECORD=1 .ci/run instructions` records them.

use crate::contenders::{Contender, Role, Tenure};
use crate::verdict::{Finding, Series};
use crate::workload::{Metric, Reach};

/// A line for each path, after the first, which names the compiler.
const RECORD: &str = include_str!("../instructions.txt");
const WORKLOAD: &str = "13 instructions, as recorded";
/// What a call by `GrpcService` took beyond the bare client when it was first recorded.
const FIRST_BEYOND_BARE_CLIENT: f64 = 8211.0;

pub(crate) fn findings() -> Vec<Finding> {
    const UNIT: &str = "instructions";
    let one_task = recorded("uncontended");
    let watched = recorded("uncontended-watched");
    let large = recorded("uncontended-large");
    let beyond_bare_client = recorded("grpc-beyond-bare-client");
    vec![
        finding("one task, pool of 16", UNIT, one_task, 240.0),
        finding("sink, timings, leak detection", UNIT, watched, 640.0),
        finding(
            "256-byte values",
            "times 8-byte values",
            large / one_task,
            1.1,
        ),
        finding(
            "gRPC unary call beyond the bare client",
            UNIT,
            beyond_bare_client,
            FIRST_BEYOND_BARE_CLIENT / 2.0,
        ),
    ]
}

fn finding(metric: &'static str, unit: &'static str, ours: f64, most: f64) -> Finding {
    Finding {
        workload: WORKLOAD,
        metric: Metric::new(metric, unit).reach(Reach::AtMost(most)),
        series: vec![Series {
            name: Tenure::NAME,
            role: Role::Ours,
            rounds: vec![Some(ours)],
            is_cumulative: false,
        }],
    }
}

fn recorded(path: &str) -> f64 {
    RECORD
        .lines()
        .find_map(|line| line.strip_prefix(path)?.trim().parse().ok())
        .expect("every path is recorded")
}
