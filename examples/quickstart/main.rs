//! The main job of the library, on a real database: a pool of connections that opens late, is fought
//! over, loses a connection, sees its table go away and come back, and is shut down to the last value.
//!
//! ```sh
//! cargo run --example quickstart
//! cargo run --example quickstart -- --backend smol
//! DATABASE_URL=postgres://user:password@localhost/app cargo run --example quickstart
//! ```
//!
//! It takes a few seconds. Without a `DATABASE_URL` of PostgreSQL's it works on an SQLite file in the
//! system's folder for temporary files; with one, in a schema of its own. Both are removed at the end.
//! Whatever is not as it should be ends the program with an error.
//!
//! Read in this order: `sqlite` (how one connection is opened, checked and closed), `database_pool`
//! (the pool in thirty lines), `notes` (one shared thing with a health), `story` (what happens).

mod database;
mod database_pool;
mod notes;
mod postgres;
mod runtime;
mod sqlite;
mod stage;
mod story;

use std::env;
use std::process::ExitCode;

use tenure::BoxError;
use tenure::async_std::AsyncStd;
use tenure::smol::Smol;
use tenure::tokio::Tokio;

use crate::postgres::Postgres;
use crate::runtime::Runtime;
use crate::sqlite::Sqlite;

fn main() -> ExitCode {
    match backend().and_then(|backend| run(&backend)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quickstart: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(backend: &str) -> Result<(), BoxError> {
    match backend {
        "tokio" => tokio::runtime::Runtime::new()?.block_on(async { on(Tokio::current()).await }),
        "async-std" => async_std::task::block_on(on(AsyncStd)),
        "smol" => smol::block_on(on(Smol)),
        other => Err(format!("`--backend {other}`: choose tokio, async-std or smol").into()),
    }
}

fn backend() -> Result<String, BoxError> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => Ok("tokio".into()),
        ["--backend", backend] => Ok(backend.into()),
        _ => Err("usage: quickstart [--backend tokio|async-std|smol]".into()),
    }
}

async fn on<T: Runtime>(runtime: T) -> Result<(), BoxError> {
    match env::var("DATABASE_URL") {
        Ok(url) if url.starts_with("postgres") => {
            story::tell(Postgres::new(&url, runtime.clone())?, runtime).await
        }
        _ => story::tell(Sqlite::in_temporary_folder(), runtime).await,
    }
}

#[cfg(test)]
mod tests {
    /// One after the other: the rows are in a place that is the process's own.
    #[test]
    fn s18_a_database_pool_does_its_job_on_every_runtime() {
        for backend in ["tokio", "async-std", "smol"] {
            if let Err(error) = super::run(backend) {
                panic!("on {backend}: {error}");
            }
        }
    }
}
