//! The load: many tasks that count over one connection, whatever happens to the server.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tenure::tokio::Tokio;
use tenure::{BoxError, with_timeout};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::PATIENCE;
use crate::counter::{Counter, Failure};

pub(crate) const TASKS: usize = 50;

/// Whoever has failed does not come back at once: the server has a hard time as it is.
const PAUSE: Duration = Duration::from_millis(20);

pub(crate) struct Load {
    is_over: Arc<AtomicBool>,
    tasks: JoinSet<Tally>,
}

/// What one task remembers of its increments, or all of them together.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) acknowledged: u64,
    pub(crate) not_sent: u64,
    pub(crate) refused: u64,
    pub(crate) may_have_run: u64,
    /// The numbers that were answered. No two are the same, unless an increment was lost.
    numbers: BTreeSet<i64>,
    /// What the first failure said.
    pub(crate) example: Option<String>,
}

impl Load {
    /// Each task counts until the load ends, but at most `times`.
    pub(crate) fn start(counter: &Counter, times: usize) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let tasks = (0..TASKS).map(|_| count(counter.clone(), times, is_over.clone()));
        let tasks = tasks.collect();
        Self { is_over, tasks }
    }

    /// Lets every task end the increment that it is at.
    pub(crate) async fn end(self) -> Result<Tally, BoxError> {
        self.is_over.store(true, Ordering::Relaxed);
        self.ended().await
    }

    /// Waits until the tasks have counted to their end, and hands out what all of them remember. One that does not
    /// end hangs, and is an error.
    pub(crate) async fn ended(mut self) -> Result<Tally, BoxError> {
        let mut all = Tally::default();
        let join = async {
            while let Some(tally) = self.tasks.join_next().await {
                all.add(tally?);
            }
            Ok(all)
        };
        with_timeout(&Tokio::current(), PATIENCE * 2, "ending the load", join).await?
    }
}

async fn count(counter: Counter, times: usize, is_over: Arc<AtomicBool>) -> Tally {
    let mut tally = Tally::default();
    for _ in 0..times {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        match counter.increment().await {
            Ok(number) => {
                tally.acknowledged += 1;
                tally.numbers.insert(number);
            }
            Err(failure) => {
                tally.failed(&failure);
                sleep(PAUSE).await;
            }
        }
    }
    tally
}

impl Tally {
    fn failed(&mut self, failure: &Failure) {
        match failure {
            Failure::NotSent(_) => self.not_sent += 1,
            Failure::Refused(_) => self.refused += 1,
            Failure::MayHaveRun(_) => self.may_have_run += 1,
        }
        self.example.get_or_insert_with(|| failure.to_string());
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.acknowledged += other.acknowledged;
        self.not_sent += other.not_sent;
        self.refused += other.refused;
        self.may_have_run += other.may_have_run;
        self.numbers.extend(other.numbers);
        self.example = self.example.take().or(other.example);
    }

    pub(crate) const fn failed_in_all(&self) -> u64 {
        self.not_sent + self.refused + self.may_have_run
    }

    /// Whether every answer was another number.
    pub(crate) fn are_numbers_distinct(&self) -> bool {
        self.numbers.len() as u64 == self.acknowledged
    }
}
