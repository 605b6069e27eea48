//! What the story is told with: a voice, tasks, and waiting for something to happen.

use std::fmt::Display;
use std::future::Future;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::RemoteHandle;
use tenure::{BoxError, Event, EventKind, EventSink};

use crate::runtime::Runtime;

/// Longer than anything here takes, however busy the machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub(crate) struct Stage<T> {
    pub(crate) runtime: T,
    pub(crate) narrator: Arc<Narrator>,
}

impl<T: Runtime> Stage<T> {
    pub(crate) fn new(runtime: T) -> Self {
        let began = Instant::now();
        Self {
            runtime,
            narrator: Arc::new(Narrator {
                began,
                failed_attempts: AtomicU32::new(0),
            }),
        }
    }

    pub(crate) fn title(&self, line: &str) {
        self.narrator.write(format_args!("\n{line}"));
    }

    pub(crate) fn say(&self, line: impl Display) {
        self.narrator.say(line);
    }

    /// Runs `work` as a task of its own. The handle is its answer; to drop it calls the task off.
    pub(crate) fn spawn<U: Send + 'static>(
        &self,
        work: impl Future<Output = U> + Send + 'static,
    ) -> RemoteHandle<U> {
        let (task, handle) = work.remote_handle();
        self.runtime.spawn(task);
        handle
    }

    pub(crate) async fn sleep(&self, time: Duration) {
        self.runtime.sleep(time).await;
    }

    pub(crate) async fn until(
        &self,
        what: &str,
        happened: impl Fn() -> bool,
    ) -> Result<(), BoxError> {
        let deadline = self.runtime.now() + PATIENCE;
        while !happened() {
            ensure(self.runtime.now() < deadline, what)?;
            self.sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}

/// Says what happens, line by line, and when.
pub(crate) struct Narrator {
    began: Instant,
    failed_attempts: AtomicU32,
}

impl Narrator {
    pub(crate) fn say(&self, line: impl Display) {
        let elapsed = self.began.elapsed().as_secs_f64();
        self.write(format_args!("{elapsed:7.3} s  {line}"));
    }

    /// Whoever reads may stop in the middle. The story goes on, to clean up.
    fn write(&self, line: impl Display) {
        let _ = writeln!(io::stdout(), "{line}");
    }

    /// How many attempts to open failed in a row, at most.
    pub(crate) fn failed_attempts(&self) -> u32 {
        self.failed_attempts.load(Ordering::Relaxed)
    }
}

/// The pool and the managed resource report here. An event prints as one line; what a program needs
/// to know or to count, it finds in the kind.
impl EventSink for Narrator {
    fn event(&self, event: &Event<'_>) {
        if let EventKind::OpenFailed { attempt, .. } = event.kind {
            self.failed_attempts.fetch_max(attempt, Ordering::Relaxed);
        }
        match event.kind {
            // Routine, or told by whoever watches the state.
            EventKind::OpenBegan { .. } | EventKind::CheckPassed | EventKind::Transition { .. } => {
            }
            _ => self.say(event),
        }
    }
}

/// The program fails unless this is so.
pub(crate) fn ensure(is_so: bool, what: &str) -> Result<(), BoxError> {
    if is_so {
        return Ok(());
    }
    Err(format!("not as it should be: expected that {what}").into())
}
