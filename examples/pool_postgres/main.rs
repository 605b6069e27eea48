//! A pool of PostgreSQL connections under load, while the server is killed and restarted under it.
//!
//! ```sh
//! export DATABASE_URL=postgres://user:password@localhost/app
//! cargo run --example pool_postgres
//! POSTGRES_KILL='..' POSTGRES_START='..' cargo run --example pool_postgres
//! ```
//!
//! Some dozens of tasks insert rows over a few connections, and remember which rows the server has
//! acknowledged. Given shell commands that kill the server and start it again, the example runs them in
//! the middle, twice; without them there is no outage. It takes a quarter of a minute. Then it compares:
//! is every acknowledged row there, and is no connection left? To look at the times, add `--release`: to
//! log in is a matter of hashing, which takes long without.
//!
//! It ends with status 0 only if every promise of the report was kept. It works in a schema of its own,
//! which it removes, also on Ctrl-C.
//!
//! At the end a second pool, with default settings, has its connections fall silent, and recovers.
//!
//! Read in this order: `postgres` (how one connection is opened, checked and closed), `under_load` here
//! (the whole course), `load` (what a program does with a pool, and with its errors), `outage`,
//! `observer` (what the server sees), `black_hole` (connections that die without a word), `report` (what is
//! promised).

mod admin;
mod black_hole;
mod connection;
mod ledger;
mod load;
mod narrator;
mod observer;
mod outage;
mod postgres;
mod report;

use std::env;
use std::process::{self, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use tenure::tokio::{Pool, Tokio};
use tenure::{Backoff, BoxError, ConfigError, Retry};

use crate::admin::Admin;
use crate::load::Load;
use crate::narrator::Narrator;
use crate::observer::Observer;
use crate::outage::Commands;
use crate::postgres::Postgres;
use crate::report::Report;

const MAX_SIZE: usize = 16;
const KEPT_WARM: usize = 4;

/// A caller would rather be told that the server is down than wait any longer.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(1);

/// Longer than anything here takes, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    match Settings::from_environment().and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pool_postgres: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Settings {
    url: String,
    commands: Option<Commands>,
}

impl Settings {
    /// Nothing is shown without a server, so a run without one does not pass for a good one.
    fn from_environment() -> Result<Self, BoxError> {
        let set = |name| env::var(name).ok().filter(|value| !value.is_empty());
        let url = set("DATABASE_URL").ok_or(
            "set DATABASE_URL to a PostgreSQL: postgres://user:password@host:port/database",
        )?;
        let commands = match (set("POSTGRES_KILL"), set("POSTGRES_START")) {
            (Some(kill), Some(start)) => Some(Commands { kill, start }),
            (None, None) => None,
            _ => return Err("set both POSTGRES_KILL and POSTGRES_START, or neither".into()),
        };
        Ok(Self { url, commands })
    }
}

#[tokio::main]
async fn run(settings: Settings) -> Result<(), BoxError> {
    let name = format!("tenure_pool_postgres_{}", process::id());
    let database = Postgres::new(&settings.url, &name)?;
    let admin = Admin::new(&settings.url, &name)?;

    admin.make_place().await?;
    let report = under_load(database, &admin, settings.commands.as_ref()).await;
    if let Err(error) = admin.remove_place().await {
        eprintln!("pool_postgres: the schema {name} could not be removed: {error}");
    }
    report?.verdict()
}

/// Loads the pool, has the server go down and come up, and shuts the pool down. From the moment that
/// tasks are started on, whatever goes wrong is returned only once they have ended.
async fn under_load(
    database: Postgres,
    admin: &Admin,
    commands: Option<&Commands>,
) -> Result<Report, BoxError> {
    let narrator = Arc::new(Narrator::new());
    let pool = new_pool(database, narrator.clone())?;
    pool.start().await?;
    narrator.say(format_args!("the pool is up: {}", pool.status()));

    let observer = Observer::start(admin.clone());
    let load = Load::start(pool.clone());
    let outages = outage::stage_all(commands, &pool, &narrator).await;
    let written = load.end().await;
    narrator.say(format_args!("the load is over: {}", pool.status()));
    let shutdown = pool.shutdown(PATIENCE).await;
    narrator.say(format_args!("the pool is shut down: {shutdown}"));
    let seen = observer.end().await;
    let recovery = black_hole::stage(pool.resource(), &narrator).await;

    let (outages, written, seen, recovery) = (outages?, written?, seen?, recovery?);
    let report = Report {
        began: narrator.began,
        outages,
        comparison: written.compare(&admin.rows().await?),
        written,
        seen,
        recovery,
        shutdown,
        audit: pool.audit(),
        connections_left: admin.connections_left(PATIENCE).await?,
    };
    narrator.write(&report);
    Ok(report)
}

/// The times are shorter than most programs need, because the outages are.
fn new_pool(database: Postgres, narrator: Arc<Narrator>) -> Result<Pool<Postgres>, ConfigError> {
    let until_it_is_back =
        Retry::new(Backoff::exponential(Duration::from_millis(50)).cap(Duration::from_millis(500)))
            .max_retries(u32::MAX)
            .deadline(Duration::from_secs(60));

    tenure::Pool::builder(database)
        .name("connections")
        .min_size(KEPT_WARM)
        .max_size(MAX_SIZE)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A server that is gone may not even refuse.
        .open_timeout(Duration::from_secs(10))
        .check_every(Duration::from_secs(1))
        .retry(until_it_is_back)
        .events(narrator)
        .build(Tokio::current())
}
