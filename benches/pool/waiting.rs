//! What it costs to wait, apart from any executor: futures polled by hand.

use std::collections::VecDeque;
use std::time::Duration;

use crate::application::{Guard, acquire};
use crate::by_hand::Waiters;
use crate::contenders::{Contender, Settings};
use crate::cpu;
use crate::runtimes::Runtimes;
use crate::workload::{Metric, PoolWorkload, Reach, Round, Workload};

const VALUES: usize = 4;

/// The queue keeps its length: a value comes back, the first waiter takes it, and another joins.
#[derive(Debug)]
pub(crate) struct QueueLength;

const LENGTHS: [usize; 4] = [16, 256, 4_096, 65_536];

impl Workload for QueueLength {
    fn name(&self) -> &'static str {
        "06 queue of a constant length"
    }

    fn metrics(&self) -> Vec<Metric> {
        const UNIT: &str = "CPU ns per waiter served";
        vec![
            Metric::new("16 waiters", UNIT),
            Metric::new("256 waiters", UNIT),
            Metric::new("4096 waiters", UNIT),
            Metric::new("65536 waiters", UNIT),
            Metric::new("growth", "65536 waiters to 16").reach(Reach::AtMost(1.15)),
        ]
    }
}

impl PoolWorkload for QueueLength {
    fn prepare<P: Contender>(&self, runtimes: &'static Runtimes) -> Option<Round> {
        let pool = runtimes.here(P::leaked(Settings::full(VALUES)));
        Some(Box::new(move || {
            let nanos = LENGTHS.map(|length| runtimes.here(rotate(pool, length)));
            let growth = nanos[LENGTHS.len() - 1] / nanos[0];
            nanos.into_iter().chain([growth]).map(Some).collect()
        }))
    }
}

/// Nanoseconds for one turn of a queue of this length.
async fn rotate<P: Contender>(pool: &'static P, length: usize) -> f64 {
    const TURNS: usize = 65_536;
    let mut held = take_all(pool).await;
    let mut waiters = Waiters::with_places(length);
    for place in 0..length {
        waiters.join(place, acquire(pool));
    }
    let mut first = 0;
    // Once round, so that every place was used before; then for the time.
    let mut time = Duration::ZERO;
    for turns in [length, TURNS] {
        let began = cpu::time();
        for _ in 0..turns {
            drop(held.pop_front());
            held.push_back(waiters.served(first).await.expect("it was handed over"));
            waiters.join(first, acquire(pool));
            first = (first + 1) % length;
        }
        time = cpu::time() - began;
    }
    // From the first on: some pools search for whoever leaves.
    for place in (first..length).chain(0..first) {
        waiters.leave(place);
    }
    time.as_nanos() as f64 / TURNS as f64
}

/// A crowd joins, every other one leaves, the rest are served.
#[derive(Debug)]
pub(crate) struct HalfDropped;

const CROWD: usize = 1024;
/// Crowds of one round.
const CROWDS: usize = 20;

impl Workload for HalfDropped {
    fn name(&self) -> &'static str {
        "07 1024 waiters, every other one dropped"
    }

    fn metrics(&self) -> Vec<Metric> {
        vec![Metric::new("", "CPU ns per waiter").reach(Reach::BelowBestPeer(1.3))]
    }

    fn repeats(&self) -> usize {
        5
    }
}

impl PoolWorkload for HalfDropped {
    fn prepare<P: Contender>(&self, runtimes: &'static Runtimes) -> Option<Round> {
        let pool = runtimes.here(P::leaked(Settings::full(VALUES)));
        let mut waiters = Waiters::with_places(CROWD);
        Some(Box::new(move || {
            let time = runtimes.here(async {
                let mut time = Duration::ZERO;
                for _ in 0..CROWDS {
                    let held = take_all(pool).await;
                    let began = cpu::time();
                    for place in 0..CROWD {
                        waiters.join(place, acquire(pool));
                    }
                    for place in (0..CROWD).step_by(2) {
                        waiters.leave(place);
                    }
                    drop(held);
                    for place in (1..CROWD).step_by(2) {
                        drop(waiters.served(place).await.expect("it was handed over"));
                    }
                    time += cpu::time() - began;
                }
                time
            });
            vec![Some(time.as_nanos() as f64 / (CROWDS * CROWD) as f64)]
        }))
    }
}

async fn take_all<P: Contender>(pool: &'static P) -> VecDeque<Guard<P>> {
    let mut held = VecDeque::new();
    for _ in 0..VALUES {
        held.push_back(acquire(pool).await.expect("a value is free"));
    }
    held
}
