//! The processes of the peers. None outlives the observer: each ends when its standard input does.

use std::env;
use std::net::SocketAddr;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use tenure_core::{BoxError, with_timeout};
use tenure_tokio::Tokio;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::task::JoinHandle;

use crate::PATIENCE;
use crate::command::Command;
use crate::ring::id_of;
use crate::screen::Screen;

pub(crate) struct PeerProcess {
    pub(crate) number: u32,
    pub(crate) address: SocketAddr,
    child: Child,
    commands: ChildStdin,
    /// Repeats what it says.
    listening: JoinHandle<()>,
}

impl PeerProcess {
    /// Starts one, at an address that it had before or at any, and waits until it serves there.
    pub(crate) async fn start(
        number: u32,
        address: Option<SocketAddr>,
        screen: &Arc<Screen>,
    ) -> Result<Self, BoxError> {
        let mut command = tokio::process::Command::new(env::current_exe()?);
        command
            .args(["--peer".to_owned(), number.to_string()])
            .args(address.map(|address| address.port().to_string()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        // Ctrl-C is for the observer alone, which then stops them in order.
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.spawn()?;
        let (commands, stdout) = (child.stdin.take(), child.stdout.take());
        let commands = commands.ok_or("it has no standard input")?;
        let mut lines = BufReader::new(stdout.ok_or("it has no standard output")?).lines();
        let what = format!("waiting for {} to serve", id_of(number));
        let address = with_timeout(&Tokio::current(), PATIENCE, what, lines.next_line()).await??;
        let address = address.ok_or_else(|| format!("{} has ended at once", id_of(number)))?;
        Ok(Self {
            number,
            address: address.parse()?,
            child,
            commands,
            listening: tokio::spawn(repeat(id_of(number), lines, screen.clone())),
        })
    }

    pub(crate) fn id(&self) -> String {
        id_of(self.number)
    }

    pub(crate) async fn tell(&mut self, command: Command) -> Result<(), BoxError> {
        let line = format!("{command}\n");
        self.commands.write_all(line.as_bytes()).await?;
        Ok(())
    }

    /// Without a warning. Says where it was.
    pub(crate) async fn kill(mut self) -> Result<SocketAddr, BoxError> {
        self.child.kill().await?;
        self.listening.await?;
        Ok(self.address)
    }

    /// Has it end by itself, and waits until it has. One that does not is killed, which is an error.
    pub(crate) async fn end(self) -> Result<ExitStatus, BoxError> {
        let Self {
            number,
            mut child,
            commands,
            listening,
            ..
        } = self;
        drop(commands);
        let what = format!("waiting for {} to end", id_of(number));
        let status = with_timeout(&Tokio::current(), PATIENCE, what, child.wait()).await??;
        listening.await?;
        Ok(status)
    }

    /// Whether somebody listens at this address.
    pub(crate) async fn is_there(address: SocketAddr) -> bool {
        TcpStream::connect(address).await.is_ok()
    }
}

async fn repeat(id: String, mut lines: Lines<BufReader<ChildStdout>>, screen: Arc<Screen>) {
    while let Ok(Some(line)) = lines.next_line().await {
        screen.say(format_args!("{id}: {line}"));
    }
}
