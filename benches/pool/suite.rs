//! Runs workloads round by round and keeps what they find.

use crate::contenders::{
    AsyncLockSemaphore, Bb8, Contender, Deadpool, Mobc, Role, SimplePool, Tenure, TokioSemaphore,
    Tub, UnmanagedDeadpool,
};
use crate::options::Options;
use crate::report::print_finding;
use crate::runtimes::Runtimes;
use crate::verdict::{Finding, Series};
use crate::workload::{Round, Workload};

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

    pub(crate) fn run<W: Workload>(&mut self, workload: W) {
        if !self.options.includes(workload.name()) {
            return;
        }
        let mut entries = self.entries(&workload);
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
            print_finding(&finding);
            self.findings.push(finding);
        }
    }

    pub(crate) fn into_findings(self) -> Vec<Finding> {
        self.findings
    }

    fn entries<W: Workload>(&self, workload: &W) -> Vec<Entry> {
        let width = workload.metrics().len();
        let entry = |name, role, round| Entry {
            name,
            role,
            round,
            rounds: vec![Vec::new(); width],
        };
        let mut entries = Vec::new();
        macro_rules! enter {
            ($($Contender:ty),*) => {$(
                if let Some(round) = workload.prepare::<$Contender>(self.runtimes) {
                    entries.push(entry(<$Contender>::NAME, <$Contender>::ROLE, round));
                }
            )*};
        }
        enter!(Tenure);
        for (name, round) in workload.variants(self.runtimes) {
            entries.push(entry(name, Role::Variant, round));
        }
        enter!(Deadpool, Bb8, Mobc);
        enter!(UnmanagedDeadpool, SimplePool, Tub);
        enter!(TokioSemaphore, AsyncLockSemaphore);
        entries
    }
}

/// A contender in one workload: how it runs a round, and what its rounds yielded, by metric.
struct Entry {
    name: &'static str,
    role: Role,
    round: Round,
    rounds: Vec<Vec<Option<f64>>>,
}
