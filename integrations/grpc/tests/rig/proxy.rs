//! A network between the two that does what networks do.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What the network does with what it is given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    None,
    /// It passes it on so much later.
    Delay(Duration),
    /// It loses it.
    Drop,
    /// It passes half of it on, and hangs up.
    CutInHalf,
    /// It resets the connection.
    Reset,
    /// It hangs up together with the first answer that is passed on.
    HangUpAfterAnswer,
}

/// Listens, and passes on to the server.
pub(crate) struct Proxy {
    address: SocketAddr,
    fault: watch::Sender<Fault>,
    open: Arc<AtomicUsize>,
    accepted: Arc<AtomicUsize>,
    _tasks: Arc<Mutex<JoinSet<()>>>,
}

impl Proxy {
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (fault, faults) = watch::channel(Fault::None);
        let tasks = Arc::new(Mutex::new(JoinSet::new()));
        let (open, accepted) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (counted, taken, weak) = (open.clone(), accepted.clone(), Arc::downgrade(&tasks));
        let accept = async move {
            while let Ok((client, _)) = listener.accept().await {
                taken.fetch_add(1, Ordering::SeqCst);
                counted.fetch_add(1, Ordering::SeqCst);
                let (faults, counted) = (faults.clone(), counted.clone());
                let Some(tasks) = weak.upgrade() else { return };
                tasks.lock().expect("a lock").spawn(async move {
                    pass(client, port, faults).await;
                    counted.fetch_sub(1, Ordering::SeqCst);
                });
            }
        };
        tasks.lock().expect("a lock").spawn(accept);
        Self {
            address,
            fault,
            open,
            accepted,
            _tasks: tasks,
        }
    }

    pub(crate) fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on, for connections that are there too.
    pub(crate) fn does(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// How many connections of the client's are open.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

async fn pass(client: TcpStream, port: u16, faults: watch::Receiver<Fault>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else {
        return;
    };
    for socket in [&client, &server] {
        socket.set_nodelay(true).expect("a socket");
    }
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let ended = tokio::select! {
        ended = copy(&mut from_client, &mut to_server, faults.clone()) => ended,
        ended = copy(&mut from_server, &mut to_client, faults) => ended,
    };
    if ended == Ended::Reset {
        let client = from_client.reunite(to_client).expect("one socket");
        client.set_zero_linger().expect("a socket");
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Ended {
    HungUp,
    Reset,
}

async fn copy(
    from: &mut tokio::net::tcp::OwnedReadHalf,
    to: &mut tokio::net::tcp::OwnedWriteHalf,
    mut faults: watch::Receiver<Fault>,
) -> Ended {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read,
            changed = faults.changed() => {
                if changed.is_err() {
                    return Ended::HungUp;
                }
                continue;
            }
        };
        let Ok(read @ 1..) = read else {
            return Ended::HungUp;
        };
        let fault = *faults.borrow_and_update();
        let passed = match fault {
            Fault::None => &buffer[..read],
            Fault::HangUpAfterAnswer if ends_a_stream(&buffer[..read]) => {
                let _ = to.write_all(&buffer[..read]).await;
                return Ended::HungUp;
            }
            Fault::HangUpAfterAnswer => &buffer[..read],
            Fault::Delay(time) => {
                tokio::time::sleep(time).await;
                &buffer[..read]
            }
            Fault::Drop => continue,
            Fault::CutInHalf => {
                let _ = to.write_all(&buffer[..read / 2]).await;
                return Ended::HungUp;
            }
            Fault::Reset => return Ended::Reset,
        };
        if to.write_all(passed).await.is_err() {
            return Ended::HungUp;
        }
    }
}

/// Whether one of these frames of HTTP/2 has the headers that end a stream.
fn ends_a_stream(mut frames: &[u8]) -> bool {
    while let [high, middle, low, kind, flags, ..] = *frames {
        if kind == 1 && flags & 1 == 1 {
            return true;
        }
        let length = u32::from_be_bytes([0, high, middle, low]) as usize + 9;
        frames = frames.get(length..).unwrap_or_default();
    }
    false
}
