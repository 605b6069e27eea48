//! Holders that outlive the runtime that did their background work, as in a `static` under many tests.
//!
//! [`Sim::end_runtime`](tenure_sim::Sim::end_runtime) drops what the library has spawned. The tasks of a test
//! are callers in another runtime, which lives.

mod keyed;
mod managed;
mod pool;
mod runtimes;
mod several;

use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use tenure_core::{Event, EventKind, EventSink, Resource};
use tenure_sim::Sim;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// Opens numbers, which know of no runtime.
#[derive(Clone, Default)]
pub(crate) struct Numbers {
    opened: Arc<Mutex<u64>>,
}

impl Resource for Numbers {
    type Value = u64;
    type Error = io::Error;
    const OUTLIVES_RUNTIME: bool = true;

    async fn open(&self) -> io::Result<u64> {
        let mut opened = self.opened.lock().expect("no panic before");
        *opened += 1;
        Ok(*opened)
    }
}

/// Ends the runtime, and waits until its tasks are dropped.
pub(crate) async fn end_runtime(sim: &Sim) {
    sim.end_runtime();
    sim.yield_now().await;
}

/// Which Runners ended and began, in order.
#[derive(Clone, Default)]
pub(crate) struct RunnersSeen(Arc<Mutex<Vec<&'static str>>>);

impl RunnersSeen {
    pub(crate) fn sink(&self) -> Arc<dyn EventSink> {
        let seen = self.0.clone();
        Arc::new(move |event: &Event<'_>| {
            let what = match event.kind {
                EventKind::RunnerEnded => "ended",
                EventKind::RunnerRestarted => "restarted",
                _ => return,
            };
            seen.lock().expect("no panic before").push(what);
        })
    }

    pub(crate) fn all(&self) -> Vec<&'static str> {
        self.0.lock().expect("no panic before").clone()
    }
}
