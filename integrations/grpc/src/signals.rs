//! How a connection asks for a look at itself.

use std::sync::Arc;

use tokio::sync::Notify;

/// Tells a [`GrpcChannel`](crate::GrpcChannel) that a look at its connection is due. Several of a kind at once are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signals(Arc<Kinds>);

#[derive(Debug, Default)]
struct Kinds {
    changed: Notify,
    suspected: Notify,
}

impl Signals {
    /// The connection was lost, or the server pushed another health: that is to be seen at once.
    pub(crate) fn look(&self) {
        self.0.changed.notify_one();
    }

    /// A call ended with a status that may come from a server in trouble, on a connection that seems well.
    pub(crate) fn suspect(&self) {
        self.0.suspected.notify_one();
    }

    /// Waits until a look is due, since this was asked for the last time.
    pub(crate) async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// Waits until the connection is suspected, since this was asked for the last time.
    pub(crate) async fn suspected(&self) {
        self.0.suspected.notified().await;
    }
}
