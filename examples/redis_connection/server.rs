//! The server as the story needs it: killed and started again, by commands of the user's.

use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tenure::BoxError;
use tokio::process::Command;
use tokio::sync::Mutex;
use tokio::time::sleep;

use crate::PATIENCE;

/// Shell commands.
#[derive(Clone)]
pub(crate) struct Commands {
    pub(crate) kill: String,
    pub(crate) start: String,
}

pub(crate) struct Server {
    commands: Option<Commands>,
    /// Held while a command runs, so that there is one at a time.
    is_killed: Arc<Mutex<bool>>,
}

impl Server {
    pub(crate) fn new(commands: Option<Commands>) -> Self {
        Self {
            commands,
            is_killed: Arc::default(),
        }
    }

    pub(crate) const fn can_be_killed(&self) -> bool {
        self.commands.is_some()
    }

    pub(crate) async fn kill(&self) -> Result<(), BoxError> {
        let commands = self.commands.clone().ok_or("REDIS_KILL is not set")?;
        let mut is_killed = self.is_killed.clone().lock_owned().await;
        // In a task, which comes to its end where the story is interrupted: it is not to kill what was started after.
        let kill = tokio::spawn(async move {
            *is_killed = true;
            run(&commands.kill).await
        });
        kill.await?
    }

    /// Nothing, if it runs.
    pub(crate) async fn start(&self) -> Result<(), BoxError> {
        let Some(commands) = self.commands.clone() else {
            return Ok(());
        };
        let mut is_killed = self.is_killed.clone().lock_owned().await;
        let start = tokio::spawn(async move {
            if *is_killed {
                run(&commands.start).await?;
                *is_killed = false;
            }
            Ok(())
        });
        start.await?
    }
}

async fn run(command: &str) -> Result<(), BoxError> {
    let status = Command::new("sh").args(["-c", command]).status().await?;
    if status.success() {
        return Ok(());
    }
    Err(format!("`{command}` ended with {status}").into())
}

/// Waits until this is so. What does not come within a long time is an error.
pub(crate) async fn until(what: impl Display, is_so: impl Fn() -> bool) -> Result<(), BoxError> {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        if Instant::now() > deadline {
            return Err(format!("waited for {PATIENCE:?}, and never {what}").into());
        }
        sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}
