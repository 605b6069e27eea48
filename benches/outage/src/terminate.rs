//! All idle connections are terminated by the server, as in a restart or by a firewall that tells.

use std::time::Duration;

use tokio_postgres::NoTls;

use crate::SIZE;
use crate::contenders::Contender;

/// Queries after each termination: more than there are connections.
const QUERIES: usize = 32;

const ROUNDS: usize = 20;

/// Prints how many of the first queries fail. Returns `true` if Tenure's do not fail half a second after the
/// termination, and at once no more than deadpool's.
pub(crate) async fn run(url: &str, contenders: &[Contender]) -> bool {
    println!(
        "\nOf {} queries after all idle connections were terminated, failed:\n",
        QUERIES * ROUNDS
    );
    let mut failed = vec![[0, 0]; contenders.len()];
    for round in 0..ROUNDS {
        // Side by side, and each of them the first in its turn: the machine is not the same all the time.
        for place in 0..contenders.len() {
            let number = (round + place) % contenders.len();
            let contender = &contenders[number];
            for (failed, pause) in failed[number]
                .iter_mut()
                .zip([Duration::from_millis(500), Duration::ZERO])
            {
                warm_up(contender).await;
                terminate_all(url).await;
                tokio::time::sleep(pause).await;
                *failed += failures(contender).await;
            }
        }
    }
    println!("| pool | half a second later | at once |\n|---|---|---|");
    for (contender, [later, at_once]) in contenders.iter().zip(&failed) {
        println!("| {} | {later} | {at_once} |", contender.name);
    }
    let of = |name| {
        let mut both = contenders.iter().zip(&failed);
        both.find(|(contender, _)| contender.name == name)
            .map_or([0, 0], |(_, failed)| *failed)
    };
    let ([later, ours], [_, theirs]) = (of("tenure"), of("deadpool"));
    later == 0 && is_no_more(ours, theirs)
}

/// Returns `true` if one count is no more than the other, or so little more that chance explains it: how many queries
/// meet a connection that is lost, and whose task has not read that yet, is a race in both.
fn is_no_more(ours: usize, theirs: usize) -> bool {
    let deviation = ((ours + theirs) as f64).sqrt();
    ours as f64 - theirs as f64 <= 2.0 * deviation
}

/// Fills the pool: as many queries at once as it may have connections.
async fn warm_up(contender: &Contender) {
    let queries: Vec<_> = (0..SIZE).map(|_| spawn(contender)).collect();
    for query in queries {
        // What fails here is what the last termination left.
        let _ = query.await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
}

async fn failures(contender: &Contender) -> usize {
    let queries: Vec<_> = (0..QUERIES).map(|_| spawn(contender)).collect();
    let mut failed = 0;
    for query in queries {
        failed += usize::from(query.await.expect("it does not panic").is_err());
    }
    failed
}

fn spawn(contender: &Contender) -> tokio::task::JoinHandle<Result<(), String>> {
    let contender = contender.clone();
    tokio::spawn(async move { contender.query().await })
}

async fn terminate_all(url: &str) {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .expect("the server is up");
    tokio::spawn(connection);
    let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                  WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'";
    client
        .query(others, &[])
        .await
        .expect("it may terminate them");
}
