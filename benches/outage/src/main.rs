//! Pools with default settings, beside each other, while their PostgreSQL fails under them.
//!
//! Three tables are printed: errors after all idle connections were terminated, the time until a killed server is
//! used again, and steady throughput. The server's URL is in `DATABASE_URL`; `POSTGRES_KILL` and `POSTGRES_START` are
//! commands that kill and restart it. Exits with 1 if Tenure does not keep what its documentation promises.

mod contenders;
mod kill;
mod terminate;
mod throughput;

use std::process::ExitCode;

use contenders::Contender;

/// Maximum number of connections of each pool, and the number of tasks that use it.
const SIZE: usize = 10;

#[tokio::main]
async fn main() -> ExitCode {
    let url = std::env::var("DATABASE_URL").expect("DATABASE_URL names a PostgreSQL");
    let rounds = std::env::args()
        .nth(1)
        .map_or(20, |rounds| rounds.parse().expect("a number of rounds"));
    let contenders = Contender::all(&url, SIZE).await;
    let verdicts = [
        terminate::run(&url, &contenders).await,
        throughput::run(&contenders).await,
        kill::run(&url, &contenders, rounds).await,
    ];
    if verdicts.iter().all(|kept| *kept) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
