//! What looks after a channel from the background, without keeping it open.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tenure_core::connection::{Connection, ConnectionState};
use tenure_core::{CheckError, Timer};
use tenure_tokio::Tokio;

use crate::endpoint::GrpcEndpoint;
use crate::error::ChannelError;
use crate::health::Health;
use crate::signals::Signals;
use crate::ties::Ties;

/// Least time between the checks that calls bring forward, however many of them end with UNAVAILABLE.
const BETWEEN_SUSPICIONS: Duration = Duration::from_secs(1);

/// Looks at the connection whenever it asks for that, and cuts what lingers once the channel is closed, in whichever way.
pub(super) fn look_after(
    connection: &Connection<GrpcEndpoint, Tokio>,
    clock: Tokio,
    ties: Arc<Ties>,
    signals: Signals,
) -> impl Future<Output = ()> + Send + use<> {
    let (weak, mut watch) = (connection.downgrade(), connection.watch());
    let is_checked = connection.resource().board().how != Health::Off;
    async move {
        // It asked before it was opened, or as it was: then it is looked at once it is.
        let mut is_due = false;
        let mut is_suspect = false;
        let mut next_check = tokio::time::Instant::now();
        loop {
            tokio::select! {
                () = signals.changed() => is_due = true,
                () = signals.suspected(), if is_checked && !is_suspect => is_suspect = true,
                () = tokio::time::sleep_until(next_check), if is_suspect => {
                    is_suspect = false;
                    next_check = tokio::time::Instant::now() + BETWEEN_SUSPICIONS;
                    if let Some(connection) = weak.upgrade() {
                        look(&connection, &clock).await;
                    }
                }
                state = watch.changed() => match state {
                    None | Some(ConnectionState::Closed) => break,
                    Some(_) => {}
                },
            }
            if let (true, Some(connection)) = (is_due, weak.upgrade()) {
                is_due = !look(&connection, &clock).await;
            }
        }
        ties.cut();
    }
}

/// Has the connection checked, and given up if it is gone: so the next call finds a new one, and none has to fail first.
/// Says whether there was one.
async fn look(connection: &Connection<GrpcEndpoint, Tokio>, clock: &Tokio) -> bool {
    loop {
        // What was opened up to now, this instant included.
        let before = clock.now().saturating_add(Duration::from_nanos(1));
        let is_lost = match connection.check().await {
            Ok(()) => false,
            Err(CheckError::Failed { cause, .. }) => {
                matches!(cause.downcast_ref(), Some(ChannelError::Lost))
            }
            Err(_) => return false,
        };
        // If it is not given up, it was opened just now, or is given up already.
        if !is_lost || connection.lose_if_opened_before(before) {
            return true;
        }
    }
}
