//! A server that writes frames of HTTP/2 by hand, to end requests as no server of tonic's does on demand.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What the server does with one request of the test's. The request that proves a connection is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Deed {
    Answer,
    /// Resets its stream with REFUSED_STREAM.
    Refuse,
    /// Sends a GOAWAY of this reason, whose last stream is the one before, and hangs up once nothing is held.
    GoAway(u32),
    /// Holds it until it has said GOAWAY to another, or for good.
    Hold,
    /// Hangs up.
    HangUp,
    /// Hangs up in the middle of the answer.
    HangUpInAnswer,
}

pub(crate) const NO_ERROR: u32 = 0;
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const REFUSED_STREAM: u32 = 7;
const MAX_CONCURRENT_STREAMS: u16 = 3;

#[derive(Clone, Default)]
struct Script {
    deeds: Arc<Mutex<VecDeque<Deed>>>,
    max_streams: Option<u32>,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
    pings: Arc<AtomicUsize>,
    /// Says GOAWAY without being asked, as a server does that is shut down.
    retires: Arc<tokio::sync::Notify>,
}

pub(crate) struct Frames {
    address: String,
    script: Script,
    _tasks: JoinSet<()>,
}

impl Frames {
    pub(crate) async fn start(max_streams: impl Into<Option<u32>>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let script = Script {
            max_streams: max_streams.into(),
            ..Script::default()
        };
        let mut tasks = JoinSet::new();
        let accepting = script.clone();
        tasks.spawn(async move {
            let mut serving = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                accepting.connections.fetch_add(1, Ordering::SeqCst);
                let script = accepting.clone();
                serving.spawn(async move {
                    let _ = serve(socket, script).await;
                });
            }
        });
        Self {
            address,
            script,
            _tasks: tasks,
        }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// What it does with the next requests, before it answers again.
    pub(crate) fn does(&self, deeds: impl IntoIterator<Item = Deed>) {
        self.script.deeds.lock().expect("a lock").extend(deeds);
    }

    pub(crate) fn retires(&self) {
        self.script.retires.notify_one();
    }

    pub(crate) fn connections(&self) -> usize {
        self.script.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn pings(&self) -> usize {
        self.script.pings.load(Ordering::SeqCst)
    }

    /// How many requests have come, those that prove a connection not counted.
    pub(crate) fn requests(&self) -> usize {
        self.script.requests.load(Ordering::SeqCst)
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("it is short");
    let mut frame = length.to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Headers, none of which the peer is to remember.
fn headers(status: bool, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    if status {
        block.push(0x88);
    }
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).expect("it is short"));
            block.extend(text.as_bytes());
        }
    }
    block
}

const GRPC: (&str, &str) = ("content-type", "application/grpc");

/// UNIMPLEMENTED, which proves a connection.
fn unimplemented(stream: u32) -> Vec<u8> {
    let block = headers(true, &[GRPC, ("grpc-status", "12")]);
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block)
}

/// The beginning of an answer, with its message.
fn answer(stream: u32) -> Vec<u8> {
    let message = b"Hello you";
    let length = u8::try_from(message.len()).expect("it is short");
    let mut data = vec![0, 0, 0, 0, length + 2, 0x0A, length];
    data.extend(message);
    let mut frames = frame(HEADERS, END_HEADERS, stream, &headers(true, &[GRPC]));
    frames.extend(frame(DATA, 0, stream, &data));
    frames
}

fn trailers(stream: u32) -> Vec<u8> {
    let block = headers(false, &[("grpc-status", "0")]);
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block)
}

fn go_away(last_stream: u32, reason: u32) -> Vec<u8> {
    let mut payload = last_stream.to_be_bytes().to_vec();
    payload.extend(reason.to_be_bytes());
    if reason == ENHANCE_YOUR_CALM {
        payload.extend(b"too_many_pings");
    }
    frame(GOAWAY, 0, 0, &payload)
}

async fn serve(mut socket: TcpStream, script: Script) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    socket.read_exact(&mut [0; 24]).await?;
    let mut settings = Vec::new();
    if let Some(max) = script.max_streams {
        settings.extend(MAX_CONCURRENT_STREAMS.to_be_bytes());
        settings.extend(max.to_be_bytes());
    }
    socket.write_all(&frame(SETTINGS, 0, 0, &settings)).await?;
    let (mut read, mut write) = socket.into_split();
    let (mut held, mut proven, mut last) = (Vec::new(), false, 0);
    loop {
        let mut head = [0; 9];
        tokio::select! {
            done = read.read_exact(&mut head) => done?,
            () = script.retires.notified() => {
                write.write_all(&go_away(last, NO_ERROR)).await?;
                for stream in held.drain(..) {
                    write.write_all(&[answer(stream), trailers(stream)].concat()).await?;
                }
                continue;
            }
        };
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let (kind, flags) = (head[3], head[4]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; length];
        read.read_exact(&mut payload).await?;
        match kind {
            SETTINGS if flags & ACK == 0 => {
                write.write_all(&frame(SETTINGS, ACK, 0, &[])).await?;
            }
            PING if flags & ACK == 0 => {
                script.pings.fetch_add(1, Ordering::SeqCst);
                write.write_all(&frame(PING, ACK, 0, &payload)).await?;
            }
            // Each request here ends with a frame of data.
            DATA if flags & END_STREAM != 0 => {
                if !std::mem::replace(&mut proven, true) {
                    last = stream;
                    write.write_all(&unimplemented(stream)).await?;
                    continue;
                }
                script.requests.fetch_add(1, Ordering::SeqCst);
                let deed = script.deeds.lock().expect("a lock").pop_front();
                match deed.unwrap_or(Deed::Answer) {
                    Deed::Answer => {
                        last = stream;
                        let whole = [answer(stream), trailers(stream)].concat();
                        write.write_all(&whole).await?;
                    }
                    Deed::Refuse => {
                        let reason = REFUSED_STREAM.to_be_bytes();
                        write
                            .write_all(&frame(RST_STREAM, 0, stream, &reason))
                            .await?;
                    }
                    Deed::GoAway(reason) => {
                        write.write_all(&go_away(last, reason)).await?;
                    }
                    Deed::Hold => {
                        last = stream;
                        held.push(stream);
                    }
                    Deed::HangUp => return Ok(()),
                    Deed::HangUpInAnswer => return write.write_all(&answer(stream)).await,
                }
            }
            _ => {}
        }
    }
}
