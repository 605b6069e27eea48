//! A unary call by tonic's client with Tenure around it, beside the same client without.
//!
//! `cargo bench -p tenure-benches --bench grpc` asks a server on loopback for its health, in turns: the bare client,
//! cloned for each call as its users do, and a `GrpcService`. Both have the same settings and send the same timeout
//! and metadata. A round makes all calls once with each, who is first changes from round to round, and the median of
//! the ratios within a round counts. The server has a thread of its own.

#[path = "../pool/allocations.rs"]
mod allocations;
mod contenders;
mod server;

use std::process::ExitCode;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Instant;

use tenure_benches::{median, rounds, sorted};

use crate::contenders::{Bare, Caller, Held};

/// How many tasks call at once on the one connection.
const CONCURRENCIES: [usize; 3] = [1, 8, 64];
/// In each round, by each contender.
const CALLS: usize = 4_000;
/// Of calls whose allocations are counted, one after the other.
const COUNTED: u64 = 2_000;

fn main() -> ExitCode {
    let Some(rounds) = rounds(31) else {
        eprintln!("usage: cargo bench -p tenure-benches --bench grpc -- [--rounds N]");
        return ExitCode::from(2);
    };
    let address = start_server();
    // One worker, which has the connections as well, so that all that is allocated is allocated there.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("tokio starts");
    let measured = runtime.spawn(measure(address, rounds));
    runtime.block_on(measured).expect("nothing panics");
    ExitCode::SUCCESS
}

/// Serves health on a thread of its own until the process ends, and gives its address.
fn start_server() -> String {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("tokio starts");
        runtime.block_on(async {
            let (listener, address) = server::listen().await;
            tell.send(address).expect("the benchmark waits for it");
            server::serve(listener).await;
        });
    });
    told.recv().expect("it starts")
}

async fn measure(address: String, rounds: usize) {
    let bare = Arc::new(Bare::connect(&address).await);
    let held = Arc::new(Held::connect(&address).await);
    println!(
        "microseconds for each call, the median of {rounds} rounds; the ratio is that within a round"
    );
    println!(
        "{:>6} {:>8} {:>8} {:>7} {:>15}",
        "tasks", "bare", "held", "ratio", "quartiles"
    );
    for tasks in CONCURRENCIES {
        compare(&bare, &held, tasks, rounds).await;
    }
    let without = allocated(&*bare).await;
    let with = allocated(&*held).await;
    println!("allocations for each call: {without:.2} bare, {with:.2} held");
    held.close().await;
}

async fn compare(bare: &Arc<Bare>, held: &Arc<Held>, tasks: usize, rounds: usize) {
    // What is only done once is over then.
    timed(bare, tasks).await;
    timed(held, tasks).await;
    let (mut without, mut with, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let (plain, ours) = if round % 2 == 0 {
            let plain = timed(bare, tasks).await;
            (plain, timed(held, tasks).await)
        } else {
            let ours = timed(held, tasks).await;
            (timed(bare, tasks).await, ours)
        };
        without.push(plain);
        with.push(ours);
        ratios.push(ours / plain);
    }
    let ratios = sorted(ratios);
    println!(
        "{tasks:>6} {:>8.2} {:>8.2} {:>7.3} {:>7.3} {:>7.3}",
        median(without),
        median(with),
        ratios[rounds / 2],
        ratios[rounds / 4],
        ratios[rounds - 1 - rounds / 4],
    );
}

/// Microseconds for each call, with so many tasks at once.
async fn timed<C: Caller>(caller: &Arc<C>, tasks: usize) -> f64 {
    let share = CALLS / tasks;
    let task = |_| {
        let caller = caller.clone();
        tokio::spawn(async move {
            for _ in 0..share {
                caller.call().await;
            }
        })
    };
    let began_at = Instant::now();
    let tasks: Vec<_> = (0..tasks).map(task).collect();
    let calls = share * tasks.len();
    for task in tasks {
        task.await.expect("it answers");
    }
    began_at.elapsed().as_secs_f64() * 1e6 / calls as f64
}

/// Allocations for each call.
async fn allocated(caller: &impl Caller) -> f64 {
    for _ in 0..COUNTED {
        caller.call().await;
    }
    allocations::start();
    for _ in 0..COUNTED {
        caller.call().await;
    }
    allocations::stop().count as f64 / COUNTED as f64
}
