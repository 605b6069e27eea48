//! Faults of the original's gRPC resource, each by its number.

use std::time::Duration;

use tenure_core::{Backoff, OpenError, Retry};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::rig::*;

/// The original took a channel in the state IDLE for one that is not ready, and reconnected.
#[tokio::test]
async fn fault_25_an_idle_channel_is_healthy() {
    let server = Server::start().await;
    let channel =
        build(channel_to(endpoint(&server.address())).check_every(Duration::from_millis(20)));
    channel.open().await.expect("it opens");
    let checked = channel.stats().last_success_at;
    for _ in 0..5 {
        let before = channel.stats().last_success_at;
        until("it is checked", || channel.stats().last_success_at > before).await;
        assert!(channel.is_healthy());
    }
    assert!(channel.stats().last_success_at > checked);
    assert_eq!(channel.stats().connects.begun, 1, "and no other was opened");
    let server_saw = server.seen().len();
    assert_eq!(server_saw, 0, "nobody called");
    ends_well(&channel).await;
}

/// The original's inner timeout was shorter than the schedule of retries around it, so that channels whose opening was
/// given up stayed open.
#[tokio::test]
async fn fault_26_no_channel_is_left_open_when_the_outer_timeout_is_shorter() {
    let silent = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = format!("http://{}", silent.local_addr().expect("an address"));
    let accepting = tokio::spawn(async move {
        let mut sockets = Vec::new();
        while sockets.len() < 3 {
            sockets.push(silent.accept().await.expect("a client").0);
        }
        (silent, sockets)
    });
    let patient = Retry::new(Backoff::constant(Duration::from_millis(10))).max_retries(1000);
    let builder = channel_to(endpoint(&address))
        .retry(patient)
        .open_retry(patient);
    let channel = build(builder.open_timeout(Duration::from_millis(40)));
    let connection = channel.connection();
    let error = connection.open_timeout(Duration::from_millis(50)).await;
    assert!(
        matches!(
            error,
            Err(OpenError::TimedOut { .. } | OpenError::Pending { .. })
        ),
        "{error:?}"
    );
    // The opening goes on, and each of its attempts takes its socket along.
    let (silent, mut sockets) = within(accepting).await.expect("it accepts");
    let report = within(channel.shutdown(Duration::from_secs(30))).await;
    assert!(report.is_clean(), "{report}");
    // What was accepted by the system and not yet by us.
    while let Ok(more) = tokio::time::timeout(Duration::from_millis(20), silent.accept()).await {
        sockets.push(more.expect("a client").0);
    }
    for mut socket in sockets {
        let mut said = Vec::new();
        // The preface of HTTP/2, and the end.
        let _ = within(socket.read_to_end(&mut said)).await;
    }
    assert!(connection.audit().is_balanced());
    assert!(channel.stats().is_balanced());
}
