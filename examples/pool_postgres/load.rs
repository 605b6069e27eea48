//! The load: many tasks that insert rows over the pool, whatever happens to the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tenure::tokio::{Pool, Tokio};
use tenure::{BoxError, with_timeout};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::PATIENCE;
use crate::ledger::{Failure, Ledger};
use crate::postgres::Postgres;

pub(crate) const TASKS: usize = 48;

/// A server that has not answered by then will not.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Whoever has failed does not come back at once: the server has a hard time as it is.
const PAUSE: Duration = Duration::from_millis(20);

/// Of each task's inserts, one in so many is for a caller who loses patience and goes away.
const IMPATIENT: i64 = 50;

/// Each task has its own range of ids, and uses none twice.
const IDS_EACH: i64 = 1_000_000_000;

pub(crate) struct Load {
    shared: Arc<Shared>,
    tasks: JoinSet<Ledger>,
}

struct Shared {
    pool: Pool<Postgres>,
    is_over: AtomicBool,
}

impl Load {
    pub(crate) fn start(pool: Pool<Postgres>) -> Self {
        let shared = Arc::new(Shared {
            pool,
            is_over: AtomicBool::new(false),
        });
        let tasks = (0..).step_by(IDS_EACH as usize).take(TASKS);
        let tasks = tasks.map(|first_id| shared.clone().write(first_id));
        Self {
            tasks: tasks.collect(),
            shared,
        }
    }

    /// Lets every task end the insert that it is at, and hands out what all of them remember. One that
    /// does not end hangs, and is an error.
    pub(crate) async fn end(mut self) -> Result<Ledger, BoxError> {
        self.shared.is_over.store(true, Ordering::Relaxed);
        let mut all = Ledger::default();
        let join = async {
            while let Some(ledger) = self.tasks.join_next().await {
                all.add(ledger?);
            }
            all.acknowledged.sort_unstable_by_key(|&(_, at)| at);
            Ok(all)
        };
        with_timeout(&Tokio::current(), PATIENCE, "ending the load", join).await?
    }
}

impl Shared {
    /// One task.
    async fn write(self: Arc<Self>, first_id: i64) -> Ledger {
        let mut ledger = Ledger::default();
        for id in first_id.. {
            if self.is_over.load(Ordering::Relaxed) {
                break;
            }
            let outcome = match patience(id) {
                None => self.insert(id, &mut ledger).await,
                Some(patience) => {
                    let insert = self.insert(id, &mut ledger);
                    let insert = with_timeout(&Tokio::current(), patience, "waiting", insert);
                    insert.await.unwrap_or_else(|_| Err(Failure::CallerLeft))
                }
            };
            match outcome {
                Ok(()) => ledger.acknowledged(id),
                Err(failure) => {
                    ledger.failed(id, failure);
                    sleep(PAUSE).await;
                }
            }
        }
        ledger
    }

    /// One insert. It is not repeated when it fails: where the outcome is unknown, that could write the
    /// row twice. It may be dropped at any moment: the connection goes back to the pool, which checks it
    /// before anybody else gets it.
    async fn insert(&self, id: i64, ledger: &mut Ledger) -> Result<(), Failure> {
        let asked = Instant::now();
        let session = self.pool.acquire().await;
        ledger.waited(asked.elapsed());

        let mut session = session.map_err(Failure::NoConnection)?;
        let insert = async {
            let mut inserting = session.begin();
            let answer = inserting.insert(id).await;
            inserting.complete();
            answer
        };
        match with_timeout(&Tokio::current(), ANSWER_LIMIT, "an insert", insert).await {
            Ok(Ok(())) => Ok(()),
            // Coming back to the pool it is seen to be broken, and replaced.
            Ok(Err(error)) if session.is_lost() => Err(Failure::ConnectionLost(error)),
            Ok(Err(error)) => Err(Failure::Refused(error)),
            // It does not look broken, but is suspect: its insert was cut off.
            Err(timed_out) => Err(Failure::NoAnswer(timed_out)),
        }
    }
}

/// How long the caller stays for whom this row is inserted; `None` is to the end. The others are gone
/// while the task waits for a connection or for the answer.
fn patience(id: i64) -> Option<Duration> {
    let number = id % IDS_EACH;
    let micros = u64::try_from(number / IMPATIENT * 400 % 4_000).ok()?;
    (number % IMPATIENT == 0).then(|| Duration::from_micros(micros))
}
