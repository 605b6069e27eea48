//! Four peers in a ring, each a process with a server of tonic's, that compute a model together: prompts, tensors of
//! tens of MiB and results go from each to the next, while two of them are killed and started again.
//!
//! ```sh
//! cargo run --example peers
//! cargo run --example peers -- --mebibytes 64
//! ```
//!
//! The program starts itself once for each peer, watches them, and has prompts answered; it takes a few seconds. On a
//! terminal a table shows who is Ready, Degraded or reconnecting; elsewhere each change is a line. At the end everybody
//! prints the statistics of their channels.
//!
//! It ends with status 0 only if every promise was kept: each prompt has its one right answer, there was one reconnect
//! for each kill and channel, and nobody is left. On Ctrl-C and SIGTERM it stops the peers in order. They end by
//! themselves if it is killed.
//!
//! Read in this order: `handle` (a peer as others see it: what may be sent twice and what may not), `neighbours` (handles
//! as members of a group), `rounds` and `answers` (how a prompt is answered), `node` and `server` (the other side),
//! `topology`, `peer` (the life of a process). Then, of the observer, `story` (what happens), `outage`, `prompts`,
//! `observer`, `children`, `command`, `screen`, `promises`. The model is in `model`, `tensor` and `ring`, the messages in
//! `proto/peers.proto`.

mod answers;
mod children;
mod command;
mod handle;
mod model;
mod neighbours;
mod node;
mod observer;
mod outage;
mod peer;
mod promises;
mod prompts;
mod ring;
mod rounds;
mod screen;
mod server;
#[path = "../service_group/signals.rs"]
mod signals;
mod story;
mod tensor;
#[cfg(test)]
mod tests;
mod topology;

/// What `proto/peers.proto` becomes. Made anew, where there is a `protoc`, by a program of one line, with
/// tonic-prost-build 0.14:
/// `tonic_prost_build::configure().bytes(".tenure.peers.TensorChunk").out_dir("proto").compile_protos(&["proto/peers.proto"], &["proto"])`
mod proto {
    #![allow(
        clippy::all,
        unreachable_pub,
        reason = "it is written by tonic-prost-build"
    )]
    include!("proto/tenure.peers.rs");
}

use std::env;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tenure_core::BoxError;
use tokio::runtime::Runtime;

use crate::screen::Screen;
use crate::signals::Signals;
use crate::story::Story;

/// Longer than anything here takes, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a shutdown may take in all.
const STOP_WITHIN: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    match Role::from_arguments().and_then(play) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Clone, Copy)]
enum Role {
    Observer { mebibytes: u32 },
    Peer { number: u32, port: Option<u16> },
}

impl Role {
    fn from_arguments() -> Result<Self, BoxError> {
        let arguments: Vec<String> = env::args().skip(1).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match arguments[..] {
            [] => Ok(Self::Observer { mebibytes: 32 }),
            ["--mebibytes", mebibytes] => Ok(Self::Observer {
                mebibytes: mebibytes.parse()?,
            }),
            ["--peer", number] => Ok(Self::Peer {
                number: number.parse()?,
                port: None,
            }),
            ["--peer", number, port] => Ok(Self::Peer {
                number: number.parse()?,
                port: Some(port.parse()?),
            }),
            _ => Err("usage: peers [--mebibytes NUMBER]".into()),
        }
    }
}

fn play(role: Role) -> Result<(), BoxError> {
    Runtime::new()?.block_on(async {
        match role {
            Role::Observer { mebibytes } => observe(mebibytes).await,
            Role::Peer { number, port } => peer::live(number, port).await,
        }
    })
}

/// However the story ends, by itself, with an error or by a signal, the peers are stopped in order.
async fn observe(mebibytes: u32) -> Result<(), BoxError> {
    // Before anything is there that a signal could leave behind.
    let mut signals = Signals::listen()?;
    let screen = Arc::new(Screen::new());
    let mut story = Story::new(mebibytes, &screen)?;
    let told = tokio::select! {
        told = story.tell() => told,
        name = signals.caught() => {
            screen.say(format_args!("{name} was caught"));
            Err(format!("ended by {name}").into())
        }
    };
    let stopped = story.stop().await;
    told?;
    stopped
}
