//! What the rounds say: medians, ratios, and whether a reach is met.

use crate::contenders::{Contender, Role, Tenure};
use crate::workload::{Metric, Reach};

/// All rounds of one metric of one workload.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) workload: &'static str,
    pub(crate) metric: Metric,
    pub(crate) series: Vec<Series>,
}

/// The rounds of one contender.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    pub(crate) rounds: Vec<Option<f64>>,
}

/// A reach, and what came of it.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) reach: String,
    /// What is compared with the reach: a ratio, or the number itself.
    pub(crate) value: f64,
    pub(crate) is_met: bool,
}

impl Finding {
    pub(crate) fn title(&self) -> String {
        match self.metric.name {
            "" => self.workload.to_string(),
            name => format!("{}: {name}", self.workload),
        }
    }

    pub(crate) fn ours(&self) -> Option<f64> {
        self.median_of(Tenure::NAME)
    }

    pub(crate) fn median_of(&self, name: &str) -> Option<f64> {
        self.series.iter().find(|one| one.name == name)?.median()
    }

    /// The best of the pools that do as much as Tenure does.
    pub(crate) fn best_peer(&self) -> Option<(&'static str, f64)> {
        let peers = self.series.iter().filter(|one| one.role == Role::Peer);
        let medians = peers.filter_map(|one| Some((one.name, one.median()?)));
        if self.metric.is_more_better {
            medians.max_by(|(_, a), (_, b)| a.total_cmp(b))
        } else {
            medians.min_by(|(_, a), (_, b)| a.total_cmp(b))
        }
    }

    /// How many times better Tenure is than the best peer.
    pub(crate) fn ratio(&self) -> Option<f64> {
        let (ours, (_, best)) = self.ours().zip(self.best_peer())?;
        let ratio = if self.metric.is_more_better {
            ours / best
        } else {
            best / ours
        };
        ratio.is_finite().then_some(ratio)
    }

    pub(crate) fn verdict(&self) -> Option<Verdict> {
        let reach = self.metric.reach.as_ref()?;
        let ours = self.ours()?;
        let (value, is_met) = match *reach {
            Reach::BelowBestPeer(times) => {
                let ratio = self.ratio()?;
                (ratio, ratio >= times)
            }
            Reach::Below(name, times) => {
                let ratio = self.median_of(name)? / ours;
                (ratio, ratio >= times)
            }
            Reach::Within(name, times) => {
                let ratio = ours / self.median_of(name)?;
                (ratio, ratio <= times)
            }
            Reach::AtMost(most) => (ours, ours <= most),
            Reach::AtLeast(least) => (ours, ours >= least),
        };
        Some(Verdict {
            reach: reach.to_string(),
            value,
            is_met,
        })
    }
}

impl Series {
    /// `None` if any round has failed.
    pub(crate) fn median(&self) -> Option<f64> {
        let sorted = self.sorted()?;
        Some(sorted[sorted.len() / 2])
    }

    pub(crate) fn extremes(&self) -> Option<(f64, f64)> {
        let sorted = self.sorted()?;
        Some((*sorted.first()?, *sorted.last()?))
    }

    fn sorted(&self) -> Option<Vec<f64>> {
        let mut values = self.rounds.iter().copied().collect::<Option<Vec<f64>>>()?;
        values.sort_by(f64::total_cmp);
        (!values.is_empty()).then_some(values)
    }
}

impl std::fmt::Display for Reach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BelowBestPeer(times) => {
                write!(f, "{times} times below the best of deadpool, bb8 and mobc")
            }
            Self::Below(name, times) => write!(f, "{times} times below {name}"),
            Self::Within(name, times) => write!(f, "at most {times} times {name}"),
            Self::AtMost(most) => write!(f, "at most {most}"),
            Self::AtLeast(least) => write!(f, "at least {least}"),
        }
    }
}
