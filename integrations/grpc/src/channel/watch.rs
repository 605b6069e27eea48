//! What looks after a channel from the background, without keeping it open.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tenure_core::connection::{Connection, ConnectionState};
use tenure_core::{CheckError, Timer};
use tenure_tokio::Tokio;
use tokio::sync::mpsc::Receiver;

use crate::endpoint::GrpcEndpoint;
use crate::error::ChannelError;
use crate::ties::Ties;

/// Looks at the connection whenever it asks for that, and cuts what lingers once the channel is closed, in whichever way.
pub(super) fn look_after(
    connection: &Connection<GrpcEndpoint, Tokio>,
    clock: Tokio,
    ties: Arc<Ties>,
    mut signals: Receiver<()>,
) -> impl Future<Output = ()> + Send + use<> {
    let (weak, mut watch) = (connection.downgrade(), connection.watch());
    async move {
        // It asked before it was opened, or as it was: then it is looked at once it is.
        let mut is_due = false;
        loop {
            tokio::select! {
                Some(()) = signals.recv() => is_due = true,
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
