//! The start of large groups, beside a plain `join_all` over the same layers.
//!
//! `cargo bench -p tenure-benches --bench group` starts groups of 1,000 to 10,000 managed resources in ten layers,
//! each of which needs two of the layer before, on tokio with two workers. An opening waits for a few turns of the
//! executor, as one that sends and receives would. A round starts every contender once, with members of its own, so
//! that whatever disturbs the machine disturbs them all; the medians count.

use std::process::ExitCode;
use std::time::Instant;

use futures::future::join_all;
use tenure::{Group, Resource};
use tenure_benches::{median, rounds};
use tenure_tokio::Tokio;

const SIZES: [usize; 3] = [1_000, 3_000, 10_000];
const LAYERS: usize = 10;
/// How often an opening is woken before it is done.
const TURNS: usize = 3;
/// How many start at once, where nothing is spawned.
const CAP: usize = 64;

fn main() -> ExitCode {
    let rounds = match rounds(9) {
        Some(rounds) => rounds,
        None => {
            eprintln!("usage: cargo bench -p tenure-benches --bench group -- [--rounds N]");
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("tokio starts");
    println!("nanoseconds for each member, the median of {rounds} rounds");
    println!(
        "{:>8} {:>9} {:>9} {:>6} {:>9} {:>6}",
        "members", "join_all", "spawning", "ratio", "capped", "ratio"
    );
    let mut per_member = Vec::new();
    for size in SIZES {
        let [plain, spawning, capped] = runtime.block_on(async {
            // On a worker, as the program of a user would be.
            let measured = tokio::spawn(async move { measure(size, rounds).await });
            measured.await.expect("nothing panics")
        });
        println!(
            "{size:>8} {plain:>9.0} {spawning:>9.0} {:>6.2} {capped:>9.0} {:>6.2}",
            spawning / plain,
            capped / plain,
        );
        per_member.push(spawning);
    }
    let growth = per_member[SIZES.len() - 1] / per_member[0];
    println!("a member of the largest group takes {growth:.2} times what one of the smallest does");
    ExitCode::SUCCESS
}

struct Client;

impl Resource for Client {
    type Value = u64;
    type Error = std::io::Error;

    async fn open(&self) -> Result<u64, Self::Error> {
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
        }
        Ok(7)
    }
}

type Managed = tenure::Managed<Client, Tokio>;

async fn measure(size: usize, rounds: usize) -> [f64; 3] {
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..rounds {
        times[0].push(plain(size).await);
        times[1].push(group(size, true).await);
        times[2].push(group(size, false).await);
    }
    times.map(|times| median(times) / size as f64)
}

fn members(size: usize) -> Vec<Managed> {
    let build = |_| {
        let built = tenure::Managed::builder(Client).build(Tokio::current());
        built.expect("the defaults are valid")
    };
    (0..size).map(build).collect()
}

/// What one would write by hand: layer by layer, all of a layer at once.
async fn plain(size: usize) -> f64 {
    let members = members(size);
    let began_at = Instant::now();
    for layer in members.chunks(size / LAYERS) {
        for opened in join_all(layer.iter().map(Managed::open)).await {
            opened.expect("it opens");
        }
    }
    let took = began_at.elapsed();
    join_all(members.iter().map(Managed::close)).await;
    took.as_nanos() as f64
}

async fn group(size: usize, spawns: bool) -> f64 {
    let members = members(size);
    let layer = size / LAYERS;
    let mut builder = Group::builder("layers");
    for (number, member) in members.iter().enumerate() {
        builder = builder.add(number.to_string(), member.clone());
        if let Some(below) = number.checked_sub(layer) {
            let neighbour = (below / layer) * layer + (below + 1) % layer;
            builder = builder
                .after(below.to_string())
                .after(neighbour.to_string());
        }
    }
    let group = if spawns {
        builder.build_spawning(Tokio::current())
    } else {
        builder.most_at_once(CAP).build(Tokio::current())
    };
    let group = group.expect("a graph");
    let began_at = Instant::now();
    group.start().await.expect("nothing fails");
    let took = began_at.elapsed();
    join_all(members.iter().map(Managed::close)).await;
    took.as_nanos() as f64
}
