//! What worlds of all kinds draw from their seed.

use std::sync::Arc;
use std::time::Duration;

use tenure_core::{Backoff, Event, EventSink, Jitter, Retry};
use tenure_sim::{Backend, Faults, Hook, Sim};

/// One of two, with even chances.
pub(crate) fn coin(sim: &Sim) -> bool {
    sim.below(2) == 0
}

/// Some milliseconds, fewer than `most`; often none at all.
pub(crate) fn some_time(sim: &Sim, most: u64) -> Duration {
    match sim.below(3) {
        0 => Duration::ZERO,
        _ => Duration::from_millis(sim.below(most)),
    }
}

/// A limit of some seconds, or none.
pub(crate) fn some_limit(sim: &Sim, most: u64) -> Option<Duration> {
    match sim.below(3) {
        0 => None,
        _ => Some(Duration::from_millis(1 + sim.below(most * 1_000))),
    }
}

/// A limit that is always there, so that nothing which hangs holds the world up for good.
pub(crate) fn a_limit(sim: &Sim, most: u64) -> Duration {
    Duration::from_millis(1 + sim.below(most * 1_000))
}

pub(crate) fn retry(sim: &Sim) -> Retry {
    let base = Duration::from_millis(1 + sim.below(2_000));
    let backoff = match sim.below(3) {
        0 => Backoff::constant(base),
        1 => Backoff::exponential(base),
        _ => Backoff::fibonacci(base),
    };
    let jitter = [Jitter::None, Jitter::Full, Jitter::Equal][sim.below(3) as usize];
    let cap = Duration::from_secs(5).max(base);
    let policy = Retry::new(backoff.cap(cap).jitter(jitter)).max_retries(sim.below(4) as u32);
    match some_limit(sim, 20) {
        Some(deadline) => policy.deadline(deadline),
        None => policy,
    }
}

/// Writes what happens into the trace.
pub(crate) fn noted(sim: &Sim) -> Arc<dyn EventSink> {
    let sim = sim.clone();
    Arc::new(move |event: &Event<'_>| sim.note(|| event.to_string()))
}

/// A backend on which this or that goes wrong, and whose hooks take this or that long.
pub(crate) fn backend(sim: &Sim) -> Backend {
    let backend = Backend::new(sim);
    for hook in Hook::ALL {
        backend.set_time(hook, some_time(sim, 1_500));
    }
    if !coin(sim) {
        backend.set_faults(Faults::drawn(sim));
    }
    backend
}

/// From now on everything succeeds, and at once.
pub(crate) fn heal(backend: &Backend) {
    backend.set_faults(Faults::none());
    for hook in Hook::ALL {
        backend.set_time(hook, Duration::ZERO);
    }
}
