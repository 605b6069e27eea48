//! The outages: the server is killed and started again, by commands of the user's.

use std::time::{Duration, Instant};

use tenure::BoxError;
use tenure::tokio::Pool;
use tokio::process::Command;
use tokio::signal::ctrl_c;
use tokio::time::timeout;

use crate::narrator::Narrator;
use crate::postgres::Postgres;
use crate::{MAX_SIZE, PATIENCE};

/// How long the server stays down, each time. Those who ask the pool for a connection are told of the
/// first outage; the second may be over before they have waited long enough.
const OUTAGES: [Duration; 2] = [Duration::from_millis(2_500), Duration::ZERO];

/// How long all is well, before an outage and after the last.
const CALM: Duration = Duration::from_millis(2_500);

/// Shell commands.
pub(crate) struct Commands {
    pub(crate) kill: String,
    pub(crate) start: String,
}

/// One outage. Of what has not come within a long time there is no moment.
pub(crate) struct Outage {
    pub(crate) killed: Instant,
    /// When the command to start it again was given.
    pub(crate) restarted: Instant,
    /// When the pool opened its first connection after it.
    pub(crate) reopened: Option<Instant>,
    /// When the pool had all its connections again.
    pub(crate) full: Option<Instant>,
}

/// Lets the load run, with the outages in it if there are commands for them.
pub(crate) async fn stage_all(
    commands: Option<&Commands>,
    pool: &Pool<Postgres>,
    narrator: &Narrator,
) -> Result<Vec<Outage>, BoxError> {
    let mut outages = Vec::new();
    pause(CALM).await?;
    let Some(commands) = commands else {
        narrator.say("there is no outage: POSTGRES_KILL and POSTGRES_START are not set");
        pause(CALM).await?;
        return Ok(outages);
    };
    for time in OUTAGES {
        outages.push(stage(commands, time, pool, narrator).await?);
        pause(CALM).await?;
    }
    Ok(outages)
}

async fn stage(
    commands: &Commands,
    time: Duration,
    pool: &Pool<Postgres>,
    narrator: &Narrator,
) -> Result<Outage, BoxError> {
    narrator.say(format_args!("the server is killed: {}", pool.status()));
    let opened_before = pool.audit().opened;
    run(&commands.kill).await?;
    let killed = Instant::now();
    let paused = pause(time).await;

    // After an interruption too: the server is not to be left as it is.
    let restarted = Instant::now();
    narrator.say(format_args!("the server is restarted: {}", pool.status()));
    let recovery = async {
        let opened = || pool.audit().opened - opened_before;
        let reopened = moment(|| opened() > 0).await;
        // None of the old connections counts, even if its user has yet to notice.
        let is_full = || opened() >= MAX_SIZE as u64 && in_service(pool) == MAX_SIZE;
        let full = match reopened {
            Some(_) => moment(is_full).await,
            None => None,
        };
        Ok((reopened, full))
    };
    let ((), (reopened, full)) = tokio::try_join!(run(&commands.start), recovery)?;
    narrator.say(format_args!("the pool is back: {}", pool.status()));
    paused?;
    Ok(Outage {
        killed,
        restarted,
        reopened,
        full,
    })
}

fn in_service(pool: &Pool<Postgres>) -> usize {
    let status = pool.status();
    status.idle + status.in_use
}

async fn run(command: &str) -> Result<(), BoxError> {
    let status = Command::new("sh").args(["-c", command]).status().await?;
    if status.success() {
        return Ok(());
    }
    Err(format!("`{command}` ended with {status}").into())
}

/// When this becomes so.
pub(crate) async fn moment(is_so: impl Fn() -> bool) -> Option<Instant> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = Instant::now();
        if is_so() {
            return Some(now);
        }
        if now > deadline {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Waits, unless the user presses Ctrl-C: then the example cleans up and ends.
async fn pause(time: Duration) -> Result<(), BoxError> {
    match timeout(time, ctrl_c()).await {
        Err(_) => Ok(()),
        Ok(pressed) => {
            pressed?;
            Err("interrupted".into())
        }
    }
}
