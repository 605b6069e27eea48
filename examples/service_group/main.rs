//! A small service, held as one group: a database, a cache that may be missing, an HTTP server, a client of
//! it and a worker. It starts in the order of their needs, loses its database and gets it back, and stops
//! in the reverse order.
//!
//! ```sh
//! cargo run --example service_group
//! REDIS_URL=redis://127.0.0.1:6379 cargo run --example service_group
//! cargo run --example service_group -- --serve
//! ```
//!
//! The story takes a few seconds. Without a `REDIS_URL` nothing listens where the cache should be: the
//! service runs without it, degraded. With `--serve` it waits for requests instead, as a service does. On
//! Ctrl-C or SIGTERM, at any moment of either, it stops in order and says how each member did. The database
//! is a file in the system's folder for temporary files, which is removed at the end. Whatever is not as it
//! should be ends the program with an error.
//!
//! Read in this order: `service` (how the group is put together), `db` and `redis` (members that hold a
//! value), `worker` and `server` (members that do something), `client`, `story` (what happens).

mod background;
mod client;
mod connection;
mod db;
mod http;
mod journal;
mod redis;
mod server;
mod service;
mod signals;
mod stage;
mod story;
mod worker;

use std::env;
use std::path::Path;
use std::process::{self, ExitCode};
use std::time::Duration;

use tenure::BoxError;
use tokio::fs;

use crate::journal::Journal;
use crate::service::Service;
use crate::signals::Signals;

/// How long a shutdown may take in all: less than the 30 s that Kubernetes gives a pod.
const STOP_WITHIN: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    match Course::from_arguments().and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("service_group: {error}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Clone, Copy)]
enum Course {
    Story,
    Serve,
}

impl Course {
    fn from_arguments() -> Result<Self, BoxError> {
        let arguments: Vec<String> = env::args().skip(1).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match arguments[..] {
            [] => Ok(Self::Story),
            ["--serve"] => Ok(Self::Serve),
            _ => Err("usage: service_group [--serve]".into()),
        }
    }
}

#[tokio::main]
async fn run(course: Course) -> Result<(), BoxError> {
    // Before anything is there that a signal could leave behind.
    let mut signals = Signals::listen()?;
    let folder = env::temp_dir().join(format!("tenure-service-{}", process::id()));
    fs::create_dir(&folder).await?;
    let ended = in_folder(&folder, course, &mut signals).await;
    let removed = fs::remove_dir_all(&folder).await;
    ended?;
    removed.map_err(Into::into)
}

/// However the course ends, by itself, with an error or by a signal, the service is stopped in order.
async fn in_folder(folder: &Path, course: Course, signals: &mut Signals) -> Result<(), BoxError> {
    let journal = Journal::new();
    let service = Service::new(folder, env::var("REDIS_URL").ok(), &journal)?;
    let ended = tokio::select! {
        ended = follow(course, &service) => ended,
        name = signals.caught() => {
            journal.say(format_args!("{name} was caught"));
            Ok(())
        }
    };
    let stopped = story::stop(&service).await;
    ended?;
    stopped
}

async fn follow(course: Course, service: &Service) -> Result<(), BoxError> {
    story::start(service).await?;
    let ended = async {
        match course {
            Course::Story => story::tell(service).await,
            Course::Serve => story::serve(service).await,
        }
    };
    // The supervisor is a future like any other: here it is awaited beside the rest.
    tokio::select! {
        ended = ended => ended,
        watched = service.supervisor().run() => {
            watched?;
            Err("somebody else has stopped the service".into())
        }
    }
}
