//! Runs workloads round by round and keeps what they find.

use crate::contenders::{
    AsyncLockSemaphore, Bb8, Contender, Deadpool, Mobc, Role, SimplePool, Tenure, TokioSemaphore,
    Tub, UnmanagedDeadpool,
};
use crate::options::Options;
use crate::report::print_finding;
use crate::retry::FirstAttempt;
use crate::runtimes::Runtimes;
use crate::verdict::{Finding, Series};
use crate::workload::{PoolWorkload, Round, Workload};

pub(crate) struct Suite<'o> {
    options: &'o Options,
    runtimes: &'static Runtimes,
    findings: Vec<Finding>,
}

impl<'o> Suite<'o> {
    pub(crate) fn new(options: &'o Options) -> Self {
        Self {
            options,
            // Pools live in the runtimes and are lent to tasks for ever: neither is given up.
            runtimes: Box::leak(Box::new(Runtimes::start())),
            findings: Vec::new(),
        }
    }

    pub(crate) fn run(&mut self, workload: impl PoolWorkload) {
        self.take_turns(&workload, |runtimes| pools(&workload, runtimes));
    }

    pub(crate) fn run_retries(&mut self, workload: FirstAttempt) {
        self.take_turns(&workload, |runtimes| workload.entries(runtimes));
    }

    fn take_turns(
        &mut self,
        workload: &impl Workload,
        entries: impl FnOnce(&'static Runtimes) -> Vec<Entry>,
    ) {
        if !self.options.includes(workload.name()) {
            return;
        }
        let mut entries = entries(self.runtimes);
        for _ in 0..self.options.rounds * workload.repeats() {
            for entry in &mut entries {
                for (rounds, value) in entry.rounds.iter_mut().zip((entry.round)()) {
                    rounds.push(value);
                }
            }
        }
        for (index, metric) in workload.metrics().into_iter().enumerate() {
            let series = entries.iter_mut().map(|entry| Series {
                name: entry.name,
                role: entry.role,
                rounds: std::mem::take(&mut entry.rounds[index]),
                is_cumulative: metric.is_cumulative,
            });
            let finding = Finding {
                workload: workload.name(),
                series: series.collect(),
                metric,
            };
            self.keep(finding);
        }
    }

    /// Keeps what is already known.
    pub(crate) fn add(&mut self, findings: Vec<Finding>) {
        for finding in findings {
            if self.options.includes(finding.workload) {
                self.keep(finding);
            }
        }
    }

    fn keep(&mut self, finding: Finding) {
        print_finding(&finding);
        self.findings.push(finding);
    }

    pub(crate) fn into_findings(self) -> Vec<Finding> {
        self.findings
    }
}

/// All contenders that have what the workload asks for.
fn pools<W: PoolWorkload>(workload: &W, runtimes: &'static Runtimes) -> Vec<Entry> {
    let width = workload.metrics().len();
    let mut entries = Vec::new();
    macro_rules! enter {
        ($($Contender:ty),*) => {$(
            if let Some(round) = workload.prepare::<$Contender>(runtimes) {
                entries.push(Entry::new(<$Contender>::NAME, <$Contender>::ROLE, round, width));
            }
        )*};
    }
    enter!(Tenure);
    for (name, round) in workload.variants(runtimes) {
        entries.push(Entry::new(name, Role::Variant, round, width));
    }
    enter!(Deadpool, Bb8, Mobc);
    enter!(UnmanagedDeadpool, SimplePool, Tub);
    enter!(TokioSemaphore, AsyncLockSemaphore);
    entries
}

/// A contender in one workload: how it runs a round, and what its rounds yielded, by metric.
pub(crate) struct Entry {
    name: &'static str,
    role: Role,
    round: Round,
    rounds: Vec<Vec<Option<f64>>>,
}

impl Entry {
    pub(crate) fn new(name: &'static str, role: Role, round: Round, metrics: usize) -> Self {
        Self {
            name,
            role,
            round,
            rounds: vec![Vec::new(); metrics],
        }
    }
}
