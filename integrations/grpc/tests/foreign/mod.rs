//! A server of another implementation, gRPC's C core by way of Python, and what it does to connections: it ages them,
//! allows them few streams, goes away, and is killed.
//!
//! The variable `TENURE_GRPC_FOREIGN` has the command that starts it, as the step `grpcio` of the gate sets it. Without
//! that the tests say that they are skipped.

mod process;

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tenure_core::StopReason;
use tenure_grpc::{GrpcChannel, GrpcError, GrpcService};
use tokio::task::JoinSet;
use tonic::Code;

use crate::greeter::HelloRequest;
use crate::greeter::greeter_client::GreeterClient;
use crate::rig::*;
use process::{Foreign, Options};

const DEADLINE: Duration = Duration::from_secs(10);
/// How long the server takes for a greeting, so that there is always one under way.
const WORK: u32 = 20;

/// A call that failed.
struct Failed {
    is_idempotent: bool,
    begun_at: Instant,
    error: GrpcError,
}

/// Callers without a pause, every other of whose calls may be made twice.
struct Load {
    callers: JoinSet<Vec<Failed>>,
    is_over: Arc<AtomicBool>,
    succeeded: Arc<AtomicUsize>,
}

impl Load {
    fn begin(greeter: &Greeter, callers: usize) -> Self {
        // No name comes twice, so that a server's log tells what it was asked twice.
        static LOADS: AtomicUsize = AtomicUsize::new(0);
        let load = LOADS.fetch_add(1, Ordering::Relaxed);
        let (is_over, succeeded) = <(Arc<AtomicBool>, Arc<AtomicUsize>)>::default();
        let call = |caller: usize| {
            let (greeter, is_over, succeeded) =
                (greeter.clone(), is_over.clone(), succeeded.clone());
            async move {
                let mut failed = Vec::new();
                for number in 0.. {
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                    let is_idempotent = number % 2 == 0;
                    let kind = if is_idempotent { "again" } else { "once" };
                    let message = HelloRequest {
                        name: format!("{kind}-{load}-{caller}-{number}"),
                        times: WORK,
                    };
                    let mut request = greeter.request("SayHello").timeout(DEADLINE);
                    if is_idempotent {
                        request = request.idempotent();
                    }
                    let begun_at = Instant::now();
                    match request.unary(message, say_hello).await {
                        Ok(_) => _ = succeeded.fetch_add(1, Ordering::Relaxed),
                        Err(error) => failed.push(Failed {
                            is_idempotent,
                            begun_at,
                            error,
                        }),
                    }
                }
                failed
            }
        };
        Self {
            callers: (0..callers).map(call).collect(),
            is_over,
            succeeded,
        }
    }

    fn succeeded(&self) -> usize {
        self.succeeded.load(Ordering::Relaxed)
    }

    async fn goes_on(&self) {
        let so_far = self.succeeded();
        until("calls succeed", || self.succeeded() > so_far + 100).await;
    }

    /// Ends it, and gives the calls that failed.
    async fn end(self) -> Vec<Failed> {
        self.is_over.store(true, Ordering::Relaxed);
        within(self.callers.join_all())
            .await
            .into_iter()
            .flatten()
            .collect()
    }
}

/// A channel with nothing set but its checks.
fn channel_by_default(server: &Foreign) -> (GrpcChannel, Greeter) {
    let builder = GrpcChannel::builder(endpoint(&server.address()));
    let channel = build(builder.check_every(Duration::from_millis(250)));
    let greeter = GrpcService::new(&channel, GreeterClient::new);
    (channel, greeter)
}

fn none_failed(failed: &[Failed]) {
    for Failed { error, .. } in failed {
        println!("{error}: {error:?}");
    }
    assert!(failed.is_empty(), "{} calls failed", failed.len());
}

fn none_ran_twice(server: &Foreign) {
    let mut times = HashMap::<String, u32>::new();
    for name in server.greeted() {
        *times.entry(name).or_default() += 1;
    }
    let twice = |(name, times): &(&String, &u32)| name.starts_with("once") && **times > 1;
    let twice: Vec<_> = times.iter().filter(twice).collect();
    assert!(
        twice.is_empty(),
        "not idempotent, and made again: {twice:?}"
    );
}

