//! Queries per second while nothing fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::SIZE;
use crate::contenders::Contender;

/// More tasks than connections, so that the pool's queue is part of what is measured.
const TASKS: usize = 2 * SIZE;

const ROUNDS: usize = 5;

const ROUND: Duration = Duration::from_secs(1);

/// Prints each pool's throughput. Returns `true` if Tenure's is at most a tenth below deadpool's: one run on a shared
/// machine tells no finer.
pub(crate) async fn run(contenders: &[Contender]) -> bool {
    let mut rates = vec![Vec::new(); contenders.len()];
    // Round by round, so that what disturbs the machine disturbs all.
    for _ in 0..ROUNDS {
        for (rates, contender) in rates.iter_mut().zip(contenders) {
            rates.push(rate(contender).await);
        }
    }
    let medians: Vec<_> = rates.iter_mut().map(|rates| median(rates)).collect();
    let of = |name| {
        contenders
            .iter()
            .position(|one| one.name == name)
            .map_or(0.0, |index| medians[index])
    };
    println!(
        "\nQueries per second with {TASKS} tasks and {SIZE} connections, median of {ROUNDS} rounds:\n"
    );
    println!("| pool | queries per second | of deadpool's |\n|---|---|---|");
    for (contender, rate) in contenders.iter().zip(&medians) {
        println!(
            "| {} | {rate:.0} | {:.2} |",
            contender.name,
            rate / of("deadpool")
        );
    }
    of("tenure") >= 0.9 * of("deadpool")
}

async fn rate(contender: &Contender) -> f64 {
    let begun = Instant::now();
    let count = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (contender, count) = (contender.clone(), count.clone());
            tokio::spawn(async move {
                while begun.elapsed() < ROUND {
                    let answer = contender.query().await;
                    count.fetch_add(usize::from(answer.is_ok()), Ordering::Relaxed);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("it does not panic");
    }
    count.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64()
}

fn median(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}
