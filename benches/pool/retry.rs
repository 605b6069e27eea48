//! A retry whose first attempt succeeds: what a policy costs where nothing fails.

use std::convert::Infallible;
use std::hint::black_box;

use backon::{ExponentialBuilder, Retryable};
use tenure::{Retry, retry};
use tenure_tokio::Tokio;
use tokio_retry::strategy::{ExponentialBackoff, jitter};

use crate::contenders::{Contender, Role, Tenure};
use crate::cpu;
use crate::runtimes::Runtimes;
use crate::suite::Entry;
use crate::workload::{Metric, Reach, Workload};

/// Each call is made by a function that turns the contender's error into the application's. All contenders
/// would retry three times, with jitter, after delays that grow.
#[derive(Debug)]
pub(crate) struct FirstAttempt;

const CALLS: usize = 500_000;
const RETRIES: u32 = 3;

impl Workload for FirstAttempt {
    fn name(&self) -> &'static str {
        "12 retry, first attempt succeeds"
    }

    fn metrics(&self) -> Vec<Metric> {
        vec![Metric::new("", "CPU ns per call").reach(Reach::BelowBestPeer(1.0))]
    }
}

impl FirstAttempt {
    pub(crate) fn entries(&self, runtimes: &'static Runtimes) -> Vec<Entry> {
        let clock = runtimes.here(async { Tokio::current() });
        let entry = |name, role, round| Entry::new(name, role, round, self.metrics().len());
        vec![
            entry(
                Tenure::NAME,
                Role::Ours,
                Box::new(move || {
                    vec![Some(runtimes.here(nanos(async || by_tenure(&clock).await)))]
                }),
            ),
            entry(
                "tokio-retry",
                Role::Peer,
                Box::new(move || vec![Some(runtimes.here(nanos(by_tokio_retry)))]),
            ),
            entry(
                "backon",
                Role::Peer,
                Box::new(move || vec![Some(runtimes.here(nanos(by_backon)))]),
            ),
        ]
    }
}

async fn nanos(call: impl AsyncFn() -> Result<u64, String>) -> f64 {
    let began = cpu::time();
    for _ in 0..CALLS {
        assert!(call().await.is_ok());
    }
    (cpu::time() - began).as_nanos() as f64 / CALLS as f64
}

async fn by_tenure(clock: &Tokio) -> Result<u64, String> {
    retry(clock, Retry::DEFAULT.max_retries(RETRIES), operation)
        .await
        .map_err(|error| error.to_string())
}

async fn by_tokio_retry() -> Result<u64, String> {
    let delays = ExponentialBackoff::from_millis(100)
        .map(jitter)
        .take(RETRIES as usize);
    tokio_retry::Retry::start(delays, operation)
        .await
        .map_err(|error| error.to_string())
}

async fn by_backon() -> Result<u64, String> {
    let policy = ExponentialBuilder::default()
        .with_jitter()
        .with_max_times(RETRIES as usize);
    operation
        .retry(policy)
        .await
        .map_err(|error| error.to_string())
}

async fn operation() -> Result<u64, Infallible> {
    Ok(black_box(0))
}
