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
    pub(crate) is_cumulative: bool,
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

    /// The best of the pools that do as much as Tenure does: the one that Tenure is the least ahead of, or,
    /// where there is no ratio because Tenure has nothing of it, the one that has the least.
    pub(crate) fn best_peer(&self) -> Option<&Series> {
        let peers = self.series.iter().filter(|one| one.role == Role::Peer);
        let measures = peers.filter_map(|one| Some((one, self.ratio_to(one).or(one.figure())?)));
        let best = measures.min_by(|(_, a), (_, b)| a.total_cmp(b));
        best.map(|(series, _)| series)
    }

    pub(crate) fn ours(&self) -> Option<&Series> {
        self.named(Tenure::NAME)
    }

    fn named(&self, name: &str) -> Option<&Series> {
        self.series.iter().find(|one| one.name == name)
    }

    /// How many times better than this one Tenure is.
    ///
    /// It is the median of the rounds' own ratios, not the ratio of medians: in one round both met the same
    /// machine, which may be half as fast in the next.
    pub(crate) fn ratio_to(&self, other: &Series) -> Option<f64> {
        let pairs = self.ours()?.rounds.iter().zip(&other.rounds);
        let ratios = pairs.map(|(ours, theirs)| {
            let (ours, theirs) = ((*ours)?, (*theirs)?);
            let ratio = if self.metric.is_more_better {
                ours / theirs
            } else {
                theirs / ours
            };
            ratio.is_finite().then_some(ratio)
        });
        other.figure_of(ratios)
    }

    pub(crate) fn verdict(&self) -> Option<Verdict> {
        let reach = self.metric.reach.as_ref()?;
        let (value, is_met) = match *reach {
            Reach::BelowBestPeer(times) => {
                let ratio = self.ratio_to(self.best_peer()?)?;
                (ratio, ratio >= times)
            }
            Reach::Below(name, times) => {
                let ratio = self.ratio_to(self.named(name)?)?;
                (ratio, ratio >= times)
            }
            Reach::Within(name, times) => {
                let ratio = 1.0 / self.ratio_to(self.named(name)?)?;
                (ratio, ratio <= times)
            }
            Reach::AtMost(most) => {
                let ours = self.ours()?.figure()?;
                (ours, ours <= most)
            }
            Reach::AtLeast(least) => {
                let ours = self.ours()?.figure()?;
                (ours, ours >= least)
            }
        };
        Some(Verdict {
            reach: reach.to_string(),
            value,
            is_met,
        })
    }
}

impl Series {
    /// What counts: the median of the rounds, or the last where rounds add up. `None` if any has failed.
    pub(crate) fn figure(&self) -> Option<f64> {
        self.figure_of(self.rounds.iter().copied())
    }

    fn figure_of(&self, rounds: impl Iterator<Item = Option<f64>>) -> Option<f64> {
        let rounds = rounds.collect::<Option<Vec<f64>>>()?;
        if self.is_cumulative {
            rounds.last().copied()
        } else {
            sorted(&rounds).get(rounds.len() / 2).copied()
        }
    }

    pub(crate) fn extremes(&self) -> Option<(f64, f64)> {
        let rounds = self.rounds.iter().copied().collect::<Option<Vec<f64>>>()?;
        let sorted = sorted(&rounds);
        Some((*sorted.first()?, *sorted.last()?))
    }
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
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
