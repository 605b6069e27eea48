//! What the rounds say: medians, ratios, and whether a reach is met.

use tenure_benches::{median, sorted};

use crate::contenders::{Contender, Role, Tenure};
use crate::workload::{Metric, Reach};

/// By how much one contender may stay behind another that it is as good as: so much is chance.
const CHANCE: f64 = 0.01;

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
    /// The interquartile range of that ratio's rounds.
    pub(crate) quartiles: Option<(f64, f64)>,
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
        self.ratios_to(other)?.figure()
    }

    /// The interquartile range of the rounds' ratios.
    pub(crate) fn ratio_quartiles(&self, other: &Series) -> Option<(f64, f64)> {
        self.ratios_to(other)?.quartiles()
    }

    /// The ratio of each round, as a series of its own.
    fn ratios_to(&self, other: &Series) -> Option<Series> {
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
        Some(Series {
            rounds: ratios.collect(),
            ..*other
        })
    }

    pub(crate) fn verdict(&self) -> Option<Verdict> {
        let reach = self.metric.reach.as_ref()?;
        let (value, quartiles, is_met) = match *reach {
            Reach::BelowBestPeer(times) => {
                let best = self.best_peer()?;
                let ratio = self.ratio_to(best)?;
                (ratio, self.ratio_quartiles(best), ratio >= times)
            }
            Reach::AsGoodAs(name) => {
                let ratio = self.ratio_to(self.named(name)?)?;
                (ratio, None, ratio >= 1.0 - CHANCE)
            }
            Reach::Within(name, times) => {
                let ratio = 1.0 / self.ratio_to(self.named(name)?)?;
                (ratio, None, ratio <= times)
            }
            Reach::AtMost(most) => {
                let ours = self.ours()?.figure()?;
                (ours, None, ours <= most)
            }
        };
        Some(Verdict {
            reach: reach.to_string(),
            value,
            quartiles,
            is_met,
        })
    }
}

impl Series {
    /// What counts: the median of the rounds, or the last where rounds add up. `None` if any has failed.
    pub(crate) fn figure(&self) -> Option<f64> {
        let rounds = self.complete()?;
        if self.is_cumulative {
            rounds.last().copied()
        } else {
            Some(median(rounds))
        }
    }

    /// The interquartile range of the rounds. `None` if any has failed, and where rounds add up.
    pub(crate) fn quartiles(&self) -> Option<(f64, f64)> {
        if self.is_cumulative {
            return None;
        }
        let sorted = sorted(self.complete()?);
        let quarter = sorted.len() / 4;
        Some((sorted[quarter], sorted[sorted.len() - 1 - quarter]))
    }

    /// All rounds, unless one has failed.
    fn complete(&self) -> Option<Vec<f64>> {
        self.rounds.iter().copied().collect()
    }
}

impl std::fmt::Display for Reach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BelowBestPeer(times) => {
                write!(f, "{times} times below the best peer")
            }
            Self::AsGoodAs(name) => write!(f, "as good as {name}"),
            Self::Within(name, times) => write!(f, "at most {times} times {name}"),
            Self::AtMost(most) => write!(f, "at most {most}"),
        }
    }
}