#[tokio::test]
async fn connections_that_reach_their_greatest_age_cost_no_call() {
    let options = Options {
        max_age: Some(Duration::from_secs(2)),
        ..Options::default()
    };
    let Some(server) = Foreign::start(options).await else {
        return;
    };
    let (channel, greeter) = channel_by_default(&server);
    let load = Load::begin(&greeter, 16);
    until("two have aged", || channel.stats().connects.reconnects >= 2).await;
    load.goes_on().await;
    let succeeded = load.succeeded();
    none_failed(&load.end().await);
    none_ran_twice(&server);
    println!(
        "max_connection_age of 2 s: {succeeded} calls succeeded, {}",
        channel.stats()
    );
    ends_well(&channel).await;
}

#[tokio::test]
async fn few_streams_cost_no_call_and_no_connection() {
    let options = Options {
        max_streams: Some(4),
        ..Options::default()
    };
    let Some(server) = Foreign::start(options).await else {
        return;
    };
    let (channel, greeter) = channel_by_default(&server);
    let load = Load::begin(&greeter, 16);
    for _ in 0..5 {
        load.goes_on().await;
        within(channel.check()).await.expect("it is well");
    }
    let succeeded = load.succeeded();
    none_failed(&load.end().await);
    none_ran_twice(&server);
    assert_eq!(channel.stats().connects.begun, 1, "{}", channel.stats());
    println!("4 concurrent streams: {succeeded} calls of 16 callers succeeded");
    ends_well(&channel).await;
}

#[tokio::test]
async fn a_graceful_stop_costs_no_call_but_what_the_server_cancels() {
    let Some(mut server) = Foreign::start(Options::default()).await else {
        return;
    };
    let (channel, greeter) = channel_by_default(&server);
    let load = Load::begin(&greeter, 16);
    load.goes_on().await;
    server.stop().await;
    server.restart().await;
    load.goes_on().await;
    let succeeded = load.succeeded();
    let failed = load.end().await;
    for Failed {
        is_idempotent,
        error,
        ..
    } in &failed
    {
        // The C core answers CANCELLED to what reaches it as it stops, without a word on whether that has run.
        let status = error.status().expect("a status of the server's own");
        assert!(status.source().is_none(), "{error:?}");
        assert_eq!(status.code(), Code::Cancelled, "{error:?}");
        assert!(!is_idempotent, "{error:?}");
    }
    none_ran_twice(&server);
    println!(
        "a graceful stop: {succeeded} calls succeeded, {} were answered CANCELLED, {}",
        failed.len(),
        channel.stats()
    );
    ends_well(&channel).await;
}

#[tokio::test]
async fn a_kill_costs_no_idempotent_call_and_none_that_was_not_under_way() {
    let Some(mut server) = Foreign::start(Options::default()).await else {
        return;
    };
    let rounds =
        std::env::var("TENURE_GRPC_KILLS").map_or(3, |kills| kills.parse().expect("a number"));
    let (channel, greeter) = channel_by_default(&server);
    let mut recoveries = Vec::new();
    for round in 0..rounds {
        let outage = Duration::from_millis([300, 2700, 1100, 4300][round % 4]);
        let load = Load::begin(&greeter, 16);
        load.goes_on().await;
        server.kill();
        let killed_at = Instant::now();
        tokio::time::sleep(outage).await;
        server.restart().await;
        let (back_at, before) = (Instant::now(), load.succeeded());
        until("it serves again", || load.succeeded() > before).await;
        recoveries.push(back_at.elapsed());
        load.goes_on().await;
        let failed = load.end().await;
        for failed in &failed {
            let error = &failed.error;
            assert!(!failed.is_idempotent, "{error}: {error:?}");
            // What was sent as the server died may have run. What began when it was known to be gone has waited.
            let late = failed.begun_at.saturating_duration_since(killed_at);
            assert!(late < Duration::from_millis(200), "{late:?}: {error:?}");
            assert_eq!(error.code(), Code::Unavailable, "{error:?}");
            assert_eq!(
                error.call_error().reason(),
                StopReason::GivenUp,
                "{error:?}"
            );
        }
        assert!(failed.len() <= 16, "{} of 16 callers' calls", failed.len());
    }
    none_ran_twice(&server);
    println!(
        "kill -9: served again so long after the server was back: {recoveries:.0?}; {}",
        channel.stats()
    );
    recoveries.sort();
    println!(
        "median {:?}, longest {:?}",
        recoveries[rounds / 2],
        recoveries[rounds - 1]
    );
    ends_well(&channel).await;
}
