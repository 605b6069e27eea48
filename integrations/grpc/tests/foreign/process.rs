//! The foreign server, as a process.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::rig::until;

/// Has the command that starts the server.
const COMMAND: &str = "TENURE_GRPC_FOREIGN";

const READY: &str = " serves on port ";

/// How the server is started.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Options {
    pub(super) max_age: Option<Duration>,
    pub(super) max_streams: Option<u32>,
}

/// It is killed when this is dropped; and if nothing is left to do that, it ends by itself, because its input does.
pub(super) struct Foreign {
    running: Running,
    options: Options,
    log: PathBuf,
}

struct Running {
    child: Child,
    _output: BufReader<ChildStdout>,
    port: u16,
}

impl Foreign {
    /// Starts it, unless no command says how.
    pub(super) async fn start(options: Options) -> Option<Self> {
        static LOGS: AtomicUsize = AtomicUsize::new(0);
        if std::env::var_os(COMMAND).is_none() {
            println!("skipped: {COMMAND} is not set");
            return None;
        }
        let number = LOGS.fetch_add(1, Ordering::Relaxed);
        let log = format!("tenure-grpc-{}-{number}.log", std::process::id());
        let log = std::env::temp_dir().join(log);
        let running = Running::start(0, options, &log).await;
        Some(Self {
            running,
            options,
            log,
        })
    }

    pub(super) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.running.port)
    }

    /// Whom it has greeted, in all its lives.
    pub(super) fn greeted(&self) -> Vec<String> {
        let log = std::fs::read_to_string(&self.log).expect("it is there");
        log.lines().map(str::to_owned).collect()
    }

    /// By SIGKILL, which does not ask it.
    pub(super) fn kill(&mut self) {
        self.running.child.kill().expect("it is ours");
        self.running.child.wait().expect("it is ours");
    }

    /// By SIGTERM, upon which it finishes what is under way.
    pub(super) async fn stop(&mut self) {
        let child = &mut self.running.child;
        let pid = child.id().to_string();
        let told = Command::new("sh")
            .args(["-c", r#"kill -TERM "$1""#, "sh", &pid])
            .status();
        assert!(told.expect("there is a shell").success());
        let ended = || child.try_wait().expect("it is ours").is_some();
        until("it has ended", ended).await;
    }

    /// Has another take its port.
    pub(super) async fn restart(&mut self) {
        self.running = Running::start(self.running.port, self.options, &self.log).await;
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.log);
    }
}

impl Running {
    async fn start(port: u16, options: Options, log: &std::path::Path) -> Self {
        let command = std::env::var(COMMAND).expect("it is set");
        let mut words = command.split_whitespace();
        let mut command = Command::new(words.next().expect("a program"));
        command.args(words).arg("--log").arg(log);
        command.args(["--port", &port.to_string()]);
        if let Some(age) = options.max_age {
            command.args(["--max-age", &age.as_millis().to_string()]);
        }
        if let Some(streams) = options.max_streams {
            command.args(["--max-streams", &streams.to_string()]);
        }
        let start = move || {
            let mut child = command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("it starts");
            let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
            let mut line = String::new();
            output.read_line(&mut line).expect("it says something");
            let port = line
                .split_once(READY)
                .and_then(|it| it.1.trim().parse().ok());
            Self {
                child,
                _output: output,
                port: port.expect("it serves"),
            }
        };
        let started = tokio::task::spawn_blocking(start);
        started.await.expect("it does not panic")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
