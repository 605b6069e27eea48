//! The server is killed under load and restarted after a while.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::process::Command;
use tokio_postgres::NoTls;

use crate::SIZE;
use crate::contenders::Contender;

/// A caller that has waited for so long gives up.
const PATIENCE: Duration = Duration::from_secs(10);

/// Outages last from one second to twelve.
const OUTAGE_MS: std::ops::Range<u64> = 1_000..12_000;

#[derive(Clone, Debug, Default)]
struct Told {
    /// When the first query succeeded after the kill.
    served_at: Option<Instant>,
    errors: usize,
}

/// Prints how soon each pool serves again. Returns `true` if Tenure does within a second in 95 % of the rounds, and
/// within 2.5 s in all.
pub(crate) async fn run(url: &str, contenders: &[Contender], rounds: usize) -> bool {
    let mut delays = vec![Vec::new(); contenders.len()];
    let mut errors = vec![0; contenders.len()];
    for _ in 0..rounds {
        for (index, told) in outage(url, contenders).await.into_iter().enumerate() {
            delays[index].push(told.0);
            errors[index] += told.1;
        }
    }
    println!(
        "\nTime from the return of a server that was killed until the first query succeeds, over {rounds} outages"
    );
    println!("of 1 to 12 s, with {SIZE} tasks asking:\n");
    println!("| pool | median | 95 % | longest | errors |\n|---|---|---|---|---|");
    let mut kept = true;
    for (index, contender) in contenders.iter().enumerate() {
        delays[index].sort();
        let at = |percent: usize| delays[index][(rounds * percent).div_ceil(100).max(1) - 1];
        let (median, most, longest) = (at(50), at(95), at(100));
        println!(
            "| {} | {median:.2?} | {most:.2?} | {longest:.2?} | {} |",
            contender.name, errors[index]
        );
        if contender.name == "tenure" {
            kept = most <= Duration::from_secs(1) && longest <= Duration::from_millis(2500);
        }
    }
    kept
}

/// One outage: for each contender how long after the server's return it served, and how many errors its callers got.
async fn outage(url: &str, contenders: &[Contender]) -> Vec<(Duration, usize)> {
    let told: Vec<_> = contenders
        .iter()
        .map(|_| Arc::new(Mutex::new(Told::default())))
        .collect();
    let killed_at = Arc::new(Mutex::new(None));
    let mut tasks = Vec::new();
    for (contender, told) in contenders.iter().zip(&told) {
        for _ in 0..SIZE {
            tasks.push(tokio::spawn(ask(
                contender.clone(),
                told.clone(),
                killed_at.clone(),
            )));
        }
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    command("POSTGRES_KILL").await;
    *killed_at.lock().expect("no panic") = Some(Instant::now());
    let random = RandomState::new().hash_one(0);
    let lasts = OUTAGE_MS.start + random % (OUTAGE_MS.end - OUTAGE_MS.start);
    tokio::time::sleep(Duration::from_millis(lasts)).await;
    let restart = tokio::spawn(command("POSTGRES_START"));
    let back_at = returned(url).await;
    restart.await.expect("it does not panic");
    let all_served = || {
        told.iter()
            .all(|told| told.lock().expect("no panic").served_at.is_some())
    };
    let limit = Instant::now() + Duration::from_secs(60);
    while !all_served() && Instant::now() < limit {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // So that each pool has all of its connections before the next outage.
    tokio::time::sleep(Duration::from_secs(2)).await;
    for task in tasks {
        task.abort();
    }
    let delay = |told: &Arc<Mutex<Told>>| {
        let told = told.lock().expect("no panic");
        let served_at = told.served_at.unwrap_or(limit);
        (served_at.saturating_duration_since(back_at), told.errors)
    };
    told.iter().map(delay).collect()
}

/// Asks again and again. What succeeds after the kill was answered by the new server.
async fn ask(contender: Contender, told: Arc<Mutex<Told>>, killed_at: Arc<Mutex<Option<Instant>>>) {
    loop {
        let asked_at = Instant::now();
        let answer = tokio::time::timeout(PATIENCE, contender.query()).await;
        let killed_at = *killed_at.lock().expect("no panic");
        let is_ok = matches!(answer, Ok(Ok(())));
        {
            let mut told = told.lock().expect("no panic");
            told.errors += usize::from(!is_ok);
            if is_ok && killed_at.is_some_and(|killed_at| asked_at > killed_at) {
                told.served_at.get_or_insert_with(Instant::now);
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until the server answers a connection of its own, and returns when that was.
async fn returned(url: &str) -> Instant {
    loop {
        if let Ok((client, connection)) = tokio_postgres::connect(url, NoTls).await {
            let at = Instant::now();
            drop((client, connection));
            return at;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn command(variable: &str) {
    let line = std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is a command"));
    let status = Command::new("bash")
        .args(["-c", &line])
        .status()
        .await
        .expect("bash is there");
    assert!(status.success(), "{line}");
}
