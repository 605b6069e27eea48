//! The runtimes that all contenders share.

use std::future::Future;

use tokio::runtime::{Builder, Runtime};

#[derive(Debug)]
pub(crate) struct Runtimes {
    pub(crate) one_thread: Runtime,
    pub(crate) two_workers: Runtime,
}

impl Runtimes {
    pub(crate) fn start() -> Self {
        let build = |mut builder: Builder| builder.enable_time().build().expect("a runtime starts");
        let mut two = Builder::new_multi_thread();
        two.worker_threads(2);
        Self {
            one_thread: build(Builder::new_current_thread()),
            two_workers: build(two),
        }
    }

    /// Runs one task on this thread, without tokio's limit on what a task may do in one go: a future
    /// that is polled by hand would stay pending for no reason of its own once the limit is reached.
    pub(crate) fn here<F: Future>(&self, task: F) -> F::Output {
        self.one_thread.block_on(tokio::task::unconstrained(task))
    }
}
