//! What looks after a channel from the background, without keeping it open.

use std::future::Future;
use std::sync::Arc;

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
    let before = clock.now();
    match connection.check().await {
        Err(CheckError::NotOpen { .. }) => return false,
        Err(CheckError::Failed { cause, .. }) => {
            if let Some(ChannelError::Lost) = cause.downcast_ref() {
                connection.lose_if_opened_before(before);
            }
        }
        _ => {}
    }
    true
}
