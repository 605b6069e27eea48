//! One Redis connection that dozens of tasks share, while the server is killed and restarted under it. The client
//! is that of the `redis` crate: its `MultiplexedConnection` knows how to ask, and Tenure how to stay connected.
//!
//! ```sh
//! export REDIS_URL=redis://127.0.0.1:6379
//! cargo run --example redis_connection
//! REDIS_KILL='..' REDIS_START='..' cargo run --example redis_connection
//! ```
//!
//! The tasks count with INCR, and remember which number each answer gave. Given shell commands that kill the server
//! and start it again, the example runs them in the middle, twice; without them there is no outage. It takes a
//! few seconds. Then it compares: is every answered INCR counted, was there one reconnect for each kill, is nothing
//! left connected? A server that is to forget nothing has `appendonly yes` and `appendfsync always`.
//!
//! It ends with status 0 only if every promise was kept, or if there is no `REDIS_URL` and so nothing to show. Its one
//! key is removed at the end, also on Ctrl-C, and expires by itself.
//!
//! Read in this order: `client` (how a connection is opened, checked and closed, and which errors mean that it is
//! lost), `counter` (what may be sent twice and what may not), `story` (what happens), `outage`, `when_down` (what
//! calls do without a connection), `load`, `server`, `journal`, `promises`.

mod client;
mod counter;
mod journal;
mod load;
mod outage;
mod promises;
mod server;
mod story;
mod when_down;

use std::env;
use std::process::{self, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use tenure::tokio::{Connection, Tokio};
use tenure::{Backoff, BoxError, Jitter, Retry};
use tokio::signal::ctrl_c;

use crate::client::Redis;
use crate::journal::Journal;
use crate::server::{Commands, Server};
use crate::story::Story;

/// Longer than anything here takes, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between the starts of attempts to connect. A program that is not alone keeps the jitter; without it the story
/// can tell that the pauses are kept.
const BACKOFF: Backoff = Backoff::exponential(Duration::from_millis(50))
    .cap(Duration::from_millis(500))
    .jitter(Jitter::None);

fn main() -> ExitCode {
    let set = |name| env::var(name).ok().filter(|value| !value.is_empty());
    let Some(url) = set("REDIS_URL") else {
        println!("redis_connection: nothing is shown, for REDIS_URL names no Redis");
        return ExitCode::SUCCESS;
    };
    let told = match (set("REDIS_KILL"), set("REDIS_START")) {
        (Some(kill), Some(start)) => run(url, Some(Commands { kill, start })),
        (None, None) => run(url, None),
        _ => Err("set both REDIS_KILL and REDIS_START, or neither".into()),
    };
    match told {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("redis_connection: {error}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(url: String, commands: Option<Commands>) -> Result<(), BoxError> {
    let name = format!("tenure_redis_connection_{}", process::id());
    let journal = Arc::new(Journal::new());
    let redis = connection(&url, &name, journal.clone())?;
    let story = Story::new(redis, &name, Server::new(commands), journal);

    let told = tokio::select! {
        told = story.tell() => told,
        _ = ctrl_c() => Err("interrupted".into()),
    };
    if told.is_err() {
        if let Err(error) = story.put_right().await {
            eprintln!("redis_connection: what was begun could not be put right: {error}");
        }
    }
    told
}

fn connection(url: &str, name: &str, journal: Arc<Journal>) -> Result<Connection<Redis>, BoxError> {
    let connection = tenure::Connection::builder(url, Redis::new(url, name)?)
        .name("redis")
        // Of calls, of which each may say otherwise, and of openings. Whoever waits for a connection outlasts
        // an opening that has failed four times.
        .retry(Retry::new(BACKOFF).max_retries(3).deadline(PATIENCE))
        // A server that is gone may not even refuse.
        .open_timeout(Duration::from_secs(10))
        .events(journal)
        .build(Tokio::current())?;
    Ok(connection)
}
