//! A worker: every now and then it counts the notes.

use std::sync::Arc;
use std::time::Duration;

use tenure::group::Lifecycle;
use tenure::tokio::Managed;
use tenure::{BoxError, State};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::background::Background;
use crate::db::{Db, Notes};
use crate::journal::Journal;

const COUNT_EVERY: Duration = Duration::from_millis(50);

pub(crate) struct Worker {
    db: Managed<Db>,
    counting: Background,
    /// How many notes there were when it last counted since its start.
    counted: watch::Sender<Option<usize>>,
    journal: Arc<Journal>,
}

impl Lifecycle for Worker {
    /// Nothing is awaited once the task is there, so that a start that is dropped leaves nothing behind.
    async fn start(&self) -> Result<(), BoxError> {
        let notes = self.db.get().await?;
        self.counted.send_replace(None);
        let counted = self.counted.clone();
        let work = |stop| count_again_and_again(notes, counted, stop);
        self.counting.begin(work).await;
        Ok(())
    }

    async fn stop(&self, within: Option<Duration>) -> Result<(), BoxError> {
        self.counting.end(within).await?;
        self.journal.stopped("worker");
        Ok(())
    }

    fn state(&self) -> State {
        self.counting.state()
    }
}

impl Worker {
    pub(crate) fn new(db: Managed<Db>, journal: Arc<Journal>) -> Self {
        Self {
            db,
            counting: Background::new(),
            counted: watch::Sender::new(None),
            journal,
        }
    }

    pub(crate) async fn has_restarted(&self) {
        self.counting.has_restarted().await;
    }

    /// Waits until it has counted so many.
    pub(crate) async fn has_counted(&self, notes: usize) {
        let mut counted = self.counted.subscribe();
        // The sender is here, so that this cannot fail.
        let _ = counted.wait_for(|counted| *counted == Some(notes)).await;
    }
}

/// A count that was begun is ended. One that fails is not the end: how the database is, others watch.
async fn count_again_and_again(
    notes: Notes,
    counted: watch::Sender<Option<usize>>,
    stop: CancellationToken,
) {
    let mut ticks = interval(COUNT_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        if let Ok(count) = notes.count().await {
            counted.send_replace(Some(count));
        }
    }
}
