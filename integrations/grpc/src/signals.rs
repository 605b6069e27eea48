//! How a connection asks for a look at itself: it was lost, or its health changed.

use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Tells a [`GrpcChannel`](crate::GrpcChannel) that a look at its connection is worth it. Several at once are one.
#[derive(Clone, Debug)]
pub(crate) struct Signals(Sender<()>);

impl Signals {
    pub(crate) fn new() -> (Self, Receiver<()>) {
        let (sender, receiver) = channel(1);
        (Self(sender), receiver)
    }

    pub(crate) fn look(&self) {
        // If it is full, the look that is due will see this too.
        let _ = self.0.try_send(());
    }
}
