//! What is measured: a workload, its metrics, and how far Tenure is to reach in each.

use crate::contenders::Contender;
use crate::runtimes::Runtimes;

/// Something that contenders are put through, in turns.
pub(crate) trait Workload {
    fn name(&self) -> &'static str;

    /// What one round measures.
    fn metrics(&self) -> Vec<Metric>;

    /// How many rounds make one of those asked for: more where they are short, and a few milliseconds of
    /// disturbance would be all of one.
    fn repeats(&self) -> usize {
        1
    }
}

/// A workload of pools.
pub(crate) trait PoolWorkload: Workload {
    /// Prepares the contender, and says how it runs one round. `None` if it has no such operation.
    fn prepare<P: Contender>(&self, runtimes: &'static Runtimes) -> Option<Round>;

    /// Further rows: Tenure itself, configured otherwise, to compare with.
    fn variants(&self, _runtimes: &'static Runtimes) -> Vec<(&'static str, Round)> {
        Vec::new()
    }
}

/// Runs one round. Yields as many numbers as there are metrics; `None` for what could not be measured.
pub(crate) type Round = Box<dyn FnMut() -> Vec<Option<f64>>>;

#[derive(Debug)]
pub(crate) struct Metric {
    /// Empty where the workload has this one only.
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) is_more_better: bool,
    /// Whether each round tells of all rounds up to then, so that the last one counts, not the median.
    pub(crate) is_cumulative: bool,
    pub(crate) reach: Option<Reach>,
}

/// How good Tenure is to be.
#[derive(Debug)]
pub(crate) enum Reach {
    /// So many times less than the least of the pools that do as much.
    BelowBestPeer(f64),
    /// No worse than this one, but for what is chance.
    AsGoodAs(&'static str),
    /// At most so many times this variant of Tenure's.
    Within(&'static str, f64),
    AtMost(f64),
}

impl Metric {
    pub(crate) const fn new(name: &'static str, unit: &'static str) -> Self {
        Self {
            name,
            unit,
            is_more_better: false,
            is_cumulative: false,
            reach: None,
        }
    }

    pub(crate) const fn more_is_better(self) -> Self {
        Self {
            is_more_better: true,
            ..self
        }
    }

    pub(crate) const fn cumulative(self) -> Self {
        Self {
            is_cumulative: true,
            ..self
        }
    }

    pub(crate) const fn reach(self, reach: Reach) -> Self {
        Self {
            reach: Some(reach),
            ..self
        }
    }
}
