//! A task that goes on until it is told to end: what a worker and a server have in common.

use std::future::Future;
use std::time::Duration;

use tenure::{BoxError, State};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// At most one task at a time.
pub(crate) struct Background {
    running: Mutex<Option<Running>>,
    /// How often one has begun.
    times: watch::Sender<usize>,
}

struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Background {
    pub(crate) fn new() -> Self {
        Self {
            running: Mutex::new(None),
            times: watch::Sender::new(0),
        }
    }

    /// Spawns `work`, which is given the word to end on.
    pub(crate) async fn begin<F: Future<Output = ()> + Send + 'static>(
        &self,
        work: impl FnOnce(CancellationToken) -> F,
    ) {
        let mut running = self.running.lock().await;
        let stop = CancellationToken::new();
        let task = tokio::spawn(work(stop.clone()));
        *running = Some(Running { stop, task });
        self.times.send_modify(|times| *times += 1);
    }

    /// Gives the word and waits. Dropped half-way, it can be called again: the task stays where it is until it
    /// has ended. One that does not end in time is cut off.
    pub(crate) async fn end(&self, within: Option<Duration>) -> Result<(), BoxError> {
        let mut slot = self.running.lock().await;
        let Some(running) = slot.as_mut() else {
            return Ok(());
        };
        running.stop.cancel();
        let task = &mut running.task;
        // One that has panicked has ended as well.
        let in_time = match within {
            None => {
                let _ = task.await;
                true
            }
            Some(within) => timeout(within, task).await.is_ok(),
        };
        *slot = None;
        if in_time {
            return Ok(());
        }
        Err("it did not end in time, and was cut off".into())
    }

    /// Waits until it has begun more than once.
    pub(crate) async fn has_restarted(&self) {
        let mut times = self.times.subscribe();
        // The sender is here, so that this cannot fail.
        let _ = times.wait_for(|times| *times > 1).await;
    }

    /// A task that has ended without the word is down.
    pub(crate) fn state(&self) -> State {
        match self.running.try_lock().as_deref() {
            Ok(Some(running)) if running.task.is_finished() => State::Error,
            Ok(None) => State::Uninitialized,
            Ok(Some(_)) | Err(_) => State::Ready,
        }
    }
}

impl Drop for Running {
    /// If nobody waits, nothing is to go on.
    fn drop(&mut self) {
        self.task.abort();
    }
}
