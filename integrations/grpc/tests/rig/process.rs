//! A server that is a process of its own, so that it can be stopped and killed as one.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use super::Server;
use super::until;

/// Says to this binary that it is to serve, and on which port; 0 is any.
const PORT: &str = "TENURE_GRPC_TESTS_SERVE";

const READY: &str = "it serves on port ";

/// This binary, started again to serve. It is killed when it is dropped; and if nobody is left to do that, it ends by
/// itself, because its input does.
pub(crate) struct Process {
    child: Child,
    _output: BufReader<ChildStdout>,
    port: u16,
}

impl Process {
    pub(crate) async fn start() -> Self {
        Self::at(0).await
    }

    async fn at(port: u16) -> Self {
        let start = move || {
            let itself = std::env::current_exe().expect("it has a path");
            let mut child = Command::new(itself)
                .args(["--exact", crate::processes::SERVES, "--nocapture"])
                .env(PORT, port.to_string())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("it starts");
            let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
            let port = { output.by_ref().lines() }
                .map(|line| line.expect("it is told"))
                .find_map(|line| line.split_once(READY)?.1.parse().ok());
            Self {
                child,
                _output: output,
                port: port.expect("it serves"),
            }
        };
        let started = tokio::task::spawn_blocking(start);
        started.await.expect("it does not panic")
    }

    pub(crate) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// By SIGKILL, which does not ask it.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it is ours");
    }

    /// Has another take its port.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        *self = Self::at(self.port).await;
    }

    /// Closes its input, and waits for it to end.
    pub(crate) async fn let_go(&mut self) {
        drop(self.child.stdin.take());
        let child = &mut self.child;
        let ended = || child.try_wait().expect("it is ours").is_some();
        until("it has ended", ended).await;
    }

    /// By SIGSTOP: the system goes on to accept for it, and nobody answers.
    pub(crate) async fn stop(&self) -> Stopped {
        let pid = self.child.id().to_string();
        let stop = r#"kill -STOP "$1"; read -r _; kill -CONT "$1""#;
        let continues = Command::new("sh")
            .args(["-c", stop, "sh", &pid])
            .stdin(Stdio::piped())
            .spawn()
            .expect("there is a shell");
        let stopped = Stopped { continues };
        until("it has stopped", || has_stopped(&pid)).await;
        stopped
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process that is stopped. It goes on when this is dropped, or ends together with the tests: a shell holds the other
/// end of a pipe.
pub(crate) struct Stopped {
    continues: Child,
}

impl Stopped {
    pub(crate) fn goes_on(self) {
        drop(self);
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        drop(self.continues.stdin.take());
        let _ = self.continues.wait();
    }
}

/// Whether each of its threads has.
fn has_stopped(pid: &str) -> bool {
    let tasks = Path::new("/proc").join(pid).join("task");
    let mut tasks = std::fs::read_dir(tasks).expect("it is there");
    tasks.all(|task| {
        let stat = task.expect("it is there").path().join("stat");
        // The state follows the name, which stands in brackets.
        std::fs::read_to_string(stat).is_ok_and(|stat| {
            stat.rsplit_once(") ")
                .is_some_and(|it| it.1.starts_with('T'))
        })
    })
}

/// Serves, if this is the process that was started for it, until nobody wants it any more. Says whether it was.
pub(crate) async fn serve_if_told() -> bool {
    let Ok(port) = std::env::var(PORT) else {
        return false;
    };
    let port = port.parse().expect("a port");
    let server = Server::builder().health().at(port).start().await;
    println!("{READY}{}", server.port());
    let wait_for_end = || std::io::stdin().read_to_end(&mut Vec::new());
    let ended = tokio::task::spawn_blocking(wait_for_end).await;
    ended.expect("it does not panic").expect("it can be read");
    true
}
